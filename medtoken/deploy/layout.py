"""Whether a contract's storage still means the same after an upgrade (R29).

Code behind a proxy is replaced, storage stays: a variable that moves, or changes its type, reads what
another one wrote. ``tests/layouts.json`` is the layout that deployments have; what is compiled now may
add to it, in a gap or behind its end, and must leave everything else where it is. What the bits of a packed
word mean no compiler knows: that stays with whoever reviews an upgrade.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

GAP = "__gap"


@dataclass(frozen=True)
class Variable:
    """Where a variable is kept: its first slot, how many it has, and its type."""

    slot: int
    size: int
    type: str

    @property
    def slots(self) -> range:
        """All of its slots."""
        return range(self.slot, self.slot + self.size)


Layout = Mapping[str, Variable]


def layout_of(artifact: Mapping[str, Any]) -> dict[str, Variable]:
    """The variables of a compiled Vyper contract by name (``module.name``), in the order of slots."""
    found = dict(_flat(artifact["storageLayout"]))
    return dict(sorted(found.items(), key=lambda item: item[1].slot))


def _flat(layout: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Variable]]:
    for name, entry in layout.items():
        if "slot" in entry and "type" in entry:
            yield path + name, Variable(entry["slot"], entry["n_slots"], entry["type"])
        else:
            yield from _flat(entry, f"{path}{name}.")


def faults(old: Layout, new: Layout) -> list[str]:
    """Why code with a new layout must not take the place of code with an old one; nothing when it may."""
    found = []
    taken = {slot: name for name, one in old.items() if not _is_gap(name) for slot in one.slots}
    for name, one in old.items():
        if _is_gap(name):
            continue
        now = new.get(name)
        if now is None:
            found.append(f"{name} is gone: its slots keep what it wrote.")
        elif now != one:
            found.append(f"{name} was {_said(one)} and would be {_said(now)}.")
    for name, one in new.items():
        if name not in old and not _is_gap(name):
            over = {taken[slot] for slot in one.slots if slot in taken}
            found += [f"{name} would read what {other} wrote." for other in sorted(over)]
    return found


def _is_gap(name: str) -> bool:
    return name.rpartition(".")[2] == GAP


def _said(one: Variable) -> str:
    return f"{one.type} at slot {one.slot} ({one.size})"
