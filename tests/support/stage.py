"""The people of one test at work on a live chain, with a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medtoken.chain.node import Wallet
from medtoken.formats import Format
from medtoken.home import Home
from medtoken.messages import DUT, Consent
from medtoken.parties import Custodian, Licensee, Patient, RegisteredRecord, Relay, attest_record
from medtoken.parties.licensee import Bought
from medtoken.vocabulary import Form
from support.live import DAY, Chain

PURPOSES = ("HMB", "NPUNCU")


@dataclass
class Stage:
    """Everybody, and short ways to say what they do."""

    chain: Chain
    home: Home
    files: Mapping[Format, Path]
    patient_wallet: Wallet
    registered: bytes | None = None
    """A record of the patient's genome that is there already."""

    def __post_init__(self) -> None:
        suite, cast = self.chain.suite, self.chain.cast
        self.suite = suite
        self.custodian = Custodian(suite, cast["hospital"], self.home)
        self.patient = Patient(suite, self.patient_wallet)
        self.relay = Relay(suite, cast["relay"])
        self.licensee = Licensee(suite, cast["pharma"])
        self.keepers = self.home.keepers(suite)

    def add(self, kind: Format = Format.VCF, owner: str | None = None) -> RegisteredRecord:
        return self.custodian.add_record(
            self.files[kind], owner or self.patient.address, region="TW"
        )

    def record(self, kind: Format = Format.VCF) -> bytes:
        """A registered and attested record."""
        if kind is Format.VCF and self.registered is not None:
            return self.registered
        record = self.add(kind).record
        attest_record(self.suite, self.chain.cast["laboratory"], record, self.files[kind])
        return record

    def terms(self, record: bytes, floor: int = 50 * DUT, days: int = 365) -> Consent:
        return self.patient.consent(
            record,
            purposes=PURPOSES,
            licensees=["pharma"],
            region="TW",
            fields="all",
            floor_price=floor,
            days=days,
        )

    def consent(self, record: bytes, floor: int = 50 * DUT, days: int = 365) -> bytes:
        """A consent that is on the chain."""
        terms = self.terms(record, floor, days)
        return self.relay.grant(terms, self.patient.sign(terms))

    def buy(
        self, record: bytes, consent: bytes, form: Form = Form.FIXED_TERM, units: int = 0
    ) -> Bought:
        """A licence of 90 days."""
        return self.licensee.buy(
            record, consent, form=form, purposes=PURPOSES, days=90, units=units
        )

    def earn(self, uses: int = 100) -> Bought:
        """Have the patient earn from metered uses of a new record; everything is settled."""
        record = self.record()
        self.licensee.deposit(10_000 * DUT)
        bought = self.buy(record, self.consent(record), Form.METERED, uses)
        self.licensee.use(bought.licence, uses)
        self.suite.market.settle(self.chain.cast["relay"], [bought.ref])
        return bought

    def opened(self, bought: Bought, target: Path) -> bytes:
        """What the licensee gets to read."""
        self.licensee.open_record(
            bought.licence, target, store=self.home.store, keepers=self.keepers
        )
        return target.read_bytes()

    def later(self, days: float) -> None:
        self.chain.warp(int(days * DAY))
