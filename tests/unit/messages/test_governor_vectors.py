"""Golden EIP-712 vectors of the governor's messages: the same bytes here, in eth-account, and on the chain.

``tests/vectors/eip712_governor.json`` was computed once, without this package, and does not change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medtoken import artifacts
from medtoken._keccak import keccak
from medtoken.errors import BadInput
from medtoken.messages import Ballot, GovernorDomain, Message, Objection

FILE = Path(__file__).resolve().parents[2] / "vectors" / "eip712_governor.json"
DATA = json.loads(FILE.read_text(encoding="utf-8"))
VECTORS = DATA["vectors"]
KINDS: dict[str, type[Message]] = {"Ballot": Ballot, "Objection": Objection}


@pytest.mark.parametrize("vector", VECTORS, ids=[v["name"] for v in VECTORS])
def test_this_package_makes_the_same_bytes(vector: dict[str, Any]) -> None:
    raw = vector["message"]
    values = {name: text if text.startswith("0x") else int(text) for name, text in raw.items()}
    message = KINDS[vector["type"]](**values)
    domain = GovernorDomain(vector["chain_id"], vector["governor"])
    signature = bytes.fromhex(vector["signature"][2:])
    assert message.type_string() == vector["type_string"]
    assert "0x" + message.struct_hash().hex() == vector["struct_hash"]
    assert message.sign(DATA["key"], domain) == signature
    assert message.signer(signature, domain) == DATA["signer"]


@pytest.mark.parametrize("vector", VECTORS, ids=[v["name"] for v in VECTORS])
def test_the_chain_hashes_the_same_types(vector: dict[str, Any]) -> None:
    """The contract's own constant holds the hash of the type."""
    code = artifacts.load("MedGovernor")["deployedBytecode"]
    assert keccak(text=vector["type_string"]).hex() == vector["type_hash"][2:]
    assert vector["type_hash"][2:] in code


def test_a_voter_reads_what_it_signs() -> None:
    voter = "0x" + "11" * 20
    assert Ballot(5, 1, voter, 0).render().startswith("You vote for the proposal 5, with all votes")
    assert Ballot(5, 0, voter, 0).render().startswith("You vote against the proposal 5")
    assert "neither for nor against" in Ballot(5, 2, voter, 0).render()
    assert "object, as a seat of the council, to the proposal 5" in Objection(5, voter).render()
    with pytest.raises(BadInput, match="A vote is 0"):
        Ballot(5, 3, voter, 0).render()
