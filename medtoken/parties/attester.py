"""The attester: somebody other than the custodian who measures the real file (R7)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from medtoken.chain.contracts import EPOCH, Scores, Suite
from medtoken.chain.node import Wallet
from medtoken.errors import BadInput
from medtoken.parties.custodian import codes_commitment

if TYPE_CHECKING:
    from medtoken.quality import Quality


@dataclass(frozen=True)
class Attestation:
    """What was attested, and the base units of DCT that the patient got for it."""

    quality: Quality
    units: int
    minted: int


def measure(
    suite: Suite, record: bytes, path: str | PathLike[str], as_of: dt.date
) -> tuple[Quality, Scores]:
    """Assess the file of a registered record as of a day, and as the registry takes it.

    Raises UnsupportedFile or MalformedFile for the file, BadInput when the record is unknown or the
    file visibly is not the record's.
    """
    from medtoken import formats, quality

    file = formats.read(path)
    draft = suite.registry.draft(record)
    # What was derived is scored by its format too; its kind says only where it came from (R3).
    fits = draft.kind in (file.kind, formats.RecordKind.DERIVED)
    if not fits or codes_commitment(file.codes) != draft.codes:
        raise BadInput(f"{path} is not the file of record 0x{record.hex()}.")
    found = quality.assess(file, as_of)
    scores = Scores(
        units=file.milliunits,
        **{name: getattr(found, name) for name in quality.DIMENSIONS},
        dvi=found.dvi,
        asOf=(as_of - EPOCH).days,
        method=found.method_hash,
    )
    return found, scores


def attest_record(
    suite: Suite,
    wallet: Wallet,
    record: bytes,
    path: str | PathLike[str],
    *,
    as_of: dt.date | None = None,
    key: str | None = None,
) -> Attestation:
    """Assess the file of a registered record and attest the scores; a second call finds them there.

    ``as_of`` is the day of reference, by default that of the newest block (UTC).

    Raises UnsupportedFile or MalformedFile for the file, BadInput when the record is unknown or the
    file visibly is not the record's, and ContractRefused when the registry refuses (an unaccredited
    attester, the custodian's own record).
    """
    earlier = suite.registry.attestation(record) if suite.registry.facts(record).attested else None
    day = EPOCH + dt.timedelta(earlier["scores"]["asOf"]) if earlier else as_of or suite.today()
    found, scores = measure(suite, record, path, day)
    if earlier is None:
        receipt = suite.registry.attest(wallet, record, scores, key=key)
        earlier = suite.registry.events(receipt.logs, "RecordAttested")[0].args
    return Attestation(found, int(earlier["scores"]["units"]), int(earlier["minted"]))
