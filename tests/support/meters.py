"""Meters without a chain: terms that a test writes, a clock that it moves, both sides in one hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_utils import keccak

from medtoken.chain.contracts import LicenceRef
from medtoken.messages import Domain
from medtoken.metering import CustodianMeter, LicenseeMeter, Terms, VoucherKey

START = 1_800_000_000
DAY = 86_400
MARKET = Domain(31337, "0x" + "ab" * 20)
SECRET = keccak(text="voucher key")
KEY = VoucherKey(SECRET)


def terms(number: int = 1, key: VoucherKey = KEY, **changes: Any) -> Terms:
    """A licence of 1,000 calls at 10 DUT for 90 days."""
    ref = LicenceRef(
        consent=number.to_bytes(32),
        record=b"\1" * 32,
        licensee="0x" + "Ab" * 20,
        salt=(number << 160) | int(key.address, 16),
    )
    values = {
        "ref": _checksummed(ref),
        "price": 10**19,
        "prepaid": 1000,
        "used": 0,
        "end": START + 90 * DAY,
        "revoked": 0,
        "suspended": False,
        "closed": False,
        "window": 3 * DAY,
    }
    return Terms(**(values | changes))


def _checksummed(ref: LicenceRef) -> LicenceRef:
    from eth_utils import to_checksum_address

    return replace(ref, licensee=str(to_checksum_address(ref.licensee)))


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


class Pair:
    """A custodian and a licensee that talk without a network, each with its folder and clock."""

    def __init__(self, folder: Path, *, credit: int = 100, **options: Any) -> None:
        self.folder, self.credit, self.options = folder, credit, options
        self.clock = Clock()
        self.custodian = self._custodian()
        self.licensee = self._licensee()

    def _custodian(self) -> CustodianMeter:
        return CustodianMeter(
            self.folder / "custodian",
            MARKET,
            credit=self.credit,
            clock=self.clock,
            **self.options,
        )

    def _licensee(self) -> LicenseeMeter:
        return LicenseeMeter(
            self.folder / "licensee", MARKET, KEY, clock=self.clock, **self.options
        )

    def sync(self, known: Terms) -> bytes:
        self.custodian.sync(known)
        self.licensee.sync(known)
        return known.ref.id()

    def call(self, licence: bytes, units: int = 1, request: bytes = bytes(16)) -> int:
        """A call that goes well on both sides."""
        number = self.licensee.begin(licence, units, request)
        self.licensee.commit()
        self.custodian.count(licence, number, units, request)
        self.custodian.commit()
        self.licensee.received(licence, number)
        return number

    def acknowledge(self, licence: bytes) -> None:
        ack = self.licensee.acknowledge(licence)
        self.custodian.accept(ack)
        self.licensee.confirmed(ack)

    def crash(self) -> None:
        """Both lose what they had not committed, and start again."""
        self.custodian._journal.close()
        self.licensee._journal.close()
        self.custodian, self.licensee = self._custodian(), self._licensee()
