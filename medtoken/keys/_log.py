"""The hash chain over what a keeper did: deposits, releases, revocations, shreddings, in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medtoken.errors import IntegrityError

_LABEL = b"medtoken keeper log v1"
GENESIS = bytes(32)
"""What the first entry links to."""

Event = Mapping[str, "str | int"]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event with its place in the chain."""

    number: int
    """1 for the first."""
    body: str
    """The event as canonical JSON."""
    hash: bytes
    """SHA-256 over the previous hash, the number and the body; 32 bytes."""

    @classmethod
    def following(cls, previous: LogEntry | None, event: Event) -> LogEntry:
        """The entry that records ``event`` after ``previous``."""
        number = previous.number + 1 if previous else 1
        body = json.dumps(event, sort_keys=True, separators=(",", ":"))
        return cls(number, body, _link(previous.hash if previous else GENESIS, number, body))

    @property
    def event(self) -> dict[str, str | int]:
        """What happened: ``kind`` says what it was.

        One of ``deposit``, ``rotate``, ``complete``, ``abandon``, ``finish``, ``release``, ``revocation``
        and ``shred``. Raises IntegrityError when the entry tells of nothing that a keeper does.
        """
        malformed = IntegrityError(f"entry {self.number} of the keeper's log is malformed")
        try:
            event = json.loads(self.body)
        except (ValueError, RecursionError):
            raise malformed from None
        if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
            raise malformed
        if not all(isinstance(value, str | int) for value in event.values()):
            raise malformed
        return event


def verify_log(entries: Iterable[LogEntry]) -> bytes:
    """The hash of the last entry; IntegrityError names the first that was altered or is missing."""
    head, count = GENESIS, 0
    for count, entry in enumerate(entries, 1):
        if entry.number != count or _link(head, count, entry.body) != entry.hash:
            raise IntegrityError(f"entry {count} of the keeper's log was altered or is missing")
        head = entry.hash
    return head


def _link(previous: bytes, number: int, body: str) -> bytes:
    return hashlib.sha256(_LABEL + previous + number.to_bytes(8, "big") + body.encode()).digest()
