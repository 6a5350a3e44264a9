"""FHIR R4 bundles as JSON, each resource validated by fhir.resources.

fhir.resources has no models of R4 (4.0.1) any more: its R4B (4.3.0) models are used, which differ
from R4 only in resources about evidence, medicinal products and subscriptions. Profiles (US Core,
IPS) and terminology bindings are not checked by it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats._codes import SYSTEMS, conforms
from medtoken.formats._io import label, open_regular, size_of
from medtoken.formats._types import Format, MedicalFile, RecordKind, count

_SIZE_LIMIT = 64 * 1024 * 1024
_DEPTH_LIMIT = 64
_BEFORE_BIRTH = 300  # days: what happened to an unborn child is its own record
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T.{1,40})?")
_OTHER_VERSIONS = (("R5", "fhir.resources"), ("STU3", "fhir.resources.STU3"))

_WHEN = {
    "AllergyIntolerance": ("recordedDate", "onsetDateTime", "onsetPeriod"),
    "CarePlan": ("period", "created"),
    "Condition": ("onsetDateTime", "onsetPeriod", "recordedDate"),
    "DiagnosticReport": ("effectiveDateTime", "effectivePeriod", "issued"),
    "DocumentReference": ("date",),
    "Encounter": ("period",),
    "FamilyMemberHistory": ("date",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrenceDateTime", "recorded"),
    "MedicationAdministration": ("effectiveDateTime", "effectivePeriod"),
    "MedicationDispense": ("whenHandedOver", "whenPrepared"),
    "MedicationRequest": ("authoredOn",),
    "MedicationStatement": ("effectiveDateTime", "effectivePeriod", "dateAsserted"),
    "Observation": ("effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued"),
    "Procedure": ("performedDateTime", "performedPeriod"),
}
"""The clinical resources, and where each says when it happened, best first."""

_WHAT = {
    "CarePlan": ("category",),
    "DocumentReference": ("type",),
    "Encounter": ("type", "reasonCode"),
    "FamilyMemberHistory": ("relationship",),
    "ImagingStudy": ("procedureCode", "modality"),
    "Immunization": ("vaccineCode",),
    "MedicationAdministration": ("medicationCodeableConcept", "medicationReference"),
    "MedicationDispense": ("medicationCodeableConcept", "medicationReference"),
    "MedicationRequest": ("medicationCodeableConcept", "medicationReference"),
    "MedicationStatement": ("medicationCodeableConcept", "medicationReference"),
}
"""Where a clinical resource says what it is about, when that is not ``code``."""

_WHO = (
    "performer", "recorder", "asserter", "requester", "author", "encounter", "context",
    "participant", "custodian", "serviceProvider",
)  # fmt: skip
_LABELS = frozenset({"id", "identifier", "meta", "text"})
"""What names or shows a resource; two that differ in nothing else say the same."""


@dataclass(frozen=True)
class FhirFacts:
    """What was measured on a bundle. Shares are counted on ``clinical`` resources."""

    bundle_type: str
    resources: int
    invalid: int
    """Resources that fhir.resources refuses."""
    repeated: int
    """Resources whose type and id, or fullUrl, an earlier one of the bundle has."""
    types: tuple[tuple[str, int], ...]
    """How many resources of each type, sorted by type."""
    patients: int
    patient_fields: int
    """Of gender, birthDate, identifier, name: how many every Patient has (0 to 4)."""
    clinical: int
    """Resources that say something about health: conditions, observations, encounters, …
    Those that say the very same, whatever their ids, count once."""
    dated: int
    """Clinical resources with a date precise to the day."""
    after_birth: int
    """Those whose date is known to lie after the one patient's birth less 300 days."""
    named: int
    """Clinical resources that say what they are about."""
    coded: int
    """Clinical resources that say it in a standard code of the right form."""
    status: int
    """Clinical resources with a status."""
    attached: int
    """Clinical resources that point at a patient."""
    attributed: int
    """Clinical resources that say by whom or in which encounter, or whose Provenance does."""
    provenanced: int
    """Clinical resources that a Provenance names as its target."""
    references: int
    """References by ``urn:``, which a bundle must resolve within itself."""
    unresolved: int
    """Those it does not resolve."""
    codings: int
    """Codings of a standard system."""
    right_codes: int
    """Those whose code has the system's form, check digit included."""
    identified: bool
    """Whether the bundle has an identifier, a timestamp or a lastUpdated of its own."""


