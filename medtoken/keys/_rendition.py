"""Which copy of a record a key opens: by which masking profile, and for whom (R9, R35)."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils import keccak

from medtoken.errors import BadInput

_TYPE = keccak(text="medtoken record rendition")
EVERY_LICENCE = bytes(32)


@dataclass(frozen=True, slots=True)
class Rendition:
    """A copy of a record, sealed by itself under a key of its own."""

    record: bytes
    """The record's id, 32 bytes."""
    fields: bytes
    """SHA-256 of the masking profile: a consent that names it opens this copy; 32 bytes."""
    licence: bytes = EVERY_LICENCE
    """The one licence that it is for, 32 bytes, or zeros for all under such a consent."""

    def __post_init__(self) -> None:
        if any(len(word) != 32 for word in (self.record, self.fields, self.licence)):
            raise BadInput("record, fields and licence have 32 bytes each")

    @property
    def id(self) -> bytes:
        """What keepers hold its key under: ``RecordRegistry.rendition_id``, 32 bytes."""
        return keccak(_TYPE + self.record + self.fields + self.licence)

    def render(self) -> str:
        """It in words."""
        whom = "" if self.licence == EVERY_LICENCE else f" for licence 0x{self.licence.hex()} alone"
        return f"record 0x{self.record.hex()} by the profile 0x{self.fields.hex()}{whom}"
