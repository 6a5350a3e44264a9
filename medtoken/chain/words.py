"""The packed storage words of the market, registry, tariff and royalty vault, field by field.

Each contract keeps what belongs to one thing in one 256-bit word. This is the only place in Python
that knows their layouts: the client reads words with it, the auditor writes them. ``pack`` and
``unpack`` are inverse to each other; bits that no field owns must be zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from eth_utils import to_checksum_address

from medtoken.errors import BadInput
from medtoken.vocabulary import Form, LicenseeFlag

# The market keeps prices in multiples of this many base units, the royalty vault what it receives.
GRAIN = 10**9
# The levy on a whole number of grains, at a rate in bps, is whole in this unit.
LEVY_GRAIN = 10**5

_ADDRESS_BITS = 160


class Word:
    """Base of the words: a frozen dataclass whose fields lie in ``layout``, lowest bits first.

    A field of 160 bits is a checksummed address, one of 1 bit a bool, any other an int.
    """

    layout: ClassVar[tuple[tuple[str, int], ...]]

    def pack(self) -> int:
        """The 256-bit word. Raises BadInput when a field does not fit into its bits."""
        return _pack(self.layout, {name: getattr(self, name) for name, _ in self.layout})

    @classmethod
    def unpack(cls, word: int) -> Self:
        """The fields of a word. Raises BadInput when a bit is set that belongs to no field."""
        return cls(**_unpack(cls.layout, word))


@dataclass(frozen=True)
class ConsentWord(Word):
    """``consent_word``: what is stored of a consent. A cancelled one has no expiry and no share."""

    patient: str
    expiry: int = 0  # unix seconds
    revoked_at: int = 0  # unix seconds; zero is not revoked
    patient_share: int = 0  # bps of the provider part

    layout = (("patient", 160), ("expiry", 40), ("revoked_at", 40), ("patient_share", 16))


@dataclass(frozen=True)
class LicenseeWord(Word):
    """``licensee_word``: a licensee's unspent deposit (base units) and standing."""

    deposit: int = 0
    groups: int = 0  # credential groups as bits
    region: int = 0  # UN M49
    flags: int = 0  # bits of LicenseeFlag

    layout = (("deposit", 128), ("groups", 96), ("region", 16), ("flags", 16))

    @property
    def frozen(self) -> bool:
        """Whether the licensee is barred from buying."""
        return bool(self.flags & LicenseeFlag.FROZEN)

    @property
    def certified(self) -> bool:
        """Whether the licensee is certified compliant."""
        return bool(self.flags & LicenseeFlag.CERTIFIED)


@dataclass(frozen=True)
class EarningsWord(Word):
    """``earnings_word``: what an account has earned and not withdrawn (base units), and its nonce."""

    earned: int = 0
    nonce: int = 0  # of the next withdrawal

    layout = (("earned", 128), ("nonce", 64))


@dataclass(frozen=True)
class RatesWord(Word):
    """``rates_word``: how a price is split (R15), in bps, and whether money may come in."""

    provider: int = 0
    annotator: int = 0
    platform: int = 0
    levy: int = 0  # on top
    epoch: int = 0
    paused: bool = False

    layout = (
        ("provider", 16),
        ("annotator", 16),
        ("platform", 16),
        ("levy", 16),
        ("epoch", 16),
        ("paused", 1),
    )


@dataclass(frozen=True)
class Facts(Word):
    """``facts``: what contracts need to know of a record (R6, R7)."""

    owner: str
    custodian: int  # institution's number
    annotator: int  # institution's number; zero is none
    kind: int
    tier: int
    region: int  # UN M49
    attester: int = 0  # institution's number; zero is none, or that a challenge was upheld
    quality: int = 0  # 0 to 100
    dvi: int = 0  # 0 to 100
    attested: bool = False
    minted: bool = False
    superseded: bool = False
    destroyed: bool = False

    layout = (
        ("owner", 160),
        ("custodian", 20),
        ("annotator", 20),
        ("attester", 20),
        ("kind", 4),
        ("tier", 2),
        ("region", 10),
        ("quality", 7),
        ("dvi", 7),
        ("attested", 1),
        ("minted", 1),
        ("superseded", 1),
        ("destroyed", 1),
    )

    @property
    def live(self) -> bool:
        """Whether the record can be licensed: attested, and neither replaced nor destroyed."""
        return self.attested and not self.superseded and not self.destroyed


