"""R19, R29: governed parameters, the market's levy, and a pause that stops only what comes in."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.royalties import MILESTONE, Stage, Study
from support.world import DAY, DUT, World, reverts

from medtoken.chain.words import RoyaltySettings


def settings(stage: Stage) -> RoyaltySettings:
    return RoyaltySettings.unpack(stage.vault.settings_word())


def test_the_deployment_sets_one_per_cent_a_week_and_the_markets_levy(bare: World) -> None:
    word = bare.suite["RoyaltyVault"].settings_word()
    assert word == 100 | 604_800 << 16 | 500 << 56


@pytest.mark.parametrize("rate", [1, 1_000])
def test_the_rate_is_for_studies_sealed_from_then_on(
    stage: Stage, study: Study, weights: dict[str, int], rate: int
) -> None:
    stage.world.as_timelock(stage.vault, "set_rate", rate)
    event = stage.world.evm.event("ParameterChanged")
    assert event == {"name": keccak(text="rate"), "previous": 100, "current": rate}
    other = stage.open(weights)
    assert (study.word.rate, other.word.rate) == (100, rate)
    assert study.attest(DUT) == DUT // 100
    assert other.attest(DUT) == DUT * rate // 10_000


@pytest.mark.parametrize("rate", [0, 1_001, 2**256 - 1])
def test_a_rate_out_of_bounds_is_refused(stage: Stage, rate: int) -> None:
    with reverts("royalty: rate out of bounds"):
        stage.world.as_timelock(stage.vault, "set_rate", rate)


@pytest.mark.parametrize("window", [DAY, 90 * DAY])
def test_the_window_is_for_rosters_sealed_from_then_on(
    stage: Stage, weights: dict[str, int], window: int
) -> None:
    before = stage.seal(weights).word.opens
    stage.world.as_timelock(stage.vault, "set_window", window)
    event = stage.world.evm.event("ParameterChanged")
    assert event == {"name": keccak(text="window"), "previous": 604_800, "current": window}
    assert before - stage.world.now == 604_800
    assert stage.seal(weights).word.opens - stage.world.now == window


@pytest.mark.parametrize("window", [0, DAY - 1, 90 * DAY + 1, 2**256 - 1])
def test_a_window_out_of_bounds_is_refused(stage: Stage, window: int) -> None:
    with reverts("royalty: window out of bounds"):
        stage.world.as_timelock(stage.vault, "set_window", window)


def test_anybody_has_the_markets_levy_followed(stage: Stage) -> None:
    rates = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": 1_000}
    stage.world.as_timelock(stage.world.market, "set_rates", rates)
    assert settings(stage).levy == 500
    stage.vault.follow_levy(sender=stage.people.stranger)
    event = stage.world.evm.event("ParameterChanged")
    assert event == {"name": keccak(text="levy"), "previous": 500, "current": 1_000}
    assert settings(stage) == RoyaltySettings(100, 604_800, 1_000, False)
    with reverts("royalty: the levy is the same"):
        stage.vault.follow_levy(sender=stage.people.stranger)


def test_strangers_set_nothing(stage: Stage) -> None:
    people = stage.people
    for who in (people.stranger, people.operator, people.council, people.products):
        for function, args in {
            "set_rate": (1,),
            "set_window": (DAY,),
            "pause": (),
            "unpause": (),
        }.items():
            with reverts("access: caller may not do this"):
                getattr(stage.vault, function)(*args, sender=who)
    with reverts("access: caller may not do this"):
        stage.vault.unpause(sender=people.guardian)


def test_a_pause_stops_what_comes_in_and_nothing_else(
    stage: Stage, study: Study, weights: dict[str, int]
) -> None:
    people = stage.people
    study.bring(6 * DUT)
    study.join(people.patient)
    study.bring(6 * DUT)
    study.grant(600 * DUT)
    study.grant(600 * DUT, milestone=b"\4" * 32)
    study.attest(100 * DUT)
    stage.vault.pause(sender=people.guardian)
    assert stage.world.evm.event("PauseChanged") == {"paused": True}
    assert settings(stage).paused
    with reverts("royalty: paused"):
        study.pay(DUT)
    with reverts("royalty: paused"):
        study.grant(milestone=b"\5" * 32)
    # Everything that pays out, and what decides who is paid, goes on.
    assert study.claim(people.patient) == DUT
    assert study.join(people.other_patient) == 4 * DUT
    study.vest(MILESTONE)
    stage.vault.claim_many(study.id, [people.patient], sender=people.relay)
    stage.vault.hand_over([study.id], sender=people.relay)
    stage.withdraw(stage.withdrawal(people.patient, DUT), people.patient)
    stage.vault.cancel(stage.seal(weights).id, b"\1" * 32, sender=people.council)
    stage.world.evm.warp(DAY)
    study.give_back(b"\4" * 32)
    # The settings beside the pause may change meanwhile.
    stage.world.as_timelock(stage.vault, "set_rate", 50)
    assert settings(stage).paused
    stage.world.as_timelock(stage.vault, "unpause")
    assert settings(stage) == RoyaltySettings(50, 604_800, 500, False)
    study.pay(DUT)


# ---------------------------------------------------------------- deployment


def test_it_may_admit_and_hand_over_levies(bare: World) -> None:
    vault = bare.suite["RoyaltyVault"].address
    assert bare.dut.allowance(vault, bare.treasury.address) == 2**256 - 1
    for role in (3, 9):  # admission, levy
        assert bare.manager.hasRole(role, vault) == (True, 0)
