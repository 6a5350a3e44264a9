"""R29: what stands on the chain after the plan, and that its deployer has no power over it."""

from __future__ import annotations

import pytest
from support.evm import PROXY
from support.world import (
    DAY,
    DUT,
    KIND_FIELDS,
    MILLION,
    NONE,
    RATES_FIELDS,
    World,
    pack,
    reverts,
    unpack,
)

from medtoken import artifacts
from medtoken.chain.abi import selector
from medtoken.deploy.plan import agreement_hash
from medtoken.deploy.roles import Role

# Slots of ERC-1967.
IMPLEMENTATION = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC
ADMIN = 0xB53127684A568B3173AE13B9F8A6016E243E63B6E8EE1178D6A717850B5D6103
PROXIED = [
    *("DataMarket", "RecordRegistry", "Rewards", "RoyaltyVault", "StorageRewards", "Tariff"),
    *("Treasury", "Passkeys"),
]


def _at(world: World, name: str, slot: int) -> str:
    return f"0x{world.evm.storage(world.suite[name].address, slot):040x}"


def _logic_arguments(world: World, name: str) -> tuple[str, ...]:
    deployer, manager = str(world.people.deployer), world.manager.address
    dut, dct = world.dut.address, world.dct.address
    registry, treasury = world.registry.address, world.treasury.address
    return {
        "DataMarket": (
            *(deployer, manager, dut, registry, treasury, world.tariff.address),
            world.passkeys.address,
        ),
        "RecordRegistry": (deployer, manager, dct),
        "Rewards": (
            *(deployer, manager, registry, world.market.address, world.view.address),
            *(dut, dct, world.gt.address, world.suite["BadgeToken"].address),
        ),
        "RoyaltyVault": (deployer, manager, dut, registry, treasury, world.market.address),
        "StorageRewards": (deployer, manager, world.gt.address, registry, world.market.address),
        "Tariff": (deployer, manager, registry),
        "Passkeys": (deployer, manager, world.suite["ERC7913WebAuthnVerifier"].address),
        "Treasury": (deployer, manager, dut),
    }[name]


def _initialization(name: str) -> tuple[object, ...]:
    rates = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": 500}
    return {
        "DataMarket": (rates, "0x" + "11" * 20, 3 * DAY, b"\1" * 32),
        "RecordRegistry": ([1000] * 8, 20),
        "Passkeys": (3 * DAY,),
        "Rewards": (100 * DUT, 10 * DUT, 30),
        "RoyaltyVault": (100, 7 * DAY),
        "StorageRewards": (
            {"threshold": 60, "samples": 44, "gap": DAY, "window": DAY, "price": DUT},
            [],
        ),
        "Tariff": ([DUT] * 8, [10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 0, 10_000]),
        "Treasury": (0, 5_000),
    }[name]


# ---------------------------------------------------------------- what stands there


def test_the_first_parameters_are_the_plans(bare: World) -> None:
    assert bare.market.rates_word() == pack(
        RATES_FIELDS, provider=7_000, annotator=2_000, platform=1_000, levy=500, epoch=1, paused=0
    )
    assert bare.market.platform() == bare.people.platform
    assert bare.market.agreement() == agreement_hash()
    assert bare.market.window() == bare.params.window == 3 * DAY
    for kind in range(1, 9):
        assert unpack(bare.tariff.kind_word(kind), KIND_FIELDS) == {
            "reference": bare.params.references[kind - 1],
            "scarcity": 10_000,
            "week": 0,
            "rest": 0,
        }
    assert bare.tariff.factors_word() == sum(
        amount << 32 * place for place, amount in enumerate(bare.params.factors)
    )
    assert bare.treasury.burn_rule() == (10 * MILLION * DUT, 5_000)
    assert bare.registry.min_quality() == 20
    assert bare.dut.cap() == 100 * MILLION * DUT
    assert bare.dut.totalSupply() == bare.dct.totalSupply() == 0


def test_the_pieces_are_wired(bare: World) -> None:
    assert bare.dct.minter() == bare.registry.address
    assert bare.gt.minter() == bare.storage.address
    vault = bare.suite["RoyaltyVault"]
    rewards = bare.suite["Rewards"]
    assert rewards.parameters() == (100 * DUT, 10 * DUT, 30)
    assert bare.suite["BadgeToken"].minter() == rewards.address
    for contract in (bare.market, bare.treasury, vault, rewards):
        assert bare.dut.standing(contract.address) == 2
    holds_none = (bare.registry, bare.manager, bare.timelock, bare.dct, bare.dut, bare.tariff)
    for contract in (*holds_none, bare.view, bare.token, bare.gt, bare.storage):
        assert bare.dut.standing(contract.address) == 0
    allowance = bare.dut.allowance(bare.market.address, bare.treasury.address)
    assert allowance == 2**256 - 1
    assert bare.token.market() == bare.market.address
    domain = (bare.market, bare.registry, bare.treasury, bare.tariff)
    for contract in (*domain, bare.dut, bare.dct, bare.gt, bare.storage):
        assert contract.authority() == bare.manager.address


