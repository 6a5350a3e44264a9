"""Patients and their relay: signatures that count, those that do not, and money without ether."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.stage import Stage

from medtoken.chain.node import Wallet
from medtoken.errors import (
    BadInput,
    ConsentRefused,
    ContractRefused,
    InsufficientFunds,
    InvalidSignature,
    MedtokenError,
    NotPermitted,
)
from medtoken.messages import DUT, Consent, Domain, Message, Revocation, Withdrawal
from medtoken.parties import Patient, Relay

ELSEWHERE = "0x" + "11" * 20


def foreign(stage: Stage, message: Message, how: str) -> bytes:
    """A signature over a message that must not count."""
    domain, key = stage.suite.market.domain, stage.patient_wallet.key
    good = message.sign(key, domain)
    makers: dict[str, Callable[[], bytes]] = {
        "somebody else's": lambda: message.sign(Wallet.create().key, domain),
        "for another chain": lambda: message.sign(key, Domain(1, domain.market)),
        "for another market": lambda: message.sign(key, Domain(domain.chain_id, ELSEWHERE)),
        "cut": lambda: good[:-1],
        "with more behind it": lambda: good + b"\0",
        "empty": lambda: b"",
        "zeros": lambda: bytes(65),
        "the malleable twin": lambda: _twin(good),
        "a bit flipped": lambda: bytes([good[0] ^ 1]) + good[1:],
    }
    return makers[how]()


def _twin(signature: bytes) -> bytes:
    """The other signature that the same curve point allows."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = order - int.from_bytes(signature[32:64])
    return signature[:32] + s.to_bytes(32) + bytes([55 - signature[64]])


HOW = [
    "somebody else's",
    "for another chain",
    "for another market",
    "cut",
    "with more behind it",
    "empty",
    "zeros",
    "the malleable twin",
    "a bit flipped",
]


def expect_refusal_without_a_trace(
    stage: Stage, kind: type[MedtokenError], attempt: Callable[[], object]
) -> MedtokenError:
    height = stage.chain.height()
    with pytest.raises(kind) as caught:
        attempt()
    assert stage.chain.height() == height
    assert "\n" not in str(caught.value)
    return caught.value


# ------------------------------------------------------------------ consents


def test_a_consent_reaches_the_chain_without_the_patient_s_ether(stage: Stage) -> None:
    record = stage.record()
    terms = stage.terms(record)
    identity = stage.relay.grant(terms, stage.patient.sign(terms))
    assert stage.suite.market.consent_terms(identity) == terms
    assert stage.suite.market.consent(identity).patient == stage.patient.address
    assert stage.chain.node.balance(stage.patient.address) == 0
    assert stage.chain.nonce(stage.patient.address) == 0


def test_a_consent_is_granted_once(stage: Stage) -> None:
    terms = stage.terms(stage.record())
    signature = stage.patient.sign(terms)
    identity = stage.relay.grant(terms, signature)
    height = stage.chain.height()
    assert stage.relay.grant(terms, signature) == identity
    assert stage.chain.height() == height
    assert len(stage.chain.events("ConsentGranted")) == 1


@pytest.mark.parametrize("how", HOW)
def test_a_consent_that_the_patient_did_not_sign(stage: Stage, how: str) -> None:
    terms = stage.terms(stage.record())
    signature = foreign(stage, terms, how)
    expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.relay.grant(terms, signature)
    )
    assert stage.suite.market.consent(terms.struct_hash()).expiry == 0


@pytest.mark.parametrize(
    "change",
    [{"patientShare": 7000}, {"floorPrice": 0}, {"region": 1}, {"nonce": 0}, {"records": b"\1" * 32}],
)  # fmt: skip
def test_terms_that_changed_after_the_signature(stage: Stage, change: dict[str, object]) -> None:
    terms = stage.terms(stage.record())
    signature = stage.patient.sign(terms)
    other: Consent = replace(terms, **change)  # type: ignore[arg-type]
    expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.relay.grant(other, signature)
    )


def test_a_consent_brought_too_late(stage: Stage) -> None:
    terms = stage.terms(stage.record())
    signature = stage.patient.sign(terms)
    stage.chain.warp(3601)
    expect_refusal_without_a_trace(stage, BadInput, lambda: stage.relay.grant(terms, signature))
    # Nor when the relay does not look.
    wallet = stage.chain.cast["relay"]
    expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.suite.market.grant(wallet, terms, signature)
    )


def test_a_revoked_consent_is_not_granted_again(stage: Stage) -> None:
    terms = stage.terms(stage.record())
    signature = stage.patient.sign(terms)
    identity = stage.relay.grant(terms, signature)
    revocation = Revocation(identity)
    stage.relay.revoke(revocation, stage.patient.sign(revocation))
    error = expect_refusal_without_a_trace(
        stage, ConsentRefused, lambda: stage.relay.grant(terms, signature)
    )
    assert str(error) == "consent: it was on chain before"
    assert stage.suite.market.consent(identity).revoked_at


