"""Institution assets in tests: derived records, their sources and rosters (R3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from medtoken import vocabulary
from medtoken.lineage import Roster
from medtoken.messages import Consent
from support.world import DAY, DUT, Actor, World

DERIVED = 7
ROOM = vocabulary.duo_mask(["HMB"])  # a purpose under which something may be derived and sold


@dataclass
class Source:
    """A licence that the creator bought on a record."""

    ref: dict[str, Any]
    consent: Consent

    def values(self) -> dict[str, Any]:
        return {"ref": self.ref, "consent": self.consent.values()}


@dataclass
class Maker:
    """An institution that licenses records and derives an asset from them."""

    world: World
    institution: Actor
    sources: list[Source] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    asset: bytes = b""
    order: dict[str, Any] = field(default_factory=dict)  # what its purchases differ in

    def __post_init__(self) -> None:
        """It buys with its own money."""
        w, who = self.world, self.institution
        if not w.deposit_of(who):
            w.admit(who)
            w.license(who)
            w.fund(who, 100_000 * DUT)
            w.dut.approve(w.market.address, 2**256 - 1, sender=who)
            w.market.deposit(who, 100_000 * DUT, sender=who)

    @property
    def account(self) -> str:
        return str(self.world.assets.account_of(self.asset))

    @property
    def roster(self) -> Roster:
        world = self.world
        ids = (world.licence_id(source.ref) for source in self.sources)
        return Roster(self.asset, list(zip(ids, self.weights, strict=True)))

    def buy(self, weight: int, record: bytes | None = None, **consent: Any) -> Source:
        """License a record for deriving; it becomes the roster's next source."""
        w = self.world
        terms = {"purposes": ROOM} | consent
        if record is None:
            record = w.record(sender=w.people.other_custodian)
        granted = w.granted(record, **terms)
        ref = w.buy(granted, sender=self.institution, purposes=ROOM, **self.order)
        return self.add(Source(ref, granted), weight)

    def add(self, source: Source, weight: int) -> Source:
        self.sources.append(source)
        self.weights.append(weight)
        return source

    def derive(self, **draft: Any) -> bytes:
        """Register and attest what was derived, owned by its account."""
        w = self.world
        tag = w.fresh("tag")
        self.asset = bytes(w.registry.record_id(w.number(self.institution), tag))
        record = w.record(
            sender=self.institution,
            **({"owner": self.account, "tag": tag, "kind": DERIVED, "annotator": 0} | draft),
        )
        assert record == self.asset
        return record

    def lineage(self, **changes: Any) -> dict[str, Any]:
        roster = self.roster
        return {
            "root": roster.root,
            "total": roster.total,
            "count": len(roster),
            "manifest": b"\3" * 32,
        } | changes

    def create(self, **changes: Any) -> str:
        """Create the asset with its roster."""
        lineage = self.lineage(**changes)
        return str(self.world.assets.create(self.asset, lineage, sender=self.institution))

    def line(self, at: int) -> dict[str, Any]:
        return self.roster.line(at).values()

    def join(self, *places: int) -> None:
        """Prove lines, by default all."""
        # The roster sorts its lines, so sources are found by the licence of a line.
        found = {self.world.licence_id(s.ref): s for s in self.sources}
        roster = self.roster
        lines = [roster.line(at) for at in places or range(len(roster))]
        self.world.assets.join(
            self.asset,
            [line.values() for line in lines],
            [found[line.licence].values() for line in lines],
            sender=self.world.people.stranger,
        )

    def state_again(self) -> None:
        """State the roster anew after it was taken back."""
        self.world.assets.restate(self.asset, self.lineage(), sender=self.institution)

    def place(self, source: Source) -> int:
        """Where a source stands in the roster."""
        found = self.roster.index(self.world.licence_id(source.ref))
        assert found is not None
        return found

    def consent(self, **changes: Any) -> Consent:
        """What its holder offers the asset under: 100 DUT a unit."""
        terms = {
            "records": self.asset,
            "patient": self.account,
            "purposes": ROOM,
            "patientShare": 8_000,
            "floorPrice": 100 * DUT,
        }
        return self.world.consent(**(terms | changes))

    def offer(self, sender: Actor | None = None, **changes: Any) -> Consent:
        consent = self.consent(**changes)
        self.world.assets.offer(self.asset, consent.values(), sender=sender or self.institution)
        return consent

    def sell(self, consent: Consent, units: int, buyer: Actor | None = None) -> dict[str, Any]:
        """Have somebody buy, use and settle metered units."""
        w = self.world
        salt = int.from_bytes(w.fresh("salt")[:8]) << 160
        ref = w.buy(consent, sender=buyer, units=units, salt=salt, **self.order)
        w.use(ref, units)
        w.settle(ref)
        return ref

    def claim(self, *sources: Source) -> None:
        refs = [source.ref for source in sources or self.sources]
        self.world.assets.claim(self.asset, refs, sender=self.world.people.stranger)

    def collect(self) -> None:
        self.world.assets.collect(self.asset, sender=self.world.people.stranger)

    def credited(self, who: str) -> int:
        return int(self.world.assets.balance_word(who)) % 2**128


def opened(
    world: World, weights: Sequence[int] = (1, 3), institution: Actor | None = None
) -> Maker:
    """An asset of two sources whose lineage is open."""
    maker = Maker(world, institution or world.people.custodian)
    for weight in weights:
        maker.buy(weight)
    maker.derive()
    maker.create()
    world.evm.warp(7 * DAY)
    return maker
