"""Consents (R9) as FHIR Consent resources, R4B and R5, with GA4GH DUO codes; and back.

What one side says and the other cannot is refused by name, never dropped: a term that went missing on
the way would widen what the patient allows. ``docs/interop.md`` has the table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from eth_utils import is_address, to_checksum_address

from medtoken import vocabulary
from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats._fhir import is_valid, parse_resource
from medtoken.formats._io import label, open_regular
from medtoken.interop._fhir import (
    LAST_SECOND,
    URI,
    URN,
    VERSIONS,
    Unmappable,
    account,
    checked,
    coding,
    concept,
    instant,
    known_version,
    named,
)
from medtoken.masking import profile_names, profile_of
from medtoken.messages import Consent
from medtoken.vocabulary import Tier

DUO = "http://purl.obolibrary.org/obo/duo.owl"
M49 = "http://unstats.un.org/unsd/methods/m49/m49.htm"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_GROUP = f"{URN}:licensee-group"
_PROFILE = f"{URN}:field-profile"
_DISEASE = f"{URN}:fhir:disease"
_REGION = f"{URN}:fhir:region"
_TERMS = f"{URN}:fhir:terms"
_DISEASES = f"{URN}:disease"

_LEVELS = {Tier.PUBLIC: "U", Tier.SENSITIVE: "R", Tier.HIGHLY_SENSITIVE: "V"}
_TIERS = {code: tier for tier, code in _LEVELS.items()}
_DUO_NUMBERS = {
    number: name
    for name, (number, _) in (vocabulary.DUO_PERMISSIONS | vocabulary.DUO_MODIFIERS).items()
}
_DISEASE_RESEARCH = vocabulary.DUO_PERMISSIONS["DS"][0]
_GROUPS = {number: name for name, (number, _) in vocabulary.GROUPS.items()}
_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?", re.ASCII
)
_MAX_UINT = 2**256
_FILE_MOST = 1 << 20

# What a consent may carry that neither widens nor narrows it.
_NEUTRAL = {
    "resourceType", "id", "meta", "language", "text", "contained", "extension", "identifier", "status",
    "scope", "category", "patient", "subject", "dateTime", "date", "performer", "grantor",
    "organization", "manager", "controller", "sourceAttachment", "sourceReference", "verification",
    "policyRule", "regulatoryBasis", "provision", "decision", "period",
}  # fmt: skip
_MAPPED = {"id", "extension", "type", "period", "actor", "purpose", "class", "resourceType",
           "securityLabel", "data"}  # fmt: skip


# ---------------------------------------------------------------------------- out


def to_fhir(
    consent: Consent,
    chain_id: int,
    *,
    version: str = "R4B",
    diseases: Sequence[str] = (),
    granted_at: int | None = None,
    active: bool = True,
) -> dict[str, Any]:
    """A consent as a FHIR Consent resource, validated.

    ``diseases`` are the codes behind the consent's commitment, which the chain does not hold;
    ``granted_at`` unix seconds; ``active`` is false once it was revoked or has expired. Raises
    Unmappable naming everything that FHIR cannot be told.
    """
    known_version(version)
    reasons = _unwritable(consent, diseases)
    if reasons:
        raise Unmappable("The consent cannot be written as FHIR", reasons)
    words = vocabulary.DUO_PERMISSIONS | vocabulary.DUO_MODIFIERS
    purposes = []
    for number in _bits(consent.purposes):
        name = _DUO_NUMBERS[number]
        one = coding(DUO, f"DUO:{number:07d}", words[name][1])
        if number == _DISEASE_RESEARCH and diseases:
            codes = sorted({code.strip() for code in diseases if code.strip()})
            one["extension"] = [
                {"url": _DISEASE, "valueCoding": coding(_DISEASES, code)} for code in codes
            ]
        purposes.append(one)
    period = {"end": instant(consent.expiry)}
    if granted_at is not None:
        period["start"] = instant(granted_at)
    provision: dict[str, Any] = {
        "extension": [{"url": _REGION, "valueCoding": coding(M49, f"{consent.region:03d}")}],
        "period": period,
        "actor": [
            {
                "role": concept(_PARTICIPATION, "IRCP"),
                "reference": {
                    "identifier": {"system": _GROUP, "value": name},
                    "display": vocabulary.GROUPS[name][1],
                },
            }
            for name in vocabulary.group_names(consent.licensees)
        ],
        "securityLabel": [coding(CONFIDENTIALITY, _LEVELS[Tier(consent.tier)])],
        "purpose": purposes,
        "data": [{"meaning": "instance", "reference": named("record", consent.records)}],
    }
    profile = profile_of(consent.fields)
    classes = []
    if profile is not None:
        version_of = {"version": profile.digest.hex()}
        classes = [coding(_PROFILE, profile.name, profile.line) | version_of]
    resource: dict[str, Any] = {
        "resourceType": "Consent",
        "identifier": [named("consent", consent.struct_hash())["identifier"]],
        "extension": [
            {
                "url": _TERMS,
                "extension": [
                    {"url": "patientShare", "valueDecimal": consent.patientShare / 100},
                    *(
                        {"url": name, "valueString": str(getattr(consent, name))}
                        for name in ("floorPrice", "nonce", "deadline")
                    ),
                ],
            }
        ],
        "status": "active" if active else "inactive",
        "category": [concept("http://loinc.org", "59284-0", "Consent Document")],
    }
    who = account(chain_id, to_checksum_address(consent.patient))
    if version == "R4B":
        resource |= {
            "scope": concept(_SCOPE, "research"),
            "patient": who,
            "policyRule": concept(_ACT, "OPTIN"),
            "provision": {"type": "permit", **provision, "class": classes},
        }
        if granted_at is not None:
            resource["dateTime"] = instant(granted_at)
    else:
        resource |= {
            "subject": who,
            "regulatoryBasis": [concept(_ACT, "OPTIN")],
            "decision": "permit",
            "provision": [{**provision, "resourceType": classes}],
        }
        if granted_at is not None:
            resource["date"] = instant(granted_at)[:10]
    return checked(resource, version)


def _unwritable(consent: Consent, diseases: Sequence[str]) -> list[str]:
    """Every term of a consent that FHIR cannot be told, and why."""
    unknown = [n for n in _bits(consent.purposes) if n not in _DUO_NUMBERS]
    reasons = [f"purposes (bit {n} is no DUO code known here)" for n in unknown[:3]]
    for holds, reason in (
        (consent.trustee is None, "nonce (that it mandates a trustee)"),
        (
            not consent.licensees & vocabulary.AUCTION_ONLY,
            "licensees (that nobody may simply buy: by auction only)",
        ),
        (
            all(n in _GROUPS for n in _bits(consent.licensees & ~vocabulary.AUCTION_ONLY)),
            "licensees (a group of which no name is known)",
        ),
        (
            profile_of(consent.fields) is not None,
            "fields (a masking profile of which only the hash is known)",
        ),
        (
            vocabulary.disease_commitment(diseases) == consent.diseases,
            "diseases (the consent only commits to its codes: they must be given, exactly those)",
        ),
        (
            not diseases or consent.purposes >> _DISEASE_RESEARCH & 1,
            "diseases (without DS among the purposes)",
        ),
        (0 < consent.region <= 999, "region (no UN M49 code)"),
        (consent.tier in _LEVELS, "tier (none that is known)"),
        (0 < consent.expiry <= LAST_SECOND, "expiry (after the year 9999)"),
        (0 <= consent.patientShare <= 10_000, "patientShare (no share)"),
    ):
        if not holds:
            reasons.append(reason)
    return reasons


# ---------------------------------------------------------------------------- in


@dataclass(frozen=True)
class Terms:
    """What a FHIR Consent says of a consent's terms; None where it says nothing."""

    purposes: tuple[str, ...]
    licensees: tuple[str, ...]
    expiry: int
    diseases: tuple[str, ...] = ()
    fields: str | None = None
    region: int | None = None
    tier: int | None = None
    chain_id: int | None = None
    patient: str | None = None
    records: bytes | None = None
    patient_share: int | None = None
    floor_price: int | None = None
    nonce: int | None = None
    deadline: int | None = None

    def given(self, **more: Any) -> Terms:
        """With what the resource leaves open; Unmappable where it says something else."""
        wanted = {name: value for name, value in more.items() if value is not None}
        other = [
            f"{name} (the resource says otherwise)"
            for name, value in wanted.items()
            if getattr(self, name) not in (None, value)
        ]
        if other:
            raise Unmappable("The FHIR Consent does not say what was asked for", other)
        return replace(self, **wanted)

    def consent(self) -> Consent:
        """The consent to sign. Unmappable names what neither the resource nor anybody else said."""
        missing = [one.name for one in fields(self) if getattr(self, one.name) is None]
        missing = [name for name in missing if name != "chain_id"]
        if missing:
            raise Unmappable("The FHIR Consent leaves open", missing)
        values: Mapping[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        return Consent(
            patient=values["patient"],
            records=values["records"],
            purposes=vocabulary.duo_mask(self.purposes),
            diseases=vocabulary.disease_commitment(self.diseases),
            licensees=vocabulary.group_mask(self.licensees),
            fields=vocabulary.profile_hash(values["fields"]),
            region=values["region"],
            tier=values["tier"],
            patientShare=values["patient_share"],
            floorPrice=values["floor_price"],
            expiry=self.expiry,
            nonce=values["nonce"],
            deadline=values["deadline"],
        )


def parse(name: str, data: bytes) -> dict[str, Any]:
    """The FHIR Consent in a file's bytes. MalformedFile or UnsupportedFile when there is none."""
    resource = parse_resource(name, data)
    if resource["resourceType"] != "Consent":
        raise UnsupportedFile(f"{name}: is FHIR, but not a Consent")
    if not any(is_valid(resource, package) for package in VERSIONS.values()):
        raise MalformedFile(f"{name}: is not a valid FHIR Consent, neither R4B nor R5")
    return resource


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The FHIR Consent in a file of 1 MiB at most; raises as ``parse`` does, BadInput without one."""
    path = Path(path)
    with open_regular(path) as stream:
        data = stream.read(_FILE_MOST + 1)
    if len(data) > _FILE_MOST:
        raise MalformedFile(f"{label(path)}: has more than {_FILE_MOST:,} bytes")
    return parse(label(path), data)


def from_fhir(resource: Mapping[str, Any], *, now: int) -> Terms:
    """The terms that a valid FHIR Consent states (R4, R4B or R5); ``now`` unix seconds.

    Raises Unmappable naming everything in it that would mean something and is not understood.
    """
    return _Reader(resource, now).terms()


class _Reader:
    """Goes through a resource once and collects every reason to refuse it."""

    def __init__(self, resource: Mapping[str, Any], now: int) -> None:
        self._resource = resource
        self._now = now
        self._reasons: list[str] = []

    def terms(self) -> Terms:
        resource, refuse = self._resource, self._refuse
        if resource.get("status") != "active":
            refuse("status", "the consent is not active")
        for key in resource:
            if key not in _NEUTRAL and not key.startswith(("_", "fhir_comments")):
                refuse(key, "not understood")
        self._only("scope", [resource.get("scope")], _SCOPE, {"research", "patient-privacy"})
        rules = [resource.get("policyRule"), *_objects(resource.get("regulatoryBasis"))]
        for name in ("policyRule", "regulatoryBasis"):
            self._only(name, rules, _ACT, {"OPTIN"})
        provision = self._provision()
        periods = [p for p in (resource.get("period"), provision.get("period")) if _object(p)]
        terms = Terms(
            purposes=self._purposes(provision),
            diseases=self._diseases(provision),
            licensees=self._licensees(provision),
            expiry=self._expiry(periods),
            fields=self._fields(provision),
            region=self._region(provision),
            tier=self._tier(provision),
            records=self._records(provision),
            **self._patient(),
            **self._ours(),
        )
        if self._reasons:
            raise Unmappable(
                "The FHIR Consent cannot be taken over", list(dict.fromkeys(self._reasons))
            )
        return terms

    def _refuse(self, element: str, why: str) -> None:
        self._reasons.append(f"{_shown(element)} ({why})")

    def _only(self, name: str, concepts: Sequence[Any], system: str, codes: set[str]) -> None:
        for one in concepts:
            if one is None:
                continue
            found = {(c.get("system"), c.get("code")) for c in _objects(_object(one).get("coding"))}
            if not found or not found <= {(system, code) for code in codes}:
                self._refuse(name, "a policy that is not understood")

    def _provision(self) -> dict[str, Any]:
        """The one provision, which must permit."""
        found, resource = self._resource.get("provision"), self._resource
        if isinstance(found, list):  # R5
            if resource.get("decision") != "permit":
                self._refuse("decision", "nothing but permit is understood")
            if len(found) != 1:
                self._refuse("provision", "there must be one, and no more")
            provision = _object(found[0]) if found else {}
        else:
            provision = _object(found)
            if provision.get("type") != "permit":
                self._refuse("provision.type", "nothing but permit is understood")
        for key in provision:
            if key not in _MAPPED and not key.startswith(("_", "fhir_comments")):
                self._refuse(f"provision.{key}", "not understood")
        return provision

    def _expiry(self, periods: Sequence[Any]) -> int:
        ends, starts = ([p.get(k) for p in periods if p.get(k)] for k in ("end", "start"))
        try:
            if any(_seconds(start) > self._now for start in starts):
                self._refuse("period", "it begins in the future")
            found = min((_seconds(end) for end in ends), default=0)
        except ValueError:
            self._refuse("period", "a time that is not understood")
            return 0
        if not ends:
            self._refuse("period", "no end is named, and nothing is allowed for ever")
        return found

    def _purposes(self, provision: Mapping[str, Any]) -> tuple[str, ...]:
        names = []
        for one in _objects(provision.get("purpose")):
            match = re.fullmatch(r"DUO:(\d{7})", str(one.get("code")), re.ASCII)
            name = _DUO_NUMBERS.get(int(match[1])) if match else None
            if one.get("system") != DUO or name is None:
                self._refuse("purpose", f"{_shown(one.get('code'))} is no DUO code known here")
            else:
                names.append(name)
        if not any(name in vocabulary.DUO_PERMISSIONS for name in names):
            self._refuse("purpose", "no DUO permission is named")
        return tuple(sorted(set(names)))

    def _diseases(self, provision: Mapping[str, Any]) -> tuple[str, ...]:
        codes = []
        for one in _objects(provision.get("purpose")):
            for extension in _objects(one.get("extension")):
                if extension.get("url") == _DISEASE:
                    code = str(_object(extension.get("valueCoding")).get("code") or "").strip()
                    if not code or "\n" in code or one.get("code") != "DUO:0000007":
                        self._refuse("purpose", "a disease that is not understood")
                    codes.append(code)
        return tuple(sorted(set(codes)))

    def _licensees(self, provision: Mapping[str, Any]) -> tuple[str, ...]:
        names = set()
        for number, actor in enumerate(_objects(provision.get("actor")), 1):
            roles = _objects(_object(actor.get("role")).get("coding"))
            who = _object(_object(actor.get("reference")).get("identifier"))
            recipient = any(
                (r.get("system"), r.get("code")) == (_PARTICIPATION, "IRCP") for r in roles
            )
            known = who.get("system") == _GROUP and who.get("value") in vocabulary.GROUPS
            if not recipient or not known:
                self._refuse("actor", f"number {number} is no group of licensees known here")
            else:
                names.add(str(who["value"]))
        if not names:
            self._refuse("actor", "no group of licensees is named")
        return tuple(sorted(names))

    def _fields(self, provision: Mapping[str, Any]) -> str | None:
        classes = [*_objects(provision.get("class")), *_objects(provision.get("resourceType"))]
        names = {str(one.get("code")) for one in classes if one.get("system") == _PROFILE}
        if any(one.get("system") != _PROFILE for one in classes) or len(names) > 1:
            self._refuse("class", "no masking profile known here, or several")
        elif names and not names <= set(profile_names()):
            self._refuse("class", "a masking profile that is not known here")
        elif any(
            one.get("version") not in (None, vocabulary.profile_hash(str(one["code"])).hex())
            for one in classes
        ):
            self._refuse("class", "another version of a masking profile")
        return min(names, default=None)

    def _tier(self, provision: Mapping[str, Any]) -> int | None:
        labels = _objects(provision.get("securityLabel"))
        found = {_TIERS.get(str(one.get("code"))) for one in labels}
        if any(one.get("system") != CONFIDENTIALITY for one in labels) or None in found:
            self._refuse("securityLabel", "none of the confidentialities U, R and V")
        elif len(found) > 1:
            self._refuse("securityLabel", "several confidentialities")
        return min((int(tier) for tier in found if tier), default=None)

    def _region(self, provision: Mapping[str, Any]) -> int | None:
        found = [
            _object(one.get("valueCoding"))
            for one in _objects(provision.get("extension"))
            if one.get("url") == _REGION
        ]
        if not found:
            return None
        code = str(found[0].get("code"))
        known = re.fullmatch("[0-9]{3}", code, re.ASCII) and code != "000"
        if len(found) > 1 or found[0].get("system") != M49 or not known:
            self._refuse("region", "no UN M49 code, or several")
            return None
        return int(code)

    def _records(self, provision: Mapping[str, Any]) -> bytes | None:
        data = _objects(provision.get("data"))
        values = [
            str(_object(_object(one.get("reference")).get("identifier")).get("value"))
            for one in data
            if one.get("meaning") == "instance"
        ]
        if not data:
            return None
        match = re.fullmatch(f"{URN}:record:0x([0-9a-f]{{64}})", values[0]) if values else None
        if len(data) != 1 or match is None:
            self._refuse("data", "not one record of ours")
            return None
        return bytes.fromhex(match[1])

    def _patient(self) -> dict[str, Any]:
        """Whose consent it is, when the resource names an account; otherwise the caller says."""
        who = _object(self._resource.get("patient") or self._resource.get("subject"))
        identifier = _object(who.get("identifier"))
        value = str(identifier.get("value"))
        match = re.fullmatch(r"did:pkh:eip155:([0-9]{1,18}):(0x[0-9a-fA-F]{40})", value)
        if identifier.get("system") != URI or not match:
            return {}
        if not is_address(match[2]):
            self._refuse("patient", "an address with a wrong checksum")
            return {}
        return {"chain_id": int(match[1]), "patient": str(to_checksum_address(match[2]))}

    def _ours(self) -> dict[str, Any]:
        """The terms that FHIR has no elements for."""
        found = [
            one for one in _objects(self._resource.get("extension")) if one.get("url") == _TERMS
        ]
        if not found:
            return {}
        parts = {str(one.get("url")): one for one in _objects(found[0].get("extension"))}
        readers: dict[str, tuple[str, Callable[[Any], int]]] = {
            "patientShare": ("patient_share", lambda one: _hundredths(one.get("valueDecimal"))),
            "floorPrice": ("floor_price", lambda one: _whole(one.get("valueString"))),
            "nonce": ("nonce", lambda one: _whole(one.get("valueString"))),
            "deadline": ("deadline", lambda one: _whole(one.get("valueString"))),
        }
        if len(found) > 1 or set(parts) != set(readers):
            self._refuse("extension", "terms that are not understood")
            return {}
        try:
            return {name: read(parts[key]) for key, (name, read) in readers.items()}
        except ValueError:
            self._refuse("extension", "terms that are not understood")
            return {}


def _bits(mask: int) -> list[int]:
    return [n for n in range(mask.bit_length()) if mask >> n & 1]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    """A list's objects; what is no object becomes one that nobody understands."""
    return [_object(one) for one in value] if isinstance(value, list) else []


def _shown(value: Any) -> str:
    """Somebody else's word, short and on one line."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text[:60] or "nothing"


def _seconds(value: Any) -> int:
    """Unix seconds of a FHIR dateTime. One without a time is taken as its first second in UTC."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("no dateTime")
    year, month, day, clock, zone = match.groups()
    text = f"{year}-{month or '01'}-{day or '01'}T{clock or '00:00:00'}{zone or 'Z'}"
    moment = datetime.fromisoformat(text)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def _whole(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch("[0-9]{1,78}", value):
        raise ValueError("no number")
    found = int(value)
    if found >= _MAX_UINT:
        raise ValueError("too large")
    return found


def _hundredths(value: Any) -> int:
    try:
        number = Decimal(str(value)) * 100
        if not 0 <= number <= 10_000 or number != int(number):
            raise ValueError("no share")
    except (InvalidOperation, OverflowError):
        raise ValueError("no share") from None
    return int(number)