def test_many_consents_are_granted_all_or_none(stage: Stage) -> None:
    record = stage.record()
    terms = [stage.terms(record) for _ in range(3)]
    signed = [(t, stage.patient.sign(t)) for t in terms]
    spoiled = [*signed[:2], (signed[2][0], signed[1][1])]
    expect_refusal_without_a_trace(stage, InvalidSignature, lambda: stage.relay.grant_many(spoiled))
    assert all(stage.suite.market.consent(t.struct_hash()).expiry == 0 for t in terms)
    stage.relay.grant_many(signed)
    assert all(stage.suite.market.consent(t.struct_hash()).expiry for t in terms)


def test_a_consent_to_somebody_else_s_record_buys_nothing(stage: Stage) -> None:
    record = stage.record()
    thief = Patient(stage.suite, Wallet.create())
    terms = replace(stage.terms(record), patient=thief.address)
    identity = stage.relay.grant(terms, thief.sign(terms))
    stage.licensee.deposit(1000 * DUT)
    error = expect_refusal_without_a_trace(
        stage, ConsentRefused, lambda: stage.buy(record, identity)
    )
    assert str(error) == "consent: not by record's owner"


# ------------------------------------------------------------------ revocations


def test_a_revocation_is_brought_once(stage: Stage) -> None:
    revocation = Revocation(stage.consent(stage.record()))
    signature = stage.patient.sign(revocation)
    stage.relay.revoke(revocation, signature)
    at, height = stage.suite.market.consent(revocation.consent).revoked_at, stage.chain.height()
    stage.relay.revoke(revocation, signature)
    assert stage.chain.height() == height
    assert stage.suite.market.consent(revocation.consent).revoked_at == at > 0


@pytest.mark.parametrize("how", HOW)
def test_a_revocation_that_the_patient_did_not_sign(stage: Stage, how: str) -> None:
    revocation = Revocation(stage.consent(stage.record()))
    signature = foreign(stage, revocation, how)
    expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.relay.revoke(revocation, signature)
    )
    assert not stage.suite.market.consent(revocation.consent).revoked_at


def test_a_revocation_of_another_consent(stage: Stage) -> None:
    record = stage.record()
    one, two = Revocation(stage.consent(record)), Revocation(stage.consent(record))
    signature = stage.patient.sign(one)
    expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.relay.revoke(two, signature)
    )


def test_a_revocation_of_nothing(stage: Stage) -> None:
    revocation = Revocation(b"\1" * 32)
    signature = stage.patient.sign(revocation)
    expect_refusal_without_a_trace(
        stage, ConsentRefused, lambda: stage.relay.revoke(revocation, signature)
    )


def test_any_relay_will_do(stage: Stage) -> None:
    revocation = Revocation(stage.consent(stage.record()))
    other = Relay(stage.suite, stage.chain.cast["stranger"])
    other.revoke(revocation, stage.patient.sign(revocation))
    assert stage.suite.market.consent(revocation.consent).revoked_at


def test_a_consent_that_was_cancelled_never_comes(stage: Stage) -> None:
    terms = stage.terms(stage.record())
    consent, revocation = stage.patient.sign(terms), Revocation(terms.struct_hash())
    stage.relay.cancel(terms, stage.patient.sign(revocation))
    expect_refusal_without_a_trace(stage, ConsentRefused, lambda: stage.relay.grant(terms, consent))


# ------------------------------------------------------------------ withdrawals


def test_a_patient_is_paid_without_ether(stage: Stage) -> None:
    stage.earn()
    earned = stage.suite.market.earnings(stage.patient.address).earned
    assert earned > 0
    assert not stage.suite.usage.may_hold(stage.patient.address)
    withdrawal = stage.patient.withdrawal()
    paid = stage.relay.withdraw(withdrawal, stage.patient.sign(withdrawal))
    assert paid == {
        "account": stage.patient.address,
        "to": stage.patient.address,
        "amount": earned,
    }
    assert stage.suite.usage.balance(stage.patient.address) == earned
    assert stage.suite.market.earnings(stage.patient.address).earned == 0
    assert stage.chain.node.balance(stage.patient.address) == 0
    assert stage.suite.usage.may_hold(stage.patient.address)


def test_a_withdrawal_is_paid_once(stage: Stage) -> None:
    stage.earn()
    withdrawal = stage.patient.withdrawal(DUT)
    signature = stage.patient.sign(withdrawal)
    paid = stage.relay.withdraw(withdrawal, signature)
    height = stage.chain.height()
    assert stage.relay.withdraw(withdrawal, signature) == paid
    assert stage.chain.height() == height
    assert stage.suite.usage.balance(stage.patient.address) == DUT


def test_several_withdrawals_in_one_transaction_are_paid_once(stage: Stage) -> None:
    stage.earn()
    hospital = Patient(stage.suite, stage.chain.cast["hospital"])
    signed = []
    for earner in (stage.patient, hospital):
        withdrawal = earner.withdrawal(DUT)
        signed.append((withdrawal, earner.sign(withdrawal)))
    held = stage.suite.usage.balance(hospital.address)
    paid = stage.relay.withdraw_many(signed)
    assert [one["account"] for one in paid] == [stage.patient.address, hospital.address]
    assert stage.relay.withdraw_many(signed) == []
    assert stage.suite.usage.balance(stage.patient.address) == DUT
    assert stage.suite.usage.balance(hospital.address) == held + DUT


