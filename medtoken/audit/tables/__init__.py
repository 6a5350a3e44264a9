"""The events of a suite as typed Parquet tables, one for each event of each contract."""

from medtoken.audit.tables.reading import DEPTH, Extracted, Extractor, extract
from medtoken.audit.tables.schema import UNDECODED, VERSION, Table, schemas, tables
from medtoken.audit.tables.store import (
    Loaded,
    Manifest,
    Point,
    Store,
    Tables,
    fresh,
    load,
    read_manifest,
)

__all__ = [
    "DEPTH",
    "UNDECODED",
    "VERSION",
    "Extracted",
    "Extractor",
    "Loaded",
    "Manifest",
    "Point",
    "Store",
    "Table",
    "Tables",
    "extract",
    "fresh",
    "load",
    "read_manifest",
    "schemas",
    "tables",
]
