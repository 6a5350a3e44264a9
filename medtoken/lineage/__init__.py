"""The lineage of institution assets (R3): which licences an asset came from, and their weights."""

from ._roster import FORBIDDING, Line, Manifest, Roster, leaf, may_derive

__all__ = ["FORBIDDING", "Line", "Manifest", "Roster", "leaf", "may_derive"]
