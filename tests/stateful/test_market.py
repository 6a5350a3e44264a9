"""The whole suite against the model: any calls in any order, valid and invalid, by anybody.

The machine sends each call to the chain and to ``model.Model``. Both must do it, or both must refuse
it, the chain with a sentence that the model has a reason for. After each call every view of every
contract must answer what the model says, and the invariants I1 to I19 of ``invariants`` must hold on
what the chain itself says and logs. At the end of each run everybody settles, withdraws and takes back:
the market must be able to pay all of them, and the auditor must find nothing.

``TestMarket`` runs with every `make test`; the campaign is `make test-campaign`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)
from stateful import even
from stateful.chain import cast
from stateful.model import (
    BPS,
    DAY,
    FIXED,
    GRAIN,
    METERED,
    NONE,
    RENTAL,
    TOKEN,
    UNLIMITED,
    WEEK,
    YEAR,
    ZERO,
    Access,
    Permit,
    Proof,
    Ref,
    Signature,
    leaf_of,
)
from stateful.pair import (
    AGREEMENT,
    BY_ADDRESS,
    DONE,
    EARNERS,
    EVERYBODY,
    HOLDERS,
    INSTITUTIONS,
    JAPAN,
    LICENSEES,
    MET,
    MILLION,
    PATIENTS,
    PEOPLE_ALL,
    PHARMA,
    REFUSED,
    RESEARCH,
    SPARE,
    TAIWAN,
    UNSIGNED,
    Pair,
    scene,
    short,
    value,
)
from stateful.twists import CONSENT_TWISTS, DRAFT_TWISTS, ORDER_TWISTS, SCORE_TWISTS
from support.sweep import times
from support.world import Actor

from medtoken import artifacts
from medtoken.merkle import Tree
from medtoken.messages import Consent, Revocation, Voucher, Withdrawal

# ------------------------------------------------------------------ what the rules draw from

INDEX = st.integers(0, 60)
# Of what there is: most often some or all of it, now and then too much, nothing, or as much as fits.
AMOUNT = st.sampled_from(
    [*["some"] * 6, *["half"] * 3, *["all"] * 4, *["one"] * 4, "over", "zero", "huge"]
)
people, patients = st.sampled_from(PEOPLE_ALL), st.sampled_from(PATIENTS)
holders = st.sampled_from(HOLDERS)
strangers = st.sampled_from(EVERYBODY)
numbers = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 2**24, UNLIMITED])


def seldom(*choices: Any) -> st.SearchStrategy[Any]:
    """None in nine of ten draws, else one of the choices."""
    return st.integers(0, 9).flatmap(
        lambda now: st.sampled_from(choices) if now == 4 else st.none()
    )


def measure(amount: str, there: int) -> int:
    """How much that is, of what there is."""
    return {
        "zero": 0,
        "one": 1,
        "some": there // 7 or min(there, 1),
        "half": there // 2 or there,
        "all": there,
        "over": there + 1,
        "huge": UNLIMITED,
    }[amount]


# ------------------------------------------------------------------ the machine

ACTIONS: list[tuple[int, Callable[..., None], Callable[[Any], Any], st.SearchStrategy]] = []


def action(
    weight: int, *, when: Callable[[Any], Any] = bool, **arguments: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One thing that somebody can do, and how often it is tried among all the others."""

    def enter(method: Callable[..., None]) -> Callable[..., None]:
        ACTIONS.append((weight, method, when, st.fixed_dictionaries(arguments)))
        return method

    return enter