def test_a_withdrawal_replayed_by_a_relay_that_does_not_look(stage: Stage) -> None:
    stage.earn()
    w = stage.patient.withdrawal(DUT)
    signature = stage.patient.sign(w)
    stage.relay.withdraw(w, signature)
    wallet, market = stage.chain.cast["relay"], stage.suite.market
    expect_refusal_without_a_trace(
        stage,
        InvalidSignature,
        lambda: market.withdraw(wallet, w.account, w.to, w.amount, w.deadline, signature),
    )


def test_another_withdrawal_with_a_nonce_that_passed(stage: Stage) -> None:
    stage.earn()
    one, two = stage.patient.withdrawal(DUT), stage.patient.withdrawal(2 * DUT)
    stage.relay.withdraw(one, stage.patient.sign(one))
    error = expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.relay.withdraw(two, stage.patient.sign(two))
    )
    assert str(error) == "The withdrawal was signed for a nonce that has passed."


@pytest.mark.parametrize("how", HOW)
def test_a_withdrawal_that_the_earner_did_not_sign(stage: Stage, how: str) -> None:
    stage.earn(10)
    withdrawal = stage.patient.withdrawal(DUT)
    signature = foreign(stage, withdrawal, how)
    expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.relay.withdraw(withdrawal, signature)
    )
    assert stage.suite.usage.balance(stage.patient.address) == 0


@pytest.mark.parametrize("change", [{"to": ELSEWHERE}, {"amount": 2 * DUT}, {"deadline": 2**39}])
def test_a_withdrawal_that_a_relay_changed(stage: Stage, change: dict[str, object]) -> None:
    stage.earn(10)
    withdrawal = stage.patient.withdrawal(DUT)
    signature = stage.patient.sign(withdrawal)
    other: Withdrawal = replace(withdrawal, **change)  # type: ignore[arg-type]
    expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.relay.withdraw(other, signature)
    )


def test_a_withdrawal_brought_too_late(stage: Stage) -> None:
    stage.earn(10)
    withdrawal = stage.patient.withdrawal(DUT)
    signature = stage.patient.sign(withdrawal)
    stage.chain.warp(3601)
    error = expect_refusal_without_a_trace(
        stage, InvalidSignature, lambda: stage.relay.withdraw(withdrawal, signature)
    )
    assert str(error) == "account: signature is too late"


@pytest.mark.parametrize("amount", [0, 10**30, None])
def test_nobody_withdraws_what_they_did_not_earn(stage: Stage, amount: int | None) -> None:
    if amount is not None:
        stage.earn(10)
    expect_refusal_without_a_trace(
        stage, InsufficientFunds, lambda: stage.patient.withdrawal(amount)
    )


def test_a_negative_amount_is_none(stage: Stage) -> None:
    expect_refusal_without_a_trace(stage, BadInput, lambda: stage.patient.withdrawal(-1))


def test_more_than_was_earned_is_refused_by_the_market_too(stage: Stage) -> None:
    stage.earn(10)
    whole = stage.patient.withdrawal()
    over = replace(whole, amount=whole.amount + 1)
    expect_refusal_without_a_trace(
        stage, InsufficientFunds, lambda: stage.relay.withdraw(over, stage.patient.sign(over))
    )


def test_money_goes_to_nobody_who_was_not_admitted(stage: Stage) -> None:
    stage.earn(10)
    away = stage.patient.withdrawal(DUT, ELSEWHERE)
    expect_refusal_without_a_trace(
        stage, ContractRefused, lambda: stage.relay.withdraw(away, stage.patient.sign(away))
    )
    friend = stage.patient.withdrawal(DUT, stage.chain.cast["hospital"].address)
    before = stage.suite.usage.balance(friend.to)
    stage.relay.withdraw(friend, stage.patient.sign(friend))
    assert stage.suite.usage.balance(friend.to) == before + DUT


def test_a_frozen_earner_is_not_paid_and_loses_nothing(stage: Stage) -> None:
    stage.earn(10)
    operator, usage = stage.chain.cast["operator"], stage.suite.usage
    usage.send(operator, "setFrozen", stage.patient.address, True)
    for to in (None, stage.chain.cast["hospital"].address):
        withdrawal = stage.patient.withdrawal(DUT, to)
        signature = stage.patient.sign(withdrawal)
        expect_refusal_without_a_trace(
            stage,
            NotPermitted,
            lambda w=withdrawal, s=signature: stage.relay.withdraw(w, s),  # type: ignore[misc]
        )
    usage.send(operator, "setFrozen", stage.patient.address, False)
    withdrawal = stage.patient.withdrawal(DUT)
    stage.relay.withdraw(withdrawal, stage.patient.sign(withdrawal))
    assert usage.balance(stage.patient.address) == DUT
