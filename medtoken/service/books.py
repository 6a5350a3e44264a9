"""What the pages read: the auditor's ledger, and in which order things happened.

The ledger says how everything stands, to the base unit. Beside it only goes what a ledger does not
keep: who has which records, and the events of each licence and account with their blocks. Nothing is
computed here a second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from medtoken.audit import Clock, Event, Ledger, Suite
from medtoken.chain.words import LicenseeWord

PARTS = ("patient", "custodian", "annotator", "platform")


@dataclass(frozen=True)
class Moment:
    """Where on the chain something happened."""

    block: int
    time: int  # unix seconds
    tx: bytes


@dataclass(frozen=True)
class Happening:
    """Something that happened to a licence; ``event`` is the event's name."""

    at: Moment
    event: str
    args: dict[str, Any]


@dataclass(frozen=True)
class Credit:
    """What a settlement brought one account, base units."""

    at: Moment
    licence: bytes
    record: bytes
    part: str  # one of PARTS
    amount: int


@dataclass(frozen=True)
class Payout:
    """A withdrawal, base units."""

    at: Moment
    to: str
    amount: int


@dataclass(frozen=True)
class Outcome:
    """What a licensee stated that a record led to (R27)."""

    at: Moment
    number: int
    licence: bytes
    kind: int
    statement: bytes


@dataclass(frozen=True)
class Points:
    """What an account got points for (R25); ``source`` is one of the auditor's."""

    at: Moment
    source: int
    points: int


@dataclass(frozen=True)
class Asked:
    """What a licensee asked a patient to approve by passkey (R10)."""

    at: Moment
    consent: bytes
    licensee: str
    order: dict[str, Any]


class MarketBooks:
    """The ledger and what happened, fed with the same events in the same order."""

    def __init__(self, suite: Suite, clock: Clock) -> None:
        """Empty."""
        self.ledger = Ledger(suite, clock)
        self.clock = clock
        self.records_of: defaultdict[str, list[bytes]] = defaultdict(list)  # owner
        self.held_by: defaultdict[int, list[bytes]] = defaultdict(list)  # custodian's number
        self.annotated_by: defaultdict[int, list[bytes]] = defaultdict(list)  # annotator's number
        self.consents_of: defaultdict[str, list[bytes]] = defaultdict(list)  # patient
        self.licences_on: defaultdict[bytes, list[bytes]] = defaultdict(list)  # record
        self.licences_of: defaultdict[str, list[bytes]] = defaultdict(list)  # licensee
        self.shown: dict[bytes, LicenseeWord] = {}
        """A licensee as it stood when it bought a licence; what it shows later changes no use (R11)."""
        self.registered: dict[bytes, Moment] = {}
        self.granted: dict[bytes, Moment] = {}
        self.revoked: dict[bytes, Moment] = {}
        self.happened: defaultdict[bytes, list[Happening]] = defaultdict(list)  # licence
        self.credits: defaultdict[str, list[Credit]] = defaultdict(list)
        self.payouts: defaultdict[str, list[Payout]] = defaultdict(list)
        self.outcomes: defaultdict[bytes, list[Outcome]] = defaultdict(list)  # record
        self.points: defaultdict[str, list[Points]] = defaultdict(list)  # as a patient
        # what licensees asked patients to approve (R10)
        self.asked_under: defaultdict[bytes, list[Asked]] = defaultdict(list)  # consent
        self.asked_by: defaultdict[str, list[Asked]] = defaultdict(list)  # licensee
        self._reported: dict[int, tuple[int, bytes]] = {}

    def apply(self, event: Event) -> None:
        """Book one event."""
        self.ledger.apply(event)
        note = self._notes.get((event.contract, event.event))
        if note is not None:
            note(self, event)

    def close(self) -> None:
        """End the transaction at hand."""
        self.ledger.close()

    def _at(self, event: Event) -> Moment:
        return Moment(event.block, self.clock.at(event.block), event.tx)

    def _registered(self, event: Event) -> None:
        record, args = event.args["record"], event.args
        self.registered[record] = self._at(event)
        self.records_of[args["owner"]].append(record)
        self.held_by[args["custodian"]].append(record)
        if args["draft"]["annotator"]:
            self.annotated_by[args["draft"]["annotator"]].append(record)

    def _granted(self, event: Event) -> None:
        consent = event.args["consent"]
        self.granted[consent] = self._at(event)
        self.consents_of[event.args["patient"]].append(consent)

    def _revoked(self, event: Event) -> None:
        consent = event.args["consent"]
        self.revoked[consent] = self._at(event)
        if consent not in self.granted:  # cancelled before it came
            self.consents_of[event.args["patient"]].append(consent)

    def _bought(self, event: Event) -> None:
        args = event.args
        self.licences_on[args["record"]].append(args["licence"])
        self.licences_of[args["licensee"]].append(args["licence"])
        standing = self.ledger.market.licensees.get(args["licensee"], LicenseeWord())
        self.shown[args["licence"]] = standing
        self._note(event)

    def _note(self, event: Event) -> None:
        happening = Happening(self._at(event), event.event, event.args)
        self.happened[event.args["licence"]].append(happening)

    def _asked(self, event: Event) -> None:
        args = event.args
        asked = Asked(self._at(event), args["consent"], args["licensee"], args["order"])
        self.asked_under[asked.consent].append(asked)
        self.asked_by[asked.licensee].append(asked)

    def _settled(self, event: Event) -> None:
        args, at = event.args, self._at(event)
        self._note(event)
        for part in PARTS:
            amount = args[f"{part}Amount"]
            if amount:
                credit = Credit(at, args["licence"], args["record"], part, amount)
                self.credits[args[part]].append(credit)

    def _withdrawn(self, event: Event) -> None:
        args = event.args
        payout = Payout(self._at(event), args["to"], args["amount"])
        self.payouts[args["account"]].append(payout)

    def _pointed(self, event: Event) -> None:
        args = event.args
        if not args["institution"]:
            self.points[args["account"]].append(
                Points(self._at(event), args["source"], args["points"])
            )

    def _reported_outcome(self, event: Event) -> None:
        self._reported[event.args["outcome"]] = (event.args["kind"], event.args["statement"])

    def _led(self, event: Event) -> None:
        args = event.args
        kind, statement = self._reported.get(args["outcome"], (0, bytes(32)))
        self.outcomes[args["record"]].append(
            Outcome(self._at(event), args["outcome"], args["licence"], kind, statement)
        )

    _notes: ClassVar[dict[tuple[str, str], Callable[[Any, Event], None]]] = {
        ("RecordRegistry", "RecordRegistered"): _registered,
        ("DataMarket", "ConsentGranted"): _granted,
        ("DataMarket", "ConsentRevoked"): _revoked,
        ("DataMarket", "LicenceBought"): _bought,
        ("DataMarket", "LicenceToppedUp"): _note,
        ("DataMarket", "LicenceUsed"): _note,
        ("DataMarket", "VoucherRedeemed"): _note,
        ("DataMarket", "LicenceSuspended"): _note,
        ("DataMarket", "LicenceSettled"): _settled,
        ("DataMarket", "LicenceClosed"): _note,
        ("DataMarket", "Withdrawn"): _withdrawn,
        ("Passkeys", "LicenceRequested"): _asked,
        ("Rewards", "PointsEarned"): _pointed,
        ("Rewards", "OutcomeReported"): _reported_outcome,
        ("Rewards", "RecordLed"): _led,
    }
