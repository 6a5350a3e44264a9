"""The licensee: what it pays for, what it is refused, and what it gets back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.live import DAY
from support.stage import PURPOSES, Stage

from medtoken.chain.contracts import Ask
from medtoken.cli.licence import licence as commands
from medtoken.errors import (
    BadInput,
    ConsentRefused,
    ContractRefused,
    InsufficientFunds,
    MedtokenError,
    NotPermitted,
)
from medtoken.messages import DUT, Revocation
from medtoken.parties import Licensee
from medtoken.parties.licensee import Bought, earned_now
from medtoken.vocabulary import Form, duo_mask


def deposit(stage: Stage) -> int:
    return stage.suite.market.licensee(stage.licensee.address).deposit


def expect_refusal_without_a_trace(
    stage: Stage, kind: type[MedtokenError], attempt: Callable[[], object]
) -> str:
    height, before = stage.chain.height(), deposit(stage)
    with pytest.raises(kind) as caught:
        attempt()
    assert stage.chain.height() == height
    assert deposit(stage) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def metered(stage: Stage, units: int = 10) -> Bought:
    record = stage.record()
    stage.licensee.deposit(10_000 * DUT)
    return stage.buy(record, stage.consent(record), Form.METERED, units)


def revoke(stage: Stage, consent: bytes) -> None:
    revocation = Revocation(consent)
    stage.relay.revoke(revocation, stage.patient.sign(revocation))


# ------------------------------------------------------------------ deposits


def test_a_deposit_moves_money_in_one_transaction(stage: Stage) -> None:
    before = stage.suite.usage.balance(stage.licensee.address)
    sent = stage.chain.nonce(stage.licensee.address)
    stage.licensee.deposit(5 * DUT)
    assert deposit(stage) == 5 * DUT
    assert stage.suite.usage.balance(stage.licensee.address) == before - 5 * DUT
    assert stage.chain.nonce(stage.licensee.address) == sent + 1


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_no_deposit(stage: Stage, amount: int) -> None:
    expect_refusal_without_a_trace(stage, BadInput, lambda: stage.licensee.deposit(amount))


@pytest.mark.parametrize("more", [1, 10**60])
def test_more_than_one_has_cannot_be_deposited(stage: Stage, more: int) -> None:
    held = stage.suite.usage.balance(stage.licensee.address)
    expect_refusal_without_a_trace(
        stage, InsufficientFunds, lambda: stage.licensee.deposit(held + more)
    )


def test_who_was_never_admitted_has_nothing_to_deposit(stage: Stage) -> None:
    stranger = Licensee(stage.suite, stage.chain.cast["stranger"])
    expect_refusal_without_a_trace(stage, NotPermitted, lambda: stranger.deposit(1))


def test_a_permit_that_somebody_else_brought_first_does_no_harm(stage: Stage) -> None:
    """The deposit itself: anybody may copy a permit from the mempool and bring it."""
    usage, market = stage.suite.usage, stage.suite.market
    wallet, deadline = stage.chain.cast["pharma"], stage.chain.node.head().timestamp + 600
    permit = usage.permit(wallet, market.address, DUT, deadline)
    usage.send(
        stage.chain.cast["stranger"], "permit", wallet.address, market.address, DUT, deadline, *permit
    )  # fmt: skip
    market.deposit_with_permit(wallet, DUT, deadline, permit)
    assert deposit(stage) == DUT


# ------------------------------------------------------------------ buying


def quoted(stage: Stage, record: bytes, floor: int) -> int:
    """What one metered unit costs the company for research where it works."""
    account = stage.suite.market.licensee(stage.licensee.address)
    ask = Ask(
        record=record,
        form=int(Form.METERED),
        purposes=duo_mask(PURPOSES),
        urgent=False,
        floorPrice=floor,
        region=account.region,
        certified=account.certified,
    )
    return stage.suite.tariff.quote(ask).price


def test_the_deposit_pays_price_and_levy_to_the_base_unit(stage: Stage) -> None:
    record = stage.record()
    consent = stage.consent(record)
    stage.licensee.deposit(10_000 * DUT)
    price = quoted(stage, record, 50 * DUT)
    bought = stage.buy(record, consent, Form.METERED, 10)
    assert (bought.paid, bought.levy) == (10 * price, 10 * price // 20)
    assert deposit(stage) == 10_000 * DUT - bought.paid - bought.levy


@pytest.mark.parametrize("short", [1, 10**30])
def test_a_deposit_that_is_too_small_buys_nothing(stage: Stage, short: int) -> None:
    record = stage.record()
    consent = stage.consent(record)
    price = quoted(stage, record, 50 * DUT)
    stage.licensee.deposit(max(1, 10 * price * 21 // 20 - short))
    said = expect_refusal_without_a_trace(
        stage, InsufficientFunds, lambda: stage.buy(record, consent, Form.METERED, 10)
    )
    assert said == "account: deposit is too small"


def test_a_licence_never_outlives_the_consent(stage: Stage) -> None:
    record = stage.record()
    consent = stage.consent(record, days=10)
    stage.licensee.deposit(1000 * DUT)
    assert stage.buy(record, consent).end == stage.suite.market.consent(consent).expiry


def test_an_expired_consent_sells_nothing(stage: Stage) -> None:
    record = stage.record()
    consent = stage.consent(record, days=1)
    stage.licensee.deposit(1000 * DUT)
    stage.later(1.1)
    said = expect_refusal_without_a_trace(stage, ConsentRefused, lambda: stage.buy(record, consent))
    assert said == "consent: it has expired"


def test_a_revoked_consent_sells_nothing(stage: Stage) -> None:
    record = stage.record()
    consent = stage.consent(record)
    stage.licensee.deposit(1000 * DUT)
    revoke(stage, consent)
    said = expect_refusal_without_a_trace(stage, ConsentRefused, lambda: stage.buy(record, consent))
    assert said == "consent: it was revoked"


@pytest.mark.parametrize("days", [0, -1])
def test_a_licence_lasts(stage: Stage, days: int) -> None:
    record = stage.record()
    consent = stage.consent(record)
    expect_refusal_without_a_trace(
        stage,
        BadInput,
        lambda: stage.licensee.buy(
            record, consent, form=Form.FIXED_TERM, purposes=PURPOSES, days=days
        ),
    )


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ({"purposes": ["HMB"]}, ConsentRefused),  # a condition not undertaken
        ({"purposes": ["GRU", "NPUNCU"]}, ConsentRefused),  # a purpose not allowed
        ({"purposes": ["CURIOSITY"]}, BadInput),
        ({"form": Form.METERED, "units": 0}, ContractRefused),
        ({"form": Form.METERED, "units": -1}, BadInput),
        ({"form": Form.METERED, "units": 2**256}, BadInput),
        ({"form": Form.FIXED_TERM, "units": 5}, ContractRefused),
        ({"form": 9}, ContractRefused),
        ({"max_price": 1}, ContractRefused),
    ],
)
def test_an_order_that_does_not_fit(
    stage: Stage, terms: dict[str, object], kind: type[MedtokenError]
) -> None:
    record = stage.record()
    consent = stage.consent(record)
    stage.licensee.deposit(1000 * DUT)
    order: dict[str, object] = {"form": Form.FIXED_TERM, "purposes": PURPOSES, "days": 30, **terms}
    expect_refusal_without_a_trace(
        stage,
        kind,
        lambda: stage.licensee.buy(record, consent, **order),  # type: ignore[arg-type]
    )


def test_what_nobody_knows_is_not_sold(stage: Stage) -> None:
    record = stage.record()
    consent = stage.consent(record)
    nothing = b"\1" * 32
    expect_refusal_without_a_trace(stage, ConsentRefused, lambda: stage.buy(record, nothing))
    expect_refusal_without_a_trace(stage, ContractRefused, lambda: stage.buy(nothing, consent))


def test_who_has_no_credential_buys_nothing(stage: Stage) -> None:
    record = stage.record()
    consent = stage.consent(record)
    stranger = Licensee(stage.suite, stage.chain.cast["stranger"])
    said = expect_refusal_without_a_trace(
        stage,
        ContractRefused,
        lambda: stranger.buy(record, consent, form=Form.FIXED_TERM, purposes=PURPOSES, days=30),
    )
    assert said == "consent: licensee not covered"


def test_a_record_that_nobody_attested_is_not_sold(fresh: Stage) -> None:
    record = fresh.add().record
    consent = fresh.consent(record)
    fresh.licensee.deposit(1000 * DUT)
    expect_refusal_without_a_trace(fresh, ContractRefused, lambda: fresh.buy(record, consent))


# ------------------------------------------------------------------ using


def test_a_use_counts_once(stage: Stage) -> None:
    bought = metered(stage)
    assert stage.licensee.use(bought.licence, 4)["used"] == 4
    assert stage.licensee.use(bought.licence, 6)["used"] == 10
    said = expect_refusal_without_a_trace(
        stage, InsufficientFunds, lambda: stage.licensee.use(bought.licence)
    )
    assert said == "licence: too few units prepaid"


@pytest.mark.parametrize(("units", "kind"), [(0, ContractRefused), (-1, BadInput)])
def test_a_use_is_of_something(stage: Stage, units: int, kind: type[MedtokenError]) -> None:
    bought = metered(stage)
    expect_refusal_without_a_trace(stage, kind, lambda: stage.licensee.use(bought.licence, units))


def test_a_licence_is_its_buyer_s(stage: Stage) -> None:
    bought = metered(stage)
    stranger = Licensee(stage.suite, stage.chain.cast["stranger"])
    expect_refusal_without_a_trace(stage, ContractRefused, lambda: stranger.use(bought.licence))


def test_a_licence_that_nobody_bought(stage: Stage) -> None:
    said = expect_refusal_without_a_trace(
        stage, ContractRefused, lambda: stage.licensee.use(b"\1" * 32)
    )
    assert said == "licence: unknown licence"


def test_nothing_is_used_after_the_end(stage: Stage) -> None:
    bought = metered(stage)
    stage.later(91)
    expect_refusal_without_a_trace(
        stage, ContractRefused, lambda: stage.licensee.use(bought.licence)
    )


def test_nothing_is_used_after_a_revocation(stage: Stage) -> None:
    bought = metered(stage)
    revoke(stage, bought.ref.consent)
    said = expect_refusal_without_a_trace(
        stage, ConsentRefused, lambda: stage.licensee.use(bought.licence)
    )
    assert said == "consent: it was revoked"


def test_nothing_is_used_while_suspended(stage: Stage) -> None:
    bought = metered(stage)
    operator, market = stage.chain.cast["operator"], stage.suite.market
    market.send(operator, "set_suspended", bought.licence, True)
    said = expect_refusal_without_a_trace(
        stage, ContractRefused, lambda: stage.licensee.use(bought.licence)
    )
    assert said == "licence: it is suspended"
    market.send(operator, "set_suspended", bought.licence, False)
    assert stage.licensee.use(bought.licence)["used"] == 1


def test_a_destroyed_record_is_not_used(stage: Stage) -> None:
    """R35: the market would count it, and no key keeper would release anything."""
    bought = metered(stage)
    registry, hospital = stage.suite.registry, stage.chain.cast["hospital"]
    registry.destroy(hospital, bought.ref.record, b"\1" * 32)
    said = expect_refusal_without_a_trace(
        stage, NotPermitted, lambda: stage.licensee.use(bought.licence)
    )
    assert said == "The record was destroyed: what is unused is returned at the end."


def test_a_frozen_licensee_buys_nothing(stage: Stage) -> None:
    record = stage.record()
    consent = stage.consent(record)
    stage.licensee.deposit(1000 * DUT)
    operator, market = stage.chain.cast["operator"], stage.suite.market
    word = market.licensee(stage.licensee.address)
    market.set_licensee(operator, stage.licensee.address, word.groups, word.region, flags=1)
    said = expect_refusal_without_a_trace(stage, NotPermitted, lambda: stage.buy(record, consent))
    assert said == "licence: the licensee is frozen"


# ------------------------------------------------------------------ settling


def test_what_was_settled_is_not_settled_again(stage: Stage) -> None:
    bought = metered(stage)
    stage.licensee.use(bought.licence, 10)
    assert earned_now(stage.suite, bought.ref) == bought.paid
    market, relay = stage.suite.market, stage.chain.cast["relay"]
    market.settle(relay, [bought.ref])
    earned = market.earnings(stage.patient.address)
    assert earned_now(stage.suite, bought.ref) == 0
    market.settle(relay, [bought.ref])
    market.settle(relay, [bought.ref, bought.ref])
    assert market.earnings(stage.patient.address) == earned
    assert len(stage.chain.events("LicenceSettled")) == 1


def test_unearned_time_is_paid_back_after_a_revocation(stage: Stage) -> None:
    record = stage.record()
    stage.licensee.deposit(1000 * DUT)
    bought = stage.buy(record, stage.consent(record))
    stage.later(30)
    revoke(stage, bought.ref.consent)
    stage.later(10)
    earned = earned_now(stage.suite, bought.ref)
    # A third of the time, give or take the seconds that the transactions took.
    assert abs(earned - bought.paid // 3) < bought.paid * 60 // (90 * DAY)
    before = deposit(stage)
    stage.suite.market.settle(stage.chain.cast["relay"], [bought.ref])
    back = deposit(stage) - before
    unearned = bought.paid - earned
    assert back == unearned + unearned // 20
    split = stage.chain.events("LicenceSettled")[0]
    parts = ("patientAmount", "custodianAmount", "annotatorAmount", "platformAmount")
    assert sum(split[part] for part in parts) == split["gross"] == earned
    assert split["levy"] == earned // 20


def test_a_closed_licence_is_settled_no_more(stage: Stage) -> None:
    bought = metered(stage)
    revoke(stage, bought.ref.consent)
    market, relay = stage.suite.market, stage.chain.cast["relay"]
    market.settle(relay, [bought.ref])
    receipt = market.settle(relay, [bought.ref])
    # Passed over, so that nobody spoils another's batch by settling one of it first.
    assert receipt.logs == ()
    assert market.licence(bought.licence).closed


def test_a_licence_that_nobody_bought_is_not_settled(stage: Stage) -> None:
    bought = metered(stage)
    unknown = type(bought.ref)(**{**asdict(bought.ref), "salt": bought.ref.salt ^ 1})
    relay = stage.chain.cast["relay"]
    expect_refusal_without_a_trace(
        stage, ContractRefused, lambda: stage.suite.market.settle(relay, [bought.ref, unknown])
    )


# ------------------------------------------------------------------ the end


def attest(stage: Stage, bought: Bought, statement: Path, *more: str, answer: str = "") -> Any:
    where = ["--rpc", stage.chain.node.url, "--home", str(stage.home.folder), "--json"]
    words = ["attest-destruction", "0x" + bought.licence.hex(), str(statement), *more, *where]
    return CliRunner().invoke(commands, words, input=answer, catch_exceptions=False)


def test_a_licensee_attests_that_its_copies_are_destroyed(stage: Stage, tmp_path: Path) -> None:
    bought = metered(stage)
    statement, other = tmp_path / "statement.txt", tmp_path / "other.txt"
    statement.write_text("All copies were deleted on 22 November.\n", encoding="utf-8")
    other.write_text("Perhaps not all.\n", encoding="utf-8")
    digest = hashlib.sha256(statement.read_bytes()).digest()

    def refused(kind: type[MedtokenError], file: Path, *more: str) -> str:
        return expect_refusal_without_a_trace(
            stage, kind, lambda: attest(stage, bought, file, "--yes", *more)
        )

    refused(ContractRefused, statement)  # it still runs
    revoke(stage, bought.ref.consent)
    refused(BadInput, tmp_path / "none")
    refused(NotPermitted, statement, "--as", "hospital")
    height = stage.chain.height()
    asked = attest(stage, bought, statement, answer="n\n")
    assert (asked.exit_code, stage.chain.height()) == (1, height)
    assert digest.hex() in asked.output

    def made() -> Any:
        said = attest(stage, bought, statement, "--yes").output
        return json.loads(said[said.index("{") :])

    expected = {"licence": "0x" + bought.licence.hex(), "statement": "0x" + digest.hex()}
    assert made() == {**expected, "new": True}
    assert stage.suite.view.destruction(bought.licence) == digest
    height = stage.chain.height()
    assert made() == {**expected, "new": False}
    assert stage.chain.height() == height
    refused(ContractRefused, other)
