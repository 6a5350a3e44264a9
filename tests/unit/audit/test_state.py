"""A chain whose state is not what its logs give is caught, whatever part of it was changed."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak, to_checksum_address
from eth_utils.abi import collapse_if_tuple
from support.recording import EvmChain
from support.world import DUT

from medtoken import artifacts
from medtoken.audit.invariants import judge
from medtoken.audit.state import Claim, claims, read
from medtoken.chain.abi import abi
from medtoken.errors import ContractRefused


def mapped(slot: int, key: str) -> int:
    """The slot of a mapping's entry, as Solidity lays it out."""
    return int.from_bytes(keccak(encode(["address", "uint256"], [key, slot])))


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 1
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, str):
        return to_checksum_address(value[:-1] + ("0" if value[-1] != "0" else "1"))
    if isinstance(value, dict):
        return {k: other(v) for k, v in value.items()}
    return tuple(other(v) for v in value)


def test_every_value_that_is_read_counts(honest) -> None:
    """Each view in turn answers something else; invariant 7 and the view's own one then fail."""
    ledger = honest.fold(honest.events)
    head = honest.chain.head()
    found = list(claims(ledger, head.timestamp))
    seen: set[str] = set()
    for claim in found:
        # One of each view is enough, but for whose money it is.
        kind = f"{claim.contract}.{claim.function}"
        if kind in seen and claim.invariant not in (3, 6):
            continue
        seen.add(kind)
        lying = Lying(honest.chain, claim, ledger.suite.addresses)
        broken = {f.id: f for f in judge(ledger, read(ledger, lying, head.number)) if not f.holds}
        assert {7, claim.invariant} <= set(broken), kind
        assert str(claim) in str(broken[7].violations[0]), kind
    assert len(seen) > 50


def plain(value: Any) -> Any:
    """Structs as the ABI's encoder takes them."""
    if isinstance(value, dict):
        value = tuple(value.values())
    return tuple(plain(v) for v in value) if isinstance(value, (tuple, list)) else value


class Lying(EvmChain):
    """A chain that answers one view with another value of the same type."""

    def __init__(self, chain: Any, claim: Claim, addresses: dict[str, str]) -> None:
        self._chain = chain
        self._to = claim.address or addresses[claim.contract]
        self._data = abi(claim.contract).call(claim.function, *claim.args)
        self._claim = claim

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    def call(self, to: str, data: bytes, block: int | None = None) -> bytes:
        answer = self._chain.call(to, data, block)
        if (to, data) != (self._to, self._data):
            return answer
        interface = abi(self._claim.contract)
        value = other(interface.result(self._claim.function, answer))
        outputs = interface.function(self._claim.function)["outputs"]
        values = value if len(outputs) > 1 else (value,)
        return encode([collapse_if_tuple(o) for o in outputs], plain(values))


def test_an_upgraded_balance(recorded, auditing) -> None:
    """One base unit more in a DUT balance than the logs give: neither supply nor ledger agree."""
    w = recorded
    slot = mapped(0, w.people.licensee)
    held = w.dut.balanceOf(w.people.licensee)
    w.evm._evm.insert_account_storage(w.dut.address, slot, held + 1)
    assert w.dut.balanceOf(w.people.licensee) == held + 1
    broken = {f.id: f for f in auditing(w).invariants if not f.holds}
    assert set(broken) == {1, 7}
    assert f"UsageToken.balanceOf({w.people.licensee})" in broken[1].detail
    assert "sum of all balances on the chain" in broken[1].detail


def test_a_market_that_lost_money(recorded, auditing) -> None:
    """Invariant 6: what the market's own words promise is more than it holds."""
    w = recorded
    w.earn()
    slot = mapped(0, w.market.address)
    held = w.dut.balanceOf(w.market.address)
    w.evm._evm.insert_account_storage(w.dut.address, slot, held - 1)
    broken = {f.id: f for f in auditing(w).invariants if not f.holds}
    assert set(broken) == {1, 6, 7}
    text = f"DUT of the market on the chain: {held - 1} instead of at least {held}"
    assert text in broken[6].detail


def test_a_treasury_that_lost_money(recorded, auditing) -> None:
    w = recorded
    w.earn()
    slot = mapped(0, w.treasury.address)
    w.evm._evm.insert_account_storage(w.dut.address, slot, DUT)
    broken = {f.id: f for f in auditing(w).invariants if not f.holds}
    assert set(broken) == {1, 3, 7}
    assert "DUT of the treasury on the chain" in broken[3].detail


