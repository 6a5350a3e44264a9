"""How long campaigns are: what fits into every change's checks, or with MEDTOKEN_SWEEP=all much more."""

from __future__ import annotations

import os

SWEEP_ALL = os.environ.get("MEDTOKEN_SWEEP") == "all"


def times(usual: int, sweep: int) -> int:
    """How often a campaign does something, usually and in a sweep."""
    return sweep if SWEEP_ALL else usual
