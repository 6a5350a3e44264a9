"""The market: consents (R9), licences (R12), prices (R13), settlement (R8, R15), accounts.

Everything that the rules determine is computed here from what came before, at the position of each
log: prices, levies, marks up to which was earned, splits, refunds. The events only have to agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from eth_abi import encode
from eth_utils import to_checksum_address

from medtoken import vocabulary
from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, hexed
from medtoken.audit.books.desks import Tills
from medtoken.audit.books.passkeys import PasskeyBook
from medtoken.audit.books.registry import Record, RegistryBook
from medtoken.audit.books.tariff import TariffBook
from medtoken.audit.books.usage import FROZEN, Announced, UsageBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import (
    GRAIN,
    ConsentWord,
    EarningsWord,
    LicenceWord,
    LicenseeWord,
    RatesWord,
)
from medtoken.messages import Consent
from medtoken.vocabulary import Form, Tier

_RATES = ("provider", "annotator", "platform", "levy")
_WORLD = vocabulary.REGIONS["WORLD"][0]
_HIGHLY_SENSITIVE = int(Tier.HIGHLY_SENSITIVE)
_SIGNER = 2**160 - 1  # the bits of a salt that name the key whose vouchers count (R14)
_MAX_UNITS = 2**40 - 1
_FORMS: dict[int, str] = {
    Form.FIXED_TERM: "fixed term",
    Form.METERED: "metered",
    Form.RENTAL: "rental",
}


@dataclass(frozen=True)
class GrantedConsent:
    """A consent: its word, and its terms unless it was cancelled before it was ever granted."""

    word: ConsentWord
    terms: Consent | None
    block: int  # in which it was granted, or cancelled


@dataclass(frozen=True)
class Ref:
    """What names a licence; the hash of it is the licence's id."""

    consent: bytes
    record: bytes
    licensee: str
    salt: int

    @property
    def id(self) -> bytes:
        """The licence's id."""
        kinds = ["bytes32", "bytes32", "address", "uint256"]
        return keccak(encode(kinds, [self.consent, self.record, self.licensee, self.salt]))

    @property
    def signer(self) -> str | None:
        """The key whose vouchers count for this licence (R14); None when it takes none."""
        key = self.salt & _SIGNER
        return to_checksum_address(key.to_bytes(20)) if key else None


@dataclass(frozen=True)
class Licence:
    """A licence: its word, its conditions, and where its money went so far (base units)."""

    ref: Ref
    word: LicenceWord
    payer: str  # the licensee, or a desk
    purposes: int
    diseases: bytes
    urgent: bool
    agreement: bytes
    block: int
    paid: int
    levy: int
    uses: int = 0  # transactions, whatever the units
    vouchers: int = 0  # transactions, whatever the units
    settled: int = 0  # gross
    settled_levy: int = 0
    refund: int = 0
    refund_levy: int = 0

    @property
    def held(self) -> int:
        """What of the money taken was neither settled nor returned."""
        taken = self.paid + self.levy
        return taken - self.settled - self.settled_levy - self.refund - self.refund_levy


@dataclass
class Totals:
    """Sums over all time, base units: the flow of money from payers to everybody else."""

    deposited: int = 0
    reclaimed: int = 0
    paid: int = 0
    paid_levy: int = 0
    settled: int = 0
    patients: int = 0
    custodians: int = 0
    annotators: int = 0
    platform: int = 0
    levy: int = 0
    refunded: int = 0
    refunded_levy: int = 0
    withdrawn: int = 0
    desks: int = 0  # moved between deposits by desks, back and forth


@dataclass
class Flow:
    """What one account earned and withdrew over all time, base units."""

    patient: int = 0
    custodian: int = 0
    annotator: int = 0
    platform: int = 0
    withdrawn: int = 0


@dataclass
class _Open:
    """What the transaction at hand still owes an event for."""

    levy: int = 0
    closings: set[bytes] = field(default_factory=set)


