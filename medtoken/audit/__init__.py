"""The auditor: rebuilds the suite's whole ledger from logs and holds it against rules and chain.

A name is imported with its module when it is asked for: whoever only reads events into tables needs
no ledger, and none of the libraries that the ledger's books bring.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medtoken.audit.invariants import Finding
    from medtoken.audit.journal import Clock, Event, Violation
    from medtoken.audit.ledger import Ledger
    from medtoken.audit.replaying import Report, replay
    from medtoken.audit.source import Chain, Suite, decoded

_MODULES = {
    "Chain": "source",
    "Clock": "journal",
    "Event": "journal",
    "Finding": "invariants",
    "Ledger": "ledger",
    "Report": "replaying",
    "Suite": "source",
    "Violation": "journal",
    "decoded": "source",
    "replay": "replaying",
}

__all__ = [
    "Chain",
    "Clock",
    "Event",
    "Finding",
    "Ledger",
    "Report",
    "Suite",
    "Violation",
    "decoded",
    "replay",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
