"""Every rule that history alone can tell, as a relational query over the tables of all events.

One small module for each: its name begins with the rule's number, its first line says what must hold, and
``violations`` gives an Ibis expression whose rows are what breaks it. The same expressions run on DuckDB
and on Spark. docs/checks.md says which rules cannot be checked so, and why.
"""

from medtoken.audit.checks._run import (
    ENGINES,
    Check,
    Outcome,
    Violation,
    all_checks,
    chosen,
    opened,
    outcomes,
    run,
)

__all__ = [
    "ENGINES",
    "Check",
    "Outcome",
    "Violation",
    "all_checks",
    "chosen",
    "opened",
    "outcomes",
    "run",
]
