"""Sealed records: encrypted before they leave the custodian, verified byte by byte after (R33).

The format is specified to the byte in ``docs/format.md``.
"""

from ._format import Manifest, Trailer
from ._open import SealedReader, Source, open_sealed, read_trailer, written_whole
from ._seal import Sealed, SealStream, seal

__all__ = [
    "Manifest",
    "SealStream",
    "Sealed",
    "SealedReader",
    "Source",
    "Trailer",
    "open_sealed",
    "read_trailer",
    "seal",
    "written_whole",
]
