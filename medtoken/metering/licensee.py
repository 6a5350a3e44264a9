"""The licensee's side: numbers its calls, knows what it received, and signs for that and no more.

A call is begun in the journal before it is sent and received in the journal before it is signed for. After
a crash ``open_calls`` tells which calls have no answer yet: they are sent again under their numbers,
and the custodian answers without counting them again.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medtoken.errors import BadInput, MeterRefused, StateError
from medtoken.messages import Domain
from medtoken.metering._meter import COMPACT_AT, NO_TAG, Meter, Metered
from medtoken.metering._signing import VoucherKey
from medtoken.metering.terms import MAX_UNITS, TAG, Acknowledgement, Terms, thinned

# How much was received when is kept, for a revocation cuts there: all of the last seconds in which
# something came, then one for each ten minutes of a day, then one.
_KEPT = 86_400
_MANY = 8192

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
class _Licence(Metered):
    begun: int = 0  # units in all, and the base
    next: int = 1
    open: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    # Calls beyond ``through`` that are received (their units) or given up (none).
    done: dict[int, tuple[int, bool]] = field(default_factory=dict)
    through: int = 0  # all calls up to this number are received or given up
    units: int = 0  # received of those, and the base
    missing: list[int] = field(default_factory=list)  # given up, and the custodian may not know
    history: list[tuple[int, int, int]] = field(default_factory=list)  # time, units, through


class LicenseeMeter(Meter[_Licence]):
    """The meter of one licensee on one market, with one voucher key. Threads may share it."""

    SIDE = "licensee"
    UNKNOWN = "The meter does not know this licence."

    def __init__(
        self,
        folder: str | Path,
        domain: Domain,
        key: VoucherKey,
        *,
        clock: Callable[[], float] = time.time,
        compact_at: int = COMPACT_AT,
    ) -> None:
        """Open the meter kept in ``folder``. Raises StateError when it is another's or damaged."""
        self._key = key
        self._moment = 0
        super().__init__(folder, domain, clock=clock, compact_at=compact_at)

    def sync(self, terms: Terms) -> None:
        """Begin to use a licence, or take in what the chain says of it now.

        Raises BadInput when its vouchers are signed by another key.
        """
        if terms.signer != self._key.address:
            raise BadInput(f"The licence's voucher key is {terms.signer}, not {self._key.address}.")
        super().sync(terms)

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

    # ------------------------------------------------------------------ inside

    def _made(self, index: int, terms: Terms) -> _Licence:
        used = terms.used
        return _Licence(index, terms.ref.id(), terms, used, begun=used, units=used)

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

    def _counts(self, one: _Licence) -> bytes:
        return _COUNTS.pack(b"N", one.index, one.base, one.begun, one.next, one.through, one.units)

    def _standing(self, one: _Licence) -> Iterator[bytes]:
        for number, (units, tag) in one.open.items():
            yield _BEGUN.pack(b"O", one.index, number, units, tag)
        for number, (units, arrived) in one.done.items():
            yield _DONE.pack(b"D", one.index, number, units, arrived)
        for number in one.missing:
            yield _NUMBERED.pack(b"M", one.index, number)
        for moment in one.history:
            yield _HISTORY.pack(b"H", one.index, *moment)

    def _rewritten(self) -> None:
        self._moment = 0

    def _replay_one(self, kind: bytes, payload: bytes, at: int) -> int:  # noqa: PLR0911  one for each kind
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
        if kind == b"N":
            _, index, *values = _COUNTS.unpack_from(payload, at)
            one = self._licences[index]
            one.base, one.begun, one.next, one.through, one.units = values
            return _COUNTS.size
        if kind == b"D":
            _, index, number, units, arrived = _DONE.unpack_from(payload, at)
            self._licences[index].done[number] = (units, arrived)
            return _DONE.size
        if kind == b"H":
            _, index, *moment = _HISTORY.unpack_from(payload, at)
            self._licences[index].history.append((moment[0], moment[1], moment[2]))
            return _HISTORY.size
        raise StateError("The licensee's journal holds an entry that this version does not know.")