@dataclass(frozen=True)
class KindWord(Word):
    """``kind_word``: what a kind of record costs before its factors (R13)."""

    reference: int = 0  # base units per unit at DVI 85; zero is not for sale
    scarcity: int = 0  # bps
    moved: int = 0  # number of the week in which scarcity moved by itself last

    layout = (("reference", 96), ("scarcity", 32), ("moved", 32))


@dataclass(frozen=True)
class FactorsWord(Word):
    """``factors_word``: the governed factors of a price (R13), in bps."""

    commercial: int = 0
    emergency: int = 0
    public: int = 0
    sensitive: int = 0
    highly_sensitive: int = 0
    in_region: int = 0
    compliance_discount: int = 0
    rental: int = 0  # what a rental costs of a year

    layout = (
        ("commercial", 32),
        ("emergency", 32),
        ("public", 32),
        ("sensitive", 32),
        ("highly_sensitive", 32),
        ("in_region", 32),
        ("compliance_discount", 32),
        ("rental", 32),
    )


@dataclass(frozen=True)
class HoldingWord(Word):
    """``holding_word``: what a custodian says it stores (R5), and the challenge to it, if one is open."""

    size: int = 0  # plaintext bytes; zero is no holding
    begun: int = 0  # unix seconds: the period that the next reward pays
    challenged: int = 0  # unix seconds; zero is no challenge
    seed_block: int = 0
    window: int = 0  # seconds
    answered: int = 0
    samples: int = 0
    threshold: int = 0  # the least DVI that counts

    layout = (
        ("size", 64),
        ("begun", 40),
        ("challenged", 40),
        ("seed_block", 40),
        ("window", 32),
        ("answered", 16),
        ("samples", 16),
        ("threshold", 8),
    )

    @property
    def deadline(self) -> int:
        """Unix seconds until which answers count."""
        return self.challenged + self.window


@dataclass(frozen=True)
class TallyWord(Word):
    """``tally_word``: paid calls counted for a custodian in the period that began then (R5)."""

    calls: int = 0
    begun: int = 0  # unix seconds

    layout = (("calls", 64), ("begun", 40))


@dataclass(frozen=True)
class MarkWord(Word):
    """``mark_word``: units of a licence that were settled when they were last marked (R5)."""

    settled: int = 0
    time: int = 0  # unix seconds

    layout = (("settled", 40), ("time", 40))


@dataclass(frozen=True)
class SupportWord(Word):
    """``support_word``: the budget's part of a licence that RT helped to pay (R4), in grains."""

    amount: int = 0
    released: int = 0
    units: int = 0  # metered: prepaid with it
    done: bool = False

    layout = (("amount", 72), ("released", 72), ("units", 40), ("done", 1))

    def earned(self, licence: LicenceWord) -> int:
        """How many grains of it the market's settlements of its licence have earned."""
        if licence.metered:
            return self.amount * min(licence.settled, self.units) // max(self.units, 1)
        passed = licence.settled - licence.start
        return self.amount * passed // max(licence.end - licence.start, 1)


@dataclass(frozen=True)
class PasskeyState(Word):
    """``state_word``: what is stored beside a patient's passkey (R10)."""

    counter: int = 0  # of its last signature; zero when its authenticator does not count
    since: int = 0  # unix seconds: when the last change counts, until it was followed; zero is none
    nonce: int = 0  # of the next signature by the wallet

    layout = (("counter", 32), ("since", 40), ("nonce", 64))


@dataclass(frozen=True)
class OfferWord(Word):
    """``offer_word``: what a trustee asks at least for what it was mandated with (R21)."""

    price: int = 0  # grains per unit
    said: bool = False  # zeros are no offer
    open: bool = False

    layout = (("price", 64), ("said", 1), ("open", 1))


