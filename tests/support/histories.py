"""Ways to lie about a history, and to say which finding must tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medtoken.audit import Event


def named(honest: Any, events: list[Event], invariant: int, rule: str, text: str) -> None:
    """The finding of this invariant fails and names this rule and these words."""
    finding = honest.broken(events).get(invariant)
    assert finding is not None, f"invariant {invariant} holds"
    found = [v for v in finding.violations if v.rule == rule and text in str(v)]
    assert found, finding.detail
    assert str(found[0]) in finding.detail or len(finding.violations) > 10


def insert(events: list[Event], at: int, event: Event, **changes: Any) -> list[Event]:
    """An event copied into the history after position ``at``, in a transaction of its own."""
    before = events[at]
    copy = replace(
        event,
        args=event.args | changes,
        block=before.block,
        index=before.index,
        tx=b"invented",
    )
    # Later logs of the block move on by one, as they would.
    head = [replace(e, index=e.index * 2) for e in events[: at + 1]]
    tail = [replace(e, index=e.index * 2) for e in events[at + 1 :]]
    return [*head, replace(copy, index=2 * before.index + 1), *tail]


def of(honest: Any, event: str, at: int = 0, **args: Any) -> int:
    """The position of an event with these arguments, counted from 0."""
    found = [
        i
        for i, e in enumerate(honest.events)
        if e.event == event and args.items() <= e.args.items()
    ]
    return found[at]
