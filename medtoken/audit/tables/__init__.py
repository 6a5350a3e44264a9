"""The events of a suite as typed Parquet tables, one for each event of each contract."""

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
    "UNDECODED",
    "VERSION",
    "Loaded",
    "Manifest",
    "Point",
    "Store",
    "Table",
    "Tables",
    "fresh",
    "load",
    "read_manifest",
    "schemas",
    "tables",
]
