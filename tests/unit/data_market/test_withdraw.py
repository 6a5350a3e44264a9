"""R2: what was earned is paid out by signature; the first withdrawal admits the patient; never paused."""

from __future__ import annotations

import pytest
from support.world import DUT, EARNINGS_FIELDS, YEAR, ZERO, World, pack, reverts

EARNED = 500 * DUT * 7 * 3 // 40
MORE = "account: more than was earned"
LATE = "account: signature is too late"
NOT_OWNER = "signature: not by its owner"


@pytest.fixture(autouse=True)
def _earned(world: World) -> None:
    world.earn()
    assert world.earned(world.people.patient) == EARNED


def test_a_relayed_withdrawal_pays_counts_and_admits(world: World) -> None:
    patient = world.people.patient
    assert world.dut.standing(patient) == 0
    world.withdraw(world.withdrawal(patient, 100 * DUT), patient)
    assert world.evm.events() == ["Withdrawn", "StandingChanged", "Transfer"]
    assert world.evm.event("Withdrawn") == {
        "account": patient,
        "to": patient,
        "amount": 100 * DUT,
    }
    assert world.dut.standing(patient) == 1
    assert world.dut.balanceOf(patient) == 100 * DUT
    assert world.market.earnings_word(patient) == pack(
        EARNINGS_FIELDS, earned=EARNED - 100 * DUT, nonce=1, rest=0
    )


def test_the_second_withdrawal_admits_nobody_again(world: World) -> None:
    patient = world.people.patient
    for nonce in range(2):
        world.withdraw(world.withdrawal(patient, DUT), patient)
        assert world.nonce(patient) == nonce + 1
    assert world.evm.events() == ["Withdrawn", "Transfer"]


def test_the_earner_may_send_it_without_a_signature(world: World) -> None:
    patient = world.people.patient
    world.market.withdraw(patient, patient, EARNED, world.now, b"", sender=patient)
    assert world.dut.balanceOf(patient) == EARNED
    assert world.earned(patient) == 0


def test_a_stranger_cannot_withdraw_for_an_earner(world: World) -> None:
    people = world.people
    message = world.withdrawal(people.patient, DUT, to=str(people.exchange))
    for who in (people.stranger, people.operator, people.custodian, people.deployer):
        with reverts(NOT_OWNER):
            world.market.withdraw(
                people.patient, people.exchange, DUT, message.deadline, b"", sender=who
            )
        with reverts(NOT_OWNER):
            world.withdraw(message, people.stranger, sender=who)


@pytest.mark.parametrize(
    ("field", "value"), [("amount", 2 * DUT), ("deadline", 2**40), ("to", None), ("account", None)]
)
def test_a_relay_cannot_change_what_was_signed(world: World, field: str, value: int | None) -> None:
    people = world.people
    message = world.withdrawal(people.patient, DUT)
    signature = message.sign(people.patient.key, world.domain)
    brought = message.values() | {field: str(people.custodian) if value is None else value}
    with reverts(NOT_OWNER):
        world.market.withdraw(
            brought["account"], brought["to"], brought["amount"], brought["deadline"], signature,
            sender=people.relay,
        )  # fmt: skip


def test_a_signature_pays_once(world: World) -> None:
    patient = world.people.patient
    message = world.withdrawal(patient, DUT)
    world.withdraw(message, patient)
    with reverts(NOT_OWNER):
        world.withdraw(message, patient)


@pytest.mark.parametrize("nonce", [1, 2**64, 2**256 - 1])
def test_only_the_next_nonce_counts(world: World, nonce: int) -> None:
    patient = world.people.patient
    with reverts(NOT_OWNER):
        world.withdraw(world.withdrawal(patient, DUT, nonce=nonce), patient)


def test_the_deadline_second_is_in_time_and_the_next_is_not(world: World) -> None:
    patient = world.people.patient
    message = world.withdrawal(patient, DUT, deadline=world.now + 60)
    world.evm.warp(61)
    with reverts(LATE):
        world.withdraw(message, patient)
    with reverts(LATE):
        world.market.withdraw(patient, patient, DUT, 0, b"", sender=patient)
    world.withdraw(world.withdrawal(patient, DUT, deadline=world.now), patient)


@pytest.mark.parametrize("amount", [EARNED + 1, 2**128 - 1, 2**128, 2**256 - 1])
def test_no_more_than_was_earned(world: World, amount: int) -> None:
    patient = world.people.patient
    with reverts(MORE):
        world.withdraw(world.withdrawal(patient, amount), patient)


