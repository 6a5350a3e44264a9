"""What the pages are told, read off the books at one block. Nothing here asks the chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medtoken import vocabulary
from medtoken.audit import rules
from medtoken.audit.books.market import Licence, Ref
from medtoken.audit.books.passkeys import Approved
from medtoken.audit.books.registry import Record
from medtoken.audit.books.rewards import FEEDBACK, IDEA, RECORD, REFERRAL, STREAK, USE
from medtoken.audit.source import BlockHead
from medtoken.bodies import hexed
from medtoken.chain.words import (
    CreditWord,
    EarningsWord,
    LicenceWord,
    LicenseeWord,
    PasskeyState,
    RatesWord,
)
from medtoken.errors import BadInput
from medtoken.ipfs import CID, Codec
from medtoken.messages import Consent, LicenceApproval
from medtoken.passkeys import Passkey
from medtoken.service import books, wire
from medtoken.service.books import MarketBooks
from medtoken.vocabulary import AUCTION_ONLY, Form, Tier

DAY = 86_400
NEAR = 9_000  # bps of its units at which a licence is near its limit
SOON = 30 * DAY
_STEPS = 100
_LINES = 500
_SCORES = ("dvi", *rules.WEIGHTS, "units")
_MONTHS_BOARD = 0  # patients', of a month
_TOKENS = ("DCT", "GT")
_SOURCES = {
    RECORD: "record",
    USE: "use",
    STREAK: "streak",
    FEEDBACK: "feedback",
    REFERRAL: "referral",
    IDEA: "idea",
}
_WORLD = vocabulary.REGIONS["WORLD"][0]


@dataclass(frozen=True)
class Page:
    """Which of a list's entries are wanted."""

    limit: int = 100
    offset: int = 0

    def of(self, found: Sequence[bytes]) -> list[bytes]:
        """The newest first."""
        return list(reversed(found))[self.offset : self.offset + self.limit]