@pytest.mark.parametrize("name", sorted(artifacts.names()))
def test_every_contract_fits_the_chains_limit(name: str) -> None:
    """24,576 bytes of code (EIP-170)."""
    code = artifacts.load(name)["deployedBytecode"].removeprefix("0x")
    assert 0 < len(code) // 2 <= 24_576


# ---------------------------------------------------------------- the deployer is nobody


def test_the_deployer_holds_no_role_anywhere(bare: World) -> None:
    deployer = bare.people.deployer
    for role in Role:
        assert bare.manager.hasRole(int(role), deployer)[0] is False
    for name in ("DEFAULT_ADMIN_ROLE", "PROPOSER_ROLE", "EXECUTOR_ROLE", "CANCELLER_ROLE"):
        assert not bare.timelock.hasRole(getattr(bare.timelock, name)(), deployer)
    assert bare.dut.standing(deployer) == 0
    assert bare.market.platform() != deployer
    assert bare.market.licensee_word(deployer) == 0
    assert bare.registry.number_of(deployer) == 0


def test_the_deployer_can_call_nothing_that_is_restricted(bare: World) -> None:
    deployer = bare.people.deployer
    for contract in bare.suite.values():
        for entry in artifacts.load(contract.name)["abi"]:
            if entry["type"] != "function":
                continue
            answer = bare.manager.canCall(deployer, contract.address, selector(entry))
            assert answer == (False, 0)


def test_the_deployer_cannot_turn_a_single_knob_of_the_manager(bare: World) -> None:
    deployer, manager, market = bare.people.deployer, bare.manager, bare.market.address
    unauthorized = f"AccessManagerUnauthorizedAccount({deployer}, 0)"
    for function, args in {
        "grantRole": (0, deployer, 0),
        "revokeRole": (0, bare.timelock.address),
        "labelRole": (1, "mine"),
        "setRoleAdmin": (1, 1),
        "setRoleGuardian": (1, 1),
        "setGrantDelay": (1, 1),
        "setTargetFunctionRole": (market, [], 1),
        "setTargetAdminDelay": (market, 1),
        "setTargetClosed": (market, True),
        "updateAuthority": (bare.dut.address, deployer),
    }.items():
        with reverts(unauthorized):
            getattr(manager, function)(*args, sender=deployer)


# ---------------------------------------------------------------- proxies (R29)


@pytest.mark.parametrize("name", PROXIED)
def test_the_proxys_admin_belongs_to_the_timelock(bare: World, name: str) -> None:
    admin = bare.evm.contract("ProxyAdmin", _at(bare, name, ADMIN))
    assert admin.owner() == bare.timelock.address
    proxy = bare.suite[name].address
    logic = _at(bare, name, IMPLEMENTATION)
    for who in (bare.people.deployer, bare.people.operator, bare.people.stranger):
        with reverts(f"OwnableUnauthorizedAccount({who})"):
            admin.upgradeAndCall(proxy, logic, b"", sender=who)
        with reverts(f"OwnableUnauthorizedAccount({who})"):
            admin.transferOwnership(who, sender=who)


@pytest.mark.parametrize("name", PROXIED)
def test_the_timelock_upgrades_and_the_state_stays(bare: World, name: str) -> None:
    admin = bare.evm.contract("ProxyAdmin", _at(bare, name, ADMIN))
    proxy = bare.suite[name]
    before = [bare.evm.storage(proxy.address, slot) for slot in range(80)]
    other = bare.evm.deploy(name, *_logic_arguments(bare, name), sender=bare.people.deployer)
    bare.as_timelock(admin, "upgradeAndCall", proxy.address, other.address, b"")
    assert _at(bare, name, IMPLEMENTATION) == other.address.lower()
    assert [bare.evm.storage(proxy.address, slot) for slot in range(80)] == before
    assert any(before)
    again = proxy.abi.call("initialize", *_initialization(name))
    with reverts("initializer: done before"):
        bare.as_timelock(admin, "upgradeAndCall", proxy.address, other.address, again)


@pytest.mark.parametrize("name", PROXIED)
def test_nobody_reaches_the_upgrade_through_the_proxy(bare: World, name: str) -> None:
    call = bytes.fromhex("4f1ef286") + bytes(12) + b"\x11" * 20 + (64).to_bytes(32) + bytes(32)
    for who in (bare.people.deployer, bare.people.stranger, bare.people.operator):
        with reverts("the contract refused and gave no reason"):
            bare.evm.transact(who, bare.suite[name].address, call)


# ---------------------------------------------------------------- initialisation


