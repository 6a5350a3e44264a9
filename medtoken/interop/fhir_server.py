"""One patient's record from a FHIR R4 server as it is, by search and paging (R40)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medtoken.errors import BadInput, MalformedFile, SourceError
from medtoken.formats._fhir import parse_resource
from medtoken.interop._web import Web

TYPES = (
    "AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "DocumentReference", "Encounter",
    "FamilyMemberHistory", "ImagingStudy", "Immunization", "MedicationAdministration",
    "MedicationDispense", "MedicationRequest", "MedicationStatement", "Observation", "Procedure",
)  # fmt: skip
"""What is searched, type by type, on a server without ``$everything``."""
_SIZE_MOST = 64 * 1024 * 1024
"""Bytes of a record, and thereby of all pages together: the largest bundle that is read."""
_PAGES_MOST = 2_000
_PAGE = 200
_ACCEPT = "application/fhir+json"
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_UNSUPPORTED = (400, 404, 405, 422, 501)
"""How servers say that they do not know an operation or a type."""


class _Link(msgspec.Struct):
    relation: str = ""
    url: str = ""


class _Search(msgspec.Struct):
    mode: str = "match"


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()
    search: _Search | None = None


class _Page(msgspec.Struct):
    resourceType: str  # noqa: N815  FHIR's name
    link: list[_Link] = []
    entry: list[_Entry] = []


def fetch_patient(web: Web, patient: str, path: Path, *, types: Sequence[str] | None = None) -> int:
    """Write the record of one patient as a bundle to ``path``; how many resources it has.

    ``patient`` is the logical id of the Patient. By ``Patient/<id>/$everything``, or type by type
    where the server has no such operation or ``types`` names some. Each resource is kept as the
    server wrote it, and they are sorted, so that an unchanged record gives the same file. Raises
    SourceError, saying what the server did that no FHIR server may; BadInput for a bad id.
    """
    if not _ID.fullmatch(patient):
        raise BadInput(f"{patient!r} is not the id of a FHIR resource.")
    for one in types or ():
        if not re.fullmatch("[A-Z][A-Za-z]{1,60}", one):
            raise BadInput(f"{one!r} is not a type of FHIR resources.")
    reading = _Reading(web, patient)
    if types is not None or not reading.collect(f"Patient/{patient}/$everything", _count=_PAGE):
        reading.read(f"Patient/{patient}")
        for one in types if types is not None else TYPES:
            reading.collect(one, patient=patient, _count=_PAGE)
    return reading.write(path)


class _Reading:
    """What came so far, each resource once."""

    def __init__(self, web: Web, patient: str) -> None:
        self._web, self._patient = web, patient
        self._found: dict[tuple[str, str], bytes] = {}
        self._left = _SIZE_MOST
        self._pages = 0

    def collect(self, url: str, **parameters: Any) -> bool:
        """Follow a search to its last page; False when the server does not know it."""
        seen: set[str] = set()
        following: str | None = url
        while following is not None:
            self._pages += 1
            if following in seen or self._pages > _PAGES_MOST:
                raise SourceError(f"{self._web.name} leads from page to page without an end.")
            seen.add(following)
            body = self._get(following, **parameters)
            if body is None:
                if len(seen) == 1:
                    return False
                raise SourceError(f"{self._web.name} does not know a page that it named itself.")
            page = self._page(body)
            for entry in page.entry:
                if entry.resource and (entry.search is None or entry.search.mode != "outcome"):
                    self._keep(bytes(entry.resource))
            links = [link.url for link in page.link if link.relation == "next"]
            following = self._web.own(links[0]) if links and links[0] else None
            parameters = {}
        return True

    def read(self, url: str) -> None:
        """One resource."""
        body = self._get(url)
        if body is None:
            raise SourceError(f"{self._web.name} knows no {url}.")
        self._keep(body)

    def write(self, path: Path) -> int:
        """The bundle."""
        if ("Patient", self._patient) not in self._found:
            raise SourceError(f"{self._web.name} did not send Patient/{self._patient}.")
        with path.open("wb") as file:
            file.write(b'{"resourceType":"Bundle","type":"collection","entry":[')
            for number, ((kind, name), raw) in enumerate(sorted(self._found.items())):
                url = msgspec.json.encode(f"{self._web.base}/{kind}/{name}")
                comma = b"," if number else b""
                file.write(comma + b'{"fullUrl":' + url + b',"resource":' + raw + b"}")
            file.write(b"]}")
        return len(self._found)

    def _get(self, url: str, **parameters: Any) -> bytes | None:
        with self._web.get(url, _ACCEPT, **parameters) as answer:
            if answer.status in _UNSUPPORTED:
                return None
            if answer.status != 200:
                raise SourceError(f"{self._web.name} answered {answer.status}.")
            if answer.media_type not in ("application/fhir+json", "application/json"):
                raise SourceError(f"{self._web.name} did not answer in FHIR JSON.")
            body = answer.body(self._left)
        self._left -= len(body)
        return body

    def _page(self, body: bytes) -> _Page:
        try:
            page = msgspec.json.decode(body, type=_Page)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SourceError(f"{self._web.name} sent a page that is cut off or no FHIR.") from None
        if page.resourceType != "Bundle":
            raise SourceError(f"{self._web.name} sent a page that is no FHIR Bundle.")
        return page

    def _keep(self, raw: bytes) -> None:
        try:
            resource = parse_resource("a resource", raw)
        except MalformedFile:
            raise SourceError(f"{self._web.name} sent a resource that is malformed.") from None
        kind, name = resource["resourceType"], resource.get("id")
        if kind == "OperationOutcome":
            return
        if not isinstance(name, str) or not _ID.fullmatch(name) or not kind.isalpha():
            raise SourceError(f"{self._web.name} sent a resource without an id.")
        others = {one for one in _patients(resource) if one != self._patient}
        if (kind == "Patient" and name != self._patient) or others:
            raise SourceError(f"{self._web.name} sent data of another patient.")
        if self._found.setdefault((kind, name), raw) != raw:
            raise SourceError(f"{self._web.name} sent {kind}/{name} twice, and changed: try again.")


def _patients(resource: dict[str, Any]) -> Iterator[str]:
    """The ids of the patients that a resource says it is about."""
    for key in ("subject", "patient"):
        about = resource.get(key)
        reference = about.get("reference") if isinstance(about, dict) else None
        match = re.search(r"(?:^|/)Patient/([A-Za-z0-9.-]{1,64})(?:/_history/.*)?$", str(reference))
        if match:
            yield match[1]
