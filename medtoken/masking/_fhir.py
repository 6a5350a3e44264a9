"""Masking FHIR R4 bundles: a bundle is built anew from the paths that the profile names."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medtoken.errors import MalformedFile
from medtoken.formats import _fhir as fhir
from medtoken.formats._codes import SYSTEMS, conforms
from medtoken.formats._io import label, open_regular
from medtoken.masking._file import Masked
from medtoken.masking._keyed import AGED, EPOCH, OLDEST, Calendar, Keyed, moment_of, years_before
from medtoken.masking._profile import Part, Profile, Rule

_UCUM = "http://unitsofmeasure.org"
_HL7 = "http://terminology.hl7.org/CodeSystem/"
_COMPARATORS = {"<", "<=", ">=", ">"}
_NUMBER_DIGITS = 18
_YEARS = range(1850, 2200)
"""A year outside stands for "unknown" or "for ever" and says nothing about age."""
_PER_YEAR = {"a": 1, "mo": 12, "wk": 52, "d": 365}
_LABEL = {"system": _HL7 + "v3-ObservationValue", "code": "PSEUDED"}
# The atoms of UCUM that medical quantities use; annotations in braces are text and never pass.
_UNIT = re.compile(
    r"(?:(?:10[*^]-?[0-9]{1,2}|[0-9]{1,3}"
    r"|[YZEPTGMkhdcmunpfazy]?(?:da)?(?:g|L|l|m|s|mol|eq|osm|Pa|Hz|U|kat|V|W|J|N|cal|K|Bq|Sv|Gy|bar"
    r"|Ci|\[iU\]|\[IU\]|m\[Hg\]|m\[H2O\])"
    r"|min|h|d|wk|mo|a|%|Cel|deg|dB|\[(?:degF|lb_av|oz_av|in_i|in_us|ft_i|pH|ppm|ppb|CFU|drp|foz_us"
    r"|arb'U|beth'U|GPL'U|MPL'U|tsp_us|tbs_us)\])[+-]?[1-4]?(?:[./](?=.)|$))+"
)

_Tree = dict[str, Any]


@dataclass
class _About:
    """What masking one resource needs to know of the bundle."""

    keyed: Keyed
    names: dict[str, str]
    """Every way to refer to a resource that leaves, and its new name."""
    calendar: Calendar
    result: Masked = field(default_factory=lambda: Masked("", b"", "fhir"))
    aged: bool = False


@dataclass(frozen=True)
class _Entry:
    resource: dict[str, Any]
    names: frozenset[str]
    """How the bundle refers to it."""
    person: str
    """Whose it is; empty when that cannot be told."""


def write(
    path: Path, target: Path, part: Part, keyed: Keyed, result: Masked, profile: Profile
) -> None:
    """Write the masked bundle."""
    masked = _masked(path, part, keyed, result)
    label = {**_LABEL, "display": f"{profile.name} {profile.version}"}
    bundle = {
        "resourceType": "Bundle",
        "meta": {"security": [label]},
        "type": "collection",
        "entry": [{"fullUrl": name, "resource": resource} for name, resource in masked],
    }
    text = json.dumps(bundle, default=_number, separators=(",", ":"), ensure_ascii=False)
    target.write_text(text, encoding="utf-8")


def resources(path: Path, part: Part, keyed: Keyed) -> Iterator[dict[str, Any]]:
    """The masked resources, one by one."""
    result = Masked("", b"", "fhir")
    for _, resource in _masked(path, part, keyed, result):
        yield json.loads(json.dumps(resource, default=_number))


def _number(value: object) -> object:
    if isinstance(value, decimal.Decimal):
        whole = value == value.to_integral_value() and value.as_tuple().exponent == 0
        return int(value) if whole else float(value)
    raise TypeError(value)


def _masked(
    path: Path, part: Part, keyed: Keyed, result: Masked
) -> list[tuple[str, dict[str, Any]]]:
    entries = _entries(path)
    tree = _tree(part.rules)
    total = sum(_leaves(one.resource) for one in entries)
    calendars = {
        person: _calendar([e for e in entries if e.person == person], part, tree, keyed, person)
        for person in {one.person for one in entries}
    }
    left = [e for e in entries if e.person and e.resource["resourceType"] in tree]
    # A reference to a resource that stays behind is dropped; that may cost a resource something it
    # must have, and then it stays behind, too.
    while True:
        names = {
            name: f"urn:uuid:{keyed.uuid(min(one.names))}" for one in left for name in one.names
        }
        found = [
            (names[min(one.names)], _resource(one, tree, keyed, names, *calendars[one.person]))
            for one in left
        ]
        stays = [masked is None for _, masked in found]
        if not any(stays):
            break
        left = [one for one, gone in zip(left, stays, strict=True) if not gone]
    if not found:
        raise MalformedFile(f"{label(path)}: the profile leaves no resource of it")
    result.kept = sum(_leaves(masked) for _, masked in found)
    result.dropped = max(0, total - result.kept)
    if any(aged for _, aged in calendars.values()):
        result.notes.append(f"A person is older than {OLDEST}: dates that tell it were left out.")
    return [(name, masked) for name, masked in found if masked is not None]


def _resource(
    entry: _Entry,
    tree: _Tree,
    keyed: Keyed,
    names: dict[str, str],
    calendar: Calendar,
    aged: bool,
) -> dict[str, Any] | None:
    kind = entry.resource["resourceType"]
    about = _About(keyed, names, calendar, aged=aged)
    masked = _object(entry.resource, tree[kind], about)
    if masked is None and kind != "Patient":  # a person stays one, whatever is left of them
        return None
    own = names[min(entry.names)].removeprefix("urn:uuid:")
    return {"resourceType": kind, "id": own, **(masked or {})}


def _object(node: Any, tree: _Tree, about: _About) -> dict[str, Any] | None:
    """An object's named elements; None when none is left or one that must be there is not."""
    if not isinstance(node, dict):
        return None
    masked: dict[str, Any] = {}
    for key, below in tree.items():
        rule = below if isinstance(below, Rule) else None
        if key in node:
            value = _each(node[key], below, about)
            if value is not None:
                masked[key] = value
        if key not in masked and rule is not None and rule.must:
            return None
    return masked or None


