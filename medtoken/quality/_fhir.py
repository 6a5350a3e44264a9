"""FHIR bundles, judged on their clinical resources."""

from __future__ import annotations

from fractions import Fraction

from medtoken.formats import FhirFacts
from medtoken.quality._parts import Dimensions, Part, ratio, saturating, without, yes

_SECTIONS = (
    {"Condition"},
    {"MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense"},
    {"AllergyIntolerance"},
    {"Immunization"},
    {"Procedure"},
    {"Observation"},
    {"DiagnosticReport"},
    {"Encounter"},
)
"""The sections of a summary of a patient (after the International Patient Summary)."""


def dimensions(facts: FhirFacts, recent: Fraction) -> Dimensions:
    """The six dimensions of a FHIR bundle whose last day is worth ``recent``."""
    of = facts.clinical
    types = {name for name, _ in facts.types}
    sections = sum(not types.isdisjoint(section) for section in _SECTIONS)
    core = facts.named + facts.status + facts.attached
    return {
        "volume": [Part("clinical resources", 100, saturating(of, 100))],
        "completeness": [
            Part("sections of a patient summary", 40, ratio(sections, len(_SECTIONS))),
            Part("sex, birth date, identifier and name", 20, ratio(facts.patient_fields, 4)),
            Part("subject, content and status of each resource", 40, ratio(core, 3 * of)),
        ],
        "timeliness": [
            Part("resources dated to the day", 60, ratio(facts.dated, of)),
            Part("recent at the day of reference", 40, recent),
        ],
        "accuracy": [
            Part(
                "resources valid by FHIR and not repeated",
                60,
                without(facts.invalid + facts.repeated, facts.resources),
            ),
            Part("references that resolve", 20, without(facts.unresolved, facts.references)),
            Part("resources dated after birth", 20, ratio(facts.after_birth, of)),
        ],
        "annotation": [
            Part("resources in standard codes", 70, ratio(facts.coded, of)),
            Part("codes of the right form", 30, ratio(facts.right_codes, facts.codings)),
        ],
        "traceability": [
            Part("resources with a Provenance", 50, ratio(facts.provenanced, of)),
            Part("resources whose author or encounter is known", 30, ratio(facts.attributed, of)),
            Part("a bundle with identifier or time", 20, yes(facts.identified)),
        ],
    }