class MarketBook(Book):
    """Everything that the market keeps."""

    def __init__(
        self,
        journal: Journal,
        registry: RegistryBook,
        usage: UsageBook,
        tariff: TariffBook,
        is_desk: Callable[[str], bool],
        tills: Tills,
        auctions: str,
        passkeys: PasskeyBook,
        trust: str,
    ) -> None:
        """Records come from ``registry``, prices from ``tariff``; money moves in ``usage``.

        What patients approved by passkey is in ``passkeys``.

        ``is_desk`` tells whether an account may now sell at prices of its own; ``tills`` are the
        suite's desks'; ``auctions`` is the desk that alone sells what is for auction only, ``trust`` the
        one that alone sells what a trustee manages.
        """
        super().__init__(journal)
        self.registry = registry
        self.usage = usage
        self.tariff = tariff
        self._is_desk = is_desk
        self._tills = tills
        self._auctions = auctions
        self._passkeys = passkeys
        self._trust = trust
        self.consents: dict[bytes, GrantedConsent] = {}
        self.licences: dict[bytes, Licence] = {}
        self.licensees: dict[str, LicenseeWord] = {}
        self.earnings: dict[str, EarningsWord] = {}
        self.epochs: dict[int, RatesWord] = {}
        self.rates = RatesWord()
        self.platform = ZERO_ADDRESS
        self.agreement = bytes(32)
        self.window = 0  # seconds after an end in which vouchers still count
        self.totals = Totals()
        self.flows: dict[str, Flow] = {}
        self._open = _Open()

    @property
    def deposits(self) -> int:
        """Base units deposited and not spent, of all licensees."""
        return sum(word.deposit for word in self.licensees.values())

    @property
    def earned(self) -> int:
        """Base units earned and not withdrawn, of all earners."""
        return sum(word.earned for word in self.earnings.values())

    @property
    def unsettled(self) -> int:
        """Base units of licence money, levy included, that is neither earned nor returned."""
        return sum(licence.held for licence in self.licences.values())

    def take_levy(self) -> int:
        """The levy of what this transaction has settled, which now goes to the treasury."""
        due, self._open.levy = self._open.levy, 0
        return due

    def end_transaction(self) -> None:
        """The levy must have reached the treasury, and what had ended must have been closed."""
        levy = self.take_levy()
        self.journal.require(
            levy == 0, 2, "R15", f"a levy of {levy} was settled but never reached the treasury"
        )
        for licence in self._open.closings:
            self.journal.require(
                False, 2, "R9", f"licence {hexed(licence)} had ended and its rest was not returned"
            )
        self._open = _Open()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "consents": {hexed(k): _consent_dict(v) for k, v in sorted(self.consents.items())},
            "licences": {hexed(k): _licence_dict(v) for k, v in sorted(self.licences.items())},
            "licensees": {
                account: {
                    "deposit": str(word.deposit),
                    "groups": vocabulary.group_names(word.groups),
                    "region": word.region,
                    "frozen": word.frozen,
                    "certified": word.certified,
                }
                for account, word in sorted(self.licensees.items())
            },
            "earnings": {
                account: {
                    "earned": str(word.earned),
                    "nonce": word.nonce,
                    **{k: str(v) for k, v in vars(self.flows.get(account, Flow())).items()},
                }
                for account, word in sorted(self.earnings.items())
            },
            "rates": {
                str(epoch): {name: getattr(word, name) for name in _RATES}
                for epoch, word in sorted(self.epochs.items())
            },
            "epoch": self.rates.epoch,
            "paused": self.rates.paused,
            "platform": self.platform,
            "agreement": hexed(self.agreement),
            "window": self.window,
            "totals": {k: str(v) for k, v in vars(self.totals).items()},
        }

    # -------------------------------------------------------------- consents

    def _granted(self, event: Event) -> None:
        journal, consent = self.journal, event.args["consent"]
        terms = Consent(**event.args["terms"])
        name = f"consent {hexed(consent)}"
        journal.expect(4, "R9", f"id of {name}", terms.struct_hash(), consent)
        journal.expect(4, "R9", f"patient of {name}", terms.patient, event.args["patient"])
        journal.require(
            consent not in self.consents, 4, "R9", f"{name} was granted after it was on the chain"
        )
        journal.require(
            all((int(terms.patient, 16), any(terms.records), terms.purposes, terms.licensees))
            and all((any(terms.fields), terms.region, terms.tier)),
            4,
            "R9",
            f"part of {name} is empty",
        )
        desks_alone = bool(terms.licensees & vocabulary.AUCTION_ONLY)
        journal.require(
            7_000 <= terms.patientShare <= 8_000
            or (terms.patientShare == rules.TRUST_SHARE and desks_alone),
            2,
            "R8",
            f"the patient's share in {name} is out of bounds",
        )
        journal.require(terms.floorPrice % GRAIN == 0, 2, "R9", f"the floor of {name} is uneven")
        journal.require(
            journal.before(terms.expiry) and journal.before(terms.deadline + 1),
            4,
            "R9",
            f"{name} was granted after it expired, or after its deadline",
        )
        word = ConsentWord(terms.patient, terms.expiry, 0, terms.patientShare)
        self.consents[consent] = GrantedConsent(word, terms, event.block)

    def _revoked(self, event: Event) -> None:
        journal, consent, patient = self.journal, event.args["consent"], event.args["patient"]
        # Cancelled before it ever reached the chain, unless it is there.
        found = self.consents.get(consent) or GrantedConsent(
            ConsentWord(patient), None, event.block
        )
        name = f"consent {hexed(consent)}"
        journal.expect(4, "R9", f"who revoked {name}", found.word.patient, patient)
        journal.require(found.word.revoked_at == 0, 4, "R9", f"{name} was revoked twice")
        self.consents[consent] = replace(found, word=replace(found.word, revoked_at=journal.now))

    def _revoked_at(self, licence: Licence) -> int:
        consent = self.consents.get(licence.ref.consent)
        return consent.word.revoked_at if consent else 0

    def ended(self, licence: bytes, moment: int) -> bool:
        """Whether a licence's time or consent had ended by ``moment``, unix seconds."""
        found = self.licences[licence]
        revoked = self._revoked_at(found)
        return min(found.word.end, revoked or found.word.end) <= moment

    def over(self, licence: bytes, now: int) -> bool:
        """Whether a licence has ended by ``now``, unix seconds: nobody may use it any more (R9)."""
        found = self.licences.get(licence)
        if found is None:
            return True
        return found.word.closed or found.word.ended(now, self._revoked_at(found))

    # -------------------------------------------------------------- accounts

    def _licensee(self, event: Event) -> None:
        args = event.args
        before = self.licensees.get(args["account"], LicenseeWord())
        self.licensees[args["account"]] = LicenseeWord(
            before.deposit, args["groups"], args["region"], args["flags"]
        )

    def _deposited(self, event: Event) -> None:
        account, payer, amount = (event.args[k] for k in ("account", "payer", "amount"))
        self._require_open("a deposit")
        self._move_deposit(account, amount)
        till = self._tills.of(account)
        if till is not None:
            till.deposited(payer, amount)
        self.totals.deposited += amount
        self.usage.announce(
            Announced(payer, self.usage.market, amount, 6, "R15", f"a deposit for {account}")
        )

    def _reclaimed(self, event: Event) -> None:
        account, amount = event.args["account"], event.args["amount"]
        self._move_deposit(account, -amount)
        till = self._tills.of(account)
        if till is not None:
            till.reclaimed(amount)
        self.totals.reclaimed += amount
        self.usage.announce(
            Announced(
                self.usage.market, account, amount, 6, "R15", f"a deposit taken back by {account}"
            )
        )

    def _desk_moved(self, event: Event) -> None:
        desk, source, target, amount = (
            event.args[k] for k in ("desk", "source", "target", "amount")
        )
        self.journal.require(
            desk in (source, target),
            6,
            "R12",
            f"the desk {desk} moved {amount} from {source} to {target}: neither is its own",
        )
        if source != desk:
            self._require_open(f"a charge by the desk {desk}")
            self.journal.require(
                not self.is_frozen(source), 7, "R2", f"a desk took from {source}, which is frozen"
            )
        till = self._tills.of(desk)
        if till is not None:
            till.moved(source, target, amount)
        self._move_deposit(source, -amount)
        self._move_deposit(target, amount)
        self.totals.desks += amount

    def _move_deposit(self, account: str, amount: int) -> None:
        before = self.licensees.get(account, LicenseeWord())
        after = replace(before, deposit=before.deposit + amount)
        self.licensees[account] = after
        self.journal.require(
            after.deposit >= 0, 6, "R15", f"{account} spent or took back more than its deposit"
        )

    def _earn(self, account: str, part: str, amount: int) -> None:
        if not amount:
            return
        before = self.earnings.get(account, EarningsWord())
        self.earnings[account] = replace(before, earned=before.earned + amount)
        flow = self.flows.setdefault(account, Flow())
        setattr(flow, part, getattr(flow, part) + amount)

    def _withdrawn(self, event: Event) -> None:
        account, to, amount = (event.args[k] for k in ("account", "to", "amount"))
        before = self.earnings.get(account, EarningsWord())
        self.journal.require(
            amount <= before.earned,
            6,
            "R15",
            f"{account} withdrew {amount}, but had earned only {before.earned} not yet withdrawn",
        )
        self.journal.require(
            not self.usage.standings.get(account, 0) & FROZEN,
            7,
            "R2",
            f"{account} withdrew while it was frozen",
        )
        self.earnings[account] = EarningsWord(before.earned - amount, before.nonce + 1)
        self.flows.setdefault(account, Flow()).withdrawn += amount
        self.totals.withdrawn += amount
        self.usage.paid_out(
            Announced(self.usage.market, to, amount, 6, "R15", f"a withdrawal of {account}")
        )

    # -------------------------------------------------------------- licences

    def _bought(self, event: Event) -> None:
        args, journal = event.args, self.journal
        ref = Ref(args["consent"], args["record"], args["licensee"], args["salt"])
        name = f"licence {hexed(args['licence'])}"
        journal.expect(4, "R12", f"id of {name}", ref.id, args["licence"])
        journal.require(args["licence"] not in self.licences, 4, "R12", f"{name} was bought twice")
        self._require_open(name)
        self._covered(name, event)

        journal.expect(2, "R15", f"rates epoch of {name}", self.rates.epoch, args["epoch"])
        metered = args["form"] == Form.METERED
        start = 0 if metered else journal.now
        units = args["units"] if metered else rules.started_years(args["end"] - start)
        if args["form"] == Form.RENTAL:
            journal.require(
                args["end"] - start <= rules.RENTAL, 4, "R12", f"{name} is too long for a rental"
            )
        # What it should have cost cannot be told when consent or record are missing: a violation.
        price = self._price(name, args, 1 if metered else units)
        consent = self.consents.get(ref.consent)
        terms = consent.terms if consent else None
        word = LicenceWord(
            form=args["form"],
            price=args["price"] if price is None else price,
            end=args["end"],
            epoch=self.rates.epoch,
            start=start,
            units=units if metered else 0,
            settled=start,
            urgent=args["urgent"],
            approved=terms is not None and terms.tier >= _HIGHLY_SENSITIVE,
        )
        levy = rules.levy(self.rates, word.paid)
        journal.expect(2, "R15", f"paid for {name}", word.paid, args["paid"])
        journal.expect(2, "R15", f"levy paid for {name}", levy, args["levy"])
        self._move_deposit(args["payer"], -(word.paid + levy))
        self.totals.paid += word.paid
        self.totals.paid_levy += levy
        self.licences[args["licence"]] = Licence(
            ref=ref,
            word=word,
            payer=args["payer"],
            purposes=args["purposes"],
            diseases=args["diseases"],
            urgent=args["urgent"],
            agreement=args["agreement"],
            block=event.block,
            paid=word.paid,
            levy=levy,
        )
        till = self._tills.of(args["payer"])
        if till is not None:
            till.sold(args["licence"])

    def unit_price(self, licence: Licence, least: int = 0) -> tuple[int, int]:
        """Base units by R13 that a unit of a licence costs now, and its floor.

        That is its consent's, or the ``least`` that somebody asks where that is more. Zeros where
        consent or record lack, which was told when it was bought.
        """
        consent = self.consents.get(licence.ref.consent)
        if consent is None or consent.terms is None:
            return 0, 0
        if licence.ref.record not in self.registry.records:
            return 0, 0
        asked = {
            "record": licence.ref.record,
            "licensee": licence.ref.licensee,
            "form": licence.word.form,
            "purposes": licence.purposes,
            "urgent": licence.urgent,
        }
        floor = max(consent.terms.floorPrice, least)
        return self._unit(asked, floor), floor

    def _unit(self, asked: dict[str, Any], floor: int) -> int:
        """Base units per unit of a known record by R13, for what is asked."""
        facts = self.registry.records[asked["record"]].facts
        licensee = self.licensees.get(asked["licensee"], LicenseeWord())
        scene = rules.Scene(
            purposes=asked["purposes"],
            urgent=asked["urgent"],
            tier=facts.tier,
            in_region=licensee.region == facts.region,
            certified=licensee.certified,
            form=asked["form"],
        )
        return self.tariff.price(asked["record"], scene, floor)

    def _price(self, name: str, args: dict[str, Any], units: int) -> int | None:
        """Base units of ``units`` by R13, or by a desk; None where consent or record lack.

        A desk sells at a price of its own, never below the consent's floor (R12).
        """
        consent = self.consents.get(args["consent"])
        record = self.registry.records.get(args["record"])
        if consent is None or consent.terms is None or record is None:
            return None
        floor, told = consent.terms.floorPrice, int(args["price"])
        unit = self._unit(args, floor)
        self.journal.require(
            unit != 0, 4, "R13", f"{name} is for a kind of record that is not for sale"
        )
        own = args["payer"] == args["licensee"]
        if not own or (told != unit * units and self._is_desk(args["payer"])):
            self.journal.require(
                rules.desk_price(told, units, floor),
                2,
                "R12",
                f"{name} was sold by a desk for {told}, uneven or below the floor of {floor}",
            )
            return told
        self.journal.expect(2, "R13", f"price of {name}", unit * units, told)
        return unit * units

    def _covered(self, name: str, event: Event) -> None:
        """Whether the consent, the record and the licensee's standing allow a purchase (R9, R12)."""
        args, journal = event.args, self.journal
        journal.require(
            args["agreement"] == self.agreement and any(self.agreement),
            4,
            "R12",
            f"{name} was bought without signing the agreement in force",
        )
        journal.require(
            args["form"] in list(Form)
            and (args["units"] > 0) == (args["form"] == Form.METERED)
            and journal.before(args["end"]),
            4,
            "R12",
            f"{name} has no form, no units or no length",
        )
        consent = self.consents.get(args["consent"])
        record = self.registry.records.get(args["record"])
        if consent is None or consent.terms is None:
            journal.require(False, 4, "R9", f"{name} was bought under an unknown consent")
            return
        journal.require(
            consent.word.revoked_at == 0 and journal.before(consent.word.expiry),
            4,
            "R9",
            f"{name} was bought under a consent that was revoked or had expired",
        )
        if record is None:
            journal.require(False, 4, "R12", f"{name} is for an unknown record")
            return
        self._inside(name, args, consent.terms, record)

    def _inside(self, name: str, args: dict[str, Any], terms: Consent, record: Record) -> None:
        licensee = self.licensees.get(args["licensee"], LicenseeWord())
        # That a record belongs to a set is proven in the transaction; its log does not tell.
        for holds, rule, what in (
            (args["end"] <= terms.expiry, "R9", "outlives its consent"),
            (
                rules.permits(terms.purposes, terms.diseases, args["purposes"], args["diseases"]),
                "R9",
                "is for a purpose that its consent does not permit",
            ),
            (not self.is_frozen(args["licensee"]), "R2", "was bought by a frozen licensee"),
            (_in_group(terms, licensee), "R9", "was bought by a group not permitted"),
            (
                _in_region(terms, licensee),
                "R9",
                "is for a region that its consent does not permit",
            ),
            (
                not terms.licensees & vocabulary.AUCTION_ONLY
                or args["payer"] in (self._auctions, self._trust),
                "R12",
                "was sold otherwise than by auction, against its consent",
            ),
            (
                (terms.patientShare == rules.TRUST_SHARE) == (args["payer"] == self._trust),
                "R21",
                "was sold by a trustee without a mandate, or by somebody else against one",
            ),
            (
                record.facts.attested and not record.facts.superseded,
                "R7",
                "is for a record that is not attested, or superseded",
            ),
            (not record.facts.destroyed, "R35", "is for a record that was destroyed"),
            (record.facts.owner == terms.patient, "R8", "has a consent by somebody else"),
            (record.facts.tier <= terms.tier, "R10", "is for a tier above its consent's"),
            (
                terms.tier < _HIGHLY_SENSITIVE or self._passkeys.allows(terms.patient, args),
                "R10",
                "lacks the patient's passkey",
            ),
            (
                not args["urgent"] or self._emergency(record.facts.region),
                "R13",
                "is urgent where no emergency was declared",
            ),
        ):
            self.journal.require(bool(holds), 4, rule, f"{name} {what}")

    def _emergency(self, region: int) -> bool:
        """Whether a public-health emergency holds in a region now (R13)."""
        return self.journal.before(self.tariff.emergencies.get(region, 0))

    @staticmethod
    def covers(terms: Consent, licensee: LicenseeWord) -> bool:
        """Whether a consent covers what a licensee is, and where it works (R9)."""
        return _in_group(terms, licensee) and _in_region(terms, licensee)

    def is_frozen(self, account: str) -> bool:
        """Whether an account is barred from spending, in the market or in DUT (R2)."""
        licensee = self.licensees.get(account, LicenseeWord())
        return licensee.frozen or bool(self.usage.standings.get(account, 0) & FROZEN)

    def _topped_up(self, event: Event) -> None:
        args, journal = event.args, self.journal
        name = f"licence {hexed(args['licence'])}"
        found = self.licences.get(args["licence"])
        if found is None:
            journal.require(False, 4, "R12", f"the unknown {name} was topped up")
            return
        word, units, consent = found.word, args["units"], self.consents.get(found.ref.consent)
        record = self.registry.records.get(found.ref.record)
        self._require_open(f"a top-up of {name}")
        for holds, rule, what in (
            (word.metered, "R12", "was topped up, but counts no units"),
            (
                consent is not None
                and consent.word.revoked_at == 0
                and journal.before(consent.word.expiry),
                "R9",
                "was topped up after its consent was revoked or had expired",
            ),
            (not word.closed and journal.before(word.end), "R12", "was topped up after it ended"),
            (not word.suspended, "R31", "was topped up while it was suspended"),
            (not word.urgent, "R13", "was topped up at an emergency's price"),
            (not word.approved, "R10", "was topped up past what the patient's passkey approved"),
            (
                consent is None or consent.word.patient_share != rules.TRUST_SHARE,
                "R21",
                "was topped up past its trustee",
            ),
            (
                record is not None and record.facts.live,
                "R35",
                "was topped up after its record was replaced or destroyed",
            ),
            (not self.is_frozen(found.ref.licensee), "R2", "was topped up by a frozen licensee"),
            (0 < units <= _MAX_UNITS - word.units, "R12", "was topped up by no units, or too many"),
        ):
            journal.require(holds, 4, rule, f"{name} {what}")
        journal.expect(2, "R15", f"rates epoch at a top-up of {name}", word.epoch, self.rates.epoch)
        if not word.metered:
            return
        paid = word.price * units
        levy = rules.levy(self.epochs.get(word.epoch, RatesWord()), paid)
        journal.expect(2, "R12", f"paid for a top-up of {name}", paid, args["paid"])
        journal.expect(2, "R15", f"levy paid for a top-up of {name}", levy, args["levy"])
        self._move_deposit(found.ref.licensee, -(paid + levy))
        self.totals.paid += paid
        self.totals.paid_levy += levy
        self.licences[args["licence"]] = replace(
            found,
            word=replace(word, units=word.units + units),
            paid=found.paid + paid,
            levy=found.levy + levy,
        )

    def _redeemed(self, event: Event) -> None:
        """That the voucher is signed by its key is proven in the transaction; no log tells."""
        args, journal = event.args, self.journal
        name = f"licence {hexed(args['licence'])}"
        found = self.licences.get(args["licence"])
        if found is None:
            journal.require(False, 4, "R14", f"a voucher of the unknown {name} was redeemed")
            return
        word, used = found.word, args["used"]
        last = word.last(self._revoked_at(found))
        for holds, rule, what in (
            (word.metered and found.ref.signer is not None, "R14", "takes no vouchers"),
            (not word.closed, "R14", "had a voucher redeemed after it was closed"),
            (args["time"] <= last, "R14", "had a voucher redeemed that is dated after its end"),
            (
                not journal.before(args["time"]),
                "R14",
                "had a voucher redeemed that is dated in the future",
            ),
            (
                journal.before(last + self.window + 1),
                "R14",
                "had a voucher redeemed after the window had closed",
            ),
            (used > word.used, "R14", "had a voucher redeemed that brought nothing new"),
            (used <= word.units, "R14", "had a voucher redeemed for more units than were prepaid"),
        ):
            journal.require(holds, 4, rule, f"{name} {what}")
        journal.expect(4, "R14", f"units redeemed of {name}", used - word.used, args["units"])
        if word.metered:
            self.licences[args["licence"]] = replace(
                found, word=replace(word, used=used), vouchers=found.vouchers + 1
            )

    def _used(self, event: Event) -> None:
        args, journal = event.args, self.journal
        name = f"licence {hexed(args['licence'])}"
        found = self.licences.get(args["licence"])
        if found is None:
            journal.require(False, 4, "R12", f"the unknown {name} was used")
            return
        word, units = found.word, args["units"]
        for holds, rule, what in (
            (self._revoked_at(found) == 0, "R9", "was used after its consent was revoked"),
            (not word.closed, "R12", "was used after it was closed"),
            (not word.suspended, "R31", "was used while it was suspended"),
            (journal.before(word.end), "R12", "was used after it ended"),
            (units > 0, "R12", "was used for nothing"),
        ):
            journal.require(holds, 4, rule, f"{name} {what}")
        used = 0
        if word.metered:
            used = word.used + units
            journal.require(
                used <= word.units, 4, "R12", f"{name} was used for more units than were prepaid"
            )
            word = replace(word, used=used)
        journal.expect(4, "R12", f"units used of {name}", used, args["used"])
        self.licences[args["licence"]] = replace(found, word=word, uses=found.uses + 1)

    def _suspended(self, event: Event) -> None:
        name = f"licence {hexed(event.args['licence'])}"
        found = self.licences.get(event.args["licence"])
        if found is None or found.word.closed:
            self.journal.require(False, 4, "R31", f"{name} was suspended, but is none that runs")
            return
        word = replace(found.word, suspended=event.args["suspended"])
        self.licences[event.args["licence"]] = replace(found, word=word)

    def _mark(self, found: Licence) -> tuple[int, bool]:
        """Up to where a licence has earned now, and whether it has ended (R9)."""
        revoked_at, word = self._revoked_at(found), found.word
        if word.metered and found.ref.signer is not None:
            # Vouchers acknowledged before the end may still come (R14).
            moment = word.last(revoked_at) + self.window + 1
            return word.used, not self.journal.before(moment)
        ended = bool(revoked_at) or not self.journal.before(word.end)
        if word.metered:
            return word.used, ended
        if ended and not revoked_at:
            return word.end, ended
        return word.stop(self.journal.now, revoked_at), ended

    def _settled(self, event: Event) -> None:
        args, journal = event.args, self.journal
        name = f"licence {hexed(args['licence'])}"
        found = self.licences.get(args["licence"])
        if found is None or found.word.closed:
            journal.require(False, 4, "R12", f"{name} was settled, but is none that runs")
            return
        word, (mark, ended) = found.word, self._mark(found)
        gross = word.earned(mark) - word.earned(word.settled)
        rates = self.epochs.get(word.epoch, RatesWord())
        consent = self.consents.get(found.ref.consent)
        parties = self.registry.parties(found.ref.record)
        journal.expect(2, "R8", f"record of {name}", found.ref.record, args["record"])
        record = self.registry.records.get(found.ref.record)
        if record is not None:
            kind = record.facts.kind
            journal.expect(2, "R13", f"kind of the record of {name}", kind, args["kind"])
            self.tariff.demand[kind, journal.period(rules.WEEK)] += gross
        journal.expect(4, "R9", f"mark up to which {name} earned", mark, args["settled"])
        journal.expect(2, "R15", f"settled of {name}", gross, args["gross"])
        if consent is None or parties is None:
            journal.require(False, 4, "R9", f"{name} was settled without consent or record")
            return
        annotated = parties.annotator != ZERO_ADDRESS
        split = rules.split(rates, gross, consent.word.patient_share, annotated)
        accounts = {
            "patient": parties.owner,
            "custodian": parties.custodian,
            "annotator": parties.annotator,
            "platform": self.platform,
        }
        for part, account in accounts.items():
            amount = getattr(split, part)
            rule = "R8" if part in ("patient", "custodian") else "R15"
            journal.expect(2, rule, f"{part} paid for {name}", account, args[part])
            journal.expect(2, rule, f"{part}'s part of {name}", amount, args[f"{part}Amount"])
            self._earn(account, part, amount)
        journal.expect(2, "R15", f"levy of {name}", split.levy, args["levy"])
        journal.expect(
            2,
            "R15",
            f"sum of the parts of {name}",
            args["gross"],
            sum(args[f"{part}Amount"] for part in accounts),
        )
        self._open.levy += split.levy
        if ended:
            self._open.closings.add(args["licence"])
        totals = self.totals
        totals.settled += gross
        totals.levy += split.levy
        totals.patients += split.patient
        totals.custodians += split.custodian
        totals.annotators += split.annotator
        totals.platform += split.platform
        self.licences[args["licence"]] = replace(
            found,
            word=replace(word, settled=mark),
            settled=found.settled + gross,
            settled_levy=found.settled_levy + split.levy,
        )

    def _closed(self, event: Event) -> None:
        args, journal = event.args, self.journal
        name = f"licence {hexed(args['licence'])}"
        self._open.closings.discard(args["licence"])
        found = self.licences.get(args["licence"])
        if found is None or found.word.closed:
            journal.require(False, 4, "R12", f"{name} was closed, but is none that runs")
            return
        word, (mark, ended) = found.word, self._mark(found)
        journal.require(ended, 4, "R12", f"{name} was closed before it ended")
        journal.require(
            word.earned(mark) == word.earned(word.settled),
            2,
            "R15",
            f"{name} was closed without settling what it had earned",
        )
        refund = word.paid - word.earned(mark)
        levy = rules.levy(self.epochs.get(word.epoch, RatesWord()), refund)
        licensee = found.ref.licensee
        journal.expect(2, "R9", f"who got the rest of {name}", licensee, args["licensee"])
        journal.expect(2, "R9", f"refund of {name}", refund, args["refund"])
        journal.expect(2, "R15", f"levy returned for {name}", levy, args["levy"])
        self._move_deposit(licensee, refund + levy)
        self.totals.refunded += refund
        self.totals.refunded_levy += levy
        closed = replace(
            found,
            word=replace(word, settled=mark, closed=True),
            refund=refund,
            refund_levy=levy,
        )
        journal.expect(2, "R15", f"money kept of the closed {name}", 0, closed.held)
        self.licences[args["licence"]] = closed

    # -------------------------------------------------------------- parameters

    def _require_open(self, what: str) -> None:
        self.journal.require(
            not self.rates.paused, 7, "R29", f"{what} brought money in while the market was paused"
        )

    def _rates(self, event: Event) -> None:
        epoch, previous, current = (event.args[k] for k in ("epoch", "previous", "current"))
        before = {name: getattr(self.rates, name) for name in _RATES}
        self.journal.expect(7, "R15", "the number of a new epoch", self.rates.epoch + 1, epoch)
        self.journal.expect(7, "R15", "the rates that were", before, previous)
        self.journal.expect(
            2,
            "R15",
            f"sum of the rates of epoch {epoch}",
            rules.BPS,
            current["provider"] + current["annotator"] + current["platform"],
        )
        self.epochs[epoch] = RatesWord(**current, epoch=epoch)
        self.rates = replace(self.epochs[epoch], paused=self.rates.paused)

    def _platform(self, event: Event) -> None:
        self.journal.expect(
            7, "R15", "the platform that was", self.platform, event.args["previous"]
        )
        self.platform = event.args["current"]

    def _agreement(self, event: Event) -> None:
        self.journal.expect(
            7, "R12", "the agreement that was", self.agreement, event.args["previous"]
        )
        self.agreement = event.args["current"]

    def _window(self, event: Event) -> None:
        window = event.args["current"]
        self.journal.expect(
            7, "R14", "the window of vouchers that was", self.window, event.args["previous"]
        )
        self.journal.require(
            window <= rules.MAX_WINDOW, 7, "R14", "the window of vouchers is out of bounds"
        )
        self.window = window

    def _paused(self, event: Event) -> None:
        self.rates = replace(self.rates, paused=event.args["paused"])

    handlers: ClassVar[Mapping[str, Handler]] = {
        "ConsentGranted": _granted,
        "ConsentRevoked": _revoked,
        "LicenseeChanged": _licensee,
        "Deposited": _deposited,
        "DepositReclaimed": _reclaimed,
        "DeskMoved": _desk_moved,
        "Withdrawn": _withdrawn,
        "LicenceBought": _bought,
        "LicenceToppedUp": _topped_up,
        "LicenceUsed": _used,
        "VoucherRedeemed": _redeemed,
        "LicenceSuspended": _suspended,
        "LicenceSettled": _settled,
        "LicenceClosed": _closed,
        "RatesChanged": _rates,
        "PlatformChanged": _platform,
        "AgreementChanged": _agreement,
        "WindowChanged": _window,
        "PauseChanged": _paused,
    }


