"""Glucose series, judged on how their readings lie in time."""

from __future__ import annotations

from fractions import Fraction

from medtoken.formats import CgmFacts
from medtoken.quality._parts import (
    Dimensions,
    Part,
    ratio_of_at_least,
    saturating,
    without,
    yes,
)

_TWO_WEEKS = 14 * 86_400  # seconds: what a report of glucose needs (Battelino 2019)
_QUARTER_HOUR = 900


def dimensions(facts: CgmFacts, recent: Fraction) -> Dimensions:
    """The six dimensions of a glucose series whose last day is worth ``recent``."""
    of = facts.rows

    def of_time(seconds: int) -> Fraction:
        return ratio_of_at_least(seconds, facts.span, _TWO_WEEKS)

    return {
        "volume": [Part("time covered", 100, saturating(facts.covered, _TWO_WEEKS))],
        "completeness": [
            Part(
                "quarter hours with a reading",
                70,
                ratio_of_at_least(facts.slots_seen, facts.slots, _TWO_WEEKS // _QUARTER_HOUR),
            ),
            Part("rows with a value", 30, without(facts.missing, of - facts.disordered)),
        ],
        "timeliness": [
            Part("time within a quarter hour of a reading", 30, of_time(facts.coarse)),
            Part("time within five minutes of a reading", 30, of_time(facts.fine)),
            Part("recent at the day of reference", 40, recent),
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
