"""Golden vectors of passkeys: the same bytes here, in eth-account, and on the chain; and their words.

``tests/vectors/eip712_passkeys.json`` was computed once, without this package, and does not change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from support.world import World, reverts

from medtoken.messages import (
    Domain,
    LicenceApproval,
    Message,
    PasskeyCancellation,
    PasskeyChange,
)
from medtoken.passkeys import relying_party

FILE = Path(__file__).resolve().parents[2] / "vectors" / "eip712_passkeys.json"
DATA = json.loads(FILE.read_text(encoding="utf-8"))
VECTORS = DATA["vectors"]
NAMES = [vector["name"] for vector in VECTORS]
KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (PasskeyChange, PasskeyCancellation, LicenceApproval)
}


def unhexed(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def message(vector: dict[str, Any]) -> Message:
    kind = KINDS[vector["type"]]
    types = dict(kind.types)
    values = {
        name: unhexed(value)
        if types[name] == "bytes32"
        else int(value)
        if types[name] == "uint256"
        else value
        for name, value in vector["message"].items()
    }
    return kind(**values)


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_this_package_makes_the_same_bytes(vector: dict[str, Any]) -> None:
    made, domain = message(vector), Domain(vector["chain_id"], vector["passkeys"])
    signature = unhexed(vector["signature"])
    assert made.type_string() == vector["type_string"]
    assert made.struct_hash() == unhexed(vector["struct_hash"])
    assert made.digest(domain) == unhexed(vector["digest"])
    assert made.sign(DATA["key"], domain) == signature
    assert made.signer(signature, domain) == DATA["signer"]


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if "assertion" in v], ids=lambda v: v["name"]
)
def test_the_chain_takes_the_assertion_over_the_digest_and_over_no_other(
    world: World, vector: dict[str, Any]
) -> None:
    verifier, told = world.suite["ERC7913WebAuthnVerifier"], vector["assertion"]
    signature = encode(
        ["bytes32", "bytes32", "uint256", "uint256", "bytes", "bytes"],
        [
            *(unhexed(told["r"]), unhexed(told["s"]), 23, 1),
            *(unhexed(told["authenticatorData"]), told["clientData"].encode()),
        ],
    )
    key = unhexed(DATA["passkey"]["x"]) + unhexed(DATA["passkey"]["y"])
    assert bytes(verifier.verify(key, unhexed(vector["digest"]), signature)).hex() == "024ad318"
    assert bytes(verifier.verify(key, bytes(32), signature)).hex() == "ffffffff"
    assert relying_party(DATA["passkey"]["host"]) == unhexed(DATA["passkey"]["relyingParty"])


def test_the_chain_hashes_the_same_types(world: World) -> None:
    """The contract's own domain and hash: a change for the vector's wallet is taken."""
    made = PasskeyChange(
        DATA["signer"],
        *(unhexed(DATA["passkey"][name]) for name in ("x", "y", "relyingParty")),
        nonce=0,
        deadline=world.now,
    )
    passkey = {"x": made.x, "y": made.y, "relyingParty": made.relyingParty}
    args = (made.patient, passkey, made.deadline)
    with reverts("signature: not by its owner"):
        world.passkeys.change_passkey(*args, bytes(65), sender=world.people.relay)
    signature = made.sign(DATA["key"], world.passkey_domain)
    world.passkeys.change_passkey(*args, signature, sender=world.people.relay)


def test_a_patient_reads_what_it_approves() -> None:
    term, metered = (message(v) for v in VECTORS if v["type"] == "LicenceApproval")
    assert term.render().startswith(
        "You let 0x2222222222222222222222222222222222222222 buy a licence for at most 75 DUT a year"
    )
    assert "must be bought by 2027-01-16 08:00 UTC" in term.render()
    assert "buy 12 calls or MB, each for at most 0 DUT" in metered.render()
    assert "public-health emergency" in metered.render()
    change, removal = (message(v) for v in VECTORS if v["type"] == "PasskeyChange")
    assert "is approved with the passkey 0x" in change.render()
    assert removal.render().startswith("You remove the passkey")
    cancelled = next(message(v) for v in VECTORS if v["type"] == "PasskeyCancellation")
    assert "the one that counts now stays" in cancelled.render()
