"""From the chain's events to weights: who contributed to a study, and how much (R18, R19).

A record contributes to a study when a licence in the study's scope covers it and was used: a metered one
by at least one unit, a term by having been bought. Its weight is the DCT that it earned its owner up
to the last block of the scope, times 1.2 when it is both of high quality and often used, times 0.8 when
it was used from outside its region only. Corrections are the record that they correct: DCT is minted for
one version, and counts once. Everything is integers, so everybody comes to the same roster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from medtoken.chain.abi import Log
from medtoken.errors import BadInput
from medtoken.vocabulary import Form

# One unit of weight is this many base units of DCT: R1 mints multiples of 10^12, and R18's factors
# have one decimal each, so nothing is rounded.
UNIT = 10**10
BPS = 10_000
_NONE = bytes(32)


@dataclass(frozen=True)
class Rule:
    """R18 in numbers. The defaults are the rule; a manifest names what it went by."""

    quality: int = 80  # Q from which a contribution is of high quality
    uses: int = 10  # units used in the study from which it is often used
    bonus: int = 2_000  # bps more for both together
    cross_region: int = 8_000  # bps of its weight that a record used from other regions only keeps

    def weigh(self, minted: int, quality: int, uses: int, *, cross: bool) -> int:
        """Units of weight of one record."""
        factor = BPS + (self.bonus if quality >= self.quality and uses >= self.uses else 0)
        return minted * factor * (self.cross_region if cross else BPS) // (BPS**2 * UNIT)


@dataclass(frozen=True)
class Scope:
    """Which licences make a study: the licensee's, bought in a range of blocks; all, or those named."""

    licensee: str
    first_block: int
    last_block: int
    licences: frozenset[bytes] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.first_block <= self.last_block:
            raise BadInput("A study's scope needs a first block that is not after its last.")
        if self.licences is not None and not self.licences:
            raise BadInput(
                "A study's scope names at least one licence, or all of them by naming none."
            )

    def covers(self, licence: bytes, licensee: str, block: int) -> bool:
        """Whether a licence that was bought in a block belongs to the study."""
        return (
            licensee.lower() == self.licensee.lower()
            and self.first_block <= block <= self.last_block
            and (self.licences is None or licence in self.licences)
        )


@dataclass
class Contribution:
    """One record, with all its versions, in a study."""

    account: str
    minted: int = 0  # base units of DCT
    quality: int = 0  # 0–100, of the version that was used last
    uses: int = 0
    cross: bool = True  # used from other regions only


@dataclass
class _Record:
    owner: str
    region: int
    first: bytes  # the version at the beginning of its line
    quality: int = 0


@dataclass
class _Licence:
    record: bytes
    metered: bool
    local: bool
    uses: int = 0


@dataclass
class _Reading:
    records: dict[bytes, _Record] = field(default_factory=dict)
    minted: dict[bytes, int] = field(default_factory=dict)  # first version → base units
    licences: dict[bytes, _Licence] = field(default_factory=dict)
    regions: dict[str, int] = field(default_factory=dict)  # licensee → where it works
    moved: dict[str, str] = field(default_factory=dict)  # lost wallet → new one (R41)


def contributions(logs: Iterable[tuple[int, Log]], scope: Scope) -> list[Contribution]:
    """The records that contributed to a study, from all logs of the suite by block, in order.

    Logs after the scope's last block are passed over.
    """
    read = _Reading()
    for block, log in logs:
        if block <= scope.last_block:
            _take(read, scope, block, log.event, log.args)
    found: dict[bytes, Contribution] = {}
    for licence in read.licences.values():
        if licence.metered and not licence.uses:
            continue
        record = read.records.get(licence.record)
        if record is None:
            raise BadInput(
                f"No registration of record 0x{licence.record.hex()} was among the logs."
            )
        owner = _wallet(read.moved, record.owner)
        one = found.setdefault(record.first, Contribution(owner))
        one.minted = read.minted.get(record.first, 0)
        one.quality = max(one.quality, record.quality)
        one.uses += licence.uses
        one.cross = one.cross and not licence.local
    return list(found.values())


def weights(records: Iterable[Contribution], rule: Rule | None = None) -> dict[str, int]:
    """Account to weight; accounts that weigh nothing are left out."""
    rule = rule or Rule()
    total: dict[str, int] = {}
    for r in records:
        weight = rule.weigh(r.minted, r.quality, r.uses, cross=r.cross)
        if weight:
            total[r.account] = total.get(r.account, 0) + weight
    return total


def _take(read: _Reading, scope: Scope, block: int, event: str, args: dict[str, Any]) -> None:
    if event == "RecordRegistered":
        draft = args["draft"]
        previous = read.records.get(draft["previous"])
        first = previous.first if previous else args["record"]
        read.records[args["record"]] = _Record(args["owner"], draft["region"], first)
    elif event == "RecordAttested":
        record = read.records.get(args["record"])
        if record is not None:
            record.quality = args["quality"]
            read.minted[record.first] = read.minted.get(record.first, 0) + args["minted"]
    elif event == "LicenseeChanged":
        read.regions[args["account"]] = args["region"]
    elif event == "LicenceBought" and scope.covers(args["licence"], args["licensee"], block):
        record = read.records.get(args["record"])
        local = record is not None and read.regions.get(args["licensee"]) == record.region
        metered = args["form"] == Form.METERED
        read.licences[args["licence"]] = _Licence(args["record"], metered, local)
    elif event in ("LicenceUsed", "VoucherRedeemed"):
        licence = read.licences.get(args["licence"])
        if licence is not None:
            licence.uses += args["units"]
    elif event == "Recovered":
        read.moved[args["previous"]] = args["current"]


def _wallet(moved: dict[str, str], account: str) -> str:
    """Where a person's tokens are now; a chain of recoveries ends somewhere."""
    seen = {account}
    while account in moved and moved[account] not in seen:
        account = moved[account]
        seen.add(account)
    return account