def read(path: Path) -> MedicalFile:
    """Read a FHIR R4 bundle of at most 64 MiB."""
    name = label(path)
    with open_regular(path) as stream:
        size = size_of(stream)
        if size > _SIZE_LIMIT:
            raise UnsupportedFile(
                f"{name}: is a JSON file of {size:,} bytes, and bundles are read up to "
                f"{_SIZE_LIMIT:,}"
            )
        data = stream.read(size + 1)  # a reader sets aside what it is asked for
    bundle = _parse(name, data)
    entries = _entries(name, bundle)
    resources = [entry["resource"] for entry in entries]
    invalid = _validate(name, bundle, resources)
    facts, codes, days = _measure(bundle, entries, invalid)
    return MedicalFile(
        format=Format.FHIR,
        kind=RecordKind.HEALTH_RECORD,
        size=size,
        units=Fraction(1),
        entries=len(resources),
        subjects=facts.patients,
        codes=tuple(sorted(codes)),
        start=min(days, default=None),
        end=max(days, default=None),
        summary=(
            f"FHIR R4 bundle of {count(facts.resources, 'resource')} about "
            f"{count(facts.patients, 'patient')}"
        ),
        facts=facts,
    )


def parse_resource(name: str, data: bytes) -> dict[str, Any]:
    """A FHIR resource as JSON, of any type; its decimals keep their digits.

    Raises MalformedFile for what is no JSON or abuses it, UnsupportedFile for other JSON.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise MalformedFile(f"{name}: a JSON object names the same property twice")
        return found

    def constant(word: str) -> Any:
        raise MalformedFile(f"{name}: holds {word}, which is not a JSON number")

    try:
        found = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=unique,
            parse_constant=constant,
            parse_float=decimal.Decimal,
        )
    except UnicodeDecodeError:
        raise MalformedFile(f"{name}: is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise MalformedFile(
            f"{name}: is not valid JSON or is truncated ({error.msg} at line {error.lineno})"
        ) from None
    except RecursionError:
        raise MalformedFile(f"{name}: its JSON is nested too deeply") from None
    except (ValueError, decimal.DecimalException):
        raise MalformedFile(f"{name}: holds a number too long to read") from None
    if any(depth > _DEPTH_LIMIT for depth, _ in _walk(found)):
        raise MalformedFile(f"{name}: its JSON is nested more than {_DEPTH_LIMIT} deep")
    if not isinstance(found, dict) or not isinstance(found.get("resourceType"), str):
        raise UnsupportedFile(f"{name}: is JSON, but not a FHIR resource")
    return found


def _parse(name: str, data: bytes) -> dict[str, Any]:
    found = parse_resource(name, data)
    if found["resourceType"] != "Bundle":
        kind = found["resourceType"] if found["resourceType"].isalpha() else "other resource"
        raise UnsupportedFile(f"{name}: is a FHIR {kind[:40]}, and medtoken reads a Bundle")
    return found


def _walk(root: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every object below ``root`` with its depth, without recursion."""
    stack: list[tuple[int, Any]] = [(1, root)]
    while stack:
        depth, node = stack.pop()
        if isinstance(node, dict):
            yield depth, node
            below: Iterable[Any] = node.values()
        elif isinstance(node, list):
            below = node
            if depth > _DEPTH_LIMIT:
                yield depth, {}
        else:
            continue
        if depth <= _DEPTH_LIMIT:
            stack.extend((depth + 1, child) for child in below if isinstance(child, (dict, list)))


def _entries(name: str, bundle: dict[str, Any]) -> list[dict[str, Any]]:
    entries = bundle.get("entry")
    if not isinstance(entries, list) or not entries:
        raise MalformedFile(f"{name}: is a FHIR Bundle without entries")
    for number, entry in enumerate(entries, 1):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise MalformedFile(f"{name}: entry {number:,} of the bundle holds no FHIR resource")
    return entries


def _validate(name: str, bundle: dict[str, Any], resources: list[dict[str, Any]]) -> int:
    """How many resources are not FHIR R4; refuses a bundle mostly or wholly of something else."""
    shell = {key: value for key, value in bundle.items() if key not in ("entry", "signature")}
    if not isinstance(shell.get("type"), str) or not is_valid(shell, "fhir.resources.R4B"):
        raise MalformedFile(f"{name}: its Bundle element is not valid FHIR R4")
    invalid = [one for one in resources if not is_valid(one, "fhir.resources.R4B")]
    if invalid:
        for version, package in _OTHER_VERSIONS:
            if all(is_valid(one, package) for one in invalid + resources):
                raise UnsupportedFile(f"{name}: is FHIR {version}, and medtoken reads FHIR R4")
    if len(invalid) * 2 > len(resources):
        raise MalformedFile(
            f"{name}: {len(invalid):,} of its {count(len(resources), 'resource')} "
            f"{'is' if len(invalid) == 1 else 'are'} not valid FHIR R4"
        )
    return len(invalid)


def is_valid(resource: dict[str, Any], package: str) -> bool:
    """Whether the models of ``package`` (one FHIR version) accept the resource."""
    kind = resource["resourceType"]
    if not (kind.isascii() and kind.isalpha()) or kind in ("Resource", "DomainResource"):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = import_module(package).get_fhir_model_class(kind)
            model.model_validate(resource)
    except (ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError,
            RecursionError, ArithmeticError):  # fmt: skip  # whatever a validator may raise
        return False
    return True