def test_the_nonce_above_the_amount_is_no_money(world: World) -> None:
    patient = world.people.patient
    world.withdraw(world.withdrawal(patient, EARNED), patient)
    assert world.market.earnings_word(patient) == 1 << 128
    with reverts(MORE):
        world.withdraw(world.withdrawal(patient, 1), patient)


def test_zero_is_refused(world: World) -> None:
    patient = world.people.patient
    with reverts("account: nothing would be paid"):
        world.withdraw(world.withdrawal(patient, 0), patient)


def test_who_earned_nothing_withdraws_nothing(world: World) -> None:
    stranger = world.people.stranger
    with reverts(MORE):
        world.market.withdraw(stranger, stranger, 1, world.now, b"", sender=stranger)


def test_it_may_go_to_anybody_who_may_hold_dut(world: World) -> None:
    people = world.people
    world.withdraw(world.withdrawal(people.patient, DUT, to=str(people.exchange)), people.patient)
    assert world.dut.balanceOf(people.exchange) == DUT
    assert world.dut.standing(people.patient) == 0


def test_it_admits_nobody_but_the_earner(world: World) -> None:
    people = world.people
    message = world.withdrawal(people.patient, DUT, to=str(people.stranger))
    with reverts("DUT: the account is not admitted"):
        world.withdraw(message, people.patient)
    with reverts(f"ERC20InvalidReceiver({ZERO})"):
        world.withdraw(world.withdrawal(people.patient, DUT, to=ZERO), people.patient)


def test_a_frozen_account_keeps_its_earnings(world: World) -> None:
    people = world.people
    world.dut.setFrozen(people.patient, True, sender=people.sanctions)
    with reverts("account: it is frozen"):
        world.withdraw(world.withdrawal(people.patient, DUT), people.patient)
    assert world.earned(people.patient) == EARNED
    world.dut.setFrozen(people.patient, False, sender=people.sanctions)
    world.withdraw(world.withdrawal(people.patient, EARNED), people.patient)
    assert world.dut.balanceOf(people.patient) == EARNED


def test_a_frozen_account_cannot_have_itself_paid_out_to_a_friend(world: World) -> None:
    """R2: what a sanctioned account has earned stays where it is, whoever it names."""
    people = world.people
    world.dut.setFrozen(people.patient, True, sender=people.sanctions)
    message = world.withdrawal(people.patient, EARNED, to=str(people.other_licensee))
    with reverts("account: it is frozen"):
        world.withdraw(message, people.patient)
    with reverts("account: it is frozen"):
        world.market.withdraw(
            people.patient, people.other_licensee, EARNED, world.now, b"", sender=people.patient
        )


def test_a_receiver_that_is_frozen_is_refused(world: World) -> None:
    people = world.people
    world.dut.setFrozen(people.exchange, True, sender=people.sanctions)
    message = world.withdrawal(people.patient, DUT, to=str(people.exchange))
    with reverts("DUT: the account is frozen"):
        world.withdraw(message, people.patient)


def test_everybody_who_earned_can_be_paid_to_the_last_unit(world: World) -> None:
    """A solvent market: after all withdrawals it holds deposits and unspent prepayments, no more."""
    people = world.people
    for who in (people.patient, people.custodian, people.annotator, people.platform):
        world.market.withdraw(who, who, world.earned(who), world.now, b"", sender=who)
    deposits = world.deposit_of(people.licensee) + world.deposit_of(people.other_licensee)
    assert world.dut.balanceOf(world.market.address) == deposits


def test_an_old_signature_lives_until_its_deadline(world: World) -> None:
    """A withdrawal signed before it was earned goes through once it is: the amount was its owner's word."""
    patient = world.people.patient
    message = world.withdrawal(patient, EARNED * 2, deadline=world.now + YEAR)
    with reverts(MORE):
        world.withdraw(message, patient)
    world.earn()
    world.withdraw(message, patient)
    assert world.dut.balanceOf(patient) == EARNED * 2


def test_earnings_are_not_lost_to_the_market_itself(world: World) -> None:
    people = world.people
    message = world.withdrawal(people.patient, EARNED, to=world.market.address)
    with reverts("account: nothing would be paid"):
        world.withdraw(message, people.patient)
    assert world.earned(people.patient) == EARNED
