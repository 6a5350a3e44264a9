"""R29: who may call what. Every function that changes anything is classified, or a test fails.

The classes are those of ``medtoken/deploy/callers.py``; where the AccessManager decides, by ``roles.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from eth_abi import encode
from support.assets import opened
from support.authenticator import Authenticator
from support.desks import Desks, item
from support.evm import Contract
from support.trust import mandate
from support.trust import offer as put_up
from support.world import DUT, FIXED, NONE, ZERO, World, reverts

from medtoken import artifacts
from medtoken.chain.abi import Entry
from medtoken.deploy.callers import CALLERS, RULERS, Kind
from medtoken.deploy.roles import CONTRACT_ROLES, FUNCTION_ROLES, ROLE_ADMINS, Role

TABLE: dict[str, dict[str, Kind]] = {
    contract: {name: caller.kind for name, caller in functions.items()}
    for contract, functions in CALLERS.items()
}
SUITE = sorted(TABLE)
RESTRICTED = [
    (contract, function)
    for contract, functions in TABLE.items()
    for function, kind in functions.items()
    if kind is Kind.RESTRICTED
]


def writes(contract: str) -> dict[str, Entry]:
    """Functions of a contract that change something, by name."""
    return {
        e["name"]: e
        for e in artifacts.load(contract)["abi"]
        if e["type"] == "function" and e["stateMutability"] not in ("view", "pure")
    }


def zeros(entry: Entry) -> bytes:
    """A call with zero for every argument: permission is asked before anything is looked at."""

    def zero(item: Mapping[str, Any]) -> Any:
        kind = str(item["type"])
        if kind.endswith("[]"):
            return []
        if kind.endswith("]"):
            inner = {**item, "type": kind[: kind.rindex("[")]}
            return [zero(inner)] * int(kind[kind.rindex("[") + 1 : -1])
        if kind == "tuple":
            return tuple(zero(c) for c in item["components"])
        plain = {"address": ZERO, "bool": False, "string": "", "bytes": b""}
        return plain.get(kind, bytes(int(kind[5:] or 0)) if kind.startswith("bytes") else 0)

    def word(item: Mapping[str, Any]) -> str:
        kind = str(item["type"])
        if not kind.startswith("tuple"):
            return kind
        return f"({','.join(word(c) for c in item['components'])}){kind[5:]}"

    return encode([word(i) for i in entry["inputs"]], [zero(i) for i in entry["inputs"]])


def role_of(contract: str, function: str) -> Role:
    return FUNCTION_ROLES.get(contract, {}).get(function, Role.ADMIN)


def holders(world: World, role: Role) -> set[str]:
    """Who holds a role after the deployment, by the parameters and the table of roles."""
    named = {str(getattr(world.people, role.name.lower(), ""))} - {""}
    if role is Role.ADMIN:
        named = {world.timelock.address}
    return named | {world.suite[contract].address for contract in CONTRACT_ROLES.get(role, ())}


def everybody(world: World) -> Iterator[str]:
    """Every account that the tests know, and every contract."""
    for name in world.people.__dataclass_fields__:
        yield getattr(world.people, name)
    for contract in world.suite.values():
        yield contract.address


# ---------------------------------------------------------------- the table is whole


def test_the_suite_is_what_the_table_lists(world: World) -> None:
    assert set(TABLE) == set(world.suite) - {"AccessManager", "TimelockController"}


@pytest.mark.parametrize("contract", [*SUITE, *RULERS])
def test_every_function_that_changes_anything_is_classified(contract: str) -> None:
    assert set(writes(contract)) == set((CALLERS | RULERS)[contract])


def test_the_deployment_gives_no_role_to_a_function_that_does_not_ask() -> None:
    named = {(c, f) for c, functions in FUNCTION_ROLES.items() for f in functions}
    assert named <= set(RESTRICTED)


def test_no_function_takes_ether(world: World) -> None:
    for contract in TABLE:
        for name, entry in writes(contract).items():
            assert entry["stateMutability"] == "nonpayable", f"{contract}.{name}"


# ---------------------------------------------------------------- restricted functions


@pytest.mark.parametrize(("contract", "function"), RESTRICTED)
def test_only_the_role_of_the_table_may_call_it(bare: World, contract: str, function: str) -> None:
    target = bare.suite[contract]
    selector = target.abi.selector(function)
    role = role_of(contract, function)
    assert bare.manager.getTargetFunctionRole(target.address, selector) == role
    allowed = {
        who
        for who in everybody(bare)
        if bare.manager.canCall(who, target.address, selector) != (False, 0)
    }
    assert allowed == holders(bare, role)


@pytest.mark.parametrize(("contract", "function"), RESTRICTED)
def test_everybody_else_is_refused_before_anything_is_looked_at(
    bare: World, contract: str, function: str
) -> None:
    target = bare.suite[contract]
    data = target.abi.selector(function) + zeros(target.abi.function(function))
    allowed = holders(bare, role_of(contract, function))
    tried = 0
    for name in bare.people.__dataclass_fields__:
        who = getattr(bare.people, name)
        if who in allowed:
            continue
        solidity = contract.endswith("Token")
        sentence = (
            f"AccessManagedUnauthorized({who})" if solidity else "access: caller may not do this"
        )
        with reverts(sentence):
            bare.evm.transact(who, target.address, data)
        tried += 1
    assert tried >= len(bare.people.__dataclass_fields__) - 1


@pytest.mark.parametrize(
    ("contract", "function"), [r for r in RESTRICTED if role_of(*r) is not Role.ADMIN]
)
def test_the_holder_gets_past_the_permission(bare: World, contract: str, function: str) -> None:
    """Whatever the function then says about arguments of zero, it is not about the caller."""
    target = bare.suite[contract]
    role = role_of(contract, function)
    holder = getattr(bare.people, role.name.lower(), None)
    if holder is None:  # nobody holds it yet, or a contract does: the timelock can give it
        holder = bare.people.relay
        bare.as_timelock(bare.manager, "grantRole", int(role), holder, 0)
    data = target.abi.selector(function) + zeros(target.abi.function(function))
    try:
        bare.evm.transact(holder, target.address, data)
    except Exception as error:
        assert "access" not in str(error).lower()
        assert str(error) != "the contract refused and gave no reason"


def test_a_role_taken_away_is_gone(bare: World) -> None:
    people = bare.people
    bare.as_timelock(bare.manager, "revokeRole", int(Role.GUARDIAN), people.guardian)
    with reverts("access: caller may not do this"):
        bare.market.pause(sender=people.guardian)


# ---------------------------------------------------------------- the other classes


def _call(world: World, contract: str, function: str, sender: str) -> None:
    target: Contract = world.suite[contract]
    data = target.abi.selector(function) + zeros(target.abi.function(function))
    world.evm.transact(sender, target.address, data)


@pytest.mark.parametrize(
    ("contract", "function"),
    [(c, f) for c, t in TABLE.items() for f, k in t.items() if k is Kind.ACCREDITED],
)
def test_an_accredited_function_refuses_everybody_without_the_capability(
    world: World, contract: str, function: str
) -> None:
    people = world.people
    allowed = {
        "add_rendition": {people.custodian, people.other_custodian},
        "attest": {people.attester},
        "create": {people.custodian, people.other_custodian},
        "restate": {people.custodian, people.other_custodian},
        "commit": {people.custodian, people.other_custodian},
        "destroy": {people.custodian, people.other_custodian},
        "register": {people.custodian, people.other_custodian},
        "register_batch": {people.custodian, people.other_custodian},
        "seal": {people.custodian, people.other_custodian},
    }[function]
    for name in people.__dataclass_fields__:
        who = getattr(people, name)
        if who not in allowed:
            with reverts("institutions: the caller is not accredited for this"):
                _call(world, contract, function, who)


@pytest.mark.parametrize("contract", [c for c, t in TABLE.items() if Kind.ONCE in t.values()])
def test_nobody_initialises_again(bare: World, contract: str) -> None:
    for who in (bare.people.deployer, bare.people.stranger, bare.people.operator):
        with reverts("initializer: done before"):
            _call(bare, contract, "initialize", who)


@pytest.mark.parametrize(
    "token",
    [
        "UsageToken",
        "ContributionToken",
        "GovernanceToken",
        "ResearchToken",
        "BadgeToken",
        "InstitutionToken",
    ],
)
def test_only_the_manager_moves_a_token_under_another_manager(bare: World, token: str) -> None:
    for name in bare.people.__dataclass_fields__:
        who = getattr(bare.people, name)
        with reverts(f"AccessManagedUnauthorized({who})"):
            bare.suite[token].setAuthority(who, sender=who)
        with reverts(f"AccessManagerUnauthorizedAccount({who}, 0)"):
            bare.manager.updateAuthority(bare.suite[token].address, who, sender=who)


def test_a_stranger_gets_nowhere_with_what_is_anothers() -> None:
    """One harmful attempt at every function that is not restricted, by a stranger."""
    world = Desks().settle_in()
    people = world.people
    stranger = people.stranger
    maker = opened(world)
    source = maker.sources[0].values()
    world.earn()
    consent = world.granted()
    unbrought = world.consent(world.record())
    ref = world.buy(consent)
    keyed = world.buy(consent, salt=world.keyed())
    shown = world.token.show(ref)
    ended = world.granted()
    over = world.buy(ended)
    world.revoke(ended)
    world.tariff.move_scarcity(1)
    late = world.now + 60
    claim = world.breach(1, 1)
    phone = Authenticator(1)
    world.change_passkey(phone.values())
    world.change_passkey(Authenticator(3).values())
    world.trust.set_trustee(people.trustee, True, sender=people.accreditation)
    mandated = mandate(world)
    put_up(world, mandated)
    m, d, c = world.market, world.dut, world.dct
    not_owner = "signature: not by its owner"
    patient, licensee = people.patient, people.licensee
    unopened = world.offer(consent)
    offer, offered = world.opened()
    world.bid(offer, offered, 100 * DUT)
    leaves = [(offered.records, offered)]
    basket = world.basket(leaves)
    world.reserve(basket, DUT)
    foreign = item([(consent.records, consent)], 0)
    attempts: dict[str, dict[str, tuple[Any, str]]] = {
        "DataMarket": {
            "grant_consent": ((unbrought.values(), b""), not_owner),
            "grant_consents": (([unbrought.values()], [b""]), not_owner),
            "revoke_consent": ((consent.struct_hash(), b""), not_owner),
            "cancel_consent": ((unbrought.values(), b""), not_owner),
            "withdraw": ((patient, patient, DUT, late, b""), not_owner),
            "deposit": ((stranger, 1), f"ERC20InsufficientAllowance({m.address}, 0, 1)"),
            "deposit_with_permit": (
                (stranger, 1, late, 27, NONE, NONE),
                f"ERC20InsufficientAllowance({m.address}, 0, 1)",
            ),
            "reclaim": ((1,), "account: deposit is too small"),
            "buy_licence": (
                (world.order(consent), consent.values(), []),
                "consent: licensee not covered",
            ),
            "use_licence": (
                (ref["consent"], ref["record"], ref["salt"], 1),
                "licence: unknown licence",
            ),
            "top_up": ((ref, 1), "licence: unknown licence"),
            "redeem_vouchers": (
                ([world.voucher(keyed, 1, signer=stranger)],),
                not_owner,
            ),
            "settle": (([ref | {"licensee": str(stranger)}],), "licence: unknown licence"),
        },
        "AuctionHouse": {
            "open_auction": ((unopened.values(), consent.values(), [], b""), not_owner),
            "withdraw_auction": ((unopened.values(), b""), not_owner),
            "bid": (
                (offer.values(), offered.values(), DUT * 1000, world.undertaking()),
                "auction: bidder not covered",
            ),
            "award": (
                (offer.values(), offered.values(), [], world.undertaking()),
                "auction: it has not ended",
            ),
            "give_back": ((offer.values(),), "auction: it can be awarded"),
        },
        "BasketDesk": {
            "reserve": ((basket, 1), "basket: not the licensee"),
            "top_up": ((basket, 1), "basket: not the licensee"),
            "close": ((basket,), "basket: not the licensee"),
            "take": ((basket, foreign), "basket: the record is not in it"),
            "take_many": ((basket, [foreign]), "basket: the record is not in it"),
        },
        "Tariff": {"move_scarcity": ((1,), "tariff: it moved this week")},
        "RoyaltyVault": {
            "undertake": ((1, NONE), "royalty: unknown study"),
            "grant_option": ((NONE, NONE, 1, late), "royalty: unknown study"),
            "withdraw": ((patient, stranger, 1, late, b""), "payout: more than was credited"),
            "pay": ((licensee, 1, 10**9), "royalty: more than is due"),
            "hand_over": (([NONE],), "royalty: no levy is waiting"),
            "join": ((NONE, 0, stranger, 1, []), "royalty: unknown study"),
            "join_many": ((NONE, []), "royalty: unknown study"),
            "claim": ((NONE, stranger), "royalty: not a member yet"),
            "claim_many": ((NONE, [stranger]), "royalty: not a member yet"),
            "return_option": ((NONE, stranger, NONE), "option: unknown option"),
            "follow_levy": ((), "royalty: the levy is the same"),
        },
        "Rewards": {
            "count_record": ((1, NONE), "rewards: nothing was minted for the record"),
            "count_use": (
                (ref | {"licensee": str(stranger)},),
                "rewards: unknown licence",
            ),
            "nominate": ((0, 1, stranger), "rewards: not the time of nominations"),
            "award": ((0, 1), "rewards: nobody is on the board"),
            "refer": ((patient, stranger, late, b"", b""), not_owner),
            "direct_donation": ((1, stranger, late, b""), "rewards: not a listed beneficiary"),
            "redeem": ((patient, 1, 1, late, b""), "rewards: no such service"),
            "fund": ((1,), f"ERC20InsufficientAllowance({world.suite['Rewards'].address}, 0, 1)"),
            "serve": ((1, NONE), "rewards: not the caller's voucher"),
            "report_outcome": ((1, b"\1" * 32, [ref]), "rewards: not the caller's licence"),
        },
        "BadgeToken": {
            "transferFrom": ((licensee, stranger, 1), "ERC721NonexistentToken(1)"),
            "safeTransferFrom": ((licensee, stranger, 1, b""), "ERC721NonexistentToken(1)"),
            "mint": ((stranger, 1), "badge: only the bound minter mints"),
            "setAuthority": ((stranger,), f"AccessManagedUnauthorized({stranger})"),
        },
        "InstitutionToken": {
            "approve": ((stranger, 1), "ERC721NonexistentToken(1)"),
            "setApprovalForAll": ((ZERO, True), f"ERC721InvalidOperator({ZERO})"),
            "transferFrom": ((licensee, stranger, 1), "ERC721NonexistentToken(1)"),
            "safeTransferFrom": ((licensee, stranger, 1, b""), "ERC721NonexistentToken(1)"),
            "mint": ((stranger, 1), "institution token: only the bound minter mints"),
            "setAuthority": ((stranger,), f"AccessManagedUnauthorized({stranger})"),
        },
        "AssetAccount": {
            "open": ((), "asset: the account is open"),
            "grant": ((consent.values(),), "asset: only the desk may do this"),
            "revoke": ((NONE,), "asset: only the desk may do this"),
            "sweep": ((), "asset: only the desk may do this"),
        },
        "AssetDesk": {
            "refute": (
                (maker.asset, maker.line(0), source),
                "asset: its lineage is not to be taken back",
            ),
            "join": ((maker.asset, [maker.line(0)], []), "asset: a source is missing"),
            "collect": ((NONE,), "asset: unknown asset"),
            "claim": ((maker.asset, [ref]), "asset: the line has not joined"),
            "offer": (
                (maker.asset, maker.consent().values()),
                "asset: the caller does not hold it",
            ),
            "withdraw_offer": ((maker.asset, NONE), "asset: the caller does not hold it"),
            "withdraw": ((licensee, stranger, 1, late, b""), "payout: more than was credited"),
        },
        "BreachCover": {
            "pay_premium": ((1,), "cover: the caller is no custodian"),
            "make_claim": ((claim,), "cover: not the caller's policy"),
            "withdraw": ((licensee, stranger, 1, late, b""), "payout: more than was credited"),
        },
        "Passkeys": {
            "change_passkey": ((people.other_patient, phone.values(), late, b""), not_owner),
            "cancel_change": ((patient, b""), not_owner),
            "cancel_change_by_passkey": (
                (patient, Authenticator(2).answer(bytes(32))),
                "passkey: assertion is not valid",
            ),
            "approve": (
                (
                    {
                        "patient": patient,
                        "consent": consent.struct_hash(),
                        "licensee": stranger,
                        "order": world.order(consent, maxPrice=DUT),
                        "deadline": late,
                    },
                    Authenticator(2).answer(bytes(32)),
                ),
                "passkey: assertion is not valid",
            ),
            # It asks in the caller's own name; nothing follows from it.
            "request": (
                (consent.struct_hash(), world.order(consent, form=4)),
                "passkey: order out of range",
            ),
        },
        "CompensationFund": {
            "pay": ((ref, 1), "fund: not the caller's licence"),
            "withdraw": ((licensee, stranger, 1, late, b""), "payout: more than was credited"),
        },
        "QualityDisputes": {
            "stake": ((1,), "disputes: the caller is no institution"),
            "unstake": ((1,), "disputes: the caller is no institution"),
            "challenge": (
                (world.record(), world.scores(), world.fresh()),
                f"ERC20InsufficientAllowance({world.disputes.address}, 0, {100 * DUT})",
            ),
            "lapse": ((world.fresh(),), "disputes: no challenge is open"),
            "withdraw": ((), "disputes: there is nothing to withdraw"),
        },
        "LicenceToken": {
            "show": ((ref | {"licensee": str(stranger)},), "licence token: unknown licence"),
            "transferFrom": (
                (licensee, stranger, shown),
                f"ERC721InsufficientApproval({stranger}, {shown})",
            ),
            "safeTransferFrom": (
                (licensee, stranger, shown, b""),
                f"ERC721InsufficientApproval({stranger}, {shown})",
            ),
        },
        "LicenceView": {"attest_destruction": ((over, b"\1" * 32, b""), not_owner)},
        "RecordRegistry": {
            "register_from_batch": ((1, NONE, world.draft(), []), "registry: unknown batch")
        },
        "UsageToken": {
            "transfer": ((licensee, 1), "DUT: the account is not admitted"),
            "transferFrom": (
                (licensee, people.exchange, 1),
                f"ERC20InsufficientAllowance({stranger}, 0, 1)",
            ),
            "approve": ((ZERO, 1), f"ERC20InvalidSpender({ZERO})"),
            "permit": (
                (licensee, stranger, 1, 0, 27, NONE, NONE),
                "ERC2612ExpiredSignature(0)",
            ),
            "burn": ((1,), "DUT: only a protocol contract burns"),
            "setAuthority": ((stranger,), f"AccessManagedUnauthorized({stranger})"),
        },
        "ContributionToken": {
            "transfer": ((stranger, 0), "soulbound: not transferable"),
            "transferFrom": (
                (patient, stranger, 1),
                f"ERC20InsufficientAllowance({stranger}, 0, 1)",
            ),
            "delegate": ((stranger,), "soulbound: votes cannot be delegated"),
            "delegateBySig": ((stranger, 0, 0, 27, NONE, NONE), "VotesExpiredSignature(0)"),
            "mint": ((stranger, 1), "soulbound: only the bound minter mints"),
            "setAuthority": ((stranger,), f"AccessManagedUnauthorized({stranger})"),
        },
        "GovernanceToken": {
            "transfer": ((stranger, 0), "soulbound: not transferable"),
            "transferFrom": (
                (people.custodian, stranger, 1),
                f"ERC20InsufficientAllowance({stranger}, 0, 1)",
            ),
            "delegate": ((stranger,), "soulbound: votes cannot be delegated"),
            "delegateBySig": ((stranger, 0, 0, 27, NONE, NONE), "VotesExpiredSignature(0)"),
            "mint": ((stranger, 1), "soulbound: only the bound minter mints"),
            "setAuthority": ((stranger,), f"AccessManagedUnauthorized({stranger})"),
        },
        "PayoutRelay": {
            "withdraw_many": ((world.market.address, []), "payouts: nothing is brought")
        },
        "Treasury": {
            "spend": ((1,), "treasury: no budget for this"),
            "give_back": ((1,), "treasury: more than it has spent"),
        },
        "ResearchToken": {
            "transfer": ((stranger, 0), "RT: not transferable"),
            "transferFrom": (
                (licensee, stranger, 1),
                f"ERC20InsufficientAllowance({stranger}, 0, 1)",
            ),
            "mint": ((stranger, 1), "RT: only the bound desk mints and burns"),
            "burn": ((licensee, 1), "RT: only the bound desk mints and burns"),
            "setAuthority": ((stranger,), f"AccessManagedUnauthorized({stranger})"),
        },
        "ResearchDesk": {
            "buy": (
                (world.order(consent), consent.values(), [], DUT),
                "account: deposit is too small",
            ),
            "release": ((ref,), "research: no support for it"),
        },
        "DataTrust": {
            "set_offer": ((consent.values(), NONE, 0, True), "trust: no mandate for it"),
            "buy": (
                (world.order(mandated, form=FIXED, units=0), mandated.values(), []),
                "account: deposit is too small",
            ),
            "settle": (([ref],), "trust: not sold here"),
        },
        "StorageRewards": {
            "challenge": ((1,), "storage: nothing is claimed"),
            "answer": ((1, []), "storage: no challenge is open"),
            "fail": ((1,), "storage: no challenge is open"),
            "mark_calls": (
                ([ref | {"licensee": str(stranger)}],),
                "storage: no metered licence",
            ),
        },
    }
    tried = {(contract, f) for contract, calls in attempts.items() for f in calls}
    tested_above = {Kind.RESTRICTED, Kind.ACCREDITED, Kind.ONCE}
    assert tried == {
        (contract, f)
        for contract, functions in TABLE.items()
        for f, kind in functions.items()
        if kind not in tested_above
    }
    assert (m.name, d.name, c.name) == ("DataMarket", "UsageToken", "ContributionToken")
    for contract, calls in attempts.items():
        for function, (args, sentence) in calls.items():
            with reverts(sentence):
                getattr(world.suite[contract], function)(*args, sender=stranger)


# ---------------------------------------------------------------- who names the holders


def test_compliance_names_exchanges_and_admin_all_others(bare: World) -> None:
    people = bare.people
    for role in Role:
        admin = ROLE_ADMINS.get(role, Role.ADMIN)
        assert bare.manager.getRoleAdmin(int(role)) == admin
        assert bare.manager.getRoleGuardian(int(role)) == Role.ADMIN
        for name in people.__dataclass_fields__:
            who = getattr(people, name)
            if who in holders(bare, admin):
                continue
            with reverts(f"AccessManagerUnauthorizedAccount({who}, {int(admin)})"):
                bare.manager.grantRole(int(role), people.stranger, 0, sender=who)
    bare.manager.grantRole(int(Role.EXCHANGE), people.stranger, 0, sender=people.compliance)
    assert bare.manager.hasRole(int(Role.EXCHANGE), people.stranger) == (True, 0)
    assert set(ROLE_ADMINS) == {Role.EXCHANGE}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_is_held_by_whom_the_deployment_names_and_nobody_else(
    bare: World, role: Role
) -> None:
    held = {who for who in everybody(bare) if bare.manager.hasRole(int(role), who)[0]}
    assert held == holders(bare, role)
    if role is not Role.ADMIN:
        for who in held:
            assert bare.manager.hasRole(int(role), who) == (True, 0)
