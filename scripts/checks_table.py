# ruff: noqa: E501  the rows of a table
"""Write docs/checks.md: every check of a history, and the rules that no history can tell.

python scripts/checks_table.py            write it
python scripts/checks_table.py --check    exit with 1 where it is not up to date
"""

from __future__ import annotations

import sys
from pathlib import Path

from medtoken.audit.checks import all_checks

PAGE = Path(__file__).parent.parent / "docs" / "checks.md"
HEAD = """# The checks

`medtoken audit check --tables DIR` evaluates each rule that history alone can tell as a relational query over
[the tables of all events](audit.md). One small file for each in `medtoken/audit/checks/`; the same
expressions run on DuckDB (the default) and on Spark (`--engine spark`). A violation names rule, block,
transaction, parties and the numbers, expected and found; amounts are base units. `--rule R13` chooses,
`--json` is for machines, and the exit code is 1 when a rule does not hold.

Amounts are exact: decimals of 38 digits, integer quotients, never floats. What is missing counts as broken.

This page is written by `scripts/checks_table.py` from the files themselves.

| rule | what must hold | what is read, and what a violation shows | file |
| --- | --- | --- | --- |
"""
TAIL = """
Numbers in brackets are the invariant that a check is part of.

## What history cannot tell

| rule | why | what tells it instead |
| --- | --- | --- |
| invariant 7 | that the state on chain is what the logs give needs the state | `medtoken audit replay`, with `--anchor` by proofs |
| R6, R7 | whether a fingerprint, a CID or a score fits the file needs the file | a licensee opens it; a challenge (R7) |
| R9, R10, R14 | signatures and Merkle proofs are in the calldata, not in the logs | the contracts, whose code is public |
| R11 | groups are proven in zero knowledge | its verifier, on the chain |
| R13 | whether scarcity moved as demand asks depends on who called | `medtoken audit replay` |
| R18 | a roster is a Merkle root in the logs; its lines are in a manifest | `medtoken royalty check` |
| R21-R24, R30, R32, R36-R38 | no contract of this suite emits an event for them yet | - |
| R25 | feedback, referrals and streaks rest on attestations and on the order of points | `medtoken audit replay` |
| R28 | who signed a ballot or an objection, and who cancelled, is not in the logs | the governor, whose code is public |
| R33-R35 | sealing, key releases, masking and watermarks are off the chain | the key keepers' signed logs (`medtoken keeper log`) |
| R39, R40 | reading for care and searching a catalogue leave no event | - |
"""


def page() -> str:
    """The whole page."""
    rows = []
    for check in all_checks():
        invariant = f" ({check.invariant})" if check.invariant else ""
        name = f"[{check.name}](../medtoken/audit/checks/{check.name}.py)"
        rows.append(f"| {check.rule}{invariant} | {check.sentence} | {check.detail} | {name} |")
    return HEAD + "\n".join(rows) + "\n" + TAIL


def main() -> None:
    """Write the page, or say whether it is up to date."""
    if "--check" in sys.argv[1:]:
        sys.exit(PAGE.read_text() != page())
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
