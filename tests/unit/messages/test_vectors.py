"""Golden EIP-712 vectors: the same bytes in this package, in eth-account's encoder, and on the chain.

``tests/vectors/eip712.json`` was computed once, without this package, and does not change by itself.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from support.evm import CHAIN_ID, Contract
from support.world import CONSENT_FIELDS, METER_FIELDS, METERED, World, pack, reverts, unpack

from medtoken import artifacts
from medtoken.audit.report import AuditStatement
from medtoken.messages import (
    Consent,
    CopyDestruction,
    Domain,
    Donation,
    Message,
    Redemption,
    Referral,
    Revocation,
    StorageWitness,
    Voucher,
    Withdrawal,
)

FILE = Path(__file__).resolve().parents[2] / "vectors" / "eip712.json"
DATA = json.loads(FILE.read_text(encoding="utf-8"))
VECTORS = DATA["vectors"]
KINDS: dict[str, type[Message]] = {
    "AuditStatement": AuditStatement,
    "Consent": Consent,
    "CopyDestruction": CopyDestruction,
    "Donation": Donation,
    "Redemption": Redemption,
    "Referral": Referral,
    "Revocation": Revocation,
    "StorageWitness": StorageWitness,
    "Voucher": Voucher,
    "Withdrawal": Withdrawal,
}
IMPLEMENTATION = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC

Vector = dict[str, Any]
every_vector = pytest.mark.parametrize("vector", VECTORS, ids=[v["name"] for v in VECTORS])


def _fields(vector: Vector) -> list[tuple[str, str]]:
    """Name and type of each field, read from the type string."""
    inner = vector["type_string"].split("(", 1)[1].rstrip(")")
    return [(field.split(" ")[1], field.split(" ")[0]) for field in inner.split(",")]


def _values(vector: Vector) -> dict[str, Any]:
    def value(name: str, kind: str) -> Any:
        raw = vector["message"][name]
        if kind == "uint256":
            return int(raw)
        return raw if kind == "address" else bytes.fromhex(raw[2:])

    return {name: value(name, kind) for name, kind in _fields(vector)}


def _message(vector: Vector) -> Message:
    return KINDS[vector["type"]](**_values(vector))


def _hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def test_every_message_has_a_vector() -> None:
    """Those of the desks and of the governor are in files of their own."""
    others = [
        vector
        for name in ("eip712_desks.json", "eip712_governor.json", "eip712_passkeys.json")
        for vector in json.loads((FILE.parent / name).read_text(encoding="utf-8"))["vectors"]
    ]
    known = {kind.__name__ for kind in Message.__subclasses__()}
    assert {v["type"] for v in (*VECTORS, *others)} == known
    assert set(KINDS) == {v["type"] for v in VECTORS}


@every_vector
def test_this_package_makes_the_same_bytes(vector: Vector) -> None:
    message = _message(vector)
    domain = Domain(vector["chain_id"], vector["market"])
    assert message.type_string() == vector["type_string"]
    assert message.struct_hash() == _hex(vector["struct_hash"])
    assert message.sign(DATA["key"], domain) == _hex(vector["signature"])
    assert message.signer(_hex(vector["signature"]), domain) == DATA["signer"]


@every_vector
def test_eth_accounts_encoder_makes_the_same_bytes(vector: Vector) -> None:
    domain = {
        "name": "medtoken",
        "version": "1",
        "chainId": vector["chain_id"],
        "verifyingContract": vector["market"],
    }
    types = {vector["type"]: [{"name": n, "type": k} for n, k in _fields(vector)]}
    signable = encode_typed_data(domain, types, _values(vector))
    assert keccak(text=vector["type_string"]) == _hex(vector["type_hash"])
    assert signable.header == _hex(vector["domain_separator"])
    assert signable.body == _hex(vector["struct_hash"])
    digest = keccak(b"\x19\x01" + signable.header + signable.body)
    assert digest == _hex(vector["digest"])
    signed = Account.unsafe_sign_hash(digest, DATA["key"])
    assert bytes(signed.signature) == _hex(vector["signature"])


@every_vector
def test_what_wallets_are_given_hashes_to_the_same_digest(vector: Vector) -> None:
    domain = Domain(vector["chain_id"], vector["market"])
    signable = encode_typed_data(full_message=_message(vector).typed_data(domain))
    assert keccak(b"\x19\x01" + signable.header + signable.body) == _hex(vector["digest"])


# ---------------------------------------------------------------- on the chain


class Stage:
    """A market of its own at the address that the vectors name."""

    def __init__(self, world: World, stack: ExitStack, address: str) -> None:
        self.world, self.stack = world, stack
        world.evm.insert_code(address, world.evm.code(world.market.address))
        logic = world.evm.storage(world.market.address, IMPLEMENTATION)
        stack.enter_context(world.evm.stored(address, IMPLEMENTATION, logic))
        self.market: Contract = world.evm.contract("DataMarket", address)

    def store(self, module: str, variable: str, key: bytes, word: int) -> None:
        """Let a mapping of the market hold ``word`` under a key of 32 bytes."""
        slot = artifacts.load("DataMarket")["storageLayout"][module][variable]["slot"]
        at = int.from_bytes(keccak(slot.to_bytes(32) + key))
        self.stack.enter_context(self.world.evm.stored(self.market.address, at, word))

    def earned(self, account: str, amount: int) -> None:
        """Let ``account`` have earned ``amount`` there, and the market hold it."""
        world, people = self.world, self.world.people
        self.store("accounts", "_earnings", bytes(12) + _hex(account), amount)
        world.as_timelock(world.dut, "setProtocol", self.market.address, True)
        world.as_timelock(world.manager, "grantRole", 3, self.market.address, 0)
        world.as_timelock(world.dut, "setCap", 10**30)
        world.dut.issue(self.market.address, 10**30 - 10**26, bytes(32), sender=people.exchange)
        assert world.dut.balanceOf(self.market.address) < amount


def _vector(name: str) -> Vector:
    return next(v for v in VECTORS if v["name"] == name)


@every_vector
def test_the_chain_names_a_consent_by_the_same_hash(world: World, vector: Vector) -> None:
    if vector["type"] == "Consent":
        value = _values(vector)
        named = world.market.grant_consent(value, b"", sender=value["patient"])
        assert named == _hex(vector["struct_hash"])


@pytest.mark.parametrize(
    "name",
    [
        "a typical consent",
        "a consent to research on a disease, everywhere",
        "a consent with the largest value of every field",
        "the typical consent for another market",
    ],
)
def test_the_chain_accepts_the_signed_consents(world: World, name: str) -> None:
    vector = _vector(name)
    assert vector["chain_id"] == CHAIN_ID
    with ExitStack() as stack:
        market = Stage(world, stack, vector["market"]).market
        market.grant_consent(_values(vector), _hex(vector["signature"]))
        word = unpack(market.consent_word(_hex(vector["struct_hash"])), CONSENT_FIELDS)
        assert word["expiry"] == int(vector["message"]["expiry"])


@pytest.mark.parametrize(
    "name", ["the typical consent on another chain", "the typical consent for another market"]
)
def test_the_chain_refuses_what_was_signed_for_elsewhere(world: World, name: str) -> None:
    vector = _vector(name)
    with ExitStack() as stack:
        market = Stage(world, stack, _vector("a typical consent")["market"]).market
        with reverts("signature: not by its owner"):
            market.grant_consent(_values(vector), _hex(vector["signature"]))


def test_the_chain_accepts_the_signed_revocations(world: World) -> None:
    for consent_name, name in (
        ("a typical consent", "a revocation of the typical consent"),
        ("a consent with the largest value of every field", "a revocation of the largest consent"),
    ):
        consent, vector = _vector(consent_name), _vector(name)
        assert vector["message"]["consent"] == consent["struct_hash"]
        with ExitStack() as stack, world.evm.anchor():
            market = Stage(world, stack, vector["market"]).market
            market.cancel_consent(_values(consent), _hex(vector["signature"]))
            word = unpack(market.consent_word(_hex(consent["struct_hash"])), CONSENT_FIELDS)
            assert word["revoked"] == world.now


def test_the_chain_accepts_the_signed_withdrawals(world: World) -> None:
    first = _vector("a first withdrawal to the earner itself")
    later = _vector("a later withdrawal to somebody else, to the last base unit")
    with ExitStack() as stack:
        stage = Stage(world, stack, first["market"])
        total = int(first["message"]["amount"]) + int(later["message"]["amount"])
        stage.earned(DATA["signer"], total)
        for vector in (first, later):
            value = _values(vector)
            if vector is later:
                world.admit(value["to"])
                world.evm.warp(86_400)
                world.fund(stage.market.address, 10**30)
            stage.market.withdraw(
                value["account"],
                value["to"],
                value["amount"],
                value["deadline"],
                _hex(vector["signature"]),
            )
            assert world.dut.balanceOf(value["to"]) == value["amount"]
        assert stage.market.earnings_word(DATA["signer"]) == 2 << 128


def _licence_of(vector: Vector) -> dict[str, Any]:
    """The ref whose hash a voucher's vector names as its licence."""
    ref = vector["ref"]
    named = {"consent": _hex(ref["consent"]), "record": _hex(ref["record"])}
    return {**named, "licensee": ref["licensee"], "salt": int(ref["salt"])}


@pytest.mark.parametrize("name", ["a typical voucher", "the typical voucher on another chain"])
def test_the_chain_accepts_the_signed_voucher_on_its_own_chain_only(
    world: World, name: str
) -> None:
    vector = _vector(name)
    value, ref = _values(vector), _licence_of(vector)
    assert world.licence_id(ref) == value["licence"]
    assert f"0x{ref['salt'] % 2**160:040x}" == DATA["signer"].lower()
    word = pack(METER_FIELDS, price=1, end=value["time"] + 1, epoch=1, flags=METERED, units=1_000)
    with ExitStack() as stack:
        stage = Stage(world, stack, vector["market"])
        stage.store("licences", "_licences", value["licence"], word)
        voucher = {"ref": ref, "units": value["units"], "time": value["time"]}
        voucher["signature"] = _hex(vector["signature"])
        if vector["chain_id"] == CHAIN_ID:
            stage.market.redeem_vouchers([voucher], sender=world.people.relay)
            assert (
                unpack(stage.market.licence_word(value["licence"]), METER_FIELDS)["used"] == 1_000
            )
        else:
            with reverts("signature: not by its owner"):
                stage.market.redeem_vouchers([voucher], sender=world.people.relay)
