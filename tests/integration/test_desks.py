"""Auctions, baskets and vouchers through the command line, on a real node (R12, R14)."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medtoken.chain.contracts import Draft, Scores, Suite
from medtoken.chain.devnet import anvil
from medtoken.chain.node import Wallet
from medtoken.demo.people import Cast, deploy_devnet
from medtoken.home import Home
from medtoken.messages import DUT
from medtoken.parties import Licensee, Patient, Relay
from medtoken.vocabulary import region_code

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

DAY = 86_400
PURPOSE = ("--purpose", "HMB", "--purpose", "NPUNCU")


class Town:
    """A deployed development chain and a folder in which everybody has a wallet."""

    def __init__(self, suite: Suite, people: Cast, home: Home) -> None:
        self.suite, self.people, self.home = suite, people, home
        self.patient = home.wallet("patient", create=True)

    def cli(self, *args: Any, fails: int = 0) -> Any:
        command = [sys.executable, "-c", "from medtoken.cli import main; main()"]
        command += [str(a) for a in args]
        command += ["--rpc", self.suite.node.url, "--home", str(self.home.folder), "--json"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert run.returncode == fails, run.stderr
        if fails:
            assert run.stderr.startswith("Error: ")
            assert len(run.stderr.splitlines()) == 1
            return run.stderr
        return json.loads(run.stdout)

    def record(self) -> bytes:
        registry = self.suite.registry
        draft = Draft(
            owner=self.patient.address,
            fingerprint=secrets.token_bytes(32),
            tag=secrets.token_bytes(32),
            content=secrets.token_bytes(32),
            codec=0x55,
            size=1000,
            kind=1,
            tier=2,
            region=region_code("TW"),
            codes=secrets.token_bytes(32),
            annotator=registry.number_of(self.people["annotator"].address),
        )
        receipt = registry.register(self.people["hospital"], draft)
        record: bytes = registry.events(receipt.logs, "RecordRegistered")[0].args["record"]
        scores = Scores(
            units=1000, completeness=80, annotation=90, dvi=85, asOf=1, method=b"\1" * 32
        )
        registry.attest(self.people["laboratory"], record, scores)
        return record

    def consented(self) -> tuple[str, str]:
        """A record and a consent for it, in hexadecimal."""
        record, patient = self.record(), Patient(self.suite, self.patient)
        consent = patient.consent(
            record,
            purposes=["HMB", "NPUNCU"],
            licensees=["pharma"],
            region="TW",
            floor_price=50 * DUT,
            days=365,
        )
        relay = Relay(self.suite, self.people["relay"])
        made = relay.grant(consent, patient.sign(consent))
        return "0x" + record.hex(), "0x" + made.hex()

    def wait(self, seconds: int) -> None:
        self.suite.node.rpc("evm_increaseTime", seconds)
        self.suite.node.rpc("evm_mine")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home = Home(tmp_path_factory.mktemp("home"))
    with anvil() as node:
        suite, people = deploy_devnet(node, home, lambda line: None)
        Licensee(suite, people["pharma"]).deposit(1_000_000 * DUT)
        yield Town(suite, people, home)


def _deposit(town: Town) -> int:
    return town.suite.market.licensee(town.people["pharma"].address).deposit


def test_an_auction_from_the_offer_to_the_licence(town: Town) -> None:
    record, consent = town.consented()
    made = town.cli(
        "licence", "auction", record, "--consent", consent, "--reserve", 100, "--days", 1, "--yes"
    )
    auction = made["auction"]
    assert "not open yet" in town.cli("licence", "bid", auction, *PURPOSE, fails=10)
    town.wait(600)
    before = _deposit(town)
    town.cli("licence", "bid", auction, *PURPOSE)
    town.cli("licence", "bid", auction, "--price", 150, *PURPOSE)
    shown = town.cli("licence", "auction-show", auction)
    assert (shown["price"], shown["over"]) == (str(150 * DUT), False)
    assert int(shown["least_bid"]) == 157.5 * DUT
    assert "has not ended" in town.cli("licence", "award", auction, fails=10)
    town.wait(DAY)
    won = town.cli("licence", "award", auction)
    assert int(won["spent"]) == 157.5 * DUT == before - _deposit(town)
    assert town.cli("licence", "show", won["licence"])["usable"]
    assert "is over" in town.cli("licence", "award", auction, "--give-back", fails=10)


def test_what_cannot_be_awarded_is_given_back(town: Town) -> None:
    record, consent = town.consented()
    made = town.cli("licence", "auction", record, "--consent", consent, "--reserve", 100, "--yes")
    town.wait(600)
    before = _deposit(town)
    town.cli("licence", "bid", made["auction"], *PURPOSE)
    town.cli("consent", "revoke", consent)
    back = town.cli("licence", "award", made["auction"], "--give-back")
    assert int(back["returned"]) == 110 * DUT
    assert _deposit(town) == before


def test_a_basket_from_the_reservation_to_the_rest(town: Town, tmp_path: Path) -> None:
    entries = [town.consented() for _ in range(3)]
    listing = tmp_path / "list.json"
    listing.write_text(json.dumps([{"record": r, "consent": c} for r, c in entries]))
    before = _deposit(town)
    made = town.cli(
        *("licence", "basket", "reserve", listing, "--amount", 1000, "--max-price", 100, *PURPOSE)
    )
    one = town.cli("licence", "basket", "take", made["basket"], listing, "--entry", 1)
    assert len(one["licences"]) == 1
    again = town.cli("licence", "basket", "take", made["basket"], listing, "--entry", 1, fails=10)
    assert "bought before" in again
    rest = town.cli("licence", "basket", "take", made["basket"], listing)
    assert (len(rest["licences"]), rest["passed_over"]) == (2, 1)
    shown = town.cli("licence", "basket", "show", made["basket"])
    assert (shown["taken"], shown["next_discount_bps"]) == (3, 0)
    town.cli("licence", "basket", "top-up", made["basket"], 5)
    town.cli("licence", "basket", "close", made["basket"])
    assert before - _deposit(town) == 3 * 68.25 * DUT
    listing.write_text("[]")
    assert "lists no record" in town.cli(
        *("licence", "basket", "take", made["basket"], listing), fails=2
    )


def test_vouchers_from_the_first_call_to_the_settlement(town: Town, tmp_path: Path) -> None:
    record, consent = town.consented()
    town.cli("licence", "voucher", "key")
    bought = town.cli(
        *("licence", "buy", record, "--consent", consent, "--form", "metered", "--units", 100),
        *("--voucher-key", "voucher-key", *PURPOSE),
    )
    licence = bought["licence"]
    for first in (1, 31):
        begun = town.cli("licence", "voucher", "begin", licence, "--calls", 30)
        assert begun["numbers"] == list(range(first, first + 30))
        town.cli("licence", "voucher", "count", licence, "--first", first, "--calls", 30)
        again = town.cli("licence", "voucher", "count", licence, "--first", first, "--calls", 30)
        assert (again["new"], again["counted"]) == (0, first + 29)
        ack = tmp_path / "ack.json"
        town.cli("licence", "voucher", "sign", licence, "--out", ack)
        town.cli("licence", "voucher", "accept", ack)
        town.wait(5)
    done = town.cli("licence", "voucher", "redeem")
    assert (done["licences"], done["units"], done["amount"]) == (1, 60, str(60 * 65 * DUT))
    assert town.cli("licence", "voucher", "redeem")["units"] == 0
    assert "left: top up" in town.cli(
        "licence", "voucher", "begin", licence, "--calls", 41, fails=18
    )
    assert town.cli("licence", "voucher", "top-up", licence, 1)["prepaid"] == 101
    shown = town.cli("licence", "voucher", "show", licence)
    assert (shown["redeemed"], shown["counted"], shown["exposure"]) == (60, 60, "0")
    hospital = town.suite.market.earnings(town.people["hospital"].address).earned
    assert hospital >= 60 * 65 * DUT * 70 * 25 // 10_000
    assert isinstance(town.patient, Wallet)
