"""Variant call files, judged on their calls and on what their header declares."""

from __future__ import annotations

from fractions import Fraction

from medtoken.formats import VcfFacts
from medtoken.quality._parts import Dimensions, Part, ratio_of_at_least, saturating, without, yes

_WHOLE = 1000  # variants: fewer are an excerpt of a genome, and count as one


def dimensions(facts: VcfFacts, recent: Fraction) -> Dimensions:
    """The six dimensions of a VCF whose last day is worth ``recent``."""
    of = facts.variants
    sound = of - facts.defective

    def of_whole(variants: int) -> Fraction:
        return ratio_of_at_least(variants, of, _WHOLE)

    called = ratio_of_at_least(facts.called, facts.calls, _WHOLE * facts.samples)
    dated = Fraction(1) if facts.file_date else Fraction(1, 2) * bool(facts.other_date)
    return {
        "volume": [Part("sound variants", 100, saturating(sound, _WHOLE))],
        "completeness": [
            Part("genotypes called", 80, called),
            Part("filter stated", 10, of_whole(facts.filtered)),
            Part("quality stated", 10, of_whole(facts.scored)),
        ],
        "timeliness": [
            Part("date of the file", 60, dated),
            Part("recent at the day of reference", 40, recent),
        ],
        "accuracy": [Part("sound rows", 100, without(facts.defective, of))],
        "annotation": [
            Part("names declared in the header", 50, without(facts.undeclared, sound)),
            Part("variants with an identifier", 30, of_whole(facts.identified)),
            Part("known reference genome", 20, yes(facts.assembly)),
        ],
        "traceability": [
            Part("samples named", 30, yes(facts.samples)),
            Part("program named", 30, yes(facts.source)),
            Part("reference named", 20, yes(facts.reference)),
            Part("contigs declared", 20, yes(facts.contigs)),
        ],
    }
