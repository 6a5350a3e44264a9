"""R19, R15: attested sales become due and are pulled from the payer's allowance, with the levy."""

from __future__ import annotations

import pytest
from support.royalties import EVIDENCE, REASON, Stage, Study
from support.world import DUT, MILLION, NONE, reverts

GRAIN = 10**9
MOST = (2**72 - 1) * GRAIN  # what a study's pot can hold


# ---------------------------------------------------------------- attesting sales


def test_one_per_cent_of_attested_sales_becomes_due(stage: Stage, study: Study) -> None:
    assert study.attest(123_456 * DUT, 202_503) == 1234_560_000_000_000_000_000
    assert stage.world.evm.event("SalesAttested") == {
        "study": study.id,
        "period": 202_503,
        "attester": stage.people.products,
        "sales": 123_456 * DUT,
        "royalty": 1234_560_000_000_000_000_000,
        "evidence": EVIDENCE,
    }
    grains = 1234_560_000_000
    assert stage.vault.books_word(study.id) == grains << 72 | 202_503 << 232
    word = grains | 123_456 * DUT << 96 | 1 << 224
    assert stage.vault.period_word(study.id, 202_503) == word
    assert study.books.pot == 0


@pytest.mark.parametrize(
    ("sales", "royalty"),
    [(0, 0), (1, GRAIN), (100 * GRAIN, GRAIN), (100 * GRAIN + 1, 2 * GRAIN)],
)
def test_rounding_never_favours_the_payer(study: Study, sales: int, royalty: int) -> None:
    assert study.attest(sales) == royalty == study.books.due


def test_each_period_once_and_in_order(study: Study) -> None:
    study.attest(100 * DUT, 5)
    for period in (0, 4, 5):
        with reverts("royalty: period out of order"):
            study.attest(100 * DUT, period)
    study.attest(0, 6)
    study.attest(100 * DUT, 2**24 - 1)
    with reverts("royalty: period out of order"):
        study.attest(100 * DUT, 2**24)


def test_a_period_without_sales_was_attested_all_the_same(stage: Stage, study: Study) -> None:
    study.attest(0, 7)
    assert stage.vault.period_word(study.id, 7) == 1 << 224
    assert stage.vault.period_word(study.id, 6) == 0
    assert stage.vault.unpaid(study.id, 7) == stage.vault.unpaid(study.id, 6) == 0


def test_what_no_pot_can_hold_is_refused(study: Study) -> None:
    for sales in (2**256 - 1, 2**128, 2**128 - 1):
        with reverts("royalty: sales out of range"):
            study.attest(sales)
    study.attest(100 * MOST)
    assert study.books.due == MOST
    with reverts("royalty: sales out of range"):
        study.attest(1)


def test_the_pot_itself_is_the_limit(stage: Stage, study: Study) -> None:
    stage.vault.attest_sales(study.id, 1, 0, EVIDENCE, sender=stage.people.products)
    slot = _slot_of(stage, study)
    full = (2**72 - 2) | 1 << 232
    with stage.world.evm.stored(stage.vault.address, slot, full):
        assert study.books.pot == MOST - GRAIN
        with reverts("royalty: sales out of range"):
            study.attest(101 * GRAIN)
        study.attest(100 * GRAIN)
        assert study.books.due == GRAIN


def _slot_of(stage: Stage, study: Study) -> int:
    """Where a study's books are, found by looking."""
    from eth_abi import encode
    from eth_utils import keccak

    for base in range(60):
        # Vyper: keccak256(slot of the mapping ‖ key)
        slot = int.from_bytes(keccak(encode(["uint256", "bytes32"], [base, study.id])))
        if stage.world.evm.storage(stage.vault.address, slot) == stage.vault.books_word(study.id):
            return slot
    raise AssertionError("no slot holds the books")


def test_nothing_is_due_of_who_did_not_undertake(stage: Stage, weights: dict[str, int]) -> None:
    study = stage.seal(weights)
    stage.world.evm.warp(7 * 86_400)
    with reverts("royalty: not undertaken"):
        study.attest(100 * DUT)


