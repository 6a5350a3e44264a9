"""R29: `medtoken verify` on a real chain: changed code and slots are planted, and each is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.live import Chain, Ran, medtoken_here

from medtoken import artifacts
from medtoken.chain.abi import abi
from medtoken.deploy.powers import ADMIN_SLOT, IMPLEMENTATION_SLOT, proxy_admin
from medtoken.deploy.verify import verify
from medtoken.errors import DeploymentDeviates

DEVIATES = DeploymentDeviates.exit_code


def run(live: Chain, folder: Path, *options: str) -> Ran:
    record = folder / "record.json"
    live.suite.deployment.save(record)
    return medtoken_here("verify", "--rpc", live.node.url, "--deployment", record, *options)


def _code(live: Chain, address: str, change: Callable[[bytearray], None]) -> None:
    code = bytearray(live.node.code(address))
    change(code)
    live.node.rpc("anvil_setCode", address, "0x" + code.hex())


def _slot(live: Chain, address: str, slot: int, value: str) -> None:
    word = "0x" + value.removeprefix("0x").rjust(64, "0")
    live.node.rpc("anvil_setStorageAt", address, f"0x{slot:064x}", word)


def _logic(live: Chain, name: str) -> str:
    found = live.suite.deployment.contracts[name].implementation
    assert found is not None
    return found


# ---------------------------------------------------------------- nothing planted


def test_what_was_deployed_holds_and_says_so(live: Chain, tmp_path: Path) -> None:
    ran = run(live, tmp_path)
    assert ran.code == 0, ran.out
    deployer = live.suite.deployment.deployer
    assert f"holds  deployer: {deployer} holds no role" in ran.out
    height = live.height()
    told = run(live, tmp_path, "--json").ok()
    made = len(live.suite.deployment.contracts)
    assert (told["holds"], told["deviations"], told["contracts"]) == (True, [], made)
    assert live.height() == height
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


# ---------------------------------------------------------------- code


@pytest.mark.parametrize(
    ("name", "place"), [("UsageToken", "last"), ("DataMarket", "first"), ("AssetAccount", "last")]
)
def test_one_bit_of_code(live: Chain, tmp_path: Path, name: str, place: str) -> None:
    """The last byte of Vyper's code is an immutable's, and of Solidity's it is metadata."""
    contract = live.suite.deployment.contracts[name]
    address = contract.implementation or contract.address
    size = len(live.node.code(address))
    at = 0 if place == "first" else size - 1

    def flip(code: bytearray) -> None:
        code[at] ^= 1

    _code(live, address, flip)
    ran = run(live, tmp_path)
    assert ran.code == DEVIATES
    told = (
        f"DEVIATES  code: The code of {name} at {address} is not what this release builds: "
        f"it differs from byte {at} on."
    )
    assert told in ran.out.splitlines()
    assert ran.err.startswith("Error: The deployment deviates in ")


def test_an_immutable_of_solidity(live: Chain) -> None:
    """The market that a licence token shows the licences of."""
    address = live.suite.deployment.address("LicenceToken")
    places = artifacts.load("LicenceToken")["immutableReferences"]
    start = next(iter(places.values()))[0]["start"]

    def relink(code: bytearray) -> None:
        code[start + 12 : start + 32] = b"\x11" * 20

    _code(live, address, relink)
    (found,) = verify(live.node, live.suite.deployment).deviations
    assert (found.kind, found.contract) == ("code", "LicenceToken")
    assert f"from byte {start + 12} on" in found.text


def test_code_that_goes_on(live: Chain) -> None:
    address = live.suite.deployment.address("PayoutRelay")
    _code(live, address, lambda code: code.extend(b"\0"))
    (found,) = verify(live.node, live.suite.deployment).deviations
    assert found.text.endswith("it differs in length.")


def test_no_code_at_all(live: Chain, tmp_path: Path) -> None:
    address = live.suite.deployment.address("PayoutRelay")
    live.node.rpc("anvil_setCode", address, "0x")
    ran = run(live, tmp_path)
    assert ran.code == DEVIATES
    assert f"There is no contract at {address}, where PayoutRelay should be." in ran.out


