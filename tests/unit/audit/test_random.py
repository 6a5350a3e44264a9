"""Random small histories: honest ones hold, and one whose last settlement is touched does not."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.evm import Reverted
from support.royalties import Stage, Study
from support.world import DAY, DUT, FIXED, JAPAN, KEY_BITS, METERED, RENTAL, TAIWAN, World

from medtoken.audit import rules
from medtoken.chain.words import GRAIN, FactorsWord
from medtoken.deploy.roles import Role
from medtoken.messages import Consent
from medtoken.vocabulary import duo_mask

FACTORS = [name for name, _ in FactorsWord.layout]

MARKET = ["buy", "buy term", "buy rental", "buy keyed", "use", "settle", "wait"] * 3
MARKET += ["grant", "grant", "revoke"]
LATER = ["top up", "top up", "voucher", "voucher", "show"]
MONEY = ["withdraw", "reclaim", "issue"]
DESK = ["charge", "release", "desk sale"]
RECORDS = ["correct", "destroy", "move"]
GOVERNANCE = ["rates", "window", "factor", "scarcity", "emergency", "certify"]
ROYALTY = ["attest", "pay", "join", "claim", "option", "vest", "return", "hand over", "pay out"]
ACTIONS = st.sampled_from([*MARKET, *LATER, *MONEY, *DESK, *RECORDS, *GOVERNANCE, *ROYALTY])


def buy(w: World, action: str, n: int, consent: Consent, refs: list) -> None:
    form = {"buy term": FIXED, "buy rental": RENTAL}.get(action, METERED)
    units = n % 50 + 1 if form == METERED else 0
    salt = w.keyed(len(refs)) if action == "buy keyed" else len(refs) << KEY_BITS
    purposes = duo_mask(["HMB", "NCU"] if n % 3 else ["HMB"])
    sender = w.people.other_licensee if n % 5 == 0 else w.people.licensee
    order = {"form": form, "units": units, "end": w.now + 5000 + n * 2000, "salt": salt}
    order |= {"purposes": purposes, "urgent": n % 7 == 0}
    refs.append(w.buy(consent, sender=sender, **order))


def govern(w: World, action: str, n: int) -> None:
    match action:
        case "rates":
            rates = {"provider": 9000 - n, "annotator": n, "platform": 1000, "levy": n % 1001}
            w.as_timelock(w.market, "set_rates", rates)
        case "window":
            w.as_timelock(w.market, "set_window", n * 600)
        case "factor":
            factor = n % 8
            bounds = rules.FACTORS[FACTORS[factor]]
            w.as_timelock(w.tariff, "set_factor", factor, bounds[n % 2])
        case "scarcity":
            w.as_timelock(w.tariff, "set_scarcity", 1, 5_000 + 90 * n)
        case "emergency":
            w.declare((JAPAN, TAIWAN)[n % 2], n * 100)
        case "certify":
            w.license(w.people.licensee, flags=2 * (n % 2))


def desk(w: World, action: str, n: int, consent: Consent, refs: list) -> None:
    p, m, seller = w.people, w.market, w.people.meter
    match action:
        case "charge":
            m.charge(p.licensee, n * DUT, sender=seller)
        case "release":
            m.release(p.other_licensee, n * DUT // 2, sender=seller)
        case "desk sale":
            salt = w.keyed(len(refs))
            order = w.order(consent, salt=salt, form=METERED if n % 2 else FIXED)
            if n % 2 == 0:
                order |= {"units": 0, "end": w.now + n * DAY}
            m.issue_licence(
                p.other_licensee, order, consent.values(), [], n * 10**17, sender=seller
            )
            refs.append(
                {
                    "consent": consent.struct_hash(),
                    "record": consent.records,
                    "licensee": str(p.other_licensee),
                    "salt": salt,
                }
            )


def later(w: World, action: str, n: int, ref: dict) -> None:
    match action:
        case "top up":
            w.market.top_up(ref, n % 9 + 1, sender=ref["licensee"])
        case "voucher":
            w.redeem(w.voucher(ref, n % 30, time=w.now - n * 500 * (n % 2)))
        case "show":
            w.token.show(ref, sender=w.people.stranger)


def change(w: World, action: str, n: int, consent: Consent) -> None:
    match action:
        case "correct":
            w.attest(w.register(previous=consent.records), completeness=n % 101)
        case "destroy":
            w.registry.destroy(consent.records, w.fresh("certificate"), sender=w.people.custodian)
        case "move":
            w.tariff.move_scarcity(1, sender=w.people.stranger)


def money(w: World, action: str, n: int) -> None:
    p = w.people
    match action:
        case "withdraw":
            who = (p.patient, p.custodian, p.annotator)[n % 3]
            w.withdraw(w.withdrawal(who, max(1, w.earned(who) * n // 1000)), who)
        case "reclaim":
            w.market.reclaim(n * DUT + 1, sender=p.licensee)
        case "issue":
            w.fund(p.licensee, n * 20_000 * DUT)


def royalty(w: World, action: str, n: int, study: Study) -> None:
    """A study of three that was sealed at the beginning (R19, R20)."""
    p, vault = w.people, study.stage.vault
    who = (p.patient, p.other_patient, p.annotator)[n % 3]
    milestone = (n % 5).to_bytes(32, "big") if n % 5 else b"\1" * 32
    match action:
        case "attest":
            study.attest(n * 997 * DUT + n)
        case "pay":
            study.pay(study.books.due * (n % 10 + 1) // 10 // GRAIN * GRAIN)
        case "join":
            study.join(who)
        case "claim":
            study.claim(who)
        case "option":
            study.grant(n * DUT + GRAIN, n * 2_000 + 1, milestone)
        case "vest":
            study.vest(milestone)
        case "return":
            study.give_back(milestone)
        case "hand over":
            vault.hand_over([study.id], sender=p.relay)
        case "pay out":
            held = study.stage.credited(who)
            study.stage.withdraw(study.stage.withdrawal(who, held * n // 1000), who)


def act(w: World, action: str, n: int, consents: list, refs: list, study: Study) -> None:
    p = w.people
    consent = consents[n % len(consents)]
    ref = refs[n % len(refs)] if refs else None
    if action in DESK:
        desk(w, action, n, consent, refs)
    elif action in MONEY:
        money(w, action, n)
    elif action in RECORDS:
        change(w, action, n, consent)
    elif action in GOVERNANCE:
        govern(w, action, n)
    elif action in ROYALTY:
        royalty(w, action, n, study)
    elif action in LATER and ref:
        later(w, action, n, ref)
    match action:
        case "grant":
            annotator = w.number(p.annotator) if n % 2 else 0
            share, dvi = 7000 + n % 1001, 1 + n % 100
            region, tier = (JAPAN, TAIWAN)[n % 2], 1 + n % 2
            record = w.record(dvi=dvi, annotator=annotator, region=region, tier=tier)
            purposes = duo_mask(["HMB"] if n % 3 == 0 else ["HMB", "NCU"])
            terms = {"patientShare": share, "floorPrice": n * 10**9, "purposes": purposes}
            consents.append(w.granted(record, **terms))
        case "buy" | "buy term" | "buy rental" | "buy keyed":
            buy(w, action, n, consent, refs)
        case "use" if ref:
            w.use(ref, n % 7 + 1)
        case "settle" if ref:
            w.settle(ref)
        case "revoke":
            w.revoke(consent)
        case "wait":
            w.evm.warp(n * 499)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.tuples(ACTIONS, st.integers(0, 999)), min_size=10, max_size=60))
def test_random_histories(recorded: World, auditing, history, steps: list[tuple[str, int]]) -> None:
    with recorded.evm.anchor():
        consents, refs = [recorded.granted(), recorded.granted(floorPrice=0)], []
        for n, action in ((41, "buy keyed"), (43, "buy"), (44, "buy rental"), (46, "buy term")):
            buy(recorded, action, n, consents[1], refs)
        recorded.as_timelock(
            recorded.manager, "grantRole", int(Role.DESK), recorded.people.meter, 0
        )
        p = recorded.people
        stage = Stage(recorded)
        study = stage.open({p.patient: 7, p.other_patient: 11, p.annotator: 13})
        for action, n in steps:
            with suppress(Reverted):  # what the contracts refuse is no history
                act(recorded, action, n, consents, refs, study)
        report = auditing(recorded)
        assert report.violations == ()
        assert report.holds
        made = history(recorded)
        settled = [i for i, e in enumerate(made.events) if e.event == "LicenceSettled"]
        if settled:
            assert {2, 7} & set(made.broken(made.without(settled[-1])))
            event = made.events[settled[-1]]
            less = made.changed(settled[-1], patientAmount=event.args["patientAmount"] - 1)
            assert 2 in made.broken(less)
