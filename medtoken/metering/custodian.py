"""The custodian's side: counts what it serves, takes vouchers, and never serves more than it may lose.

A call is counted in memory and in the journal; ``commit`` flushes the journal, and only after that may
the answers leave. So no call that was served is forgotten, whenever the process is killed. A number
that comes again with the same request is answered again and not counted again, so nothing that
was lost on the way is charged twice.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medtoken.chain.contracts import SignedVoucher
from medtoken.errors import BadInput, InvalidSignature, MedtokenError, MeterRefused, StateError
from medtoken.messages import Domain
from medtoken.metering._meter import COMPACT_AT, NO_TAG, Meter, Metered
from medtoken.metering._signing import address_of, recover
from medtoken.metering.terms import MAX_UNITS, Acknowledgement, Terms, thinned

# How often the answer to one call may be fetched again.
REPLAYS = 8
# How far a licensee's clock may be ahead, seconds. The chain takes no voucher before its date.
_AHEAD = 60
# Vouchers that later ones have overtaken are kept, for a revocation falls back on them: the last ones all,
# then one for each ten minutes of a day, then one.
_KEPT = 86_400
_MANY = 256

_COUNTS = struct.Struct("<cIQQQQ")
_CALL = struct.Struct("<cIQQ16s")
_VOUCHER = struct.Struct("<cIQQ65sQI")
_NUMBER = struct.Struct("<Q")
_WRITTEN_OFF = struct.Struct("<cIQ")


@dataclass(frozen=True)
class Claim:
    """What can be redeemed of one licence now, and until when."""

    voucher: SignedVoucher
    new_units: int
    amount: int  # base units before levy and split
    until: int  # unix seconds


@dataclass
class _Licence(Metered):
    signer: str = ""
    public: bytes = b""  # the key behind ``signer``, once it has signed
    counted: int = 0  # units in all
    acknowledged: int = 0  # units of the last voucher
    through: int = 0  # calls up to this number are settled between the two
    resolved: int = 0  # units of those calls, and the base
    calls: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    replays: dict[int, int] = field(default_factory=dict)
    vouchers: list[tuple[int, int, bytes]] = field(default_factory=list)  # time, units, signature
    limit: int = 0  # of counted
    stop: int = 0


class CustodianMeter(Meter[_Licence]):
    """The meter of one custodian on one market. Methods may be called from several threads."""

    SIDE = "custodian"
    UNKNOWN = "The meter does not serve this licence."

    def __init__(
        self,
        folder: str | Path,
        domain: Domain,
        *,
        credit: int,
        clock: Callable[[], float] = time.time,
        compact_at: int = COMPACT_AT,
    ) -> None:
        """Open the meter kept in ``folder``.

        ``credit`` is how many units a licence may be ahead of its last voucher: all that the custodian
        can lose on it. Raises StateError when the folder is another's, in use, or damaged.
        """
        if credit < 1:
            raise BadInput("Without credit of at least one unit no call could ever be served.")
        self._credit = credit
        super().__init__(folder, domain, clock=clock, compact_at=compact_at)
        for licence in self._licences:
            self._bound(licence)

    # ------------------------------------------------------------------ calls

    def count(self, licence: bytes, number: int, units: int = 1, request: bytes = NO_TAG) -> bool:
        """Count a call; False when this number was counted before and is to be answered again.

        The answer may leave only after ``commit``. Raises MeterRefused, and counts nothing, beyond
        what is prepaid or beyond the credit, after the end, while suspended, and when a number
        comes again that is settled, was asked for something else, or came too often.
        """
        with self._lock:
            found = self._by_id.get(licence)
            if found is None:
                raise MeterRefused(self.UNKNOWN)
            if number in found.calls:
                return self._again(found, number, units, request)
            total = found.counted + units
            if total > found.limit or units < 1 or number <= found.through:
                raise self._refusal(found, number, units)
            if self._clock() >= found.stop or number > MAX_UNITS:
                raise self._refusal(found, number, units)
            found.calls[number] = (units, request)
            found.counted = total
            self._journal.append(_CALL.pack(b"C", found.index, number, units, request))
            return True

    def write_off(self, licence: bytes, number: int) -> int:
        """Give up a call that the licensee says it never received; the units given up.

        Raises MeterRefused when the call is not open.
        """
        with self._lock:
            found = self._known(licence)
            if number not in found.calls:
                raise MeterRefused(f"Call {number} is not open.")
            units, _ = found.calls.pop(number)
            found.counted -= units
            self._journal.append(_WRITTEN_OFF.pack(b"W", found.index, number))
        self._journal.commit()
        return units

    # ------------------------------------------------------------------ vouchers

    def accept(self, acknowledgement: Acknowledgement) -> None:
        """Take a voucher; on the disk when this returns. Bringing one again changes nothing.

        Raises InvalidSignature when the licence's key did not sign it, MeterRefused when it is dated
        in the future or after the end, or when what it counts is not what was counted here.
        """
        self._accept(acknowledgement)
        self._journal.commit()

    def accept_many(self, many: Iterable[Acknowledgement]) -> list[MedtokenError | None]:
        """Take vouchers of many licences with one flush; for each, None or why it was refused."""
        results: list[MedtokenError | None] = []
        for acknowledgement in many:
            try:
                self._accept(acknowledgement)
                results.append(None)
            except (MeterRefused, InvalidSignature) as refusal:
                results.append(refusal)
        self._journal.commit()
        return results

    def claims(self, licences: Sequence[bytes] | None = None) -> list[Claim]:
        """What vouchers can be redeemed now: the best of each licence that the market would take."""
        now = self._clock()
        with self._lock:
            chosen = self._licences if licences is None else [self._known(i) for i in licences]
            return [claim for claim in (self._claim(one, now) for one in chosen) if claim]

    # ------------------------------------------------------------------ what stands

    def counted(self, licence: bytes) -> int:
        """Units used of a licence in all, as counted here."""
        return self._known(licence).counted

    def acknowledged(self, licence: bytes) -> int:
        """Units that the licensee has signed for."""
        return self._known(licence).acknowledged

    def exposure(self, licence: bytes) -> int:
        """Base units that the custodian would lose if the licensee never signed again."""
        found = self._known(licence)
        best = max((units for when, units, _ in found.vouchers if when <= found.stop), default=0)
        return max(0, found.counted - max(best, found.terms.used)) * found.terms.price

    def open_calls(self, licence: bytes) -> list[int]:
        """Numbers of the calls that no voucher has settled."""
        return sorted(self._known(licence).calls)

    # ------------------------------------------------------------------ inside

    def _made(self, index: int, terms: Terms) -> _Licence:
        used = terms.used
        made = _Licence(index, terms.ref.id(), terms, used, terms.signer)
        made.counted = made.acknowledged = made.resolved = used
        return made

    def _bound(self, one: _Licence) -> None:
        """Up to where the licence may be counted, from what stands."""
        terms = one.terms
        served = not (terms.suspended or terms.closed)
        # Uses that somebody put on the chain beside the vouchers would be paid only once.
        served = served and terms.used <= max(one.acknowledged, one.base)
        ahead = one.acknowledged + self._credit
        one.limit = min(terms.prepaid, ahead) if served else 0
        one.stop = terms.stop

    def _again(self, found: _Licence, number: int, units: int, request: bytes) -> bool:
        if found.calls[number] != (units, request):
            raise MeterRefused(f"Call {number} was made before, for something else.")
        times = found.replays.get(number, 0) + 1
        if times > REPLAYS:
            raise MeterRefused(f"Call {number} was answered {REPLAYS} times already.")
        if self._clock() >= found.stop or found.terms.suspended or found.terms.closed:
            raise self._refusal(found, number, units)
        found.replays[number] = times
        return False

    def _refusal(self, found: _Licence, number: int, units: int) -> MeterRefused:
        """Why a call is not counted, in the order in which a person would ask."""
        terms = found.terms
        reasons = (
            (not 1 <= units <= MAX_UNITS, "A call must have a positive number of units."),
            (terms.closed, "The licence is closed."),
            (terms.suspended, "The licence is suspended."),
            (bool(terms.revoked), "The patient has taken the consent back."),
            (self._clock() >= found.stop, "The licence has ended."),
            (
                terms.used > max(found.acknowledged, found.base),
                "The licence was also used on the chain, beside the vouchers.",
            ),
            (number <= found.through, f"Call {number} is settled already."),
            (
                found.counted + units > terms.prepaid,
                f"Only {terms.prepaid - found.counted} units are prepaid and left: top up.",
            ),
            (
                found.counted + units > found.acknowledged + self._credit,
                f"{found.counted - found.acknowledged} units are not acknowledged yet, and "
                f"{self._credit} is the credit: send a voucher.",
            ),
        )
        text = next((text for met, text in reasons if met), "The call's number is out of range.")
        return MeterRefused(text)

    def _accept(self, ack: Acknowledgement) -> None:
        with self._lock:
            found = self._known(ack.licence)
            if (ack.time, ack.units, ack.signature) in found.vouchers:
                return
            if ack.time > self._clock() + _AHEAD:
                raise MeterRefused("The voucher is dated in the future.")
            if ack.time > found.stop:
                raise MeterRefused("The voucher is dated after the licence's end.")
            if ack.units > found.counted:
                raise MeterRefused(
                    f"The voucher acknowledges {ack.units} units, and {found.counted} were counted."
                )
            final = self._clock() >= found.stop
            resolved, done = self._resolved(found, ack)
            if not final and ack.units != resolved:
                raise MeterRefused(
                    f"The voucher acknowledges {ack.units} units, and its calls make {resolved}."
                )
        public = recover(self._hasher.digest(ack.licence, ack.units, ack.time), ack.signature)
        if public is None or (public != found.public and address_of(public) != found.signer):
            raise InvalidSignature("The voucher is not signed by the licence's voucher key.")
        with self._lock:
            found.public = public
            settles = ack.units == resolved and ack.through >= found.through
            self._journal.append(
                _VOUCHER.pack(
                    b"V",
                    found.index,
                    ack.units,
                    ack.time,
                    ack.signature,
                    ack.through if settles else 0,
                    len(ack.missing) if settles else 0,
                )
                + (b"".join(_NUMBER.pack(n) for n in ack.missing) if settles else b"")
            )
            self._keep(found, ack.units, ack.time, ack.signature)
            if settles:
                self._settle(found, ack.through, ack.missing, resolved, done)
            self._bound(found)

    @staticmethod
    def _resolved(found: _Licence, ack: Acknowledgement) -> tuple[int, list[int]]:
        """The units of all calls that an acknowledgement settles, and the numbers of the new ones."""
        missing = set(ack.missing)
        # Whichever is shorter: an acknowledgement may name any number.
        new: Iterable[int] = range(found.through + 1, ack.through + 1)
        if ack.through - found.through > len(found.calls):
            new = sorted(found.calls)
        done = [n for n in new if n in found.calls and n <= ack.through]
        units = sum(found.calls[number][0] for number in done if number not in missing)
        return found.resolved + units, done

    @staticmethod
    def _settle(
        found: _Licence, through: int, missing: Sequence[int], resolved: int, done: list[int]
    ) -> None:
        lost = set(missing)
        for number in done:
            call = found.calls.pop(number, None)
            found.replays.pop(number, None)
            if call and number in lost:
                found.counted -= call[0]  # it never arrived: the custodian's loss
        found.through, found.resolved = through, resolved

    @staticmethod
    def _keep(found: _Licence, units: int, when: int, signature: bytes) -> None:
        found.acknowledged = max(found.acknowledged, units)
        if any(v[1] == units and v[0] <= when for v in found.vouchers[-1:]):
            return  # the same, dated later, is worth nothing
        found.vouchers.append((when, units, signature))
        if len(found.vouchers) > _MANY:
            found.vouchers = thinned(found.vouchers, _MANY // 4, when - _KEPT)

    def _claim(self, found: _Licence, now: float) -> Claim | None:
        terms = found.terms
        until = terms.stop + terms.window
        good = [v for v in found.vouchers if v[0] <= min(found.stop, now) and v[1] > terms.used]
        if not good or terms.closed or now > until:
            return None
        when, units, signature = max(good, key=lambda v: v[1])
        new = units - terms.used
        voucher = SignedVoucher(terms.ref, units, when, signature)
        return Claim(voucher, new, new * terms.price, until)

    # ------------------------------------------------------------------ the journal

    def _counts(self, one: _Licence) -> bytes:
        head = _COUNTS.pack(b"N", one.index, one.base, one.counted, one.acknowledged, one.through)
        return head + _NUMBER.pack(one.resolved)

    def _standing(self, one: _Licence) -> Iterator[bytes]:
        for number, (units, tag) in one.calls.items():
            yield _CALL.pack(b"O", one.index, number, units, tag)
        for when, units, signature in one.vouchers:
            yield _VOUCHER.pack(b"K", one.index, units, when, signature, 0, 0)

    def _replay_one(self, kind: bytes, payload: bytes, at: int) -> int:
        if kind in (b"C", b"O"):
            _, index, number, units, tag = _CALL.unpack_from(payload, at)
            one = self._licences[index]
            one.calls[number] = (units, tag)
            if kind == b"C":
                one.counted += units
            return _CALL.size
        if kind in (b"V", b"K"):
            _, index, units, when, signature, through, lost = _VOUCHER.unpack_from(payload, at)
            first, size = at + _VOUCHER.size, _NUMBER.size * int(lost)
            missing = tuple(n for (n,) in _NUMBER.iter_unpack(payload[first : first + size]))
            one = self._licences[index]
            self._keep(one, units, when, signature)
            if kind == b"V" and through:
                ack = Acknowledgement(one.id, units, when, signature, through, missing)
                self._settle(one, through, missing, *self._resolved(one, ack))
            return _VOUCHER.size + size
        if kind == b"W":
            _, index, number = _WRITTEN_OFF.unpack_from(payload, at)
            one = self._licences[index]
            one.counted -= one.calls.pop(number)[0]
            return _WRITTEN_OFF.size
        if kind == b"N":
            _, index, base, counted, acknowledged, through = _COUNTS.unpack_from(payload, at)
            one = self._licences[index]
            one.base, one.counted, one.acknowledged, one.through = (
                base,
                counted,
                acknowledged,
                through,
            )
            (one.resolved,) = _NUMBER.unpack_from(payload, at + _COUNTS.size)
            return _COUNTS.size + _NUMBER.size
        raise StateError("The custodian's journal holds an entry that this version does not know.")
