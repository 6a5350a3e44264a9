"""What both meters know of a licence, and what the licensee's meter says to the custodian's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from eth_utils import to_checksum_address

from medtoken.chain.contracts import LicenceRef
from medtoken.errors import BadInput

_ADDRESS = 2**160 - 1
TAG = 16
# Units and numbers of calls fit 40 bits, as on the chain.
MAX_UNITS = 2**40 - 1


@dataclass(frozen=True)
class Terms:
    """What the chain says of a metered licence. Units are in all since the licence began."""

    ref: LicenceRef
    price: int  # base units per unit
    prepaid: int  # units
    used: int  # units that are on the chain
    end: int  # unix seconds
    revoked: int  # unix seconds at which the consent was revoked; zero: it was not
    suspended: bool
    closed: bool
    window: int  # seconds after the end in which vouchers still count

    @property
    def stop(self) -> int:
        """From when on nothing may be used: the end, or the revocation when that came first."""
        return min(self.end, self.revoked) if self.revoked else self.end

    @property
    def signer(self) -> str:
        """The address of the key whose vouchers count. Raises BadInput when there is none."""
        if not self.ref.salt & _ADDRESS:
            raise BadInput("The licence names no voucher key: it is used on the chain only.")
        return str(to_checksum_address((self.ref.salt & _ADDRESS).to_bytes(20)))


@dataclass(frozen=True)
class Acknowledgement:
    """A voucher, and which calls it stands for: all up to number ``through`` but the ``missing``."""

    licence: bytes
    units: int
    time: int
    signature: bytes
    through: int
    missing: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain data, for any channel between the two."""
        return {
            "licence": "0x" + self.licence.hex(),
            "units": self.units,
            "time": self.time,
            "signature": "0x" + self.signature.hex(),
            "through": self.through,
            "missing": list(self.missing),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The inverse. Raises BadInput on anything else."""
        try:
            made = cls(
                licence=bytes.fromhex(data["licence"].removeprefix("0x")),
                units=data["units"],
                time=data["time"],
                signature=bytes.fromhex(data["signature"].removeprefix("0x")),
                through=data["through"],
                missing=tuple(data["missing"]),
            )
            numbers = (made.units, made.time, made.through, *made.missing)
            if len(made.licence) != 32 or not all(
                type(n) is int and 0 <= n <= MAX_UNITS for n in numbers
            ):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BadInput("This is not an acknowledgement of a licensee's meter.") from None
        return made


def request_tag(request: bytes) -> bytes:
    """What binds a call's number to what was asked: 16 bytes of SHA-256."""
    return hashlib.sha256(request).digest()[:TAG]


_Mark = TypeVar("_Mark", bound=tuple[Any, ...])
_STEP = 600


def thinned(marks: list[_Mark], last: int, since: int) -> list[_Mark]:
    """Fewer of what begins with a time: the ``last`` all, before them one for each ten minutes, and
    of those before ``since`` only the newest.
    """
    early, kept = marks[:-last], marks[-last:]
    for mark in reversed(early):
        if mark[0] <= kept[0][0] - _STEP:
            kept.insert(0, mark)
            if mark[0] <= since:
                break
    return kept