def test_dct_that_came_from_nowhere(recorded, auditing) -> None:
    w = recorded
    w.record()
    # The balance is the latest checkpoint: an array of one, at time 1 and of 1 base unit.
    slot = mapped(9, w.people.patient)
    w.evm._evm.insert_account_storage(w.dct.address, slot, 1)
    first = int.from_bytes(keccak(slot.to_bytes(32)))
    w.evm._evm.insert_account_storage(w.dct.address, first, 1 << 48 | 1)
    assert w.dct.balanceOf(w.people.patient) == 1
    broken = {f.id: f for f in auditing(w).invariants if not f.holds}
    assert set(broken) == {5, 7}


def test_a_consent_that_came_back_to_life(recorded, auditing) -> None:
    """Vyper's mapping is at keccak(slot, key)."""
    w = recorded
    consent = w.granted()
    live = w.market.consent_word(consent.struct_hash())
    w.revoke(consent)
    layout = artifacts.load("DataMarket")["storageLayout"]
    slot = layout["consents"]["_consents"]["slot"]
    at = int.from_bytes(keccak(slot.to_bytes(32) + consent.struct_hash()))
    w.evm._evm.insert_account_storage(w.market.address, at, live)
    assert w.market.consent_word(consent.struct_hash()) == live
    broken = {f.id: f for f in auditing(w).invariants if not f.holds}
    assert set(broken) == {4, 7}
    assert "DataMarket.consent_word" in broken[4].detail


def test_a_view_that_refuses_is_a_difference(honest) -> None:
    class Refusing(Lying):
        def call(self, to: str, data: bytes, block: int | None = None) -> bytes:
            if (to, data) == (self._to, self._data):
                raise ContractRefused("no")
            return bytes(self._chain.call(to, data, block))

    ledger = honest.fold(honest.events)
    head = honest.chain.head()
    claim = next(c for c in claims(ledger, head.timestamp) if c.function == "totalSupply")
    chain = Refusing(honest.chain, claim, ledger.suite.addresses)
    broken = {f.id: f for f in judge(ledger, read(ledger, chain, head.number)) if not f.holds}
    assert "no answer (no) instead of" in broken[1].detail


@pytest.mark.parametrize("name", ["implementation", "admin"])
def test_a_proxy_that_points_elsewhere(recorded, auditing, name: str) -> None:
    w = recorded
    slot = int.from_bytes(keccak(text=f"eip1967.proxy.{name}")) - 1
    if name == "admin":  # kept as an immutable too, so moving the slot breaks nothing else
        w.evm._evm.insert_account_storage(w.treasury.address, slot, 1)
    else:
        logic = w.evm.deploy(
            "Treasury",
            w.people.deployer,
            w.manager.address,
            w.dut.address,
            sender=w.people.deployer,
        )
        w.evm._evm.insert_account_storage(w.treasury.address, slot, int(logic.address, 16))
    broken = {f.id: f for f in auditing(w).invariants if not f.holds}
    assert set(broken) == {7}
    assert "of the proxy of Treasury on the chain" in broken[7].detail


@pytest.mark.parametrize(
    ("contract", "variable", "key", "rule", "text"),
    [
        ("Tariff", "_market", None, "R13", "the market bound to the tariff on the chain"),
        ("Tariff", "_levels", 2, "R13", "demand that scarcity of kind 2 stands for on the chain"),
        ("BasketDesk", "_steps", 1, "R12", "discount steps of version 1 on the chain"),
        ("RecordRegistry", "_latest", "first", "R6", "last version of the file of record"),
    ],
)
def test_storage_that_no_view_shows(
    recorded, auditing, contract: str, variable: str, key: Any, rule: str, text: str
) -> None:
    """What contracts keep for themselves alone is read from its slot."""
    w = recorded
    tag = w.fresh("tag")
    first = w.record(tag=tag)
    w.record(tag=tag, previous=first)
    assert auditing(w).holds
    at = artifacts.load(contract)["storageLayout"][variable]["slot"]
    if key is not None:
        at = int.from_bytes(
            keccak(at.to_bytes(32) + (first if key == "first" else key.to_bytes(32)))
        )
    address = w.suite[contract].address
    with w.evm.stored(address, at, w.evm.storage(address, at) + 1):
        broken = {f.id: f for f in auditing(w).invariants if not f.holds}
    assert set(broken) == {7}
    assert [v.rule for v in broken[7].violations] == [rule]
    assert text in broken[7].detail


def test_a_licence_view_of_another_market(honest) -> None:
    """Other contracts believe the view, so what it says of a licence is held against the ledger."""
    ledger, head = honest.fold(honest.events), honest.chain.head()
    addresses = ledger.suite.addresses
    claim = next(c for c in claims(ledger, head.timestamp) if c.contract == "LicenceView")
    broken = judge(ledger, read(ledger, Lying(honest.chain, claim, addresses), head.number))[6]
    assert "LicenceView.licence(" in broken.detail
