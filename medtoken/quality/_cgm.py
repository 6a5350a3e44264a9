"""Glucose series, judged on how their readings lie in time."""

from __future__ import annotations

from medtoken.formats import CgmFacts
from medtoken.quality._parts import Dimensions, Part, ratio, saturating, without, yes

_TWO_WEEKS = 14 * 86_400


def dimensions(facts: CgmFacts) -> Dimensions:
    """The six dimensions of a glucose series."""
    of = facts.rows
    return {
        "volume": [Part("time covered", 100, saturating(facts.covered, _TWO_WEEKS))],
        "completeness": [
            Part("quarter hours with a reading", 70, ratio(facts.slots_seen, facts.slots)),
            Part("rows with a value", 30, without(facts.missing, of)),
        ],
        "timeliness": [
            Part("time within a quarter hour of a reading", 50, ratio(facts.coarse, facts.span)),
            Part("time within five minutes of a reading", 50, ratio(facts.fine, facts.span)),
        ],
        "accuracy": [
            Part("readable cells", 30, without(facts.unreadable, of)),
            Part("plausible readings", 40, without(facts.implausible, of)),
            Part("rows in order of time", 30, without(facts.disordered, of)),
        ],
        "annotation": [
            Part("known columns for time and glucose", 40, yes(True)),
            Part("unit stated", 20, yes(facts.unit)),
            Part("offset from UTC stated", 20, yes(facts.utc_offset)),
            Part("events or diagnosis noted", 20, yes(facts.notes_column)),
        ],
        "traceability": [
            Part("rows that name their subject", 60, without(facts.unnamed, of)),
            Part("device named", 40, yes(facts.device_column)),
        ],
    }
