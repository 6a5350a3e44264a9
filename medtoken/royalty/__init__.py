"""Royalties of products that were trained on licensed data (R18–R20), off the chain.

Who contributed with which weight follows from the chain's own events, so anybody can compute a study's
roster again and hold it against what was sealed.
"""

from ._batches import claim_batches, join_batches
from ._cohort import UNIT, Rule, Scope, contributions, weights
from ._ledger import Pool
from ._manifest import Manifest, check
from ._roster import Roster, leaf
from ._source import read_logs

__all__ = [
    "UNIT",
    "Manifest",
    "Pool",
    "Roster",
    "Rule",
    "Scope",
    "check",
    "claim_batches",
    "contributions",
    "join_batches",
    "leaf",
    "read_logs",
    "weights",
]