class MarketMachine(RuleBasedStateMachine):
    """Everything that anybody can do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        start = scene()
        self._anchor = start.chain.evm.anchor()
        self._anchor.__enter__()
        shared = [*EVERYBODY, *start.accounts, start.chain]
        memo = {id(thing): thing for thing in shared}
        self.pair: Pair = copy.deepcopy(start, memo)
        self.model, self.facts = self.pair.model, self.pair.facts
        self.do, self.market, self.decide = self.pair.do, self.pair.market, self.pair.decide
        self.withdrawals: list[tuple[Any, ...]] = []
        self.vouchers: list[dict[str, Any]] = []
        self.audited = True
        self.burned_aside = (
            False  # by an account that was made a protocol's: the auditor must object
        )

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        """One action. Hypothesis would try all of them equally often, and half of them not at all."""
        possible = [a for a in ACTIONS if a[2] is bool or a[2](self)]
        often = [a for a in possible for _ in range(a[0])]
        _, method, _, arguments = often[data.draw(st.integers(0, len(often) - 1))]
        method(self, **data.draw(arguments))

    # ---------------------------------------------------------------- choosing

    def pick(self, options: Sequence[Any], nth: int, fits: Callable[[Any], object]) -> Any:
        """Mostly one that fits, if there is one; else any."""
        good = [option for option in options if fits(option)]
        pool = options if nth % 6 == 5 or not good else good
        return pool[nth // 6 % len(pool)]

    def consent_at(self, nth: int) -> Consent:
        def live(terms: Consent) -> bool:
            found = self.model.market.consents.get(terms.struct_hash())
            return found is not None and not found.revoked_at and self.pair.now < terms.expiry

        return self.pick(self.facts.consents[::-1], nth, live)

    def custodian_at(self, nth: int) -> Actor:
        registry = self.model.registry
        return self.pick(INSTITUTIONS, nth, lambda who: registry.may(registry.numbers[who], 1))

    def payer_at(self, nth: int) -> Actor:
        return self.pick(HOLDERS, nth, lambda who: self.model.dut.balances[who])

    def buyer_at(self, nth: int, terms: Consent) -> Actor:
        def fits(who: Actor) -> object:
            found = self.model.market.licensees[who]
            return found.deposit and found.groups & terms.licensees and not found.flags & 1

        return self.pick(LICENSEES, nth, fits)

    def record_at(self, nth: int) -> bytes:
        return self.facts.records[-1 - nth % len(self.facts.records)]

    def ref_at(self, nth: int) -> Ref:
        """A licence, mostly one that is open."""
        licences = self.model.market.licences
        return self.pick(list(licences)[::-1], nth, lambda ref: not licences[ref].closed)

    def member(self, terms: Consent, nth: int) -> tuple[bytes, Proof]:
        """A record under a consent, and the proof of it."""
        several = self.facts.sets.get(terms.records)
        if several is None:
            return terms.records, Proof()
        index = nth % len(several)
        raw = tuple(Tree(several).proof(index))
        return several[index], Proof(terms.records, several[index], raw)

    # ---------------------------------------------------------------- time

    @action(
        5,
        seconds=st.sampled_from(
            [0, 1, 1, 59, 59, *[3600] * 3, *[DAY] * 4, *[WEEK] * 4, 30 * DAY, YEAR, 10 * YEAR]
        ),
    )
    def let_time_pass(self, seconds: int) -> None:
        self.pair.warp(seconds)

    @action(3, nth=INDEX, offset=st.sampled_from([-1, 0, 0, 1]))
    def go_to_a_boundary(self, nth: int, offset: int) -> None:
        now = self.pair.now
        ends = {terms.expiry for terms in self.facts.consents if terms.expiry < now + 20 * YEAR}
        ends |= {terms.deadline for terms in self.facts.consents}
        ends.add((now // DAY + 1) * DAY)
        ahead = sorted(end for end in ends if end + offset >= now)
        self.pair.warp(ahead[nth % min(len(ahead), 3)] + offset - now)

    @action(
        3,
        when=lambda self: self.model.market.licences,
        nth=INDEX,
        offset=st.sampled_from([-1, 0, 1]),
        then=st.sampled_from(["use", "use", "settle"]),
    )
    def meet_the_end_of_a_licence(self, nth: int, offset: int, then: str) -> None:
        licences, now = self.model.market.licences, self.pair.now
        soonest = sorted(licences, key=lambda ref: licences[ref].end)
        ref = self.pick(soonest, nth, self.model.market.usable)
        self.pair.warp(max(0, licences[ref].end + offset - now))
        if then == "settle":
            self.market(cast("relay"), "settle", [ref])
        else:
            self.market(ref.licensee, "use_licence", ref.consent, ref.record, ref.salt, 1)

    # ---------------------------------------------------------------- DUT

    @action(
        3,
        by=st.sampled_from([cast("exchange"), cast("exchange"), *LICENSEES[:2]]),
        to=st.sampled_from([*HOLDERS, ZERO, "market"]),
        amount=AMOUNT,
    )
    def issue(self, by: Actor, to: str, amount: str) -> None:
        dut = self.model.dut
        left = max(0, dut.cap - dut.issued[self.pair.now // DAY])
        amounts = measure(amount, left if amount in ("all", "over") else 9 * MILLION * TOKEN)
        to = self.model.market.address if to == "market" else to
        self.do(by, "UsageToken", "issue", to, amounts, value("payment", 2))

    @action(1, by=st.sampled_from([cast("exchange"), cast("pharma")]), amount=AMOUNT)
    def redeem(self, by: Actor, amount: str) -> None:
        held = self.model.dut.balances[by]
        self.do(by, "UsageToken", "redeem", measure(amount, held), value("payment", 3))

    @action(
        2,
        nth=INDEX,
        to=st.sampled_from([*HOLDERS, *SPARE, ZERO, "market", "treasury"]),
        amount=AMOUNT,
    )
    def transfer(self, nth: int, to: str, amount: str) -> None:
        by = self.payer_at(nth)
        of = {"market": self.model.market.address, "treasury": self.model.treasury.address}
        held = self.model.dut.balances[by]
        self.do(by, "UsageToken", "transfer", of.get(to, to), measure(amount, held))

    @action(1, by=holders, to=st.sampled_from([*HOLDERS, ZERO, "market"]), amount=AMOUNT)
    def approve(self, by: Actor, to: str, amount: str) -> None:
        to = self.model.market.address if to == "market" else to
        held = self.model.dut.balances[by]
        self.do(by, "UsageToken", "approve", to, measure(amount, held))

    @action(1, by=holders, nth=INDEX, to=holders, amount=AMOUNT)
    def transfer_from(self, by: Actor, nth: int, to: Actor, amount: str) -> None:
        allowances = self.model.dut.allowances
        pairs = [(o, s) for (o, s) in allowances if o in BY_ADDRESS]
        owner, spender = self.pick(pairs, nth, lambda pair: allowances[pair])
        spender = by if spender not in BY_ADDRESS or nth % 3 == 0 else spender
        there = min(
            self.model.dut.allowances.get((owner, spender), 0), self.model.dut.balances[owner]
        )
        self.do(spender, "UsageToken", "transferFrom", owner, to, measure(amount, there))

    @action(1, owner=holders, spender=holders, late=seldom(-1), twist=seldom("other", "replay"))
    def permit(self, owner: Actor, spender: Actor, late: int | None, twist: str | None) -> None:
        self._permit("relay", owner, spender, late, twist)

    def _permit(
        self, by: str, owner: Actor, spender: str, late: int | None, twist: str | None
    ) -> None:
        deadline = self.pair.now + (late if late is not None else 0)
        nonce = self.model.dut.nonces[owner] - (twist == "replay")
        message = Permit(str(owner), str(spender), 5 * TOKEN, max(nonce, 0), deadline)
        if twist == "other" or nonce < 0:
            message = message._replace(value=6 * TOKEN)
        signature = self.pair.sign(owner, message)
        args = (owner, spender, 5 * TOKEN, deadline, signature)
        self.do(cast(by), "UsageToken", "permit", *args)

    @action(
        3,
        account=people,
        what=st.sampled_from(["admit", "admit", "freeze", "unfreeze"]),
        by=seldom(cast("relay"), cast("pharma")),
    )
    def change_standing(self, account: Actor, what: str, by: Actor | None) -> None:
        if what == "admit":
            self.do(by or cast("admission"), "UsageToken", "admit", account)
        else:
            args = (account, what == "freeze")
            self.do(by or cast("sanctions"), "UsageToken", "setFrozen", *args)

    @action(
        1,
        account=st.sampled_from(["market", "treasury", cast("platform"), cast("bob"), ZERO]),
        on=st.sampled_from([True, True, True, False]),
    )
    def change_protocol(self, account: str, on: bool) -> None:
        of = {"market": self.model.market.address, "treasury": self.model.treasury.address}
        self.decide("UsageToken", "setProtocol", of.get(account, account), on)

    @action(1, by=holders, amount=AMOUNT)
    def burn_usage(self, by: Actor, amount: str) -> None:
        amounts = measure(amount, self.model.dut.balances[by])
        if self.do(by, "UsageToken", "burn", amounts) is not REFUSED and amounts:
            self.burned_aside = True

    @action(
        1,
        by=st.sampled_from([cast("compliance"), cast("compliance"), cast("pharma")]),
        account=st.sampled_from(LICENSEES),
        give=st.booleans(),
    )
    def change_exchanges(self, by: Actor, account: Actor, give: bool) -> None:
        if give:
            self.do(by, "AccessManager", "grantRole", Access.EXCHANGE, account, 0)
        else:
            self.do(by, "AccessManager", "revokeRole", Access.EXCHANGE, account)

    # ---------------------------------------------------------------- DCT

    @action(
        1, holder=st.sampled_from([*PATIENTS, *SPARE, ZERO]), amount=AMOUNT, by=seldom(*PATIENTS)
    )
    def burn_contribution(self, holder: str, amount: str, by: Actor | None) -> None:
        held = self.model.dct.balances.get(holder, 0)
        args = (holder, measure(amount, held))
        self.do(by or cast("redemption office"), "ContributionToken", "burn", *args)

    @action(
        1,
        previous=st.sampled_from([*PATIENTS, *SPARE]),
        current=st.sampled_from([*PATIENTS, *SPARE, ZERO]),
        by=seldom(*PATIENTS),
    )
    def recover(self, previous: Actor, current: str, by: Actor | None) -> None:
        who = by or cast("recovery office")
        self.do(who, "ContributionToken", "recover", previous, current)

    @action(
        1,
        by=patients,
        to=st.sampled_from([*SPARE, ZERO]),
        amount=AMOUNT,
        how=st.sampled_from(
            ["transfer", "transferFrom", "approve", "delegate", "mint", "bindMinter"]
        ),
    )
    def try_to_move_contribution(self, by: Actor, to: str, amount: str, how: str) -> None:
        amounts = measure(amount, self.model.dct.balances.get(by, 0))
        args = {"transferFrom": (by, to, amounts), "delegate": (to,), "bindMinter": (to,)}
        self.do(by, "ContributionToken", how, *args.get(how, (to, amounts)))

    # ---------------------------------------------------------------- records

    @action(
        2,
        account=st.sampled_from([*INSTITUTIONS, *SPARE, ZERO]),
        capabilities=st.sampled_from([7, 7, 5, 3, 4, 1, 2, 0, 8, UNLIMITED]),
        by=seldom(*INSTITUTIONS),
    )
    def accredit(self, account: str, capabilities: int, by: Actor | None) -> None:
        who = by or cast("accreditation")
        self.do(who, "RecordRegistry", "accredit", account, capabilities)

    @action(1, number=numbers, account=st.sampled_from([*SPARE, *INSTITUTIONS, ZERO]))
    def move_institution(self, number: int, account: str) -> None:
        self.do(cast("accreditation"), "RecordRegistry", "move", number, account)

    @action(
        4,
        nth=INDEX,
        owner=patients,
        kind=st.integers(1, 4),
        annotator=st.sampled_from([0, 0, 3, 4, 4, 1]),
        previous=st.sampled_from([None] * 5 + [0, 1, 2, 3]),
        again=seldom(0, 1, 2),
        twist=seldom(*DRAFT_TWISTS),
    )
    def register(
        self,
        nth: int,
        owner: Actor,
        kind: int,
        annotator: int,
        previous: int | None,
        again: int | None,
        twist: str | None,
    ) -> None:
        by = self.custodian_at(nth)
        changes: dict[str, Any] = {"owner": owner, "kind": kind, "annotator": annotator}
        if previous is not None:
            corrected = self.record_at(previous)
            changes |= {"previous": corrected}
            if corrected in self.model.registry.records and previous:
                found = self.model.registry.records[corrected]
                changes["owner"] = found.owner
                by = BY_ADDRESS.get(self.model.registry.account(found.custodian), by)
        number = len(self.facts.records) if again is None else again
        draft = self.pair.draft(number, **(changes | DRAFT_TWISTS.get(twist, {})))
        made = self.do(by, "RecordRegistry", "register", draft)
        if made is not REFUSED:
            self.facts.records.append(made)

    @action(2, nth=INDEX, size=st.integers(1, 5), count=seldom(0), again=st.booleans())
    def register_batch(self, nth: int, size: int, count: int | None, again: bool) -> None:
        by = self.custodian_at(nth)
        start = 1000 + 10 * len(self.facts.batches)
        drafts = [self.pair.draft(start + i, annotator=4 * (i % 2)) for i in range(size)]
        if again and self.facts.batches:
            drafts = self.facts.batches[-1][1]
        number = self.model.registry.numbers[by]
        root = Tree([leaf_of(draft) for draft in drafts]).root
        args = (root, size if count is None else count, value("manifest", 1))
        if self.do(by, "RecordRegistry", "register_batch", *args) is not REFUSED:
            self.facts.batches.append((number, drafts))

    @action(
        3,
        when=lambda self: self.facts.batches,
        by=people,
        nth=INDEX,
        index=INDEX,
        twist=seldom("custodian", "draft", "proof", "root"),
    )
    def register_from_batch(self, by: Actor, nth: int, index: int, twist: str | None) -> None:
        custodian, drafts = self.facts.batches[nth % len(self.facts.batches)]
        leaves = [leaf_of(draft) for draft in drafts]
        tree, index = Tree(leaves), index % len(drafts)
        root, draft = tree.root, drafts[index]
        raw = tuple(tree.proof(index))
        if twist == "custodian":
            custodian += 1
        elif twist == "draft":
            draft = draft | {"size": 1}
        elif twist == "root":
            root = value("root", 1)
        elif twist == "proof":
            raw = (value("proof", 1),)
        proof = Proof(NONE if twist == "proof" else tree.root, leaves[index], raw)
        args = (custodian, root, draft, proof)
        made = self.do(by, "RecordRegistry", "register_from_batch", *args)
        if made is not REFUSED:
            self.facts.records.append(made)

    @action(
        6,
        when=lambda self: any(not x.attested for x in self.model.registry.records.values()),
        who=INDEX,
        nth=INDEX,
        completeness=st.integers(0, 100),
        dvi=st.integers(1, 100),
        twist=seldom(*SCORE_TWISTS),
    )
    def attest(self, who: int, nth: int, completeness: int, dvi: int, twist: str | None) -> None:
        registry = self.model.registry
        by = self.pick(INSTITUTIONS, who, lambda one: registry.may(registry.numbers[one], 4))
        record = self.pick(
            self.facts.records[::-1], nth, lambda one: not registry.records[one].attested
        )
        changes = {"completeness": completeness, "dvi": dvi} | SCORE_TWISTS.get(twist, {})
        self.do(by, "RecordRegistry", "attest", record, self.pair.scores(**changes))

    @action(
        1,
        nth=INDEX,
        by=seldom(*INSTITUTIONS),
        own=st.booleans(),
        twist=seldom("fields", "fingerprint", "content", "codec", "size"),
    )
    def add_rendition(self, nth: int, by: Actor | None, own: bool, twist: str | None) -> None:
        record = self.record_at(nth)
        found = self.model.registry.records[record]
        custodian = BY_ADDRESS.get(self.model.registry.account(found.custodian), cast("relay"))
        copy: dict[str, Any] = {
            "fields": value("fields", nth % 2),
            "licence": value("licence", nth) if own else NONE,
            "fingerprint": value("fingerprint of a copy", nth),
            "content": value("content of a copy", nth),
            "codec": (0x55, 0x70)[nth % 2],
            "size": nth + 1,
        }
        if twist:
            copy[twist] = NONE if isinstance(copy[twist], bytes) else 0
        self.do(by or custodian, "RecordRegistry", "add_rendition", record, copy)

    @action(1, nth=INDEX, by=seldom(*INSTITUTIONS), certificate=seldom(NONE))
    def destroy(self, nth: int, by: Actor | None, certificate: bytes | None) -> None:
        record = self.record_at(nth)
        found = self.model.registry.records[record]
        custodian = BY_ADDRESS.get(self.model.registry.account(found.custodian), cast("relay"))
        hashed = value("certificate", 1) if certificate is None else certificate
        self.do(by or custodian, "RecordRegistry", "destroy", record, hashed)

    # ---------------------------------------------------------------- consents

    def new_terms(self, patient: Actor, nth: int, life: int, twist: str | None) -> Consent:
        """A consent over records of one patient, or over somebody's with a small chance."""
        records = self.model.registry.records
        mine = [r for r in self.facts.records if records[r].owner == patient]
        changes = dict(CONSENT_TWISTS.get(twist, {}))
        if nth % 5 == 0 and len(mine) > 1:
            covered = self.pair.make_set(mine[-4:])
        else:
            covered = mine[nth % len(mine)] if mine else self.record_at(nth)
        if nth % 3 == 0:
            changes.setdefault("floorPrice", nth * TOKEN)
        changes.setdefault("expiry", self.pair.now + life)
        return self.pair.terms(patient, covered, changes)

    def signature(self, owner: str, message: Any, how: str | None) -> tuple[Actor, Signature]:
        """Who sends the transaction, and with which signature."""
        signer = BY_ADDRESS.get(owner, cast("relay"))
        if how == "itself":
            return signer, UNSIGNED
        if how == "nobody":
            return cast("relay"), UNSIGNED
        if how == "another":
            return cast("relay"), self.pair.sign(cast("assessor"), message)
        genuine = self.pair.sign(signer, message)
        if how == "twin":
            # The malleable twin of a genuine signature, with a high s.
            order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
            high = (order - int.from_bytes(genuine.raw[32:64])).to_bytes(32)
            raw = genuine.raw[:32] + high + bytes([55 - genuine.raw[64]])
            return cast("relay"), Signature(None, None, raw)
        return cast("relay"), genuine

    SIGNED = seldom("itself", "nobody", "another", "twin", "itself")

    @action(
        7,
        patient=patients,
        nth=INDEX,
        life=st.sampled_from([1, DAY, *[90 * DAY, YEAR, 3 * YEAR, 9 * YEAR] * 3, 0]),
        how=SIGNED,
        twist=seldom(*CONSENT_TWISTS),
        old=seldom(True),
    )
    def grant_consent(
        self, patient: Actor, nth: int, life: int, how: str | None, twist: str | None, old: Any
    ) -> None:
        terms = self.consent_at(nth) if old else self.new_terms(patient, nth, life, twist)
        by, signature = self.signature(terms.patient, terms, how)
        if self.market(by, "grant_consent", terms, signature) is not REFUSED:
            self.facts.consents.append(terms)

    @action(
        3,
        patient=patients,
        nths=st.lists(INDEX, max_size=3),
        twist=seldom(*CONSENT_TWISTS),
        spoil=seldom("twice", "unsigned", "one less"),
    )
    def grant_consents(
        self, patient: Actor, nths: list[int], twist: str | None, spoil: str | None
    ) -> None:
        several = [self.new_terms(patient, nth, YEAR, None) for nth in nths]
        if several and twist:
            several[-1] = self.new_terms(patient, nths[-1], YEAR, twist)
        if several and spoil == "twice":
            several.append(several[0])
        signatures = [self.signature(t.patient, t, None)[1] for t in several]
        if several and spoil == "unsigned":
            signatures[-1] = UNSIGNED
        if several and spoil == "one less":
            signatures.pop()
        made = self.market(cast("relay"), "grant_consents", several, signatures)
        if made is not REFUSED:
            self.facts.consents += several

    @action(4, nth=INDEX, how=SIGNED, unknown=seldom(True))
    def revoke_consent(self, nth: int, how: str | None, unknown: bool | None) -> None:
        terms = self.consent_at(nth)
        consent = value("consent", nth) if unknown else terms.struct_hash()
        by, signature = self.signature(terms.patient, Revocation(consent), how)
        self.market(by, "revoke_consent", consent, signature)

    @action(2, patient=patients, nth=INDEX, how=SIGNED, old=seldom(True), then=st.booleans())
    def cancel_consent(
        self, patient: Actor, nth: int, how: str | None, old: bool | None, then: bool
    ) -> None:
        terms = self.consent_at(nth) if old else self.new_terms(patient, nth, YEAR, None)
        message = Revocation(terms.struct_hash())
        by, signature = self.signature(terms.patient, message, how)
        made = self.market(by, "cancel_consent", terms, signature)
        if then and made is not REFUSED:
            self.facts.consents.append(terms)  # to be tried, granted and revoked later on

    # ---------------------------------------------------------------- money in and out

    @action(
        2,
        account=st.sampled_from([*LICENSEES, *LICENSEES, ZERO]),
        groups=st.sampled_from([RESEARCH, PHARMA, PHARMA, 3, 3, 3, 0, 2**96 - 1, 2**96]),
        region=st.sampled_from([TAIWAN, TAIWAN, TAIWAN, JAPAN, 0, 999, 1000]),
        flags=st.sampled_from([0, 0, 0, 0, 2, 1, 3, 4]),
        by=seldom(*LICENSEES),
    )
    def set_licensee(
        self, account: str, groups: int, region: int, flags: int, by: Actor | None
    ) -> None:
        who = by or cast("credentials")
        self.market(who, "set_licensee", account, groups, region, flags)

    @action(
        4, nth=INDEX, account=st.sampled_from([*LICENSEES, ZERO]), own=st.booleans(), amount=AMOUNT
    )
    def deposit(self, nth: int, account: str, own: bool, amount: str) -> None:
        by = self.payer_at(nth)
        held = self.model.dut.balances[by]
        self.market(by, "deposit", by if own else account, measure(amount, held))

    @action(2, nth=INDEX, amount=AMOUNT, late=seldom(-1), twist=seldom("other", "taken"))
    def deposit_with_permit(
        self, nth: int, amount: str, late: int | None, twist: str | None
    ) -> None:
        by = self.payer_at(nth)
        amounts = measure(amount, self.model.dut.balances[by])
        deadline = self.pair.now + (late or 0)
        nonce, market = self.model.dut.nonces[by], self.model.market.address
        message = Permit(str(by), market, amounts, nonce, deadline)
        signed = message._replace(value=7) if twist == "other" else message
        signature = self.pair.sign(by, signed)
        if twist == "taken":  # somebody was faster: no harm
            args = (by, market, amounts, deadline, signature)
            self.do(cast("relay"), "UsageToken", "permit", *args)
        self.market(by, "deposit_with_permit", by, amounts, deadline, signature)

    @action(2, nth=INDEX, amount=AMOUNT)
    def reclaim(self, nth: int, amount: str) -> None:
        by = self.pick(LICENSEES, nth, lambda who: self.model.market.licensees[who].deposit)
        there = self.model.market.licensees[by].deposit
        self.market(by, "reclaim", measure(amount, there))

    @action(
        7,
        when=lambda self: any(x.earned for x in self.model.market.earners.values()),
        nth=INDEX,
        to=seldom(*HOLDERS, *SPARE, ZERO, "market", "treasury"),
        amount=AMOUNT,
        late=seldom(-1),
        how=SIGNED,
    )
    def withdraw(
        self, nth: int, to: str | None, amount: str, late: int | None, how: str | None
    ) -> None:
        account = self.pick(EARNERS, nth, lambda who: self.model.market.earners[who].earned)
        of = {"market": self.model.market.address, "treasury": self.model.treasury.address}
        receiver = str(of.get(to, to) if to else account)
        mine = self.model.market.earners[account]
        amounts, deadline = measure(amount, mine.earned), self.pair.now + (late or 0)
        message = Withdrawal(str(account), receiver, amounts, mine.nonce, deadline)
        by, signature = self.signature(str(account), message, how)
        args = (account, receiver, amounts, deadline, signature)
        done = self.market(by, "withdraw", *args) is not REFUSED
        if done and receiver == self.model.treasury.address:
            self.audited = False  # test_edges: the auditor has no word for this gift
        if how is None:
            self.withdrawals.append(args)

    @action(1, when=lambda self: self.withdrawals, nth=INDEX)
    def withdraw_once_more(self, nth: int) -> None:
        self.market(cast("relay"), "withdraw", *self.withdrawals[nth % len(self.withdrawals)])

    # ---------------------------------------------------------------- licences

    @action(
        16,
        nth=INDEX,
        member=INDEX,
        buyer=INDEX,
        form=st.sampled_from([FIXED, METERED, METERED, METERED, RENTAL]),
        amount=AMOUNT,
        until=st.sampled_from(
            [
                *[
                    "90 days",
                    "90 days",
                    "90 days",
                    "1 second",
                    "a year",
                    "a year and a second",
                    "expiry",
                ]
                * 2,
                *["beyond", "now", "90 days and a second"],
            ]
        ),
        twist=seldom(*ORDER_TWISTS),
        forged=seldom(True),
        keyed=st.booleans(),
        desk=seldom("floor", "above", "floor", "above", "below", "uneven", "zero"),
    )
    def buy(
        self,
        nth: int,
        member: int,
        buyer: int,
        form: int,
        amount: str,
        until: str,
        twist: str | None,
        forged: bool | None,
        keyed: bool,
        desk: str | None,
    ) -> None:
        terms, now = self.consent_at(nth), self.pair.now
        by = self.buyer_at(buyer, terms)
        record, proof = self.member(terms, member)
        end = {
            "1 second": now + 1,
            "90 days": min(now + 90 * DAY, terms.expiry),
            "90 days and a second": now + 90 * DAY + 1,
            "a year": now + YEAR,
            "a year and a second": now + YEAR + 1,
            "expiry": terms.expiry,
            "beyond": terms.expiry + 1,
            "now": now,
        }[until]
        if form == RENTAL and until in ("a year", "a year and a second", "expiry"):
            end = min(end, now + 90 * DAY)
        if forged:
            proof = Proof(raw=(value("proof", member),))
        order = self.pair.order(record, form, 0, end)
        if form == METERED:
            payer = cast("desk") if desk else by
            order["units"] = self._affordable(payer, by, order, terms, amount)
        if keyed:
            order["salt"] += int(cast("meter"), 16)
        order |= ORDER_TWISTS.get(twist, {})
        if desk is None:
            self.market(by, "buy_licence", order, terms, proof)
        else:
            floor = terms.floorPrice or GRAIN
            price = {"floor": floor, "below": max(0, floor - GRAIN), "above": floor + TOKEN}
            price |= {"uneven": floor + 1, "zero": 0}
            args = (by, order, terms, proof, price[desk])
            self.market(cast("desk"), "issue_licence", *args)

    def _affordable(
        self, payer: Actor, by: Actor, order: dict[str, Any], terms: Consent, amount: str
    ) -> int:
        """Units that the deposit pays for, if there is a price."""
        price = self.model.market.quote(by, order, terms) or TOKEN
        levy = price * self.model.market.rates.levy // BPS
        there = self.model.market.licensees[payer].deposit // (price + levy)
        return min(measure(amount, there), UNLIMITED)

    @action(
        2,
        when=lambda self: self.model.market.licences,
        nth=INDEX,
        again=st.booleans(),
        amount=AMOUNT,
    )
    def buy_again(self, nth: int, again: bool, amount: str) -> None:
        """With the salt of a licence there is, which must not work, or with another."""
        found = self.model.market.licences[self.ref_at(nth)]
        terms = self.model.market.consents[found.ref.consent].terms
        assert terms is not None
        end = min(self.pair.now + DAY, terms.expiry)
        order = self.pair.order(found.ref.record, found.form, found.units, end)
        order["salt"] = found.ref.salt if again else order["salt"]
        several = self.facts.sets.get(terms.records, [found.ref.record])
        _, proof = self.member(terms, several.index(found.ref.record))
        self.market(found.ref.licensee, "buy_licence", order, terms, proof)

    @action(
        12,
        when=lambda self: self.model.market.licences,
        nth=INDEX,
        amount=AMOUNT,
        by=seldom(*LICENSEES),
    )
    def use_licence(self, nth: int, amount: str, by: Actor | None) -> None:
        licences, usable = self.model.market.licences, self.model.market.usable
        found = licences[self.pick(list(licences)[::-1], nth, usable)]
        left = found.units - found.used if found.form == METERED else 3
        ref, units = found.ref, measure(amount, left)
        args = (ref.consent, ref.record, ref.salt, units)
        self.market(by or ref.licensee, "use_licence", *args)

    def can_be_topped_up(self, ref: Ref) -> bool:
        market, found = self.model.market, self.model.market.licences[ref]
        latest = found.epoch == len(market.epochs)
        return market.usable(ref) and found.form == METERED and latest

    def takes_vouchers(self, ref: Ref) -> bool:
        found = self.model.market.licences[ref]
        return found.form == METERED and ref.key != ZERO and not found.closed

    @action(
        5,
        when=lambda self: any(map(self.can_be_topped_up, self.model.market.licences)),
        nth=INDEX,
        amount=AMOUNT,
        by=seldom(*LICENSEES),
    )
    def top_up(self, nth: int, amount: str, by: Actor | None) -> None:
        market, fits = self.model.market, self.can_be_topped_up
        ref = self.pick(list(market.licences)[::-1], nth, fits)
        found, who = market.licences[ref], by or ref.licensee
        price = max(found.price + market.rates.levy_on(found.price), 1)
        there = min(market.licensees[who].deposit // price, market.MAX_NUMBER - found.units)
        self.market(who, "top_up", ref, measure(amount, there))

    @action(
        9,
        when=lambda self: any(map(self.takes_vouchers, self.model.market.licences)),
        nths=st.lists(INDEX, min_size=1, max_size=3),
        amount=AMOUNT,
        back=st.sampled_from([0, 0, 0, 1, DAY, -1]),
        how=SIGNED,
    )
    def redeem_vouchers(self, nths: list[int], amount: str, back: int, how: str | None) -> None:
        """Dated now, at the licence's last second, or off by ``back``; for units that rise."""
        market, vouchers, fits = self.model.market, [], self.takes_vouchers
        by = cast("relay")
        for nth in nths:
            ref = self.pick(list(market.licences)[::-1], nth, fits)
            found = market.licences[ref]
            units = min(found.used + measure(amount, found.units - found.used), UNLIMITED)
            time = max(0, min(self.pair.now, market.last(ref)) - back)
            message = Voucher(ref.id, units, time)
            by, signature = self.signature(ref.key, message, how)
            vouchers.append({"ref": ref, "units": units, "time": time, "signature": signature})
        self.vouchers += vouchers
        self.market(by, "redeem_vouchers", vouchers)

    @action(1, when=lambda self: self.vouchers, nth=INDEX)
    def redeem_once_more(self, nth: int) -> None:
        vouchers = [self.vouchers[nth % len(self.vouchers)]]
        self.market(cast("relay"), "redeem_vouchers", vouchers)

    @action(
        2,
        account=st.sampled_from([*LICENSEES, cast("desk")]),
        amount=AMOUNT,
        back=st.booleans(),
        by=seldom(*LICENSEES),
    )
    def move_by_desk(self, account: Actor, amount: str, back: bool, by: Actor | None) -> None:
        licensees, who = self.model.market.licensees, by or cast("desk")
        there = licensees[who if back else account].deposit
        args = (account, measure(amount, there))
        self.market(who, "release" if back else "charge", *args)

    @action(
        2,
        when=lambda self: self.model.market.licences,
        nth=INDEX,
        what=st.sampled_from(["show", "show", "show", "unknown", "move", "approve", "for all"]),
    )
    def show_token(self, nth: int, what: str) -> None:
        shown = self.model.tokens.shown
        ref = self.pick(list(self.model.market.licences), nth, lambda one: one not in shown)
        token, owner, relay = int.from_bytes(ref.id), cast(short(ref.licensee)), cast("relay")
        calls: dict[str, tuple[Any, ...]] = {
            "show": (relay, "show", ref),
            "unknown": (relay, "show", ref._replace(salt=ref.salt + 1)),
            "move": (owner, "transferFrom", owner, relay, token),
            "approve": (owner, "approve", relay, token),
            "for all": (owner, "setApprovalForAll", relay, True),
        }
        sender, function, *args = calls[what]
        self.do(sender, "LicenceToken", function, *args)

    @action(
        3,
        when=lambda self: self.model.market.licences,
        nth=INDEX,
        suspended=st.booleans(),
        by=seldom(*LICENSEES, *PATIENTS),
        unknown=seldom(True),
    )
    def suspend(self, nth: int, suspended: bool, by: Actor | None, unknown: bool | None) -> None:
        licence = value("licence", nth) if unknown else self.ref_at(nth).id
        who = by or cast("supervisor")
        self.market(who, "set_suspended", licence, suspended)

    @action(
        6,
        when=lambda self: self.model.market.licences,
        nths=st.lists(INDEX, max_size=6),
        by=people,
        unknown=seldom(True),
    )
    def settle(self, nths: list[int], by: Actor, unknown: bool | None) -> None:
        """Any licences in any order; the same one may come twice."""
        refs = [self.ref_at(nth) for nth in nths]
        if unknown:
            refs.append(Ref(value("consent", 0), value("record", 0), ZERO, 0))
        self.market(by, "settle", refs)

    @action(2, when=lambda self: self.model.market.licences, nth=INDEX, times=st.integers(2, 3))
    def settle_one_several_times(self, nth: int, times: int) -> None:
        self.market(cast("relay"), "settle", [self.ref_at(nth)] * times)

    @action(3, backwards=st.booleans())
    def settle_whatever_runs(self, backwards: bool) -> None:
        refs = [ref for ref, x in self.model.market.licences.items() if not x.closed]
        self.market(cast("relay"), "settle", refs[::-1] if backwards else refs)

    # ---------------------------------------------------------------- decisions

    @action(
        3,
        annotator=st.sampled_from([2000, 2000, 0, 2500, 1, 4000, UNLIMITED]),
        platform=st.sampled_from([1000, 1000, 0, 2000, 3, 2001]),
        levy=st.sampled_from([500, 0, 1000, 7, 1001]),
        uneven=seldom(1, -1),
        by=seldom(*LICENSEES),
    )
    def set_rates(
        self, annotator: int, platform: int, levy: int, uneven: int | None, by: Actor | None
    ) -> None:
        provider = max(0, BPS - annotator - platform + (uneven or 0))
        rates = {"provider": provider, "annotator": annotator, "platform": platform, "levy": levy}
        self.market(by or self.pair.chain.timelock, "set_rates", rates)

    @action(1, account=st.sampled_from([cast("platform"), cast("lab"), cast("alice"), ZERO]))
    def set_platform(self, account: str) -> None:
        self.decide("DataMarket", "set_platform", account)

    @action(
        2,
        what=st.sampled_from(["unpause"] * 4 + ["pause"]),
        by=seldom(cast("alice"), cast("bob")),
    )
    def pause(self, what: str, by: Actor | None) -> None:
        usual = cast("guardian") if what == "pause" else self.pair.chain.timelock
        self.market(by or usual, what)

    @action(
        2,
        kind=st.sampled_from([1, 2, 3, 4, 1, 2, 3, 4, 0, 9]),
        amount=st.sampled_from(
            [50 * TOKEN, 85 * GRAIN, 50 * TOKEN, 0, 84 * GRAIN, 1, 10**24, 10**24 + GRAIN]
        ),
    )
    def set_reference(self, kind: int, amount: int) -> None:
        self.decide("Tariff", "set_reference", kind, amount)

    @action(
        2,
        kind=st.sampled_from([1, 2, 3, 4, 1, 2, 3, 4, 0, 9]),
        scarcity=st.sampled_from([5_000, 10_000, 33_333, 99_999, 100_000, 4_999, 100_001]),
    )
    def set_scarcity(self, kind: int, scarcity: int) -> None:
        self.decide("Tariff", "set_scarcity", kind, scarcity)

    @action(
        3,
        factor=st.integers(0, 8),
        amount=st.sampled_from(
            [10_000, 10_000, 5_000, 1_000, 999, 0, 20_000, 30_000, 50_001, 7_777, 100_000, 100_001]
        ),
    )
    def set_factor(self, factor: int, amount: int) -> None:
        self.decide("Tariff", "set_factor", factor, amount)

    @action(
        2,
        region=st.sampled_from([TAIWAN, TAIWAN, JAPAN, 0, 1000]),
        life=st.sampled_from([1, DAY, 90 * DAY, YEAR, 0, 2**40]),
        by=seldom(*LICENSEES),
    )
    def declare_emergency(self, region: int, life: int, by: Actor | None) -> None:
        until = self.pair.now + life if life else 0
        self.do(by or cast("regulator"), "Tariff", "declare_emergency", region, until)

    @action(4, by=people, kind=st.sampled_from([1, 2, 3, 4, 1, 2, 3, 4, 0, 9]))
    def move_scarcity(self, by: Actor, kind: int) -> None:
        self.do(by, "Tariff", "move_scarcity", kind)

    @action(1, by=strangers, market=st.sampled_from([cast("alice"), ZERO]))
    def bind_market_again(self, by: Actor, market: str) -> None:
        self.do(by, "Tariff", "bind_market", market)

    @action(1, seconds=st.sampled_from([0, 1, DAY, 3 * DAY, 30 * DAY, 30 * DAY + 1]))
    def set_window(self, seconds: int) -> None:
        self.decide("DataMarket", "set_window", seconds)

    @action(1, agreement=st.sampled_from([AGREEMENT, AGREEMENT, AGREEMENT, b"\7" * 32, NONE]))
    def set_agreement(self, agreement: bytes) -> None:
        self.decide("DataMarket", "set_agreement", agreement)

    @action(3, offset=st.sampled_from(["zero", -1, 0, 1, 10**24, "huge"]))
    def set_ceiling(self, offset: int | str) -> None:
        supply = self.model.dut.supply
        amount = {"zero": 0, "huge": UNLIMITED}.get(offset)
        ceiling = max(0, supply + int(offset)) if amount is None else amount
        self.decide("Treasury", "set_ceiling", ceiling)

    @action(2, share=st.sampled_from([0, 1, 5000, 3333, 10_000, 10_001]))
    def set_burn_share(self, share: int) -> None:
        self.decide("Treasury", "set_burn_share", share)

    @action(
        2,
        what=st.sampled_from(["set_coefficient", "set_min_quality", "setCap"]),
        kind=st.sampled_from([1, 2, 3, 4, 5, 0, 9]),
        number=st.sampled_from([0, 1, 20, 50, 100, 101, 1000, 100_000, 100_001]),
    )
    def tune(self, what: str, kind: int, number: int) -> None:
        if what == "set_coefficient":
            self.decide("RecordRegistry", what, kind, number)
        elif what == "set_min_quality":
            self.decide("RecordRegistry", what, number)
        else:
            cap = {100_000: 10**30, 100_001: 10**30 + 1}.get(number, number * MILLION * TOKEN)
            self.decide("UsageToken", what, cap)

    @action(
        3,
        by=strangers,
        what=st.sampled_from(
            [
                ("UsageToken", "setProtocol", cast("relay"), True),
                ("UsageToken", "setCap", 1),
                ("RecordRegistry", "move", 1, cast("relay")),
                ("RecordRegistry", "set_coefficient", 1, 1),
                ("RecordRegistry", "set_min_quality", 1),
                ("Treasury", "set_ceiling", 1),
                ("Treasury", "set_burn_share", 1),
                ("Treasury", "receive_levy", 1),
                ("DataMarket", "set_rates", "rates"),
                ("DataMarket", "set_platform", cast("relay")),
                ("Tariff", "set_reference", 1, 85 * GRAIN),
                ("Tariff", "set_scarcity", 1, 10_000),
                ("Tariff", "set_factor", 1, 5_000),
                ("DataMarket", "set_window", 1),
                ("DataMarket", "set_agreement", b"\1" * 32),
                ("DataMarket", "unpause"),
            ]
        ),
    )
    def try_to_govern(self, by: Actor, what: tuple[Any, ...]) -> None:
        """By those who are not the timelock; the accreditation role may move institutions."""
        contract, function, *args = what
        if args == ["rates"]:
            args = [self.model.market.rates._asdict()]
        self.do(by, contract, function, *args)

    # ---------------------------------------------------------------- the end

    def teardown(self) -> None:
        try:
            if self.pair.sound:
                self.pay_everybody()
                self.look_back()
                if self.audited:
                    self.audit()
        finally:
            self._anchor.__exit__(None, None, None)

    def pay_everybody(self) -> None:
        """I19: nobody is left unpaid, by whatever came before."""
        market, treasury = self.model.market, self.model.treasury
        for account in (market.address, treasury.address):
            self.decide("UsageToken", "setProtocol", account, True)
        self._settle_and_pay()
        held = self.model.dut.balances[market.address]
        open_ones = sum(x.held for x in market.licences.values())
        stuck = sum(self._stuck())
        gifts = self.model.dut.gifts[market.address]
        assert held == open_ones + stuck + gifts, "I19: the market kept somebody's money"

        last = max((x.end for x in market.licences.values()), default=0) + market.window + 1
        self.pair.warp(max(1, last - self.pair.now))
        for account, bits in list(self.model.dut.standing.items()):
            if bits & self.model.dut.FROZEN and not bits & self.model.dut.PROTOCOL:
                self.pair.office("sanctions", "UsageToken", "setFrozen", account, False)
        for account in [who for who in LICENSEES if not self.model.dut.holds(who)]:
            self.pair.office("admission", "UsageToken", "admit", account)
        self._settle_and_pay()
        assert all(x.closed for x in market.licences.values())
        held = self.model.dut.balances[market.address]
        assert sum(self._stuck()) == 0, "I19: somebody was not paid"
        assert held == gifts, "I19: the market kept money that is nobody's"
        self._redeem_all()

    def _settle_and_pay(self) -> None:
        market, relay = self.model.market, cast("relay")
        refs = [ref for ref, x in market.licences.items() if not x.closed]
        for start in range(0, len(refs), 7):
            assert self.market(relay, "settle", refs[start : start + 7]) is not REFUSED
        for account, mine in list(market.earners.items()):
            if mine.earned and account in BY_ADDRESS:
                terms = (account, account, mine.earned, mine.nonce, self.pair.now)
                signature = self.pair.sign(account, Withdrawal(*map(_plain, terms)))
                args = (account, account, mine.earned, self.pair.now, signature)
                paid = self.market(relay, "withdraw", *args) is not REFUSED
                frozen = self.model.dut.standing[account] & self.model.dut.FROZEN
                assert paid or frozen, f"I19: {short(account)} cannot withdraw"
        for account, mine in list(market.licensees.items()):
            if mine.deposit:
                paid = self.market(account, "reclaim", mine.deposit) is not REFUSED
                may = self.model.dut.holds(account)
                assert paid == may, f"I19: {short(account)} cannot take its deposit back"

    def _stuck(self) -> list[int]:
        market = self.model.market
        earned = [x.earned for x in market.earners.values()]
        return earned + [x.deposit for x in market.licensees.values()]

    def _redeem_all(self) -> None:
        """Supply falls to what the treasury holds and what was given away to contracts."""
        dut = self.model.dut
        exchange = cast("exchange")
        if not dut.holds(exchange):
            self.pair.office("admission", "UsageToken", "admit", exchange)
        for account, held in list(dut.balances.items()):
            if held and account in BY_ADDRESS and account != exchange:
                if not dut.holds(account):
                    self.pair.office("admission", "UsageToken", "admit", account)
                if dut.holds(account):
                    self.do(account, "UsageToken", "transfer", exchange, held)
        if dut.holds(exchange):
            self.do(exchange, "UsageToken", "redeem", dut.balances[exchange], NONE)
        left = sum(held for account, held in dut.balances.items() if account in BY_ADDRESS)
        reserve = self.model.treasury.levies - self.model.treasury.burned
        assert dut.supply == left + reserve + sum(dut.gifts.values()), "I1: at the very end"

    def look_back(self) -> None:
        """I13: votes of every earlier second are the balances of that second."""
        self.pair.warp(1)
        dct, chain = self.model.dct, self.pair.chain
        for account, history in dct.history.items():
            for moment in {t + d for t in history for d in (-1, 0, 1)}:
                if moment < self.pair.now:
                    key = ("ContributionToken", "getPastVotes", account, moment)
                    assert chain.state([key])[key] == dct.past(history, moment), f"I13: {key}"
        for moment in dct.supplies:
            key = ("ContributionToken", "getPastTotalSupply", moment)
            assert chain.state([key])[key] == dct.past(dct.supplies, moment), f"I13: {key}"

    def audit(self) -> None:
        """I7: the auditor's ledger, from logs alone, is the model and the chain."""
        report = self.pair.chain.audit()
        broken = [f"{f.id}: {f.detail}" for f in report.invariants if not f.holds]
        if self.burned_aside:
            assert any("burned that nobody redeemed" in one for one in broken), "I7: not noticed"
            broken = [one for one in broken if "burned that nobody redeemed" not in one]
        assert not broken, f"I7: the auditor finds {broken}"
        ledger, market = report.ledger, self.model.market
        assert set(ledger.market.licences) == {ref.id for ref in market.licences}
        assert set(ledger.market.consents) == set(market.consents)
        assert set(ledger.registry.records) == set(self.model.registry.records)
        totals, sums = ledger.market.totals, market.totals
        for name in ("deposited", "reclaimed", "paid", "paid_levy", "settled", "levy"):
            assert getattr(totals, name) == getattr(sums, name), f"I7: {name}"
        for name in ("refunded", "refunded_levy", "withdrawn"):
            assert getattr(totals, name) == getattr(sums, name), f"I7: {name}"
        parts = (totals.patients, totals.custodians, totals.annotators, totals.platform)
        assert parts == tuple(sums.parts.values()), "I7: parts"
        assert (ledger.usage.minted, ledger.usage.burned) == (
            self.model.dut.minted,
            self.model.dut.burned,
        )


def _plain(item: Any) -> Any:
    return str(item) if isinstance(item, str) else item


# ------------------------------------------------------------------ how often it runs

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
FAST = settings(
    backend=even.NAME,
    max_examples=15,
    stateful_step_count=50,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=QUIET,
)
CAMPAIGN = settings(FAST, max_examples=100, stateful_step_count=100)


def run(number: int, profile: settings) -> None:
    """Runs that are the same every time for the same number."""

    class Seeded(MarketMachine):
        pass

    DONE.clear()
    MET.clear()
    run_state_machine_as_test(seed(number)(Seeded), settings=profile)


@pytest.mark.parametrize("number", range(2))
def test_market(number: int) -> None:
    run(number, FAST)
    # It must really have happened.
    often = {"buy_licence": 10, "use_licence": 5, "settle": 15, "withdraw": 15, "revoke_consent": 4}
    assert {name: DONE[name] for name in often if DONE[name] < often[name]} == {}
    assert len(MET) > 40


@pytest.mark.slow
@pytest.mark.parametrize("number", range(100, 100 + times(3, 8)))
def test_campaign(number: int) -> None:
    run(number, CAMPAIGN)
    assert functions() - NEVER == (functions() - NEVER) & DONE.keys()


# What nobody may ever do, and what only the manager's own tests try.
NEVER = {"mint", "bindMinter", "delegate", "setApprovalForAll", "bind_market", "receive_levy"}
ELSEWHERE = {"initialize", "setAuthority", "delegateBySig", "safeTransferFrom"}
# What only the disputes do to the registry, and what the reserve spends or burns: this model has neither.
# The model of the whole suite and the tests of QualityDisputes, ResearchDesk and Treasury try them.
ELSEWHERE |= {"revise", "disqualify", "approve_budget", "spend", "give_back", "burn_reserve"}


def functions() -> set[str]:
    """Every function of the suite that changes something."""
    contracts = ("UsageToken", "ContributionToken", "RecordRegistry", "Treasury", "Tariff")
    found = set()
    for contract in (*contracts, "DataMarket", "LicenceToken"):
        entries = [e for e in artifacts.load(contract)["abi"] if e["type"] == "function"]
        found |= {e["name"] for e in entries if e["stateMutability"] == "nonpayable"}
    return found - ELSEWHERE


def test_the_model_knows_every_function() -> None:
    books = scene().model.of.values()
    assert {name for name in functions() if not any(hasattr(b, name) for b in books)} == set()