@dataclass(frozen=True)
class SaleWord(Word):
    """``sale_word``: a licence that a trustee sold, and how far the trustee was paid (R21)."""

    trustee: str = "0x" + "00" * 20  # zero is no sale
    settled: int = 0  # grains of the price for which it was paid
    done: bool = False

    layout = (("trustee", 160), ("settled", 95), ("done", 1))


@dataclass(frozen=True)
class PolicyWord(Word):
    """``policy_word``: what a premium covers (R23)."""

    custodian: int = 0  # institution's number; zero is no policy
    since: int = 0  # unix seconds
    until: int = 0
    premium: int = 0  # base units

    layout = (("custodian", 20), ("since", 40), ("until", 40), ("premium", 128))


@dataclass(frozen=True)
class BudgetWord(Word):
    """``budget_word``: what somebody may spend of the reserve (R16). Base units and seconds."""

    limit: int = 0  # in a period
    period: int = 0
    since: int = 0  # unix seconds
    until: int = 0

    layout = (("limit", 112), ("period", 32), ("since", 40), ("until", 40))

    def number(self, now: int) -> int:
        """The number of the period that runs at ``now``, from 0."""
        return (now - self.since) // self.period if self.period else 0


@dataclass(frozen=True)
class DrawnWord(Word):
    """``drawn_word``: what somebody has spent of the reserve (R16), base units."""

    used: int = 0  # in its last period
    number: int = 0  # of that period
    drawn: int = 0  # in all, and not given back

    layout = (("used", 112), ("number", 32), ("drawn", 112))


@dataclass(frozen=True)
class LicenceWord:
    """``licence_word``: a licence (R12). Which of the last four fields mean something is the form's.

    A fixed term and a rental have ``start`` and ``settled`` (unix seconds up to which it was paid
    out); a metered licence has ``units`` prepaid, ``used``, and ``settled`` (units paid out).
    """

    form: int
    price: int  # base units: of the whole term, or of one metered unit
    end: int  # unix seconds
    epoch: int  # of the rates in force when the money was taken
    suspended: bool = False
    closed: bool = False
    urgent: bool = False  # bought at an emergency's price
    approved: bool = False  # by the patient's passkey, with these units and no more
    start: int = 0
    units: int = 0
    used: int = 0
    settled: int = 0

    layout: ClassVar[tuple[tuple[str, int], ...]] = (
        ("price", 64),
        ("end", 40),
        ("epoch", 16),
        ("form", 2),
        ("suspended", 1),
        ("closed", 1),
        ("urgent", 1),
        ("approved", 1),
        ("", 10),
        ("a", 40),  # term: start; metered: units prepaid
        ("b", 40),  # term: settled up to; metered: units used
        ("c", 40),  # metered: units settled
    )

    def pack(self) -> int:
        """The 256-bit word. Raises BadInput when a field does not fit into its bits."""
        if self.price % GRAIN:
            raise BadInput(f"a price of {self.price} is not a multiple of {GRAIN} base units.")
        if self.metered:
            a, b, c, other = self.units, self.used, self.settled, self.start
        else:
            a, b, c, other = self.start, self.settled, 0, self.units or self.used
        if other:
            raise BadInput("a metered licence has no start, and a fixed term has no units.")
        values = {
            "price": self.price // GRAIN,
            "end": self.end,
            "epoch": self.epoch,
            "form": self.form,
            "suspended": self.suspended,
            "closed": self.closed,
            "urgent": self.urgent,
            "approved": self.approved,
        }
        return _pack(self.layout, {**values, "a": a, "b": b, "c": c})

    @classmethod
    def unpack(cls, word: int) -> Self:
        """The fields of a word. Raises BadInput on one that the market never writes."""
        values = _unpack(cls.layout, word)
        a, b, c = (values.pop(name) for name in "abc")
        if values["form"] == Form.METERED:
            values |= {"units": a, "used": b, "settled": c}
        elif c == 0:
            values |= {"start": a, "settled": b}
        else:
            raise BadInput(f"0x{word:064x} is no licence: a fixed term has no third mark.")
        return cls(**{**values, "price": values["price"] * GRAIN})

    @property
    def metered(self) -> bool:
        """Whether units are counted; else it is a fixed term or a rental."""
        return self.form == Form.METERED

    @property
    def paid(self) -> int:
        """Base units paid for the whole licence, without the levy."""
        return self.price * self.units if self.metered else self.price

    def earned(self, mark: int) -> int:
        """Base units earned up to a mark: units used, or unix seconds of a term.

        Counted from the start every time, so that no rounding adds up.
        """
        if self.metered:
            return self.price * mark
        if self.end <= self.start:
            return 0
        return self.price // GRAIN * (mark - self.start) // (self.end - self.start) * GRAIN

    def stop(self, now: int, revoked_at: int) -> int:
        """The mark up to which the licence has earned at ``now`` (unix seconds; R9).

        ``revoked_at`` is when its consent was revoked, zero when it was not.
        """
        return self.used if self.metered else min(now, self.last(revoked_at))

    def last(self, revoked_at: int) -> int:
        """When the licence ends, unix seconds: its end, or the revocation when that came first."""
        return min(self.end, revoked_at) if revoked_at else self.end

    def ended(self, now: int, revoked_at: int, window: int | None = None) -> bool:
        """Whether the licence is over, by time or because its consent was revoked (R9).

        ``window`` is how many seconds later the vouchers of a metered licence still count (R14);
        None when it takes none.
        """
        if self.metered and window is not None:
            return now > self.last(revoked_at) + window
        return bool(revoked_at) or self.end <= now

    @property
    def unsettled(self) -> int:
        """Base units of the price, without levy, that were neither paid out nor returned yet."""
        return 0 if self.closed else self.paid - self.earned(self.settled)


