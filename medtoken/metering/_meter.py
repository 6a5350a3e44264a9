"""What the two sides of a meter share: the folder and its journal, and the licences with their terms."""

from __future__ import annotations

import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

from eth_utils import to_checksum_address

from medtoken.chain.contracts import LicenceRef
from medtoken.chain.words import GRAIN
from medtoken.errors import MeterRefused
from medtoken.messages import Domain
from medtoken.metering._journal import Journal
from medtoken.metering._signing import VoucherHasher
from medtoken.metering.terms import TAG, Terms

COMPACT_AT = 256 * 1024 * 1024
NO_TAG = bytes(TAG)

_LICENCE = struct.Struct("<cI32s32s20s32s")
_TERMS = struct.Struct("<cIQQQQQ??I")


@dataclass
class Metered:
    """One licence on a meter."""

    index: int
    id: bytes
    terms: Terms
    base: int = 0  # units on the chain when it was first seen here


OneT = TypeVar("OneT", bound=Metered)


class Meter(ABC, Generic[OneT]):
    """One side's meter on one market. Methods may be called from several threads.

    What a side adds to the journal it names by other letters than L and T.
    """

    SIDE: ClassVar[str]  # names the journal's file
    UNKNOWN: ClassVar[str]  # what it says of a licence that it does not have

    def __init__(
        self,
        folder: str | Path,
        domain: Domain,
        *,
        clock: Callable[[], float] = time.time,
        compact_at: int = COMPACT_AT,
    ) -> None:
        """Open the meter kept in ``folder``: replays the journal, for which a side must be ready.

        Raises StateError when the folder is another's, in use, or damaged.
        """
        self._hasher = VoucherHasher(domain)
        self._clock = clock
        self._lock = threading.Lock()
        self._by_id: dict[bytes, OneT] = {}
        self._licences: list[OneT] = []
        self._compact_at = compact_at
        self._journal = Journal(Path(folder) / f"{self.SIDE}.journal", self._hasher.separator)
        try:
            self._journal.replay(self._replay)
        except BaseException:
            self._journal.close()
            raise
        self._floor = self._journal.size

    def sync(self, terms: Terms) -> None:
        """Begin to count a licence, or take in what the chain says of it now.

        Raises BadInput when its vouchers are signed by no key, or by another.
        """
        with self._lock:
            one = self._by_id.get(terms.ref.id())
            if one is None:
                one = self._new(terms)
                self._journal.append(_licence(one))
                self._journal.append(self._counts(one))
            one.terms = terms
            self._journal.append(_terms(one))
            self._bound(one)
        self._journal.commit()

    def commit(self) -> None:
        """Return when everything before is on the disk; one flush serves all who wait."""
        self._journal.commit()
        if self._journal.size > self._floor + self._compact_at:
            self.compact()

    def compact(self) -> None:
        """Rewrite the journal as what stands now."""
        with self._lock:
            entries: list[bytes] = []
            for one in self._licences:
                entries += [_licence(one), self._counts(one), _terms(one), *self._standing(one)]
            self._journal.rewrite(entries)
            self._rewritten()
            self._floor = self._journal.size

    def licences(self) -> list[Terms]:
        """The licences that are known."""
        return [one.terms for one in self._licences]

    def close(self) -> None:
        """Commit and let go of the folder."""
        try:
            self._journal.commit()
        finally:
            self._journal.close()

    def __enter__(self) -> Self:
        """The meter; it is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    # ------------------------------------------------------------------ for the two sides

    def _known(self, licence: bytes) -> OneT:
        found = self._by_id.get(licence)
        if found is None:
            raise MeterRefused(self.UNKNOWN)
        return found

    def _new(self, terms: Terms) -> OneT:
        made = self._made(len(self._licences), terms)
        self._licences.append(made)
        self._by_id[made.id] = made
        return made

    @abstractmethod
    def _made(self, index: int, terms: Terms) -> OneT:
        """A licence that starts from what the chain says was used."""

    @abstractmethod
    def _counts(self, one: OneT) -> bytes:
        """The entry with a licence's counts."""

    @abstractmethod
    def _standing(self, one: OneT) -> Iterator[bytes]:
        """The entries of what else stands of a licence."""

    @abstractmethod
    def _replay_one(self, kind: bytes, payload: bytes, at: int) -> int:
        """Take in the side's own entry at ``at``; its length. Raises StateError on an unknown one."""

    def _bound(self, one: OneT) -> None:
        """The terms of a licence are new."""

    def _rewritten(self) -> None:
        """The journal begins anew."""

    def _replay(self, payload: bytes) -> None:
        at = 0
        while at < len(payload):
            kind = payload[at : at + 1]
            if kind == b"L":
                _, _, consent, record, licensee, salt = _LICENCE.unpack_from(payload, at)
                address = str(to_checksum_address(licensee))
                ref = LicenceRef(consent, record, address, int.from_bytes(salt))
                self._new(Terms(ref, 0, 0, 0, 0, 0, False, False, 0))
                at += _LICENCE.size
            elif kind == b"T":
                _, index, price, *rest = _TERMS.unpack_from(payload, at)
                one = self._licences[index]
                one.terms = Terms(one.terms.ref, price * GRAIN, *rest)
                at += _TERMS.size
            else:
                at += self._replay_one(kind, payload, at)


def _licence(one: Metered) -> bytes:
    ref = one.terms.ref
    licensee = bytes.fromhex(ref.licensee[2:])
    return _LICENCE.pack(b"L", one.index, ref.consent, ref.record, licensee, ref.salt.to_bytes(32))


def _terms(one: Metered) -> bytes:
    t = one.terms
    numbers = (t.price // GRAIN, t.prepaid, t.used, t.end, t.revoked)
    return _TERMS.pack(b"T", one.index, *numbers, t.suspended, t.closed, t.window)