def _in_group(terms: Consent, licensee: LicenseeWord) -> bool:
    return licensee.groups & terms.licensees != 0


def _in_region(terms: Consent, licensee: LicenseeWord) -> bool:
    return licensee.region != 0 and terms.region in (_WORLD, licensee.region)


def _consent_dict(consent: GrantedConsent) -> dict[str, Any]:
    word, terms = consent.word, consent.terms
    known = {
        "patient": word.patient,
        "expiry": word.expiry,
        "revoked_at": word.revoked_at or None,
        "patient_share": word.patient_share,
        "block": consent.block,
        "cancelled": terms is None,
    }
    if terms is None:
        return known
    return known | {
        "records": hexed(terms.records),
        "purposes": vocabulary.duo_names(terms.purposes),
        "diseases": hexed(terms.diseases),
        "licensees": vocabulary.group_names(terms.licensees),
        "fields": hexed(terms.fields),
        "region": terms.region,
        "tier": terms.tier,
        "floor_price": str(terms.floorPrice),
        "nonce": str(terms.nonce),
        "deadline": terms.deadline,
    }


def _licence_dict(licence: Licence) -> dict[str, Any]:
    word = licence.word
    marks = (
        {"units": word.units, "used": word.used, "settled_units": word.settled}
        if word.metered
        else {"start": word.start, "settled_until": word.settled}
    )
    return {
        "consent": hexed(licence.ref.consent),
        "record": hexed(licence.ref.record),
        "licensee": licence.ref.licensee,
        "salt": str(licence.ref.salt),
        "payer": licence.payer,
        "signer": licence.ref.signer if word.metered else None,
        "form": _FORMS.get(word.form, str(word.form)),
        "price": str(word.price),
        "end": word.end,
        "epoch": word.epoch,
        **marks,
        "uses": licence.uses,
        "vouchers": licence.vouchers,
        "suspended": word.suspended,
        "closed": word.closed,
        "purposes": vocabulary.duo_names(licence.purposes),
        "diseases": hexed(licence.diseases),
        "urgent": licence.urgent,
        "agreement": hexed(licence.agreement),
        "block": licence.block,
        "paid": str(licence.paid),
        "levy": str(licence.levy),
        "settled": str(licence.settled),
        "settled_levy": str(licence.settled_levy),
        "refund": str(licence.refund),
        "refund_levy": str(licence.refund_levy),
    }
