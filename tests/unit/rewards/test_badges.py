"""R25: boards that anybody can put right, soulbound badges, donations from a budget."""

from __future__ import annotations

import pytest
from support.rewards import WEEK, Stage
from support.world import DUT, ZERO, reverts

NOT_NOW = "rewards: not the time of nominations"


def test_the_ten_highest_whoever_nominates_in_whatever_order(stage: Stage) -> None:
    month, world = stage.month, stage.world
    patients = [world.new_actor() for _ in range(12)]
    for number, who in enumerate(patients):
        for _ in range(2 + number):
            stage.count(owner=str(who))
    stage.to_month()
    for number in (3, 11, 0, 7, 5, 1, 9, 2, 8, 4, 6, 10):
        if number == 10:
            # ten are on the board; the lowest of them gives way
            pass
        stage.rewards.nominate(0, month, patients[number], sender=stage.people.stranger)
    assert world.evm.event("Nominated") == {
        "board": 0,
        "period": month,
        "account": patients[10],
        "points": 18 * 12,
    }
    top = stage.rewards.top(0, month)
    assert [entry & (2**160 - 1) for entry in top] == [int(who, 16) for who in patients[:1:-1]]
    assert [entry >> 160 for entry in top] == [18 * (2 + n) for n in range(11, 1, -1)]
    with reverts("rewards: ten others have as many points"):
        stage.rewards.nominate(0, month, patients[0])
    with reverts("rewards: on the board already"):
        stage.rewards.nominate(0, month, patients[5])
    world.evm.warp(WEEK)
    stage.rewards.award(0, month, sender=stage.people.stranger)
    for rank, who in enumerate(patients[:1:-1], 1):
        assert stage.badges.ownerOf(stage.badge(0, month, rank)) == who