@dataclass(frozen=True)
class CreditWord(Word):
    """``account_word`` of rewards: an account's credit (R25)."""

    points: int = 0
    records: int = 0  # that counted
    month: int = 0  # the last one with points, of 30 days since 1970
    run: int = 0  # months in a row
    redemptions: int = 0  # the nonce of the next

    layout = (("points", 64), ("records", 32), ("month", 32), ("run", 32), ("redemptions", 64))


@dataclass(frozen=True)
class ScaledWord(Word):
    """A word that keeps some of its amounts in a unit larger than the base unit."""

    units: ClassVar[dict[str, int]]

    def pack(self) -> int:
        """The 256-bit word. Raises BadInput when a field does not fit, or is not whole in its unit."""
        values = {name: getattr(self, name) for name, _ in self.layout}
        for name, unit in self.units.items():
            if values[name] % unit:
                raise BadInput(f"{name} of {values[name]} is not a multiple of {unit} base units.")
            values[name] //= unit
        return _pack(self.layout, values)

    @classmethod
    def unpack(cls, word: int) -> Self:
        """The fields of a word. Raises BadInput when a bit is set that belongs to no field."""
        values = _unpack(cls.layout, word)
        return cls(**{k: v * cls.units.get(k, 1) for k, v in values.items()})


@dataclass(frozen=True)
class RoyaltySettings(Word):
    """``settings_word`` of the royalty vault."""

    rate: int  # bps of attested sales, for studies sealed from now on
    window: int  # seconds between sealing and opening
    levy: int  # bps on top
    paused: bool = False

    layout = (("rate", 16), ("window", 40), ("levy", 16), ("paused", 1))


@dataclass(frozen=True)
class StudyWord(Word):
    """``study_word``: a study (R19). A payer of zero is none."""

    payer: str
    opens: int = 0  # unix seconds; until then its roster can be cancelled
    rate: int = 0  # bps of attested sales
    undertaken: bool = False  # by the payer

    layout = (("payer", 160), ("opens", 40), ("rate", 16), ("undertaken", 1))