def _measure(
    bundle: dict[str, Any], entries: list[dict[str, Any]], invalid: int
) -> tuple[FhirFacts, set[str], list[dt.date]]:
    resources = [entry["resource"] for entry in entries]
    patients = [one for one in resources if one["resourceType"] == "Patient"]
    births = {_day(one.get("birthDate")) for one in patients}
    birth = births.pop() if len(births) == 1 else None
    urls = {url for entry in entries if isinstance(url := entry.get("fullUrl"), str)}
    codes: set[str] = set()
    targets: set[str] = set()
    authored: set[str] = set()
    references = unresolved = codings = right_codes = 0
    for resource in resources:
        for _, node in _walk(resource):
            reference = node.get("reference")
            if isinstance(reference, str) and reference.startswith("urn:"):
                references += 1
                unresolved += reference not in urls
            if (system := _standard(node)) is not None:
                codings += 1
                code = node["code"]
                if conforms(system, code):
                    right_codes += 1
                    codes.add(f"{system}:{code}")
        if resource["resourceType"] == "Provenance":
            targets.update(_targets(resource))
            authored.update(_targets(resource) if resource.get("agent") else ())
    days: list[dt.date] = []
    tally: Counter[str] = Counter()
    labels: set[Any] = set()
    contents: set[bytes] = set()
    for entry in entries:
        resource = entry["resource"]
        kind = resource["resourceType"]
        names = {repr(entry.get("fullUrl")), f"{kind}/{resource.get('id')!r}"}
        names -= {repr(None), f"{kind}/None"}
        tally["repeated"] += not names.isdisjoint(labels)
        labels |= names
        if kind not in _WHEN or (content := _content(resource)) in contents:
            continue
        contents.add(content)
        when = _when(resource, _WHEN[kind])
        if when is not None:
            days.append(when)
            tally["after_birth"] += birth is not None and (birth - when).days <= _BEFORE_BIRTH
        what = [resource[key] for key in _WHAT.get(kind, ("code",)) if resource.get(key)]
        own = {entry.get("fullUrl"), f"{kind}/{resource.get('id')}"}
        tally["clinical"] += 1
        tally["named"] += bool(what)
        tally["coded"] += any(_is_coded(node) for _, node in _walk(what))
        tally["status"] += bool(resource.get("status") or resource.get("clinicalStatus"))
        tally["attached"] += bool(resource.get("subject") or resource.get("patient"))
        tally["attributed"] += any(resource.get(key) for key in _WHO) or not own.isdisjoint(
            authored
        )
        tally["provenanced"] += not own.isdisjoint(targets)
    meta = bundle.get("meta")
    facts = FhirFacts(
        bundle_type=bundle["type"],
        resources=len(resources),
        invalid=invalid,
        repeated=tally["repeated"],
        types=tuple(sorted(Counter(one["resourceType"] for one in resources).items())),
        patients=len(patients),
        patient_fields=sum(
            all(one.get(key) for one in patients) and bool(patients)
            for key in ("gender", "birthDate", "identifier", "name")
        ),
        clinical=tally["clinical"],
        dated=len(days),
        after_birth=tally["after_birth"],
        named=tally["named"],
        coded=tally["coded"],
        status=tally["status"],
        attached=tally["attached"],
        attributed=tally["attributed"],
        provenanced=tally["provenanced"],
        references=references,
        unresolved=unresolved,
        codings=codings,
        right_codes=right_codes,
        identified=bool(
            bundle.get("identifier")
            or bundle.get("timestamp")
            or (isinstance(meta, dict) and meta.get("lastUpdated"))
        ),
    )
    return facts, codes, days


def _content(resource: dict[str, Any]) -> bytes:
    """A digest of what a resource says, apart from how it is named and shown."""
    said = {key: value for key, value in resource.items() if key not in _LABELS}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).digest()


def _standard(node: dict[str, Any]) -> str | None:
    """The standard code system of a Coding, or None when the object is no such thing."""
    system, code = node.get("system"), node.get("code")
    if not isinstance(system, str) or not isinstance(code, str):
        return None
    return SYSTEMS.get(system)


def _is_coded(node: dict[str, Any]) -> bool:
    """Whether an object is a well-formed standard Coding (or a reference to a coded resource)."""
    system = _standard(node)
    return conforms(system, node["code"]) if system else isinstance(node.get("reference"), str)


def _targets(provenance: dict[str, Any]) -> Iterator[str]:
    targets = provenance.get("target")
    for target in targets if isinstance(targets, list) else []:
        if isinstance(target, dict) and isinstance(target.get("reference"), str):
            yield target["reference"]


def _when(resource: dict[str, Any], keys: Iterable[str]) -> dt.date | None:
    for key in keys:
        value = resource.get(key)
        if isinstance(value, dict):
            value = value.get("start") or value.get("end")
        if (day := _day(value)) is not None:
            return day
    return None


def _day(value: Any) -> dt.date | None:
    """The calendar day that a FHIR date or dateTime states, if it is that precise."""
    match = _DAY.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    try:
        return dt.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