def test_nominations_last_a_week_from_the_end_of_the_period(stage: Stage) -> None:
    stage.count()
    stage.count()
    month, patient = stage.month, stage.people.patient
    for board, period in ((0, month), (1, month // 12)):
        with reverts(NOT_NOW):
            stage.rewards.nominate(board, period, patient)
        stage.world.evm.warp(stage.end_of(board, period) - stage.world.now)
        with reverts("rewards: nominations have not ended"):
            stage.rewards.award(board, period)
        stage.rewards.nominate(board, period, patient)
        stage.world.evm.warp(WEEK)
        with reverts(NOT_NOW):
            stage.rewards.nominate(board, period, stage.people.other_patient)
        stage.rewards.award(board, period)
        assert stage.badges.ownerOf(stage.badge(board, period)) == patient


def test_too_few_points_and_unknown_boards(stage: Stage) -> None:
    stage.count()
    month, patient = stage.month, stage.people.patient
    stage.to_month()
    with reverts("rewards: too few points"):
        stage.rewards.nominate(0, month, patient)  # 18 of 30
    with reverts("rewards: too few points"):
        stage.rewards.nominate(0, month, stage.people.stranger)
    for act in (
        lambda: stage.rewards.nominate(4, month, patient),
        lambda: stage.rewards.award(4, 1),
    ):
        with reverts("rewards: unknown board"):
            act()


def test_badges_are_given_once(stage: Stage) -> None:
    badge = stage.ambassador()
    month = badge >> 64 & (2**64 - 1)
    assert stage.world.evm.event("BadgeAwarded") == {
        "board": 0,
        "period": month,
        "account": stage.people.patient,
        "badge": badge,
        "points": 54,
    }
    assert stage.rewards.awarded(0, month)
    with reverts("rewards: awarded before"):
        stage.rewards.award(0, month)
    with reverts("rewards: nobody is on the board"):
        stage.rewards.award(0, month - 1)


def test_institutions_have_boards_of_their_own(stage: Stage) -> None:
    stage.count()
    stage.count()
    month = stage.month
    stage.to_month()
    with reverts("rewards: too few points"):
        stage.rewards.nominate(2, month, stage.people.patient)
    stage.rewards.nominate(2, month, stage.people.custodian)
    stage.world.evm.warp(WEEK)
    stage.rewards.award(2, month)
    badge = stage.badge(2, month)
    assert stage.badges.ownerOf(badge) == stage.people.custodian
    with reverts("rewards: this badge directs no donation"):
        stage.donate(badge, stage.people.exchange, stage.people.custodian)


def test_a_badge_is_soulbound(stage: Stage) -> None:
    badge, p = stage.ambassador(), stage.people
    assert stage.badges.locked(badge)
    assert stage.badges.supportsInterface(bytes.fromhex("b45a3c0e"))
    for act in (
        lambda: stage.badges.approve(p.stranger, badge, sender=p.patient),
        lambda: stage.badges.setApprovalForAll(p.stranger, True, sender=p.patient),
        lambda: stage.badges.transferFrom(p.patient, p.stranger, badge, sender=p.patient),
    ):
        with reverts("badge: not transferable"):
            act()
    with reverts("badge: only the bound minter mints"):
        stage.badges.mint(p.stranger, 5, sender=p.stranger)
    with reverts("badge: the minter is already bound"):
        stage.world.as_timelock(stage.badges, "bindMinter", p.stranger)
    fresh = stage.world.evm.deploy("BadgeToken", stage.world.manager.address, sender=p.deployer)
    with reverts("badge: only the bound minter mints"):
        fresh.mint(p.stranger, 5, sender=ZERO)
    with reverts("badge: no minter is named"):
        stage.world.as_timelock(fresh, "bindMinter", ZERO)
    stage.world.as_timelock(fresh, "bindMinter", p.stranger)
    assert stage.world.evm.events()[0] == "MinterBound"
    fresh.mint(p.stranger, 5, sender=p.stranger)
    assert set(stage.world.evm.events()) == {"Transfer", "Locked"}


def test_a_donation_goes_from_the_budget_to_a_listed_beneficiary_once(stage: Stage) -> None:
    p, w, rewards = stage.people, stage.world, stage.rewards
    badge = stage.ambassador()
    amount = 100 * DUT
    with reverts("rewards: not a listed beneficiary"):
        stage.donate(badge, p.exchange, p.patient)
    w.as_timelock(rewards, "set_beneficiary", p.exchange, True)
    assert w.evm.event("BeneficiaryChanged") == {"recipient": p.exchange, "listed": True}
    with reverts("rewards: the budget is too small"):
        stage.donate(badge, p.exchange, p.patient)
    with reverts("rewards: nothing would be moved"):
        rewards.fund(0, sender=p.licensee)
    w.dut.approve(rewards.address, amount, sender=p.licensee)
    rewards.fund(amount, sender=p.licensee)
    assert w.evm.event("BudgetFunded") == {"funder": p.licensee, "amount": amount}
    with reverts("rewards: signature is too late"):
        stage.donate(badge, p.exchange, p.patient, late=1)
    with reverts("signature: not by its owner"):
        stage.donate(badge, p.exchange, p.stranger)
    before = w.dut.balanceOf(p.exchange)
    stage.donate(badge, p.exchange, p.patient)
    assert w.evm.event("DonationDirected") == {
        "badge": badge,
        "account": p.patient,
        "recipient": p.exchange,
        "amount": amount,
    }
    assert w.dut.balanceOf(p.exchange) == before + amount
    assert rewards.budget() == w.dut.balanceOf(rewards.address) == 0
    assert rewards.donated(badge)
    with reverts("rewards: this donation was directed"):
        stage.donate(badge, p.exchange, p.patient)


@pytest.mark.parametrize(
    ("name", "amounts"),
    [("donation", (10**24 + 1,)), ("least", (0, 10**24 + 1)), ("threshold", (0, 10**6 + 1))],
)
def test_parameters_have_bounds(stage: Stage, name: str, amounts: tuple[int, ...]) -> None:
    for amount in amounts:
        with reverts("rewards: parameter out of bounds"):
            stage.world.as_timelock(stage.rewards, "set_parameter", name, amount)
    stage.world.as_timelock(stage.rewards, "set_parameter", name, 7)
    assert "ParameterChanged" in stage.world.evm.events()
    assert 7 in stage.rewards.parameters()
    with reverts("rewards: unknown parameter"):
        stage.world.as_timelock(stage.rewards, "set_parameter", "luck", 7)
