"""R31: what the watcher tells of a simulated month, and of what contracts would never let pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from support.month import Month, month

from medtoken.audit import Event
from medtoken.watch import Alert, Kind, WatchBooks


@pytest.fixture(scope="module")
def simulated() -> Month:
    return month(5, licences=20)


def watched(of: Month, events: list[Event] | None = None) -> list[Alert]:
    books = WatchBooks(of.suite, of.clock())
    for event in of.events if events is None else events:
        books.apply(event)
    books.close()
    return books.alerts


def test_what_was_planted_is_told_and_little_else(simulated: Month) -> None:
    alerts = watched(simulated)
    told = {(alert.kind, alert.subject) for alert in alerts}
    missed = Counter(what for key, what in simulated.planted.items() if key not in told)
    assert set(missed) <= {"creeping"}  # what grows slowly may not have grown enough
    assert {"burst", "moved", "sanctioned"} <= set(simulated.planted.values())
    wrong = told - set(simulated.planted)
    assert {kind for kind, _ in wrong} <= {Kind.VOLUME}
    assert len(wrong) <= simulated.licences // 10
    for alert in alerts:
        assert alert.parties
        assert alert.time == simulated.world.evm.times[alert.block]  # type: ignore[attr-defined]
        assert len(alert.text.splitlines()) == 1


def test_an_alert_has_one_id_whoever_watches(simulated: Month) -> None:
    first, second = watched(simulated), watched(simulated)
    assert [a.id for a in first] == [a.id for a in second]
    assert len({a.id for a in first}) == len(first)


def test_a_use_after_a_revocation_is_a_rule_that_does_not_hold(simulated: Month) -> None:
    """No contract of the suite lets it pass: the history is made up."""
    at, used = next(
        (i, e) for i, e in enumerate(simulated.events) if e.event == "LicenceUsed" and i > 400
    )
    licence = used.args["licence"]
    bought = next(
        e for e in simulated.events if e.event == "LicenceBought" and e.args["licence"] == licence
    )
    patient = str(simulated.world.people.patient)
    revoked = Event(
        "DataMarket",
        "ConsentRevoked",
        {"consent": bought.args["consent"], "patient": patient},
        used.address,
        used.block,
        b"revoked",
        0,
    )
    later = [replace(e, index=e.index + 1) for e in simulated.events[at:]]
    found = watched(simulated, [*simulated.events[:at], revoked, *later])
    broken = [a for a in found if a.kind is Kind.RULE]
    assert any(
        a.rule == "R9" and "was used after its consent was revoked" in a.text for a in broken
    )
    assert all(a.kind is not Kind.RULE for a in watched(simulated))
