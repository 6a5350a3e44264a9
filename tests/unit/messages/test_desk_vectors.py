"""Golden EIP-712 vectors of auctions and vouchers: the same bytes here, in eth-account, and on the chain.

``tests/vectors/eip712_desks.json`` was computed once, by hand, and does not change by itself.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from support.desks import Desks
from support.evm import Contract
from support.world import METER_FIELDS, RECORD_FIELDS, pack, reverts

from medtoken import artifacts
from medtoken.messages import AuctionOffer, AuctionWithdrawal, Domain, Message, Voucher
from medtoken.metering import VoucherKey
from medtoken.metering._signing import VoucherHasher

FILE = Path(__file__).resolve().parents[2] / "vectors" / "eip712_desks.json"
DATA = json.loads(FILE.read_text(encoding="utf-8"))
VECTORS = DATA["vectors"]
KINDS: dict[str, type[Message]] = {
    "AuctionOffer": AuctionOffer,
    "AuctionWithdrawal": AuctionWithdrawal,
    "Voucher": Voucher,
}
IMPLEMENTATION = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC

Vector = dict[str, Any]
every_vector = pytest.mark.parametrize("vector", VECTORS, ids=[v["name"] for v in VECTORS])


def _fields(vector: Vector) -> list[tuple[str, str]]:
    inner = vector["type_string"].split("(", 1)[1].rstrip(")")
    return [(field.split(" ")[1], field.split(" ")[0]) for field in inner.split(",")]


def _values(vector: Vector) -> dict[str, Any]:
    raw = vector["message"]
    return {n: int(raw[n]) if k == "uint256" else _hex(raw[n]) for n, k in _fields(vector)}


def _hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _vector(name: str) -> Vector:
    return next(v for v in VECTORS if v["name"] == name)


@every_vector
def test_this_package_makes_the_same_bytes(vector: Vector) -> None:
    message = KINDS[vector["type"]](**_values(vector))
    domain = Domain(vector["chain_id"], vector["contract"])
    assert message.type_string() == vector["type_string"]
    assert message.struct_hash() == _hex(vector["struct_hash"])
    assert message.sign(DATA["key"], domain) == _hex(vector["signature"])
    assert message.signer(_hex(vector["signature"]), domain) == DATA["signer"]
    signable = encode_typed_data(full_message=message.typed_data(domain))
    assert keccak(b"\x19\x01" + signable.header + signable.body) == _hex(vector["digest"])


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["type"] == "Voucher"])
def test_the_meters_make_the_same_bytes(vector: Vector) -> None:
    hasher = VoucherHasher(Domain(vector["chain_id"], vector["contract"]))
    values = _values(vector)
    digest = hasher.digest(values["licence"], values["units"], values["time"])
    assert hasher.separator == _hex(vector["domain_separator"])
    assert digest == _hex(vector["digest"])
    key = VoucherKey(_hex(DATA["key"]))
    assert key.address == DATA["signer"]
    assert key.sign(digest) == _hex(vector["signature"])


# ---------------------------------------------------------------- on the chain


def _stage(desks: Desks, stack: ExitStack, name: str, address: str) -> Contract:
    """A contract of its own, with the real logic, at the address that a vector names."""
    real = desks.suite[name].address
    desks.evm.insert_code(address, desks.evm.code(real))
    logic = desks.evm.storage(real, IMPLEMENTATION)
    stack.enter_context(desks.evm.stored(address, IMPLEMENTATION, logic))
    return desks.evm.contract(name, address)


def _store(
    desks: Desks, stack: ExitStack, contract: Contract, at: tuple[str, ...], key: bytes, word: int
) -> None:
    """Pretend that a mapping of a contract holds a word under a key."""
    layout: Any = artifacts.load(contract.name)["storageLayout"]
    for name in at:
        layout = layout[name]
    slot = int.from_bytes(keccak(encode(["uint256", "bytes32"], [layout["slot"], key])))
    stack.enter_context(desks.evm.stored(contract.address, slot, word))


def _consent(desks: Desks, stack: ExitStack, consent: bytes, expiry: int) -> None:
    """Let the suite's market know a consent of this id, by the vectors' signer."""
    word = int(DATA["signer"], 16) | expiry << 160
    _store(desks, stack, desks.market, ("consents", "_consents"), consent, word)


def _typical_consent() -> dict[str, Any]:
    """The terms of the consent that the offers name; its vector is in the other file."""
    other = json.loads((FILE.parent / "eip712.json").read_text(encoding="utf-8"))
    vector = next(v for v in other["vectors"] if v["name"] == "a typical consent")
    assert vector["struct_hash"] == _vector("a typical offer")["message"]["consent"]
    values = _values(vector)
    return values | {"patient": vector["message"]["patient"]}


@pytest.mark.parametrize(
    "name", ["a typical offer", "an offer with the largest value of every field"]
)
def test_the_chain_names_an_auction_by_the_same_hash(desks: Desks, name: str) -> None:
    vector = _vector(name)
    assert desks.house.auction_id(_values(vector)) == _hex(vector["struct_hash"])


def test_the_chain_accepts_the_signed_offer_and_none_for_elsewhere(desks: Desks) -> None:
    good = _vector("a typical offer")
    terms, offer = _typical_consent(), _values(good)
    with ExitStack() as stack:
        house = _stage(desks, stack, "AuctionHouse", good["contract"])
        layout = artifacts.load("AuctionHouse")["storageLayout"]["_terms"]["slot"]
        value = desks.evm.storage(desks.house.address, layout)
        stack.enter_context(desks.evm.stored(house.address, layout, value))
        _consent(desks, stack, offer["consent"], terms["expiry"])
        facts = pack(
            RECORD_FIELDS, owner=int(DATA["signer"], 16), kind=1, tier=2, region=158, attested=1
        )
        _store(desks, stack, desks.registry, ("_facts",), offer["record"], facts)
        with reverts("signature: not by its owner"):
            desks.house.open_auction(offer, terms, [], _hex(good["signature"]))
        for name in ("the typical offer on another chain", "the typical offer for another house"):
            with reverts("signature: not by its owner"):
                house.open_auction(offer, terms, [], _hex(_vector(name)["signature"]))
        house.open_auction(offer, terms, [], _hex(good["signature"]))
        assert desks.evm.event("AuctionOpened")["auction"] == _hex(good["struct_hash"])


@pytest.mark.parametrize(
    ("offer", "name"),
    [
        ("a typical offer", "the typical offer taken back"),
        ("an offer with the largest value of every field", "the largest offer taken back"),
    ],
)
def test_the_chain_accepts_the_signed_withdrawals(desks: Desks, offer: str, name: str) -> None:
    terms, vector = _values(_vector(offer)), _vector(name)
    with ExitStack() as stack:
        house = _stage(desks, stack, "AuctionHouse", vector["contract"])
        _consent(desks, stack, terms["consent"], 2**40 - 1)
        with reverts("signature: not by its owner"):
            desks.house.withdraw_auction(terms, _hex(vector["signature"]))
        house.withdraw_auction(terms, _hex(vector["signature"]))
        found = desks.evm.event("AuctionWithdrawn")["auction"]
        assert found == _hex(_vector(offer)["struct_hash"])


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("a voucher for one call", True),
        ("a voucher for a billion calls", True),
        ("a voucher for all calls that there can be", True),
        ("the voucher for one call on another chain", False),
    ],
)
def test_the_chain_counts_the_signed_vouchers(desks: Desks, name: str, accepted: bool) -> None:
    vector = _vector(name)
    values = _values(vector)
    raw = vector["ref"]
    ref = {
        "consent": _hex(raw["consent"]),
        "record": _hex(raw["record"]),
        "licensee": raw["licensee"],
        "salt": int(raw["salt"]),
    }
    with ExitStack() as stack:
        market = _stage(desks, stack, "DataMarket", vector["contract"])
        word = pack(METER_FIELDS, price=1, end=2**40 - 1, epoch=1, flags=2, units=2**40 - 1)
        _store(desks, stack, market, ("licences", "_licences"), values["licence"], word)
        voucher = {
            "ref": ref,
            "units": values["units"],
            "time": values["time"],
            "signature": _hex(vector["signature"]),
        }
        if accepted:
            market.redeem_vouchers([voucher])
            assert desks.evm.event("VoucherRedeemed")["used"] == values["units"]
        else:
            with reverts("signature: not by its owner"):
                market.redeem_vouchers([voucher])