def test_an_unknown_study_sells_nothing(stage: Stage) -> None:
    with reverts("royalty: unknown study"):
        stage.vault.attest_sales(REASON, 1, 1, EVIDENCE, sender=stage.people.products)


def test_sales_without_evidence_are_refused(stage: Stage, study: Study) -> None:
    with reverts("royalty: no evidence is named"):
        stage.vault.attest_sales(study.id, 1, 1, NONE, sender=stage.people.products)


@pytest.mark.parametrize("who", ["stranger", "licensee", "custodian", "attester", "council"])
def test_only_product_attesters_attest_sales(stage: Stage, study: Study, who: str) -> None:
    with reverts("access: caller may not do this"):
        stage.vault.attest_sales(study.id, 1, 1, EVIDENCE, sender=getattr(stage.people, who))


def test_nobody_attests_its_own_sales(stage: Stage, study: Study) -> None:
    stage.world.as_timelock(stage.world.manager, "grantRole", 14, study.payer, 0)
    with reverts("royalty: nobody attests itself"):
        stage.vault.attest_sales(study.id, 1, 1, EVIDENCE, sender=study.payer)


# ---------------------------------------------------------------- waiving


def test_the_council_corrects_what_is_due(stage: Stage, study: Study) -> None:
    study.attest(1000 * DUT)
    stage.vault.waive(study.id, 4 * DUT, REASON, sender=stage.people.council)
    event = {"study": study.id, "amount": 4 * DUT, "reason": REASON}
    assert stage.world.evm.event("RoyaltyWaived") == event
    assert study.books.due == 6 * DUT
    with reverts("royalty: more than is due"):
        stage.vault.waive(study.id, 6 * DUT + GRAIN, REASON, sender=stage.people.council)


@pytest.mark.parametrize("amount", [0, 1, GRAIN + 1])
def test_only_whole_grains_are_waived_or_paid(stage: Stage, study: Study, amount: int) -> None:
    study.attest(1000 * DUT)
    with reverts("royalty: amount out of range"):
        stage.vault.waive(study.id, amount, REASON, sender=stage.people.council)
    with reverts("royalty: amount out of range"):
        study.pay(amount)


@pytest.mark.parametrize("who", ["stranger", "licensee", "products", "operator"])
def test_nobody_else_waives(stage: Stage, study: Study, who: str) -> None:
    study.attest(1000 * DUT)
    with reverts("access: caller may not do this"):
        stage.vault.waive(study.id, DUT, REASON, sender=getattr(stage.people, who))


# ---------------------------------------------------------------- paying


