"""What views of the standard contracts answer, from their proven storage words.

OpenZeppelin's contracts keep a few things that no event tells, so their storage root cannot be
rebuilt; but every word that the ledger knows can be proven by its key. Here stands where each view
finds its words. A view that is not here answers by code over words that are proven anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from eth_utils import to_checksum_address

from medtoken import artifacts
from medtoken._keccak import keccak
from medtoken.audit.books.base import ZERO_ADDRESS
from medtoken.audit.books.governance import Delay
from medtoken.audit.proven.chain import ProvenChain

_WEEK = 7 * 86_400
_U32, _U48, _U64, _ADDRESS = (2**bits - 1 for bits in (32, 48, 64, 160))


class Words:
    """The proven words of one contract, by the names of its variables."""

    def __init__(self, chain: ProvenChain, contract: str, address: str, now: int) -> None:
        """``now``: unix seconds at which delays and schedules are seen."""
        layout = artifacts.load(contract)["storageLayout"]["storage"]
        self._slots = {entry["label"]: int(entry["slot"]) for entry in layout}
        self._chain = chain
        self._address = address
        self._known: dict[int, int] = {}
        self._wanted: list[int] | None = None
        self.now = now

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Inside, every word is taken for zero; at the end all that were asked for are proven at once."""
        self._wanted = []
        yield
        slots = [slot for slot in dict.fromkeys(self._wanted) if slot not in self._known]
        self._wanted = None
        self._known |= zip(slots, self._chain.slots(self._address, slots), strict=True)

    def at(self, variable: str, *keys: int | str | bytes) -> int:
        """The slot of a variable, or of a mapping's entry, as Solidity lays it out."""
        slot = self._slots[variable]
        for key in keys:
            slot = below(slot, key)
        return slot

    def word(self, slot: int) -> int:
        """A proven word."""
        if self._wanted is not None:
            self._wanted.append(slot)
            return 0
        if slot not in self._known:
            self._known[slot] = self._chain.storage(self._address, slot)
        return self._known[slot]

    def number(self, variable: str, *keys: int | str | bytes) -> int:
        """The word of a variable or an entry."""
        return self.word(self.at(variable, *keys))

    def account(self, variable: str, *keys: int | str | bytes) -> str:
        """An address that a variable or an entry begins with."""
        return to_checksum_address((self.number(variable, *keys) & _ADDRESS).to_bytes(20))

    def latest(self, variable: str, *keys: int | str | bytes) -> int:
        """The value of the last checkpoint of a trace (Checkpoints.Trace208)."""
        length = self.at(variable, *keys)
        count = self.word(length)
        if count == 0:
            return 0
        first = int.from_bytes(keccak(length.to_bytes(32)))
        return self.word((first + count - 1) % 2**256) >> 48


def below(slot: int, key: int | str | bytes) -> int:
    """The slot of a mapping's entry, as Solidity lays it out: key first, short bytes to the left."""
    if isinstance(key, bytes):
        padded = key.ljust(32, b"\0")
    else:
        padded = (int(key, 16) if isinstance(key, str) else key).to_bytes(32)
    return int.from_bytes(keccak(padded + slot.to_bytes(32)))


def _delay(bits: int) -> Delay:
    """Time.Delay of OpenZeppelin: effect 48 | value before 32 | value after 32, highest first."""
    return Delay(bits >> 32 & _U32, bits & _U32, bits >> 64 & _U48)


def _access(words: Words, role: int, account: str) -> tuple[int, int, int, int]:
    word = words.word(below(words.at("_roles", role), account))
    return (word & _U48, *_delay(word >> 48).full(words.now))


def _role(words: Words, role: int) -> int:
    """Administrator 64 | guardian 64 | grant delay 112, lowest first."""
    return words.word(words.at("_roles", role) + 1)


def _target(words: Words, target: str) -> int:
    """Admin delay 112 | closed 1, lowest first."""
    return words.word(words.at("_targets", target) + 1)


def _schedule(words: Words, operation: bytes) -> int:
    due = words.number("_schedules", operation) & _U48
    return due if due + _WEEK > words.now else 0


def _owner(words: Words, token: int) -> str | None:
    owner = words.account("_owners", token)
    return None if owner == ZERO_ADDRESS else owner


View = Callable[..., Any]

_MANAGED: dict[str, View] = {"authority": lambda w: w.account("_authority")}
_SOULBOUND: dict[str, View] = {
    **_MANAGED,
    "totalSupply": lambda w: w.latest("_totalCheckpoints"),
    "balanceOf": lambda w, account: w.latest("_delegateCheckpoints", account),
    "getVotes": lambda w, account: w.latest("_delegateCheckpoints", account),
    "minter": lambda w: w.account("minter"),
}

VIEWS: dict[str, dict[str, View]] = {
    "UsageToken": {
        **_MANAGED,
        "totalSupply": lambda w: w.number("_totalSupply"),
        "balanceOf": lambda w, account: w.number("_balances", account),
        "standing": lambda w, account: w.number("standing", account),
        "issuedIn": lambda w, epoch: w.number("issuedIn", epoch),
        "cap": lambda w: w.number("cap"),
    },
    "ContributionToken": _SOULBOUND,
    "GovernanceToken": _SOULBOUND,
    "ResearchToken": {
        **_MANAGED,
        "totalSupply": lambda w: w.number("_totalSupply"),
        "balanceOf": lambda w, account: w.number("_balances", account),
        "desk": lambda w: w.account("desk"),
    },
    "BadgeToken": {
        **_MANAGED,
        "ownerOf": _owner,
        "minter": lambda w: w.account("minter"),
    },
    "InstitutionToken": {
        **_MANAGED,
        "ownerOf": _owner,
        "balanceOf": lambda w, account: w.number("_balances", account),
        "minter": lambda w: w.account("minter"),
    },
    "LicenceToken": {
        "ownerOf": _owner,
        "balanceOf": lambda w, account: w.number("_balances", account),
    },
    "AccessManager": {
        "getAccess": _access,
        "getRoleAdmin": lambda w, role: _role(w, role) & _U64,
        "getRoleGuardian": lambda w, role: _role(w, role) >> 64 & _U64,
        "getRoleGrantDelay": lambda w, role: _delay(_role(w, role) >> 128).at(w.now),
        "getTargetFunctionRole": lambda w, target, selector: w.word(
            below(w.at("_targets", target), selector)
        ),
        "isTargetClosed": lambda w, target: bool(_target(w, target) >> 112 & 1),
        "getTargetAdminDelay": lambda w, target: _delay(_target(w, target)).at(w.now),
        "getNonce": lambda w, operation: w.number("_schedules", operation) >> 48 & _U32,
        "getSchedule": _schedule,
    },
    "TimelockController": {
        "getMinDelay": lambda w: w.number("_minDelay"),
        "getTimestamp": lambda w, operation: w.number("_timestamps", operation),
        "hasRole": lambda w, role, account: bool(w.word(below(w.at("_roles", role), account))),
        "getRoleAdmin": lambda w, role: w.word(w.at("_roles", role) + 1).to_bytes(32),
    },
    "ProxyAdmin": {"owner": lambda w: w.account("_owner")},
}
