"""What a roster was made from, so that anybody can make it again and compare.

The manifest names the scope and the rule; the roster itself follows from the chain's events, so it
need not be published. Its digest is sealed with the root.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medtoken.errors import BadInput
from medtoken.ipfs import CID, file_cid
from medtoken.royalty._cohort import Rule, Scope
from medtoken.royalty._roster import Roster

_FORMAT = "medtoken-roster/1"
_MALFORMED = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """Scope and rule of a study's roster."""

    study: bytes
    scope: Scope
    rule: Rule

    def encode(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8."""
        named = self.scope.licences
        data = {
            "format": _FORMAT,
            "study": "0x" + self.study.hex(),
            "licensee": self.scope.licensee.lower(),
            "first_block": self.scope.first_block,
            "last_block": self.scope.last_block,
            "licences": None if named is None else sorted("0x" + i.hex() for i in named),
            "rule": asdict(self.rule),
        }
        return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Read ``encode``'s bytes. Raises BadInput on anything else."""
        try:
            found = json.loads(data)
            named = found["licences"]
            licences = None if named is None else frozenset(bytes.fromhex(i[2:]) for i in named)
            scope = Scope(found["licensee"], found["first_block"], found["last_block"], licences)
            made = cls(bytes.fromhex(found["study"][2:]), scope, Rule(**found["rule"]))
            same = made.encode() == data
        except _MALFORMED as error:
            raise BadInput(f"This is no roster's manifest: {error}") from None
        if not same:
            raise BadInput("This is no roster's manifest: it is not in canonical form.")
        return made

    def cid(self) -> CID:
        """Where it is found; the digest is what is sealed."""
        return file_cid(io.BytesIO(self.encode()))


def check(sealed: Mapping[str, Any], manifest: Manifest, weights: Mapping[str, int]) -> list[str]:
    """What is wrong with a sealed roster, in sentences; empty when it is right.

    ``sealed`` are the arguments of its StudySealed event, ``weights`` what you computed yourself from
    the chain's events by the manifest's scope and rule.
    """
    faults = []
    if manifest.cid().digest != sealed["manifest"]:
        faults.append("The manifest is not the one that was sealed.")
    if manifest.study != sealed["study"]:
        faults.append("The manifest is another study's.")
    if manifest.scope.licensee.lower() != str(sealed["payer"]).lower():
        faults.append("The manifest's licensee is not the study's payer.")
    if manifest.rule != Rule():
        faults.append("The manifest goes by another rule than the published one.")
    if not any(weights.values()):
        return [*faults, "Nobody contributed to this study."]
    roster = Roster(sealed["study"], weights)
    if len(roster) != sealed["count"]:
        faults.append(f"The roster should have {len(roster):,} lines, not {sealed['count']:,}.")
    if roster.total != sealed["total"]:
        faults.append(f"The weights make {roster.total:,}, not {sealed['total']:,}.")
    if roster.root != sealed["root"]:
        faults.append("The lines are others than those that follow from the chain's events.")
    return faults