def _each(value: Any, below: Rule | _Tree, about: _About) -> Any:
    """A value by its rule or subtree, or the members of a list that are left."""
    if isinstance(value, list):
        found = [_each(one, below, about) for one in value if not isinstance(one, list)]
        return [one for one in found if one is not None] or None
    if isinstance(below, Rule):
        return _HOW[below.as_](value, below, about)
    return _object(value, below, about)


def _code(value: Any, rule: Rule, about: _About) -> Any:
    return value if isinstance(value, str) and value in rule.values else None


def _boolean(value: Any, rule: Rule, about: _About) -> Any:
    return value if isinstance(value, bool) else None


def _plain_number(value: Any, rule: Rule, about: _About) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | decimal.Decimal):
        return None
    digits = len(decimal.Decimal(value).as_tuple().digits)
    return value if digits <= _NUMBER_DIGITS and abs(value) < 10**_NUMBER_DIGITS else None


def _coding(value: Any, rule: Rule, about: _About) -> Any:
    """System and code: of a standard system when the code has its form, else only as listed."""
    if not isinstance(value, dict):
        return None
    system, code = value.get("system"), value.get("code")
    if not isinstance(system, str) or not isinstance(code, str):
        return None
    if system in SYSTEMS and conforms(SYSTEMS[system], code):
        return {"system": system, "code": code}
    if code in rule.values and re.fullmatch(re.escape(_HL7) + r"[A-Za-z0-9-]{1,40}", system):
        return {"system": system, "code": code}
    return None


def _concept(value: Any, rule: Rule, about: _About) -> Any:
    if not isinstance(value, dict):
        return None
    found = _each(value.get("coding") or [], Rule(rule.of, "coding", rule.why, rule.values), about)
    return {"coding": found} if isinstance(found, list) else None


def _quantity(value: Any, rule: Rule, about: _About) -> Any:
    if not isinstance(value, dict):
        return None
    number = _plain_number(value.get("value"), rule, about)
    if number is None:
        return None
    code = value.get("code", value.get("unit"))
    known = value.get("system", _UCUM) == _UCUM and isinstance(code, str)
    unit = re.sub(r"\{[^{}]*\}", "", str(code)) if known else ""
    if unit and not (len(unit) <= 24 and _UNIT.fullmatch(unit)):
        return None  # a number without its unit misleads
    if unit in _PER_YEAR and number > OLDEST * _PER_YEAR[unit]:
        number, unit = AGED, "a"
    masked: dict[str, Any] = {"value": number}
    if value.get("comparator") in _COMPARATORS:
        masked["comparator"] = value["comparator"]
    return {**masked, "system": _UCUM, "code": unit or "1"} if known else masked


def _date(value: Any, rule: Rule, about: _About) -> Any:
    return about.calendar.text(value) if isinstance(value, str) else None


def _year(value: Any, rule: Rule, about: _About) -> Any:
    """The year alone, and not of somebody over 89."""
    return about.calendar.year(value) if isinstance(value, str) and not about.aged else None


