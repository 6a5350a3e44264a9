"""Variant call files, judged on their calls and on what their header declares."""

from __future__ import annotations

from fractions import Fraction

from medtoken.formats import VcfFacts
from medtoken.quality._parts import Dimensions, Part, ratio, saturating, without, yes


def dimensions(facts: VcfFacts) -> Dimensions:
    """The six dimensions of a VCF."""
    of = facts.variants
    dated = Fraction(1) if facts.file_date else Fraction(1, 2) * facts.other_date
    return {
        "volume": [Part("variants", 100, saturating(of, 1000))],
        "completeness": [
            Part("genotypes called", 80, ratio(facts.called, facts.calls)),
            Part("filter stated", 10, ratio(facts.filtered, of)),
            Part("quality stated", 10, ratio(facts.scored, of)),
        ],
        "timeliness": [Part("date of the file", 100, dated)],
        "accuracy": [Part("sound rows", 100, without(facts.defective, of))],
        "annotation": [
            Part("names declared in the header", 50, without(facts.undeclared, of)),
            Part("variants with an identifier", 30, ratio(facts.identified, of)),
            Part("known reference genome", 20, yes(facts.assembly)),
        ],
        "traceability": [
            Part("samples named", 30, yes(facts.samples)),
            Part("program named", 30, yes(facts.source)),
            Part("reference named", 20, yes(facts.reference)),
            Part("contigs declared", 20, yes(facts.contigs)),
        ],
    }
