# ruff: noqa: E501  the rows of a table
"""Write docs/powers.md: who may do what after a fresh deployment, as `medtoken roles` reads it.

python scripts/powers_table.py            write it
python scripts/powers_table.py --check    exit with 1 where it is not up to date

The deployment is the real plan on a chain of this process; every office is held by an account of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.declared import declared

from medtoken.deploy.powers import Powers, role_rows, rows

PAGE = ROOT / "docs" / "powers.md"
HEAD = """# Who can do what

Every function of the suite that changes anything, who may call it after a deployment, and after which
delay. `medtoken roles --rpc URL --deployment FILE` tells the same of a chain as it stands now, with addresses;
`medtoken verify` tells where a chain is not what this page says ([threat model](threat-model.md)).

This page is written by `make powers` from a fresh deployment: do not edit it. Words in lower case after a
role are offices, which a deployment gives to accounts; others are contracts. A call of the timelock waits for the
delay that its parameters name (`medtoken/deploy/params/`): zero on a development chain, days on a public one.
The governor takes the operator's place with the [handover](governance.md); it has no owner, and its rules change by the
votes that it counts.

## Roles

| role | held by | members are named by | cancelled by |
| --- | --- | --- | --- |
"""


def page(powers: Powers) -> str:
    """The whole page."""
    lines = [
        f"| {name} | {holders} | {admin} | {guardian} |"
        for name, holders, admin, guardian in role_rows(powers, addresses=False)
    ]
    contract = ""
    for row in rows(powers, addresses=False):
        if row.contract != contract:
            contract = row.contract
            lines += ["", f"## {contract}", "", "| function | who |", "| --- | --- |"]
        functions = ", ".join(f"`{name}`" for name in row.functions)
        timelock = ", after its delay" if row.who.endswith(": TimelockController") else ""
        lines.append(f"| {functions} | {row.who}{timelock} |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Write the page, or say whether it is up to date."""
    wanted = page(declared().powers())
    if "--check" in sys.argv[1:]:
        if PAGE.read_text(encoding="utf-8") != wanted:
            sys.exit("docs/powers.md is not what a deployment gives: run `make powers`.")
        return
    PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