def _reference(value: Any, rule: Rule, about: _About) -> Any:
    name = about.names.get(_referred(value))
    return {"reference": name} if name else None


def _uid(value: Any, rule: Rule, about: _About) -> Any:
    return about.keyed.uid(value) if isinstance(value, str) and value else None


_HOW: dict[str, Callable[[Any, Rule, _About], Any]] = {
    "age": _quantity,
    "boolean": _boolean,
    "code": _code,
    "coding": _coding,
    "concept": _concept,
    "date": _date,
    "number": _plain_number,
    "quantity": _quantity,
    "reference": _reference,
    "uid": _uid,
    "year": _year,
}


def _tree(rules: list[Rule]) -> _Tree:
    """Rules by the segments of their paths."""
    tree: _Tree = {}
    for rule in rules:
        if rule.as_ not in _HOW:
            raise MalformedFile(f"The profile has a rule {rule.as_!r}, which no FHIR element has.")
        for path in rule.of:
            *above, last = path.split(".")
            node = tree
            for segment in above:
                node = node.setdefault(segment, {})
                if isinstance(node, Rule):
                    raise MalformedFile(f"The profile has a rule below a rule, {path}.")
            node[last] = rule
    return tree


def _entries(path: Path) -> list[_Entry]:
    """The resources of a bundle, each with its names and its person."""
    fhir.read(path)  # refuses what is no valid bundle
    name = label(path)
    with open_regular(path) as stream:
        bundle = fhir._parse(name, stream.read())
    raw = [one for one in bundle.get("entry", []) if isinstance(one.get("resource"), dict)]
    named = []
    for number, one in enumerate(raw):
        resource = one["resource"]
        names = {f"entry {number}"}
        if isinstance(one.get("fullUrl"), str):
            names.add(one["fullUrl"])
        if isinstance(resource.get("id"), str):
            names.add(f"{resource['resourceType']}/{resource['id']}")
        named.append((resource, frozenset(names)))
    people = {
        alias: min(names)
        for resource, names in named
        if resource["resourceType"] == "Patient"
        for alias in names
    }
    return [_Entry(resource, names, _person(resource, names, people)) for resource, names in named]


def _person(resource: dict[str, Any], names: frozenset[str], people: dict[str, str]) -> str:
    if resource["resourceType"] == "Patient":
        return min(names)
    for key in ("subject", "patient", "beneficiary"):
        if key in resource:
            return people.get(_referred(resource[key]), "")
    everybody = set(people.values())
    return everybody.pop() if len(everybody) == 1 else ""


def _referred(value: Any) -> str:
    reference = value.get("reference") if isinstance(value, dict) else None
    return reference if isinstance(reference, str) else ""


def _calendar(
    entries: list[_Entry], part: Part, tree: _Tree, keyed: Keyed, person: str
) -> tuple[Calendar, bool]:
    """A person's dates, and whether they are over 89 at the last of those that may leave."""
    moments = [
        parsed[0]
        for one in entries
        for text in _dated(one.resource, tree.get(one.resource["resourceType"], {}))
        if (parsed := moment_of(text)) is not None and parsed[0].year in _YEARS
    ]
    last = max(moments, default=None)
    births = [
        parsed[0]
        for one in entries
        if one.resource["resourceType"] == "Patient"
        and (parsed := moment_of(one.resource.get("birthDate"))) is not None
    ]
    oldest, aged = None, False
    if last is not None:
        oldest = years_before(last.date(), OLDEST)
        # A birth year alone may be twelve months early; the day of the ninetieth birthday decides.
        aged = any(birth.date() <= years_before(last.date(), OLDEST + 1) for birth in births)
        aged = aged or min(moments).date() < oldest
    if part.dates == "relative":
        told = [m for m in moments if oldest is None or m.date() >= oldest]
        shift = EPOCH - min(told) if told else dt.timedelta(0)
    else:
        shift = keyed.shift(person)
    return Calendar(shift, oldest), aged


def _dated(node: Any, below: Rule | _Tree) -> Iterator[str]:
    """The dates in a resource that the profile names (a date of birth is no event)."""
    if isinstance(node, list):
        for one in node:
            yield from _dated(one, below)
    elif isinstance(below, Rule):
        if below.as_ == "date" and isinstance(node, str):
            yield node
    elif isinstance(node, dict):
        for key in below.keys() & node.keys():
            yield from _dated(node[key], below[key])


def _leaves(node: Any) -> int:
    count, stack = 0, [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
        else:
            count += one is not None
    return count
