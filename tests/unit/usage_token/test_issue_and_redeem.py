"""R2: exchanges issue DUT against money under a cap a day, and burn it when they redeem."""

from __future__ import annotations

import pytest
from support.world import DAY, DUT, ZERO, World, reverts

CAP = 10**8 * DUT
OVER = "DUT: the epoch's issuance cap is reached"


def _to_midnight(world: World) -> None:
    """The first second of the next epoch."""
    world.evm.warp(DAY - world.now % DAY)


def test_an_issue_is_minted_counted_and_told(world: World) -> None:
    people = world.people
    epoch = world.now // DAY
    supply, issued = world.dut.totalSupply(), world.dut.issuedIn(epoch)
    balance = world.dut.balanceOf(people.licensee)
    world.dut.issue(people.licensee, 5 * DUT, b"\4" * 32, sender=people.exchange)
    assert world.evm.events() == ["Transfer", "Issued"]
    assert world.evm.event("Issued") == {
        "exchange": people.exchange,
        "to": people.licensee,
        "amount": 5 * DUT,
        "payment": b"\4" * 32,
    }
    assert world.dut.totalSupply() - supply == 5 * DUT
    assert world.dut.issuedIn(epoch) - issued == 5 * DUT
    assert world.dut.balanceOf(people.licensee) - balance == 5 * DUT


def test_the_cap_holds_to_the_base_unit_and_opens_again_at_midnight(world: World) -> None:
    people = world.people
    _to_midnight(world)
    world.fund(people.licensee, CAP - 1)
    with reverts(OVER):
        world.fund(people.licensee, 2)
    world.fund(people.licensee, 1)
    with reverts(OVER):
        world.fund(people.licensee, 1)
    world.evm.warp(DAY - 1)
    with reverts(OVER):
        world.fund(people.licensee, 1)
    world.evm.warp(1)
    world.fund(people.licensee, CAP)


def test_a_cap_of_zero_denies_every_issue(world: World) -> None:
    world.as_timelock(world.dut, "setCap", 0)
    _to_midnight(world)
    with reverts(OVER):
        world.fund(world.people.licensee, 1)


def test_redeeming_frees_no_room_under_the_cap(world: World) -> None:
    people = world.people
    _to_midnight(world)
    world.fund(people.exchange, CAP)
    world.dut.redeem(CAP, bytes(32), sender=people.exchange)
    with reverts(OVER):
        world.fund(people.exchange, 1)


def test_an_amount_that_overflows_the_count_is_refused(world: World) -> None:
    world.fund(world.people.licensee, 1)
    with reverts("panic 0x11"):
        world.fund(world.people.licensee, 2**256 - 1)


def test_nobody_who_may_not_hold_dut_is_issued_any(world: World) -> None:
    people = world.people
    with reverts("DUT: the account is not admitted"):
        world.fund(people.stranger, 1)
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts("DUT: the account is frozen"):
        world.fund(people.licensee, 1)
    with reverts(f"ERC20InvalidReceiver({ZERO})"):
        world.fund(ZERO, 1)


def test_a_redemption_burns_the_exchanges_own_and_is_told(world: World) -> None:
    people = world.people
    world.fund(people.exchange, 9 * DUT)
    supply = world.dut.totalSupply()
    world.dut.redeem(4 * DUT, b"\5" * 32, sender=people.exchange)
    assert world.evm.events() == ["Transfer", "Redeemed"]
    assert world.evm.event("Transfer")["to"] == ZERO
    assert world.evm.event("Redeemed") == {
        "exchange": people.exchange,
        "amount": 4 * DUT,
        "payment": b"\5" * 32,
    }
    assert world.dut.totalSupply() == supply - 4 * DUT
    assert world.dut.balanceOf(people.exchange) == 5 * DUT
    with reverts(f"ERC20InsufficientBalance({people.exchange}, {5 * DUT}, {5 * DUT + 1})"):
        world.dut.redeem(5 * DUT + 1, bytes(32), sender=people.exchange)


@pytest.mark.parametrize("function", ["issue", "redeem"])
def test_a_stranger_is_refused(world: World, function: str) -> None:
    people = world.people
    for who in (people.stranger, people.licensee, people.compliance, people.operator):
        args = (who, 1, bytes(32)) if function == "issue" else (1, bytes(32))
        with reverts(f"AccessManagedUnauthorized({who})"):
            getattr(world.dut, function)(*args, sender=who)


def test_an_exchange_that_compliance_dismissed_issues_no_more(world: World) -> None:
    people = world.people
    world.manager.revokeRole(2, people.exchange, sender=people.compliance)
    with reverts(f"AccessManagedUnauthorized({people.exchange})"):
        world.fund(people.licensee, 1)


def test_the_bound_of_the_cap(world: World) -> None:
    previous = world.dut.cap()
    world.as_timelock(world.dut, "setCap", 10**30)
    assert world.evm.event("CapChanged") == {"previous": previous, "current": 10**30}
    assert world.dut.cap() == 10**30
    for cap in (10**30 + 1, 2**256 - 1):
        with reverts("DUT: the cap is out of bounds"):
            world.as_timelock(world.dut, "setCap", cap)
    for who in (world.people.stranger, world.people.exchange):
        with reverts(f"AccessManagedUnauthorized({who})"):
            world.dut.setCap(1, sender=who)
