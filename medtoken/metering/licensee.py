"""The licensee's side: numbers its calls, knows what it received, and signs for that and no more.

A call is begun in the journal before it is sent and received in the journal before it is signed for. After
a crash ``open_calls`` tells which calls have no answer yet: they are sent again under their numbers,
and the custodian answers without counting them again.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from eth_utils import to_checksum_address

from medtoken.chain.contracts import LicenceRef
from medtoken.chain.words import GRAIN
from medtoken.errors import BadInput, MeterRefused, StateError
from medtoken.messages import Domain
from medtoken.metering._journal import Journal
from medtoken.metering._signing import VoucherHasher, VoucherKey
from medtoken.metering.terms import MAX_UNITS, TAG, Acknowledgement, Terms, thinned

NO_TAG = bytes(TAG)
# How much was received when is kept, for a revocation cuts there: all of the last seconds in which
# something came, then one for each ten minutes of a day, then one.
_KEPT = 86_400
_MANY = 8192
_COMPACT_AT = 256 * 1024 * 1024

_LICENCE = struct.Struct("<cI32s32s20s32s")
_TERMS = struct.Struct("<cIQQQQQ??I")
_COUNTS = struct.Struct("<cIQQQQQ")
_BEGUN = struct.Struct("<cIQQ16s")
_NUMBERED = struct.Struct("<cIQ")
_MOMENT = struct.Struct("<cQ")
_DONE = struct.Struct("<cIQQ?")
_HISTORY = struct.Struct("<cIQQQ")


@dataclass(frozen=True)
class OpenCall:
    """A call that was begun and has no answer yet."""

    number: int
    units: int
    request: bytes  # what ``begin`` was given


@dataclass
class _Licence:
    index: int
    id: bytes
    terms: Terms
    base: int = 0  # units on the chain when it was first seen here
    begun: int = 0  # units in all, and the base
    next: int = 1
    open: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    # Calls beyond ``through`` that are received (their units) or given up (none).
    done: dict[int, tuple[int, bool]] = field(default_factory=dict)
    through: int = 0  # all calls up to this number are received or given up
    units: int = 0  # received of those, and the base
    missing: list[int] = field(default_factory=list)  # given up, and the custodian may not know
    history: list[tuple[int, int, int]] = field(default_factory=list)  # time, units, through


class LicenseeMeter:
    """The meter of one licensee on one market, with one voucher key. Threads may share it."""

    def __init__(
        self,
        folder: str | Path,
        domain: Domain,
        key: VoucherKey,
        *,
        clock: Callable[[], float] = time.time,
        compact_at: int = _COMPACT_AT,
    ) -> None:
        """Open the meter kept in ``folder``. Raises StateError when it is another's or damaged."""
        self._hasher = VoucherHasher(domain)
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._by_id: dict[bytes, _Licence] = {}
        self._licences: list[_Licence] = []
        self._moment = 0
        self._compact_at = compact_at
        self._journal = Journal(Path(folder) / "licensee.journal", self._hasher.separator)
        try:
            self._journal.replay(self._replay)
        except BaseException:
            self._journal.close()
            raise
        self._floor = self._journal.size

    # ------------------------------------------------------------------ licences

    def sync(self, terms: Terms) -> None:
        """Begin to use a licence, or take in what the chain says of it now.

        Raises BadInput when its vouchers are signed by another key.
        """
        if terms.signer != self._key.address:
            raise BadInput(f"The licence's voucher key is {terms.signer}, not {self._key.address}.")
        with self._lock:
            one = self._by_id.get(terms.ref.id())
            if one is None:
                one = self._new(terms.ref)
                one.base = one.begun = one.units = terms.used
                self._journal.append(_licence(one))
                self._journal.append(_counts(one))
            one.terms = terms
            self._journal.append(_terms(one))
        self._journal.commit()

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

    def licences(self) -> list[Terms]:
        """The licences that are known."""
        return [one.terms for one in self._licences]

    # ------------------------------------------------------------------ calls

    def begin(self, licence: bytes, units: int = 1, request: bytes = NO_TAG) -> int:
        """The number of a new call, to be sent after ``commit``.

        ``request`` is 16 bytes that bind the number to what is asked (``request_tag``). Raises
        MeterRefused beyond what is prepaid and after the end.
        """
        with self._lock:
            one = self._known(licence)
            if not 1 <= units <= MAX_UNITS or len(request) != TAG:
                raise BadInput(f"A call has a positive number of units and a tag of {TAG} bytes.")
            if one.begun + units > one.terms.prepaid:
                left = one.terms.prepaid - one.begun
                raise MeterRefused(f"Only {left} units are prepaid and left: top up.")
            if self._clock() >= one.terms.stop or one.terms.suspended or one.terms.closed:
                raise MeterRefused("The licence has ended, or is suspended.")
            number = one.next
            one.next += 1
            one.begun += units
            one.open[number] = (units, request)
            self._journal.append(_BEGUN.pack(b"B", one.index, number, units, request))
            return number

    def commit(self) -> None:
        """Return when everything begun and received before is on the disk."""
        self._journal.commit()
        if self._journal.size > self._floor + self._compact_at:
            self.compact()

    def received(self, licence: bytes, number: int) -> None:
        """The answer to a call is here. Saying so again changes nothing.

        Raises MeterRefused for a number that was never begun.
        """
        with self._lock:
            one = self._known(licence)
            if number in one.open:
                self._tell_time()
                self._journal.append(_NUMBERED.pack(b"R", one.index, number))
                self._finish(one, number, arrived=True)
            elif number >= one.next:
                raise MeterRefused(f"Call {number} was never begun.")

    def abandon(self, licence: bytes, number: int) -> None:
        """Give up a call that will not be sent again; it is never signed for.

        Raises MeterRefused when the call is not open.
        """
        with self._lock:
            one = self._known(licence)
            if number not in one.open:
                raise MeterRefused(f"Call {number} is not open.")
            self._tell_time()
            self._journal.append(_NUMBERED.pack(b"X", one.index, number))
            self._finish(one, number, arrived=False)
        self._journal.commit()

    def open_calls(self, licence: bytes) -> list[OpenCall]:
        """Calls without an answer, by number: after a crash, those to send again."""
        one = self._known(licence)
        return [OpenCall(n, units, tag) for n, (units, tag) in sorted(one.open.items())]

    def received_units(self, licence: bytes) -> int:
        """Units that a voucher would acknowledge now."""
        return self._known(licence).units

    # ------------------------------------------------------------------ vouchers

    def acknowledge(self, licence: bytes) -> Acknowledgement:
        """Sign for everything received, up to the first call that still waits for its answer.

        After the licence's end, or its revocation, for what was received before, dated so: that is
        what the market still takes. On the disk before it is signed.
        """
        with self._lock:
            one = self._known(licence)
            now, stop = int(self._clock()), one.terms.stop
            when, units, through = now, one.units, one.through
            if now >= stop:
                when = stop
                before = [h for h in one.history if h[0] < stop]
                units, through = before[-1][1:] if before else (one.base, 0)
            missing = tuple(n for n in one.missing if n <= through)
        self._journal.commit()
        digest = self._hasher.digest(licence, units, when)
        return Acknowledgement(licence, units, when, self._key.sign(digest), through, missing)

    def confirmed(self, acknowledgement: Acknowledgement) -> None:
        """The custodian has taken a voucher: what it named as missing need not be told again."""
        with self._lock:
            one = self._known(acknowledgement.licence)
            through = acknowledgement.through
            if any(n <= through for n in one.missing):
                one.missing = [n for n in one.missing if n > through]
                self._journal.append(_NUMBERED.pack(b"F", one.index, through))

    def compact(self) -> None:
        """Rewrite the journal as what stands now."""
        with self._lock:
            entries: list[bytes] = []
            for one in self._licences:
                entries += [_licence(one), _counts(one), _terms(one)]
                entries += [
                    _BEGUN.pack(b"O", one.index, n, units, tag)
                    for n, (units, tag) in one.open.items()
                ]
                entries += [
                    _DONE.pack(b"D", one.index, n, units, arrived)
                    for n, (units, arrived) in one.done.items()
                ]
                entries += [_NUMBERED.pack(b"M", one.index, n) for n in one.missing]
                entries += [_HISTORY.pack(b"H", one.index, *h) for h in one.history]
            self._journal.rewrite(entries)
            self._moment = 0
            self._floor = self._journal.size

    # ------------------------------------------------------------------ inside

    def _known(self, licence: bytes) -> _Licence:
        found = self._by_id.get(licence)
        if found is None:
            raise MeterRefused("The meter does not know this licence.")
        return found

    def _new(self, ref: LicenceRef) -> _Licence:
        made = _Licence(len(self._licences), ref.id(), Terms(ref, 0, 0, 0, 0, 0, False, False, 0))
        self._licences.append(made)
        self._by_id[made.id] = made
        return made

    def _tell_time(self) -> None:
        """Journal the second of what follows, once for each second."""
        now = int(self._clock())
        if now != self._moment:
            self._moment = now
            self._journal.append(_MOMENT.pack(b"@", now))

    def _finish(self, one: _Licence, number: int, *, arrived: bool) -> None:
        units, _ = one.open.pop(number)
        one.done[number] = (units if arrived else 0, arrived)
        if not arrived:
            one.begun -= units
        if number != one.through + 1:
            return
        while (found := one.done.pop(one.through + 1, None)) is not None:
            one.through += 1
            one.units += found[0]
            if not found[1]:
                one.missing.append(one.through)
        last = (self._moment, one.units, one.through)
        if one.history and one.history[-1][0] == self._moment:
            one.history[-1] = last
            return
        one.history.append(last)
        if len(one.history) > _MANY:
            one.history = thinned(one.history, _MANY // 2, self._moment - _KEPT)

    # ------------------------------------------------------------------ the journal

    def _replay(self, payload: bytes) -> None:
        at = 0
        while at < len(payload):
            at += self._replay_one(payload, at)

    def _replay_one(self, payload: bytes, at: int) -> int:  # noqa: PLR0911  one for each kind
        kind = payload[at : at + 1]
        if kind in (b"B", b"O"):
            _, index, number, units, tag = _BEGUN.unpack_from(payload, at)
            one = self._licences[index]
            one.open[number] = (units, tag)
            if kind == b"B":
                one.next = number + 1
                one.begun += units
            return _BEGUN.size
        if kind in (b"R", b"X"):
            _, index, number = _NUMBERED.unpack_from(payload, at)
            self._finish(self._licences[index], number, arrived=kind == b"R")
            return _NUMBERED.size
        if kind == b"@":
            _, self._moment = _MOMENT.unpack_from(payload, at)
            return _MOMENT.size
        if kind in (b"F", b"M"):
            _, index, number = _NUMBERED.unpack_from(payload, at)
            one = self._licences[index]
            if kind == b"M":
                one.missing.append(number)
            else:
                one.missing = [n for n in one.missing if n > number]
            return _NUMBERED.size
        if kind == b"L":
            _, _, consent, record, licensee, salt = _LICENCE.unpack_from(payload, at)
            address = str(to_checksum_address(licensee))
            self._new(LicenceRef(consent, record, address, int.from_bytes(salt)))
            return _LICENCE.size
        if kind == b"N":
            _, index, *values = _COUNTS.unpack_from(payload, at)
            one = self._licences[index]
            one.base, one.begun, one.next, one.through, one.units = values
            return _COUNTS.size
        if kind == b"T":
            _, index, price, *rest = _TERMS.unpack_from(payload, at)
            one = self._licences[index]
            one.terms = Terms(one.terms.ref, price * GRAIN, *rest)
            return _TERMS.size
        if kind == b"D":
            _, index, number, units, arrived = _DONE.unpack_from(payload, at)
            self._licences[index].done[number] = (units, arrived)
            return _DONE.size
        if kind == b"H":
            _, index, *moment = _HISTORY.unpack_from(payload, at)
            self._licences[index].history.append((moment[0], moment[1], moment[2]))
            return _HISTORY.size
        raise StateError("The licensee's journal holds an entry that this version does not know.")


def _licence(one: _Licence) -> bytes:
    ref = one.terms.ref
    licensee = bytes.fromhex(ref.licensee[2:])
    return _LICENCE.pack(b"L", one.index, ref.consent, ref.record, licensee, ref.salt.to_bytes(32))


def _counts(one: _Licence) -> bytes:
    return _COUNTS.pack(b"N", one.index, one.base, one.begun, one.next, one.through, one.units)


def _terms(one: _Licence) -> bytes:
    t = one.terms
    return _TERMS.pack(
        b"T",
        one.index,
        t.price // GRAIN,
        t.prepaid,
        t.used,
        t.end,
        t.revoked,
        t.suspended,
        t.closed,
        t.window,
    )