def test_a_royalty_is_pulled_with_its_levy(stage: Stage, study: Study) -> None:
    study.attest(1000 * DUT)
    before = stage.dut.balanceOf(study.payer)
    stage.vault.pay(study.payer, study.number, 10 * DUT, sender=stage.people.stranger)
    event = {"study": study.id, "amount": 10 * DUT, "levy": DUT // 2}
    assert stage.world.evm.event("RoyaltyPaid") == event
    assert before - stage.dut.balanceOf(study.payer) == 10 * DUT + DUT // 2 == stage.held()
    assert (study.books.pot, study.books.due, study.books.levy) == (10 * DUT, 0, DUT // 2)


def test_more_than_is_due_is_refused(study: Study) -> None:
    with reverts("royalty: more than is due"):
        study.pay(GRAIN)
    study.attest(1000 * DUT)
    with reverts("royalty: more than is due"):
        study.pay(10 * DUT + GRAIN)
    study.pay()
    with reverts("royalty: more than is due"):
        study.pay(GRAIN)


def test_nothing_is_pulled_beyond_the_allowance(stage: Stage, study: Study) -> None:
    study.attest(1000 * DUT)
    stage.dut.approve(stage.vault.address, 10 * DUT, sender=study.payer)
    vault = stage.vault.address
    with reverts(f"ERC20InsufficientAllowance({vault}, {10 * DUT}, {10 * DUT + DUT // 2})"):
        study.pay()
    study.pay(9 * DUT)
    assert stage.dut.allowance(study.payer, vault) == 10 * DUT - 9 * DUT - 9 * DUT // 20
    # What it does not cover stays due, for all to see.
    assert study.books.due == stage.vault.unpaid(study.id, 1) == DUT


def test_unpaid_periods_are_visible_and_the_oldest_is_paid_first(
    stage: Stage, study: Study
) -> None:
    for period, sales in ((1, 100), (2, 0), (4, 200), (5, 300)):
        study.attest(sales * DUT, period)

    def unpaid() -> list[int]:
        return [stage.vault.unpaid(study.id, n) // (DUT // 10) for n in (1, 2, 3, 4, 5)]

    assert unpaid() == [10, 0, 0, 20, 30]
    study.pay(DUT // 2)
    assert unpaid() == [5, 0, 0, 20, 30]
    study.pay(DUT)
    assert unpaid() == [0, 0, 0, 15, 30]
    stage.vault.waive(study.id, 2 * DUT, REASON, sender=stage.people.council)
    assert unpaid() == [0, 0, 0, 0, 25]
    study.pay()
    assert unpaid() == [0, 0, 0, 0, 0]


def test_a_frozen_payer_pays_when_it_is_thawed(stage: Stage, study: Study) -> None:
    study.attest(1000 * DUT)
    stage.dut.setFrozen(study.payer, True, sender=stage.people.sanctions)
    with reverts("DUT: the account is frozen"):
        study.pay()
    stage.dut.setFrozen(study.payer, False, sender=stage.people.sanctions)
    study.pay()


def test_a_study_of_another_payer_is_not_paid_from_this_allowance(
    stage: Stage, study: Study, weights: dict[str, int]
) -> None:
    """Anybody may be named as payer, but only who undertook it pays."""
    other = stage.seal(weights, payer=stage.people.other_licensee)
    stage.world.evm.warp(7 * 86_400)
    with reverts("royalty: not undertaken"):
        other.attest(100 * DUT)


# ---------------------------------------------------------------- the levy


def test_levies_wait_and_are_handed_over_by_anybody(
    stage: Stage, study: Study, weights: dict[str, int]
) -> None:
    other = stage.open(weights)
    study.bring(10 * DUT)
    other.bring(20 * DUT)
    reserve = stage.world.treasury.books()[0]
    stage.vault.hand_over([study.id, REASON, other.id, study.id], sender=stage.people.stranger)
    assert stage.world.treasury.books()[0] - reserve == 3 * DUT // 2
    handed = [e.args["amount"] for e in stage.world.evm.logs if e.event == "LevyHandedOver"]
    assert handed == [DUT // 2, DUT]
    assert study.books.levy == other.books.levy == 0
    assert (study.books.pot, other.books.pot) == (10 * DUT, 20 * DUT)
    assert stage.held() == 30 * DUT
    with reverts("royalty: no levy is waiting"):
        stage.vault.hand_over([study.id], sender=stage.people.stranger)


def test_a_part_is_burned_above_the_ceiling(stage: Stage, study: Study) -> None:
    stage.world.as_timelock(stage.world.treasury, "set_ceiling", 0)
    study.bring(10 * DUT)
    supply = stage.dut.totalSupply()
    stage.vault.hand_over([study.id], sender=stage.people.relay)
    assert supply - stage.dut.totalSupply() == DUT // 4


def test_the_levy_is_the_one_in_force_when_the_money_is_taken(stage: Stage, study: Study) -> None:
    study.attest(1000 * DUT)
    study.pay(4 * DUT)
    rates = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": 333}
    stage.world.as_timelock(stage.world.market, "set_rates", rates)
    stage.vault.follow_levy(sender=stage.people.stranger)
    study.pay(6 * DUT)
    assert study.books.levy == 4 * DUT // 20 + 6 * DUT * 333 // 10_000


def test_without_a_levy_none_waits(stage: Stage, study: Study) -> None:
    rates = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": 0}
    stage.world.as_timelock(stage.world.market, "set_rates", rates)
    stage.vault.follow_levy(sender=stage.people.stranger)
    study.bring(MILLION * DUT // 10)
    assert study.books.levy == 0
    assert stage.held() == study.books.pot
