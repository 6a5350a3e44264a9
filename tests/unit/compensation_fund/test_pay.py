"""R22: 40 % of a contribution to the custodian, 30 % to the patient, 30 % kept until somebody is harmed."""

from __future__ import annotations

from typing import Any

import pytest
from support.assets import opened
from support.world import DAY, DUT, FIXED, World, reverts

from medtoken.chain.words import EarningsWord
from medtoken.messages import Domain, Withdrawal


@pytest.fixture
def world(world: World) -> World:
    for who in (world.people.licensee, world.people.other_licensee):
        world.dut.approve(world.compensation.address, 2**255, sender=who)
    return world


def used(world: World, **changes: Any) -> dict[str, Any]:
    """A metered licence of which a unit was used."""
    ref = world.buy(world.granted(), **changes)
    world.use(ref)
    return ref


def credit(world: World, who: str) -> int:
    return EarningsWord.unpack(world.compensation.balance_word(who)).earned


@pytest.mark.parametrize(
    ("amount", "custodian", "patient", "kept"),
    [
        (100 * DUT, 40 * DUT, 30 * DUT, 30 * DUT),
        (1, 0, 0, 1),
        (9, 3, 2, 4),
        (10**24 + 7, 4 * 10**23 + 2, 3 * 10**23 + 2, 3 * 10**23 + 3),
    ],
)
def test_a_contribution_is_split_and_what_rounding_leaves_is_kept(
    world: World, amount: int, custodian: int, patient: int, kept: int
) -> None:
    p, fund = world.people, world.compensation
    world.fund(p.licensee, 1_000_000 * DUT)
    ref, levies = used(world), world.treasury.books()[0]
    held = world.dut.balanceOf(p.licensee)
    fund.pay(ref, amount, sender=p.licensee)
    assert world.evm.event("ContributionPaid") == {
        "licence": world.licence_id(ref),
        "record": ref["record"],
        "licensee": p.licensee,
        "amount": amount,
        "patient": p.patient,
        "patientAmount": patient,
        "custodian": p.custodian,
        "custodianAmount": custodian,
        "kept": kept,
    }
    assert custodian + patient + kept == amount == held - world.dut.balanceOf(p.licensee)
    assert (credit(world, p.custodian), credit(world, p.patient)) == (custodian, patient)
    assert fund.kept() == kept
    assert world.dut.balanceOf(fund.address) == amount
    assert world.treasury.books()[0] == levies, "it buys nothing, so it carries no levy"


def test_a_patient_withdraws_by_signature_though_the_fund_is_paused(world: World) -> None:
    p, fund = world.people, world.compensation
    fund.pay(used(world), 10 * DUT, sender=p.licensee)
    fund.pause(sender=p.guardian)
    assert world.evm.event("PauseChanged") == {"paused": True}
    message = Withdrawal(str(p.patient), str(p.patient), 3 * DUT, 0, world.now + 60)
    signature = message.sign(p.patient.key, Domain(world.domain.chain_id, fund.address))
    args = (message.account, message.to, message.amount, message.deadline, signature)
    fund.withdraw(*args, sender=p.relay)
    assert world.evm.event("Withdrawn")["account"] == p.patient
    assert world.dut.balanceOf(p.patient) == 3 * DUT
    with reverts("payout: more than was credited"):
        fund.withdraw(*args, sender=p.relay)


def test_only_for_a_licence_of_ones_own_that_was_used(world: World) -> None:
    p, fund = world.people, world.compensation
    ref = world.buy(world.granted())
    with reverts("fund: the licence was not used"):
        fund.pay(ref, DUT, sender=p.licensee)
    with reverts("fund: the licence was not used"):
        fund.pay(ref | {"salt": 1}, DUT, sender=p.licensee)
    world.use(ref)
    for who in (p.other_licensee, p.stranger):
        with reverts("fund: not the caller's licence"):
            fund.pay(ref, DUT, sender=who)
    fund.pay(ref, DUT, sender=p.licensee)
    term = world.buy(world.granted(), form=FIXED)
    world.evm.warp(DAY)
    with reverts("fund: the licence was not used"):
        fund.pay(term, DUT, sender=p.licensee)
    world.settle(term)
    fund.pay(term, DUT, sender=p.licensee)


@pytest.mark.parametrize("amount", [0, 2**128, 2**256 - 1])
def test_nothing_or_more_than_there_can_be(world: World, amount: int) -> None:
    with reverts("fund: amount out of range"):
        world.compensation.pay(used(world), amount, sender=world.people.licensee)


def test_an_asset_has_no_patient(world: World) -> None:
    p = world.people
    maker = opened(world)
    ref = maker.sell(maker.offer(), 3)
    with reverts("fund: a derived record has no patient"):
        world.compensation.pay(ref, DUT, sender=ref["licensee"])
    assert world.dut.balanceOf(world.compensation.address) == 0
    assert credit(world, p.patient) == 0


def test_what_is_kept_leaves_by_the_timelock_alone(world: World) -> None:
    p, fund = world.people, world.compensation
    fund.pay(used(world), 10 * DUT, sender=p.licensee)
    reason = world.fresh("finding")
    for who in (p.stranger, p.council, p.guardian, p.operator, p.platform):
        with reverts("access: caller may not do this"):
            fund.compensate(who, DUT, reason, sender=who)
    world.as_timelock(fund, "compensate", p.other_patient, 2 * DUT, reason)
    assert world.evm.event("Compensated") == {
        "account": p.other_patient,
        "amount": 2 * DUT,
        "left": DUT,
        "reason": reason,
    }
    assert credit(world, p.other_patient) == 2 * DUT
    for amount in (0, DUT + 1, 2**256 - 1):
        with reverts("fund: more than is kept"):
            world.as_timelock(fund, "compensate", p.other_patient, amount, reason)
    with reverts("fund: no account is named"):
        world.as_timelock(fund, "compensate", "0x" + "00" * 20, 1, reason)
    with reverts("fund: no reason is named"):
        world.as_timelock(fund, "compensate", p.patient, 1, bytes(32))
    assert fund.kept() == DUT


def test_a_pause_stops_money_in_and_nothing_else(world: World) -> None:
    p, fund = world.people, world.compensation
    ref = used(world)
    fund.pay(ref, 10 * DUT, sender=p.licensee)
    fund.pause(sender=p.guardian)
    assert fund.paused()
    with reverts("fund: paused"):
        fund.pay(ref, DUT, sender=p.licensee)
    world.as_timelock(fund, "compensate", p.patient, DUT, b"\1" * 32)
    for who in (p.guardian, p.stranger):
        with reverts("access: caller may not do this"):
            fund.unpause(sender=who)
    with reverts("access: caller may not do this"):
        fund.pause(sender=p.stranger)
    world.as_timelock(fund, "unpause")
    fund.pay(ref, DUT, sender=p.licensee)


def test_it_is_made_once_and_whole(world: World) -> None:
    deployer, manager = world.people.deployer, world.manager.address
    parts = [world.dut.address, world.registry.address, world.market.address]
    with reverts("initializer: done before"):
        world.compensation.initialize(sender=deployer)
    for missing, sentence in (
        (0, "payouts: no usage token is named"),
        (1, "fund: a contract is missing"),
        (2, "fund: a contract is missing"),
    ):
        args = [*parts[:missing], "0x" + "00" * 20, *parts[missing + 1 :]]
        with reverts(sentence):
            world.evm.deploy("CompensationFund", deployer, manager, *args, sender=deployer)
    assert world.compensation.authority() == manager
