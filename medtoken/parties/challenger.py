"""The challenger: anybody who has a record's file computes its quality again and disputes it (R7)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from medtoken.chain.contracts import Scores, Suite
from medtoken.chain.node import Wallet
from medtoken.errors import BadInput
from medtoken.parties.attester import measure

if TYPE_CHECKING:
    from medtoken.quality import Quality


@dataclass(frozen=True)
class Challenged:
    """A challenge that was opened: what was attested, what is claimed, what it costs, until when."""

    attested: Scores
    claim: Scores
    bond: int
    """Base units of DUT."""
    deadline: int
    """Unix seconds: an arbitrator decides no later."""


def recompute(
    suite: Suite, record: bytes, path: str | PathLike[str]
) -> tuple[Scores, Scores, Quality]:
    """The scores that hold for a record, those of its file by the same method and day, and why.

    Raises BadInput when the record is not attested, was attested by a method that this version does
    not know, or the file visibly is not the record's; UnsupportedFile or MalformedFile for the file.
    """
    from medtoken.quality import method_hash

    attested = suite.registry.scores(record)
    if attested is None:
        raise BadInput(f"Record 0x{record.hex()} is not attested.")
    if attested.method != method_hash():
        raise BadInput(
            f"Record 0x{record.hex()} was attested by method 0x{attested.method.hex()}, "
            "which this version of medtoken does not compute."
        )
    quality, scores = measure(suite, record, path, attested.day)
    return attested, scores, quality


def reasons_hash(quality: Quality) -> bytes:
    """SHA-256 of a quality's explanation, a line for each dimension: what anybody can recompute."""
    return hashlib.sha256("\n".join(quality.explanation).encode()).digest()


def challenge_record(
    suite: Suite,
    wallet: Wallet,
    record: bytes,
    path: str | PathLike[str],
    *,
    evidence: bytes | None = None,
    key: str | None = None,
) -> Challenged:
    """Recompute a record's quality from its file and challenge the attestation; pays the bond.

    ``evidence`` is the hash of what goes to the arbitrator, by default of the reasons that everybody
    with the file computes (never of the file: that would confirm a guess of it). A challenge of this
    wallet that is open already is returned as it is. Raises BadInput when the file gives the very
    scores that were attested, and as ``recompute`` does; ContractRefused when the contract or DUT
    refuses.
    """
    attested, claim, quality = recompute(suite, record, path)
    if claim == attested:
        raise BadInput(f"The file gives the very scores that record 0x{record.hex()} has.")
    disputes = suite.disputes
    found = disputes.challenge_of(record)
    if found is None or found.challenger != wallet.address:
        bond, _, _ = disputes.terms()
        suite.usage.approve(wallet, disputes.address, bond, key=key and f"{key}:approve")
        disputes.challenge(wallet, record, claim, evidence or reasons_hash(quality), key=key)
        found = disputes.challenge_of(record)
    if found is None:
        raise BadInput(f"The challenge of record 0x{record.hex()} is closed already.")
    return Challenged(attested, claim, found.bond, found.deadline)


def stake(suite: Suite, wallet: Wallet, amount: int, *, key: str | None = None) -> int:
    """Back an attester's word with ``amount`` base units of DUT; returns all of its stake."""
    disputes = suite.disputes
    suite.usage.approve(wallet, disputes.address, amount, key=key and f"{key}:approve")
    disputes.stake(wallet, amount, key=key)
    return disputes.stake_of(suite.registry.number_of(wallet.address))