@pytest.mark.parametrize("name", PROXIED)
def test_a_stranger_cannot_initialise_a_proxy_of_the_logic(bare: World, name: str) -> None:
    arguments = _logic_arguments(bare, name)
    with reverts("initializer: not the deployer"):
        bare.proxied(name, arguments, _initialization(name), sender=bare.people.stranger)
    proxy = bare.proxied(name, arguments, _initialization(name))
    with reverts("initializer: done before"):
        proxy.initialize(*_initialization(name), sender=bare.people.deployer)


@pytest.mark.parametrize("name", PROXIED)
def test_a_proxy_cannot_be_left_for_others_to_initialise(bare: World, name: str) -> None:
    """So nobody can step in between creation and initialisation."""
    logic = bare.evm.deploy(name, *_logic_arguments(bare, name), sender=bare.people.deployer)
    with reverts("ERC1967ProxyUninitialized()"):
        bare.evm.deploy(
            PROXY, logic.address, bare.timelock.address, b"", sender=bare.people.deployer
        )


EMPTY = {
    "DataMarket": [
        (1, "access: no manager is named"),
        (2, "links: a contract is missing"),
        (3, "links: a contract is missing"),
        (4, "links: a contract is missing"),
        (5, "links: a contract is missing"),
        (6, "links: a contract is missing"),
    ],
    "Passkeys": [(1, "access: no manager is named"), (2, "passkey: no verifier is named")],
    "RoyaltyVault": [
        (1, "access: no manager is named"),
        (2, "payouts: no usage token is named"),
        (3, "royalty: a contract is missing"),
        (4, "royalty: a contract is missing"),
        (5, "royalty: a contract is missing"),
    ],
    "Tariff": [(1, "access: no manager is named"), (2, "tariff: no registry is named")],
    "StorageRewards": [
        (1, "access: no manager is named"),
        (2, "storage: a contract is missing"),
        (3, "storage: a contract is missing"),
        (4, "storage: a contract is missing"),
    ],
    "RecordRegistry": [(1, "access: no manager is named"), (2, "registry: no token is named")],
    "Treasury": [(1, "access: no manager is named"), (2, "treasury: no usage token is named")],
}


@pytest.mark.parametrize(
    ("name", "position", "sentence"),
    [(name, at, text) for name, cases in EMPTY.items() for at, text in cases],
)
def test_logic_without_a_link_is_refused(
    bare: World, name: str, position: int, sentence: str
) -> None:
    arguments = list(_logic_arguments(bare, name))
    arguments[position] = "0x" + "00" * 20
    with reverts(sentence):
        bare.evm.deploy(name, *arguments, sender=bare.people.deployer)


@pytest.mark.parametrize(
    ("name", "position", "value", "sentence"),
    [
        (
            "DataMarket",
            0,
            {"provider": 7_000, "annotator": 2_000, "platform": 999, "levy": 500},
            "rates: out of bounds",
        ),
        ("DataMarket", 1, "0x" + "00" * 20, "rates: no platform is named"),
        ("DataMarket", 2, 30 * DAY + 1, "licence: window out of bounds"),
        ("Tariff", 0, [1] * 8, "tariff: out of bounds"),
        ("Tariff", 1, [9_999] * 8, "tariff: out of bounds"),
        ("RecordRegistry", 0, [100_001] * 8, "registry: the coefficient is out of bounds"),
        ("RecordRegistry", 1, 101, "registry: the least quality is out of bounds"),
        ("RoyaltyVault", 0, 0, "royalty: rate out of bounds"),
        ("RoyaltyVault", 1, DAY - 1, "royalty: window out of bounds"),
        ("Treasury", 1, 10_001, "treasury: the share to burn is over 10,000 bps"),
    ],
)
def test_first_parameters_out_of_bounds_are_refused(
    bare: World, name: str, position: int, value: object, sentence: str
) -> None:
    values = list(_initialization(name))
    values[position] = value
    with reverts(sentence):
        bare.proxied(name, _logic_arguments(bare, name), values)


def test_a_market_without_an_agreement_sells_nothing(bare: World) -> None:
    values = list(_initialization("DataMarket"))
    values[3] = NONE
    market = bare.proxied("DataMarket", _logic_arguments(bare, "DataMarket"), values)
    consent = bare.consent(bare.fresh())
    with reverts("licence: agreement not signed"):
        market.buy_licence(bare.order(consent, agreement=NONE), consent.values(), [])


def test_no_contract_of_the_suite_takes_ether(bare: World) -> None:
    evm, rich = bare.evm, bare.new_actor()
    evm._evm.set_balance(rich, 10**18)
    for name, contract in bare.suite.items():
        if name == "TimelockController":  # carries out proposals, with ether too
            continue
        with reverts("the contract refused and gave no reason"):
            evm.transact(rich, contract.address, b"", value=1)
