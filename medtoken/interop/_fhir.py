"""What the modules that speak FHIR share: versions, identifiers, instants, and refusals by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from medtoken.errors import BadInput, MalformedFile
from medtoken.formats._fhir import is_valid

VERSIONS = {"R4B": "fhir.resources.R4B", "R5": "fhir.resources"}
"""The versions of FHIR that are written and read, and the models of each."""
URI = "urn:ietf:rfc:3986"
URN = "urn:medtoken"
"""What begins every name that is ours: no standard has one for it."""
LAST_SECOND = 253_402_300_799
"""Unix seconds of the end of the year 9999, where FHIR's dates end."""


class Unmappable(BadInput):
    """What one side says cannot be said on the other; ``reasons`` names each such thing."""

    def __init__(self, what: str, reasons: Sequence[str]) -> None:
        """``what`` begins the sentence that lists the reasons."""
        self.reasons = tuple(reasons)
        super().__init__(f"{what}: {'; '.join(reasons)}.")


def checked(resource: dict[str, Any], version: str) -> dict[str, Any]:
    """The resource, once the models of that version accept it; MalformedFile else."""
    if not is_valid(resource, VERSIONS[version]):
        raise MalformedFile(f"The resource is not valid FHIR {version}.")
    return resource


def known_version(version: str) -> str:
    """The version, or BadInput when it is none that is spoken."""
    if version not in VERSIONS:
        raise BadInput(f"{version} is no version of FHIR that medtoken speaks: R4B or R5.")
    return version


def instant(seconds: int) -> str:
    """Unix seconds as a FHIR instant. BadInput for a time after the year 9999."""
    if not 0 <= seconds <= LAST_SECOND:
        raise BadInput(f"{seconds} is no time that FHIR can write.")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def named(kind: str, word: bytes) -> dict[str, Any]:
    """A reference to something of ours by its id: ``urn:medtoken:record:0x…``."""
    return {"identifier": {"system": URI, "value": f"{URN}:{kind}:0x{word.hex()}"}}


def account(chain_id: int, address: str) -> dict[str, Any]:
    """A reference to an account on a chain, as the DID method pkh writes it (CAIP-10)."""
    return {"identifier": {"system": URI, "value": f"did:pkh:eip155:{chain_id}:{address}"}}


def concept(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [coding(system, code, display)]}


def coding(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    """A Coding."""
    found = {"system": system, "code": code}
    return found | {"display": display} if display else found