class Answers:
    """Questions about the market as it stood at one block."""

    def __init__(self, found: MarketBooks, tip: BlockHead) -> None:
        """``found`` must not change while this is used."""
        self._books = found
        self._ledger = found.ledger
        self._market = found.ledger.market
        self._records = found.ledger.registry.records
        self.now = tip.timestamp
        self.block = wire.Block(tip.number, hexed(tip.hash), tip.timestamp)

    # ------------------------------------------------------------------ patients and custodians

    def records(self, owner: str, page: Page) -> wire.Records:
        """The records of a patient."""
        ids = self._books.records_of.get(owner, [])
        return wire.Records(self.block, len(ids), [self.record(one) for one in page.of(ids)])

    def custodian(self, account: str, page: Page) -> wire.Custodian:
        """The records that an institution holds."""
        number = self._ledger.registry.numbers.get(account, 0)
        ids = self._books.held_by.get(number, []) if number else []
        return wire.Custodian(
            self.block, account, number, len(ids), [self.record(one) for one in page.of(ids)]
        )

    def consents(self, patient: str, page: Page) -> wire.Consents:
        """The consents of a patient."""
        ids = self._books.consents_of.get(patient, [])
        return wire.Consents(self.block, len(ids), [self.consent(one) for one in page.of(ids)])

    def uses(self, patient: str, page: Page) -> wire.Uses:
        """The licences on a patient's records."""
        ids = [
            licence
            for record in self._books.records_of.get(patient, [])
            for licence in self._books.licences_on.get(record, [])
        ]
        ids.sort(key=lambda one: self._market.licences[one].block)
        return wire.Uses(self.block, len(ids), [self.use(one, patient) for one in page.of(ids)])

    def record(self, record: bytes) -> wire.RecordState:
        """A record of the registry. Raises BadInput for an unknown one."""
        found = self._record(record)
        facts, owner = found.facts, found.facts.owner
        running = [one for one in self._books.licences_on.get(record, []) if self._runs(one)]
        return wire.RecordState(
            block=self.block,
            record=hexed(record),
            owner=owner,
            state=_record_state(found),
            kind=facts.kind,
            tier=facts.tier,
            region=facts.region,
            size=found.draft["size"],
            cid=str(CID(Codec(found.draft["codec"]), found.draft["content"])),
            custodian=self._institution(facts.custodian),
            annotator=self._institution(facts.annotator) if facts.annotator else None,
            attester=self._institution(facts.attester) if facts.attester else None,
            registered=_moment(self._books.registered[record]),
            scores=_scores(found),
            minted=str(found.minted),
            copies=[hexed(fields) for fields, licence in found.renditions if not any(licence)],
            consents=[hexed(one) for one in self._live_consents(record, owner)],
            licences=[hexed(one) for one in running],
            earned=str(
                sum(
                    credit.amount
                    for credit in self._books.credits.get(owner, [])
                    if credit.record == record
                )
            ),
            outcomes=self._outcomes(record),
        )

    def consent(self, consent: bytes) -> wire.ConsentState:
        """A consent. Raises BadInput for an unknown one."""
        found = self._market.consents.get(consent)
        if found is None:
            raise BadInput("The market knows no such consent.")
        granted, revoked = (m.get(consent) for m in (self._books.granted, self._books.revoked))
        if found.terms is None:
            state = "cancelled"
        elif found.word.revoked_at:
            state = "revoked"
        else:
            state = "live" if found.word.expiry > self.now else "expired"
        under = [
            hexed(licence)
            for record in self._books.records_of.get(found.word.patient, [])
            for licence in self._books.licences_on.get(record, [])
            if self._market.licences[licence].ref.consent == consent
        ]
        return wire.ConsentState(
            block=self.block,
            consent=hexed(consent),
            patient=found.word.patient,
            state=state,
            granted=_moment(granted) if granted else None,
            revoked=_moment(revoked) if revoked else None,
            expiry=found.word.expiry,
            terms=wire.plain(found.terms) if found.terms else None,
            text=found.terms.render() if found.terms else None,
            licences=under,
        )

    def use(self, licence: bytes, account: str) -> wire.Use:
        """A licence, with what it has earned ``account``."""
        found = self._market.licences[licence]
        word, happened = found.word, self._books.happened.get(licence, [])
        used = [one for one in happened if one.event in ("LicenceUsed", "VoucherRedeemed")]
        bought = next(one for one in happened if one.event == "LicenceBought")
        outcomes = [o for o in self._outcomes(found.ref.record) if o.licence == hexed(licence)]
        return wire.Use(
            licence=hexed(licence),
            record=hexed(found.ref.record),
            consent=hexed(found.ref.consent),
            who=_who(found.ref.licensee, self._books.shown[licence]),
            purposes=vocabulary.duo_names(found.purposes),
            form=word.form,
            state=self._licence_state(found, licence),
            bought=_moment(bought.at),
            end=word.end,
            units=word.units,
            used=word.used if word.metered else found.uses,
            uses=found.uses + found.vouchers,
            last_used=_moment(used[-1].at) if used else None,
            urgent=found.urgent,
            paid=str(found.paid),
            levy=str(found.levy),
            settled=str(found.settled),
            refund=str(found.refund),
            earned=str(
                sum(c.amount for c in self._books.credits.get(account, []) if c.licence == licence)
            ),
            steps=[_step(one) for one in happened[-_STEPS:]],
            outcomes=outcomes,
        )

    def earnings(self, account: str) -> wire.Earnings:
        """What an account has earned from settlements, in all and now."""
        word = self._market.earnings.get(account, EarningsWord())
        came = self._books.credits.get(account, [])
        payouts = self._books.payouts.get(account, [])
        by_record: defaultdict[bytes, int] = defaultdict(int)
        for credit in came:
            by_record[credit.record] += credit.amount
        return wire.Earnings(
            block=self.block,
            account=account,
            earned=str(word.earned),
            nonce=word.nonce,
            unsettled=str(self._unsettled(account)),
            total=str(sum(by_record.values())),
            withdrawn=str(sum(payout.amount for payout in payouts)),
            by_record={hexed(record): str(amount) for record, amount in by_record.items()},
            credits=[
                wire.Credit(_moment(c.at), hexed(c.licence), hexed(c.record), c.part, str(c.amount))
                for c in came[-_LINES:]
            ],
            payouts=[wire.Payout(_moment(p.at), p.to, str(p.amount)) for p in payouts[-_LINES:]],
        )

    def standing(self, account: str) -> wire.Standing:
        """A patient's credit, badges and vouchers, and the services that these open."""
        rewards = self._ledger.rewards
        word, month = rewards.accounts.get(account, CreditWord()), self.now // rules.MONTH
        mine = rewards.points.get((_MONTHS_BOARD, month, account), 0)
        ahead = sum(
            1
            for (board, period, _), points in rewards.points.items()
            if (board, period) == (_MONTHS_BOARD, month) and points > mine
        )
        held = (
            self._ledger.contribution.balances.get(account, 0),
            self._ledger.governance_tokens.balances.get(account, 0),
        )
        return wire.Standing(
            block=self.block,
            account=account,
            points=word.points,
            month=mine,
            place=ahead + 1 if mine else 0,
            records=word.records,
            # A month without points has ended the run, though nothing told so.
            run=word.run if word.month + 1 >= month else 0,
            contribution=str(held[0]),
            governance=str(held[1]),
            history=[
                wire.Points(_moment(one.at), _SOURCES[one.source], one.points)
                for one in self._books.points.get(account, [])[-_LINES:]
            ],
            badges=[
                _badge(badge, badge in rewards.donated)
                for badge, holder in sorted(rewards.badges.items())
                if holder == account
            ],
            services=[
                wire.Service(
                    service=number,
                    provider=offer["provider"],
                    token=_TOKENS[offer["token"]],
                    price=str(offer["price"]),
                    points=offer["points"],
                    open=word.points >= offer["points"] and held[offer["token"]] >= offer["price"],
                )
                for number, offer in sorted(rewards.services.items())
                if int(offer["provider"], 16)
            ],
            vouchers=[
                wire.Voucher(number, one.service, one.served)
                for number, one in rewards.vouchers.items()
                if one.account == account
            ],
        )

    def alerts(self, patient: str) -> wire.Alerts:
        """What a patient should look at: near a limit, suspended, ending soon, challenged, gone."""
        found = [*self._licence_alerts(patient), *self._other_alerts(patient)]
        found.sort(key=lambda one: one.at.block if one.at else 1 << 62, reverse=True)
        return wire.Alerts(self.block, found)

    # ------------------------------------------------------------------ licensees

    def licensee(self, account: str, page: Page) -> wire.Licensee:
        """A licensee's standing and its licences."""
        word = self._market.licensees.get(account, LicenseeWord())
        ids = self._books.licences_of.get(account, [])
        return wire.Licensee(
            block=self.block,
            account=account,
            who=_who(account, word),
            deposit=str(word.deposit),
            frozen=self._market.is_frozen(account),
            total=len(ids),
            uses=[self.use(one, account) for one in page.of(ids)],
        )

    def catalogue(
        self, page: Page, *, kind: int = 0, region: int = 0, dvi: int = 0, group: str = ""
    ) -> wire.Catalogue:
        """Records that can be licensed now; zero or nothing filters nothing."""
        found = []
        for record, held in self._records.items():
            facts = held.facts
            if not facts.live or facts.dvi < dvi:
                continue
            if (kind and facts.kind != kind) or (region and facts.region != region):
                continue
            offers = [self._offer(one) for one in self._live_consents(record, facts.owner)]
            if group:
                offers = [o for o in offers if group in o.groups]
            if offers:
                found.append(
                    wire.Found(
                        hexed(record),
                        facts.kind,
                        facts.tier,
                        facts.region,
                        held.draft["size"],
                        facts.dvi,
                        offers,
                    )
                )
        found.sort(key=lambda one: (-one.dvi, one.record))
        return wire.Catalogue(self.block, len(found), found[page.offset : page.offset + page.limit])

    def quote(
        self,
        record: bytes,
        consent: bytes,
        licensee: str,
        *,
        form: int,
        purposes: Sequence[str],
        units: int,
        days: int,
    ) -> wire.Quote:
        """What a licence would cost a licensee now, whom it would pay, and whether it may be had."""
        facts, terms = self._record(record).facts, self._terms(consent)
        asked = vocabulary.duo_mask(purposes)
        word = self._market.licensees.get(licensee, LicenseeWord())
        scene = rules.Scene(
            purposes=asked,
            urgent=False,
            tier=facts.tier,
            in_region=word.region == facts.region,
            certified=word.certified,
            form=form,
        )
        unit = self._ledger.tariff.price(record, scene, terms.floorPrice)
        count = units if form == Form.METERED else rules.started_years(days * DAY)
        annotated = facts.annotator != 0
        split = rules.split(self._market.rates, unit * count, terms.patientShare, annotated)
        reason = self._why_not(record, terms, licensee, asked, days, consent)
        if reason is None and unit == 0:
            reason = "This kind of record is not for sale."
        if reason is None and form == Form.RENTAL and days * DAY > rules.RENTAL:
            reason = "A rental lasts 90 days at most."
        return wire.Quote(
            block=self.block,
            unit=str(unit),
            price=str(unit * count),
            levy=str(split.levy),
            patient=str(split.patient),
            custodian=str(split.custodian),
            annotator=str(split.annotator),
            platform=str(split.platform),
            allowed=reason is None,
            reason=reason,
        )

    # ------------------------------------------------------------------ pieces

    def owner_of(self, record: bytes) -> str | None:
        """Who owns a record; None for an unknown one."""
        found = self._records.get(record)
        return found.facts.owner if found else None

    def tier_of(self, record: bytes) -> int:
        """A record's sensitivity. Raises BadInput for an unknown one."""
        return self._record(record).facts.tier

    # ------------------------------------------------------------------ passkeys (R10)

    def passkeys(self, patient: str) -> wire.Passkeys:
        """A patient's passkey, and what may be asked of it now."""
        book = self._ledger.passkeys
        state = book.states.get(patient, PasskeyState())
        current, change = (book.passkeys.get(patient), book.changes.get(patient))
        since = state.since
        if since and since <= self.now:
            current, change, since = change, None, 0
        open_now = [
            one
            for consent in self._books.consents_of.get(patient, [])
            for one in self._books.asked_under.get(consent, [])
            if self._open(one)
        ]
        open_now.sort(key=lambda one: one.at.block)
        return wire.Passkeys(
            block=self.block,
            account=patient,
            passkey=_passkey(current),
            change=_passkey(change) if since else None,
            since=since,
            nonce=state.nonce,
            delay=book.delay,
            requests=[self._request(one) for one in reversed(open_now[-_STEPS:])],
        )

    def requests(self, licensee: str) -> wire.Requests:
        """What a licensee has asked for and can still buy once it is approved."""
        asked = [one for one in self._books.asked_by.get(licensee, []) if self._open(one)]
        listed = [self._request(one) for one in reversed(asked[-_STEPS:])]
        return wire.Requests(self.block, licensee, listed)

    def was_asked(self, approval: LicenceApproval) -> bool:
        """Whether a licensee asked the consent's patient for exactly this, and could buy it now."""
        return self.patient_of(approval.consent) == approval.patient and any(
            one.licensee == approval.licensee
            and all(getattr(approval, name) == value for name, value in one.order.items())
            and self._open(one)
            for one in self._books.asked_under.get(approval.consent, [])
        )

    def passkey_of(self, patient: str) -> Passkey | None:
        """The passkey that counts now."""
        found = self.passkeys(patient).passkey
        if found is None:
            return None
        return Passkey(*(bytes.fromhex(p[2:]) for p in (found.x, found.y, found.relying_party)))

    def _open(self, one: books.Asked) -> bool:
        """Whether the market would let it be bought if the patient approved."""
        found, order = self._market.consents.get(one.consent), one.order
        ref = Ref(one.consent, order["record"], one.licensee, order["salt"])
        if found is None or found.terms is None or ref.id in self._market.licences:
            return False
        terms = found.terms
        standing = self._market.licensees.get(one.licensee, LicenseeWord())
        # That a record belongs to a set is proven when it is bought.
        one_record = self.owner_of(terms.records) is not None
        return (
            (not one_record or order["record"] == terms.records)
            and terms.tier >= Tier.HIGHLY_SENSITIVE
            and not found.word.revoked_at
            and self.now < order["end"] <= terms.expiry
            and order["agreement"] == self._market.agreement
            and self.owner_of(order["record"]) == terms.patient
            and self._market.covers(terms, standing)
            and not self._market.is_frozen(one.licensee)
            and rules.permits(terms.purposes, terms.diseases, order["purposes"], order["diseases"])
        )

    def _request(self, one: books.Asked) -> wire.Request:
        patient = self.patient_of(one.consent) or ""
        key = Approved(patient, one.consent, one.licensee, one.order, 0).key
        approved = self._ledger.passkeys.approvals.get(key)
        until = approved.deadline if approved and approved.deadline >= self.now else None
        standing = self._market.licensees.get(one.licensee, LicenseeWord())
        return wire.Request(
            at=_moment(one.at),
            consent=hexed(one.consent),
            patient=patient,
            licensee=one.licensee,
            who=_who(one.licensee, standing),
            purposes=vocabulary.duo_names(one.order["purposes"]),
            order={
                name: hexed(value)
                if isinstance(value, bytes)
                else value
                if isinstance(value, bool)
                else str(value)
                for name, value in one.order.items()
            },
            approved_until=until,
        )

    def owns_any(self, patient: str) -> bool:
        """Whether somebody owns a record at all."""
        return bool(self._books.records_of.get(patient))

    def has_earned(self, account: str) -> bool:
        """Whether an account was ever paid anything by a settlement."""
        return bool(self._books.credits.get(account))

    def granted_at(self, consent: bytes) -> wire.Moment | None:
        """Where a consent came to the chain, as far as was read."""
        found = self._books.granted.get(consent)
        return _moment(found) if found else None

    def revoked_at(self, consent: bytes) -> wire.Moment | None:
        """Where a consent was taken back, as far as was read."""
        found = self._books.revoked.get(consent)
        return _moment(found) if found else None

    def patient_of(self, consent: bytes) -> str | None:
        """Whose consent it is; None for an unknown one."""
        found = self._market.consents.get(consent)
        return found.word.patient if found else None

    def agreement(self) -> str:
        """The hash of the data-use commitment in force (R12)."""
        return hexed(self._market.agreement)

    def rates(self) -> wire.Rates:
        """The rates in force."""
        r = self._market.rates
        return wire.Rates(r.provider, r.annotator, r.platform, r.levy)

    def _record(self, record: bytes) -> Record:
        found = self._records.get(record)
        if found is None:
            raise BadInput("The registry knows no such record.")
        return found

    def _terms(self, consent: bytes) -> Consent:
        found = self._market.consents.get(consent)
        if found is None or found.terms is None:
            raise BadInput("The market knows no such consent.")
        return found.terms

    def _institution(self, number: int) -> wire.Institution:
        found = self._ledger.registry.institutions.get(number)
        return wire.Institution(number, found.account if found else "")

    def _outcomes(self, record: bytes) -> list[wire.Outcome]:
        return [
            wire.Outcome(o.number, _moment(o.at), hexed(o.licence), o.kind, hexed(o.statement))
            for o in self._books.outcomes.get(record, [])
        ]

    def _live_consents(self, record: bytes, owner: str) -> list[bytes]:
        """Those that name the record itself: whether a set holds it only a proof can tell."""
        found = []
        for consent in self._books.consents_of.get(owner, []):
            held = self._market.consents[consent]
            named = held.terms is not None and held.terms.records == record
            if named and not held.word.revoked_at and held.word.expiry > self.now:
                found.append(consent)
        return found

    def _offer(self, consent: bytes) -> wire.Offer:
        terms = self._terms(consent)
        return wire.Offer(
            consent=hexed(consent),
            purposes=vocabulary.duo_names(terms.purposes),
            groups=vocabulary.group_names(terms.licensees & ~AUCTION_ONLY),
            region=terms.region,
            fields=hexed(terms.fields),
            floor=str(terms.floorPrice),
            expiry=terms.expiry,
            auction_only=bool(terms.licensees & AUCTION_ONLY) and terms.trustee is None,
            trustee=terms.trustee,
            tier=terms.tier,
        )

    def _why_not(
        self, record: bytes, terms: Consent, account: str, asked: int, days: int, consent: bytes
    ) -> str | None:
        """The first reason for which the market would refuse, in one sentence."""
        facts, word = (
            self._record(record).facts,
            self._market.licensees.get(account, LicenseeWord()),
        )
        held = self._market.consents[consent]
        for holds, sentence in (
            (facts.live, "The record is not attested, or was replaced or destroyed."),
            (facts.owner == terms.patient, "The consent is by somebody else."),
            (not held.word.revoked_at, "The consent was revoked."),
            (held.word.expiry > self.now, "The consent has expired."),
            (self.now + days * DAY <= terms.expiry, "The licence would outlive its consent."),
            (word.groups & terms.licensees, "The consent does not name a group that you are in."),
            (
                word.region and terms.region in (_WORLD, word.region),
                "The consent is for another region.",
            ),
            (
                rules.permits(terms.purposes, terms.diseases, asked, bytes(32)),
                "The consent does not permit these purposes.",
            ),
            (not self._market.is_frozen(account), "Your account is frozen."),
            (terms.trustee is None, "A trustee manages this record: it is bought at its desk."),
            (not terms.licensees & AUCTION_ONLY, "The patient sells by auction only."),
            (facts.tier <= terms.tier, "The record is more sensitive than the consent covers."),
        ):
            if not holds:
                return sentence
        return None

    def _runs(self, licence: bytes) -> bool:
        found = self._market.licences[licence]
        return not found.word.suspended and not self._market.over(licence, self.now)

    def _licence_state(self, found: Licence, licence: bytes) -> str:
        if found.word.closed:
            return "closed"
        if self._market.over(licence, self.now):
            return "ended"
        return "suspended" if found.word.suspended else "running"

    def _unsettled(self, account: str) -> int:
        """An account's parts of what open licences have earned since the last settling."""
        number = self._ledger.registry.numbers.get(account, 0)
        records = {*self._books.records_of.get(account, [])}
        for by_number in (self._books.held_by, self._books.annotated_by):
            records |= {*by_number.get(number, [])} if number else set()
        if account == self._market.platform:  # has a part of every licence
            records = {*self._books.licences_on}
        due = 0
        for record in records:
            parties = self._ledger.registry.parties(record)
            for licence in self._books.licences_on.get(record, []):
                found = self._market.licences[licence]
                consent = self._market.consents.get(found.ref.consent)
                if found.word.closed or parties is None or consent is None:
                    continue
                gross = _accrued(found.word, self.now, consent.word.revoked_at)
                rates = self._market.epochs.get(found.word.epoch, RatesWord())
                annotated = self._records[record].facts.annotator != 0
                split = rules.split(rates, gross, consent.word.patient_share, annotated)
                for party, part in (
                    (parties.owner, split.patient),
                    (parties.custodian, split.custodian),
                    (parties.annotator, split.annotator),
                    (self._market.platform, split.platform),
                ):
                    due += part if party == account else 0
        return due

    def _licence_alerts(self, patient: str) -> Iterator[wire.Alert]:
        for record in self._books.records_of.get(patient, []):
            for licence in self._books.licences_on.get(record, []):
                found = self._market.licences[licence]
                word, happened = found.word, self._books.happened[licence]
                stops = [one for one in happened if one.event == "LicenceSuspended"]
                if stops:
                    kind = "suspended" if stops[-1].args["suspended"] else "resumed"
                    yield _alert(kind, found, stops[-1].at)
                near = word.metered and word.used * rules.BPS >= word.units * NEAR
                if near and not word.closed:
                    yield _alert(
                        "near-limit", found, happened[-1].at, used=word.used, units=word.units
                    )

    def _other_alerts(self, patient: str) -> Iterator[wire.Alert]:
        for record in self._books.records_of.get(patient, []):
            found, at = self._records[record], self._books.registered[record]
            if record in self._ledger.disputes.open:
                yield wire.Alert("challenged", None, hexed(record), None, None, {})
            if found.facts.destroyed:
                yield wire.Alert("destroyed", _moment(at), hexed(record), None, None, {})
        for consent in self._books.consents_of.get(patient, []):
            held = self._market.consents[consent]
            left = held.word.expiry - self.now
            if held.terms is not None and not held.word.revoked_at and 0 < left <= SOON:
                at = self._books.granted[consent]
                numbers = {"expiry": held.word.expiry}
                yield wire.Alert("expiring", _moment(at), None, hexed(consent), None, numbers)
        mine = {
            one.at.tx
            for record in self._books.records_of.get(patient, [])
            for licence in self._books.licences_on.get(record, [])
            for one in self._books.happened[licence]
        }
        for violation in self._ledger.violations:
            if violation.tx in mine:
                at = books.Moment(
                    violation.block, self._books.clock.at(violation.block), violation.tx
                )
                numbers = {"rule": int(violation.rule[1:])}
                yield wire.Alert("broken-rule", _moment(at), None, None, None, numbers)