@dataclass(frozen=True)
class BooksWord(ScaledWord):
    """``books_word``: a study's money, in base units."""

    pot: int = 0  # all that ever came in for the contributors
    due: int = 0  # attested, neither paid nor waived
    levy: int = 0  # taken, and not yet handed to the treasury
    period: int = 0  # the last one that was attested

    layout = (("pot", 72), ("due", 72), ("levy", 88), ("period", 24))
    units: ClassVar[dict[str, int]] = {"pot": GRAIN, "due": GRAIN, "levy": LEVY_GRAIN}


@dataclass(frozen=True)
class SharesWord(Word):
    """``shares_word``: a study's roster in numbers, and what its members were credited with."""

    total: int = 0  # of the weights
    claimed: int = 0  # base units
    count: int = 0  # lines

    layout = (("total", 96), ("claimed", 128), ("count", 32))


@dataclass(frozen=True)
class MemberWord(ScaledWord):
    """``member_word``: a member of a study. A weight of zero is nobody."""

    weight: int = 0
    mark: int = 0  # base units: the study's pot at its last claim

    layout = (("weight", 96), ("mark", 72))
    units: ClassVar[dict[str, int]] = {"mark": GRAIN}


@dataclass(frozen=True)
class PeriodWord(ScaledWord):
    """``period_word``: the sales of one period."""

    mark: int = 0  # base units: all royalties attested up to and with it
    sales: int = 0  # base units
    attested: bool = False

    layout = (("mark", 96), ("sales", 128), ("attested", 1))
    units: ClassVar[dict[str, int]] = {"mark": GRAIN}


@dataclass(frozen=True)
class OptionWord(ScaledWord):
    """``option_word``: a milestone option (R20). A state of zero is none."""

    amount: int = 0  # base units
    levy: int = 0  # base units
    expiry: int = 0  # unix seconds
    state: int = 0  # 1 granted, 2 vested, 3 returned

    layout = (("amount", 72), ("levy", 88), ("expiry", 40), ("state", 8))
    units: ClassVar[dict[str, int]] = {"amount": GRAIN, "levy": LEVY_GRAIN}


def _pack(layout: tuple[tuple[str, int], ...], values: dict[str, Any]) -> int:
    word = at = 0
    for name, bits in layout:
        if name:
            value = values[name]
            number = int(value, 16) if bits == _ADDRESS_BITS else int(value)
            if not 0 <= number < 1 << bits:
                raise BadInput(f"{name} of {value} does not fit into {bits} bits.")
            word |= number << at
        at += bits
    return word


def _unpack(layout: tuple[tuple[str, int], ...], word: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    rest = word
    for name, bits in layout:
        number, rest = rest & ((1 << bits) - 1), rest >> bits
        if not name:
            if number:
                raise BadInput(f"0x{word:064x} has bits that mean nothing.")
        elif bits == _ADDRESS_BITS:
            values[name] = to_checksum_address(number.to_bytes(20))
        else:
            values[name] = bool(number) if bits == 1 else number
    if rest:
        raise BadInput(f"0x{word:064x} has bits that mean nothing.")
    return values


@dataclass(frozen=True)
class AssetWord(Word):
    """``asset_word``: an institution asset. A creator of zero is no asset."""

    creator: str
    opens: int = 0  # unix seconds: from then on its lineage is final
    share: int = 0  # bps of the provider part that goes to the lineage

    layout = (("creator", 160), ("opens", 40), ("share", 16))


@dataclass(frozen=True)
class AssetBooks(Word):
    """``books_word`` of the asset desk: an asset's money, base units."""

    earned: int = 0  # all that its account has earned
    claimed: int = 0  # all that its lineage has claimed

    layout = (("earned", 128), ("claimed", 128))


@dataclass(frozen=True)
class LineWord(Word):
    """``line_word``: a line of a lineage that has joined. A weight of zero has not."""

    weight: int = 0
    mark: int = 0  # base units: the pot at its last claim
    patient_share: int = 0  # bps of what the source gets

    layout = (("weight", 96), ("mark", 128), ("patient_share", 16))
