"""DICOM images and studies, judged on their attributes and the size of their pixel data."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from medtoken.formats import CORE, GEOMETRY, ORIGIN, TECHNIQUE, DicomFacts
from medtoken.quality._parts import Dimensions, Part, ratio, saturating, yes


def dimensions(facts: DicomFacts, recent: Fraction) -> Dimensions:
    """The six dimensions of a DICOM image whose last day is worth ``recent``."""

    def present(keywords: Sequence[str]) -> Fraction:
        return ratio(len(set(keywords).intersection(facts.present)), len(keywords))

    technique = Fraction(1, 2) if facts.modality else Fraction(0)
    if facts.modality in TECHNIQUE:
        technique = present(TECHNIQUE[facts.modality])
    body = "BodyPartExamined" in facts.present or facts.coded_regions
    holds = sum(held for _, held in facts.checks)
    return {
        "volume": [
            Part("pixels", 100, saturating(facts.frames * facts.rows * facts.columns, 512 * 512))
        ],
        "completeness": [
            Part("attributes of every image", 60, present(CORE)),
            Part("place in the body", 20, present(GEOMETRY)),
            Part("technique", 20, technique),
        ],
        "timeliness": [
            Part("dates", 35, ratio(facts.valid_dates, 4)),
            Part("times", 20, ratio(facts.valid_times, 4)),
            Part("offset from UTC", 5, yes("TimezoneOffsetFromUTC" in facts.present)),
            Part("recent at the day of reference", 40, recent),
        ],
        "accuracy": [Part("checks that hold", 100, ratio(holds, len(facts.checks)))],
        "annotation": [
            Part("modality", 30, yes(facts.modality)),
            Part("registered class", 20, yes(facts.registered_class)),
            Part("body part", 15, yes(body)),
            Part("region, procedure or view in standard codes", 15, yes(facts.coded_regions)),
            Part(
                "descriptions of study, series and protocol",
                20,
                present(("StudyDescription", "SeriesDescription", "ProtocolName")),
            ),
        ],
        "traceability": [Part("origin", 100, present(ORIGIN))],
    }