def _alert(kind: str, licence: Licence, at: books.Moment, **numbers: int) -> wire.Alert:
    ref = licence.ref
    return wire.Alert(
        kind, _moment(at), hexed(ref.record), hexed(ref.consent), hexed(ref.id), numbers
    )


def _accrued(word: LicenceWord, now: int, revoked_at: int) -> int:
    """Gross base units that a licence has earned and nobody has settled."""
    return max(word.earned(word.stop(now, revoked_at)) - word.earned(word.settled), 0)


def _record_state(found: Record) -> str:
    if found.facts.destroyed:
        return "destroyed"
    if found.facts.superseded:
        return "replaced"
    return "live" if found.facts.attested else "waiting"


def _scores(found: Record) -> wire.Scores | None:
    if found.scores is None:
        return None
    return wire.Scores(**{name: found.scores[name] for name in _SCORES}, day=found.scores["asOf"])


def _who(account: str, word: LicenseeWord) -> wire.Who:
    groups = vocabulary.group_names(word.groups)
    return wire.Who(account if groups else None, groups, word.region, word.certified)


def _badge(badge: int, donated: bool) -> wire.Badge:
    board, period, rank = badge >> 128, badge >> 64 & 2**64 - 1, badge & 2**64 - 1
    return wire.Badge(str(badge), bool(board % 2), period, rank, donated)


def _passkey(found: tuple[bytes, bytes, bytes] | None) -> wire.Passkey | None:
    return wire.Passkey(*(hexed(part) for part in found)) if found and any(found[2]) else None


def _moment(at: books.Moment) -> wire.Moment:
    return wire.Moment(at.block, at.time, hexed(at.tx))


def _step(one: books.Happening) -> wire.Step:
    at, args = _moment(one.at), one.args
    match one.event:
        case "LicenceUsed" | "VoucherRedeemed":
            return wire.Step(at, "used", units=args["units"])
        case "LicenceToppedUp":
            return wire.Step(at, "topped-up", units=args["units"], amount=str(args["paid"]))
        case "LicenceSettled":
            return wire.Step(at, "settled", amount=str(args["patientAmount"]))
        case "LicenceSuspended":
            return wire.Step(at, "suspended", suspended=args["suspended"])
        case "LicenceClosed":
            return wire.Step(at, "closed", amount=str(args["refund"]))
        case _:
            return wire.Step(at, "bought", amount=str(args["paid"]))
