"""Random small histories: honest ones hold, and one whose last settlement is touched does not."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.evm import Reverted
from support.world import DUT, FIXED, KEY_BITS, METERED, World

ACTIONS = st.sampled_from(
    ["grant", "buy", "buy term", "use", "settle", "revoke", "wait", "withdraw", "reclaim", "issue"]
)


def act(w: World, action: str, n: int, consents: list, refs: list) -> None:
    p = w.people
    consent = consents[n % len(consents)]
    ref = refs[n % len(refs)] if refs else None
    match action:
        case "grant":
            annotator = w.number(p.annotator) if n % 2 else 0
            share, dvi = 7000 + n % 1001, 1 + n % 100
            record = w.record(dvi=dvi, annotator=annotator)
            consents.append(w.granted(record, patientShare=share, floorPrice=n * 10**9))
        case "buy" | "buy term":
            form = METERED if action == "buy" else FIXED
            units = n % 50 + 1 if action == "buy" else 0
            end = w.now + 1 + n * 1000
            refs.append(w.buy(consent, form=form, units=units, end=end, salt=len(refs) << KEY_BITS))
        case "use" if ref:
            w.use(ref, n % 7 + 1)
        case "settle" if ref:
            w.settle(ref)
        case "revoke":
            w.revoke(consent)
        case "wait":
            w.evm.warp(n * 997)
        case "withdraw":
            who = (p.patient, p.custodian, p.annotator)[n % 3]
            w.withdraw(w.withdrawal(who, max(1, w.earned(who) * n // 1000)), who)
        case "reclaim":
            w.market.reclaim(n * DUT + 1, sender=p.licensee)
        case "issue":
            w.fund(p.licensee, n * 20_000 * DUT)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.tuples(ACTIONS, st.integers(0, 999)), min_size=5, max_size=25))
def test_random_histories(recorded: World, auditing, history, steps: list[tuple[str, int]]) -> None:
    with recorded.evm.anchor():
        consents, refs = [recorded.granted()], []
        for action, n in steps:
            with suppress(Reverted):  # what the contracts refuse is no history
                act(recorded, action, n, consents, refs)
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
