"""What the watcher looks for, fed with the same events as the auditor's ledger (R31).

Four kinds of alert come from the chain: a rule that does not hold (the ledger's own judgement), a
licence used by somebody whom its consent no longer covers, a licence used far more than it used to be,
and anything in which a sanctioned account takes part. The contracts refuse most of this; what they
cannot see, or let pass (a licensee that changed its region after it bought), somebody should look at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar

from medtoken.audit import Clock, Event, Ledger, Suite
from medtoken.audit.books.market import Licence
from medtoken.chain.words import LicenseeWord
from medtoken.watch.volume import Unusual, Volume, VolumeRule

_ADDRESS = 42  # characters


class Kind(StrEnum):
    """What an alert is about."""

    RULE = "rule"  # a rule does not hold on the chain
    SCOPE = "scope"  # used by whom the consent does not cover now (R9)
    VOLUME = "volume"  # used far more than before
    SANCTION = "sanction"  # a sanctioned account takes part (R2)
    RELEASE = "release"  # a key keeper released a key without a live licence (R34)


@dataclass(frozen=True)
class Alert:
    """Something to look at. ``id`` is the same for the same thing, whoever watches and however often."""

    kind: Kind
    rule: str
    block: int
    time: int  # unix seconds
    transaction: str
    subject: str  # the licence, where it is about one
    parties: tuple[str, ...]
    text: str

    @property
    def id(self) -> str:
        """16 hexadecimal digits."""
        named = "\n".join([self.kind, self.rule, self.transaction, self.subject, self.text])
        return hashlib.sha256(named.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"id": self.id} | asdict(self) | {"parties": list(self.parties)}


class WatchBooks:
    """The ledger, and the alerts that its events gave rise to, in the chain's order."""

    def __init__(self, suite: Suite, clock: Clock, rule: VolumeRule | None = None) -> None:
        """Empty; ``rule`` says what use is unusual."""
        self.ledger = Ledger(suite, clock)
        self.alerts: list[Alert] = []
        self._rule = rule or VolumeRule()
        self._clock = clock
        self._volumes: dict[bytes, Volume] = {}
        self._seen = 0  # violations of the ledger

    def apply(self, event: Event) -> None:
        """Book one event, and judge it."""
        self._sanctioned(event)
        self.ledger.apply(event)
        look = self._looks.get((event.contract, event.event))
        if look is not None:
            look(self, event)
        self._broken()

    def close(self) -> None:
        """End the transaction at hand."""
        self.ledger.close()
        self._broken()

    # ------------------------------------------------------------------ the kinds

    def _broken(self) -> None:
        found = self.ledger.journal.violations
        for violation in found[self._seen :]:
            numbers = ""
            if violation.expected is not None:
                numbers = f": {violation.actual} instead of {violation.expected}"
            self.alerts.append(
                Alert(
                    Kind.RULE,
                    violation.rule,
                    violation.block,
                    self._clock.at(violation.block),
                    "0x" + violation.tx.hex() if violation.tx else "",
                    "",
                    (),
                    f"{violation.text}{numbers}",
                )
            )
        self._seen = len(found)

    def _sanctioned(self, event: Event) -> None:
        if event.event in self._about_sanctions:
            return
        market, licence = self.ledger.market, event.args.get("licence")
        named = dict.fromkeys(a for a in _addresses(event.args) if market.is_frozen(a))
        of = market.licences.get(licence) if isinstance(licence, bytes) else None
        if of is not None and market.is_frozen(of.ref.licensee):
            named[of.ref.licensee] = None
        if named:
            self._raise(
                Kind.SANCTION,
                "R2",
                event,
                "0x" + licence.hex() if isinstance(licence, bytes) else "",
                tuple(named),
                f"A sanctioned account takes part in {event.contract}.{event.event}.",
            )

    def _bought(self, event: Event) -> None:
        now = self._clock.at(event.block)
        self._volumes[event.args["licence"]] = Volume.of(self._rule, now)

    def _used(self, event: Event) -> None:
        licence = self.ledger.market.licences.get(event.args["licence"])
        if licence is None:
            return
        self._covered(event, licence)
        self._judge(event, licence, Volume.used)

    def _acknowledged(self, event: Event) -> None:
        licence = self.ledger.market.licences.get(event.args["licence"])
        if licence is not None:
            self._covered(event, licence)
            self._judge(event, licence, Volume.acknowledged)

    def _covered(self, event: Event, licence: Licence) -> None:
        market = self.ledger.market
        consent = market.consents.get(licence.ref.consent)
        who = market.licensees.get(licence.ref.licensee, LicenseeWord())
        if consent is None or consent.terms is None or market.covers(consent.terms, who):
            return
        self._raise(
            Kind.SCOPE,
            "R9",
            event,
            "0x" + licence.ref.id.hex(),
            (licence.ref.licensee, consent.terms.patient),
            "The licence was used, and its consent no longer covers the group or region of its licensee.",
        )

    def _judge(
        self,
        event: Event,
        licence: Licence,
        count: Callable[[Volume, int, int], Unusual | None],
    ) -> None:
        volume = self._volumes.get(licence.ref.id)
        if volume is None:
            return
        found = count(volume, event.args["units"], self._clock.at(event.block))
        if found is not None:
            self._raise(
                Kind.VOLUME,
                "R31",
                event,
                "0x" + licence.ref.id.hex(),
                (licence.ref.licensee,),
                f"{found.units} units in {'a day' if found.days == 1 else 'seven days'}; "
                f"from {found.limit} on that is unusual for this licence.",
            )

    def _raise(
        self,
        kind: Kind,
        rule: str,
        event: Event,
        subject: str,
        parties: tuple[str, ...],
        text: str,
    ) -> None:
        time, tx = self._clock.at(event.block), "0x" + event.tx.hex()
        self.alerts.append(Alert(kind, rule, event.block, time, tx, subject, parties, text))

    _looks: ClassVar[dict[tuple[str, str], Callable[[Any, Event], None]]] = {
        ("DataMarket", "LicenceBought"): _bought,
        ("DataMarket", "LicenceUsed"): _used,
        ("DataMarket", "VoucherRedeemed"): _acknowledged,
    }
    # These say who is sanctioned, and undo nothing.
    _about_sanctions = frozenset(("StandingChanged", "LicenseeChanged", "LicenceSuspended"))


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) == _ADDRESS and value.startswith("0x"):
            yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _addresses(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _addresses(one)


def with_rule(rule: VolumeRule) -> Callable[[Suite, Clock], WatchBooks]:
    """Books for a ``Follower`` that judge volume by ``rule``."""
    return partial(WatchBooks, rule=rule)