def test_an_access_manager_that_lies_is_not_asked(live: Chain) -> None:
    """It would say that everything is as declared."""
    address = live.suite.deployment.address("AccessManager")
    _code(live, address, lambda code: code.extend(b"\0"))
    found = verify(live.node, live.suite.deployment)
    assert [(d.kind, d.contract) for d in found.deviations] == [("code", "AccessManager")]
    assert found.functions == 0


# ---------------------------------------------------------------- proxies


def test_a_slot_that_leads_elsewhere(live: Chain) -> None:
    proxy = live.suite.deployment.address("Treasury")
    elsewhere = _logic(live, "Tariff")
    _slot(live, proxy, IMPLEMENTATION_SLOT, elsewhere)
    found = verify(live.node, live.suite.deployment).deviations
    texts = [d.text for d in found if d.contract == "Treasury"]
    assert texts[0] == (
        f"The proxy of Treasury leads to {elsewhere}, not to {_logic(live, 'Treasury')}."
    )
    assert texts[1].startswith(f"The code of Treasury at {elsewhere} is not what this release")


def test_a_slot_that_names_another_admin(live: Chain) -> None:
    proxy = live.suite.deployment.address("Treasury")
    admin = proxy_admin(live.node, proxy)
    stranger = live.cast["stranger"].address
    _slot(live, proxy, ADMIN_SLOT, stranger)
    found = verify(live.node, live.suite.deployment).deviations
    assert [d.text for d in found if d.contract == "Treasury"] == [
        f"The admin of the proxy of Treasury is {stranger}, not {admin}."
    ]


def test_a_proxy_that_obeys_another_admin(live: Chain) -> None:
    proxy = live.suite.deployment.address("Treasury")
    admin = bytes.fromhex(proxy_admin(live.node, proxy)[2:])

    def obey(code: bytearray) -> None:
        at = code.index(admin)
        code[at : at + 20] = b"\x11" * 20

    _code(live, proxy, obey)
    (found,) = verify(live.node, live.suite.deployment).deviations
    assert found.text.startswith(f"The proxy of Treasury at {proxy} is not OpenZeppelin's")


def test_an_admin_that_obeys_anybody(live: Chain) -> None:
    admin = proxy_admin(live.node, live.suite.deployment.address("Treasury"))
    _code(live, admin, lambda code: code.extend(b"\0"))
    (found,) = verify(live.node, live.suite.deployment).deviations
    assert found.text.startswith(f"The admin of the proxy of Treasury at {admin} is not")


def test_an_admin_of_another_owner(live: Chain, tmp_path: Path) -> None:
    admin = proxy_admin(live.node, live.suite.deployment.address("Treasury"))
    stranger = live.cast["stranger"].address
    _slot(live, admin, 0, stranger)
    ran = run(live, tmp_path)
    assert ran.code == DEVIATES
    assert (
        f"DEVIATES  proxy: {stranger} can upgrade Treasury: it owns the proxy's admin, "
        "not the timelock." in ran.out.splitlines()
    )
    assert "Error: The deployment deviates in 1 way" in ran.err


# ---------------------------------------------------------------- powers


def test_a_power_too_many_has_its_line(live: Chain, tmp_path: Path) -> None:
    """Every other kind of these is planted in tests/unit/deploy/test_verify.py."""
    deployment, stranger = live.suite.deployment, live.cast["stranger"].address
    timelock = deployment.address("TimelockController")
    live.node.rpc("anvil_impersonateAccount", timelock)
    live.node.rpc("anvil_setBalance", timelock, hex(10**18))
    data = abi("AccessManager").call("grantRole", 8, stranger, 0)
    call = {"from": timelock, "to": deployment.address("AccessManager"), "data": "0x" + data.hex()}
    live.node.rpc("eth_sendTransaction", call)
    live.node.rpc("anvil_stopImpersonatingAccount", timelock)
    ran = run(live, tmp_path)
    assert ran.code == DEVIATES
    assert (
        f"DEVIATES  role: {stranger} holds GUARDIAN, and no declaration gives it that."
        in ran.out.splitlines()
    )
