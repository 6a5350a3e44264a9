"""The auditor: rebuilds the suite's whole ledger from logs and holds it against rules and chain."""

from medtoken.audit.invariants import Finding
from medtoken.audit.journal import Clock, Event, Violation
from medtoken.audit.ledger import Ledger
from medtoken.audit.replay import Report, replay
from medtoken.audit.source import Chain, Suite, decoded

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
