"""R4: RT is minted and burned by its desk alone, and never moves."""

from __future__ import annotations

import pytest
from support.research import Research
from support.world import DUT, ZERO, reverts

NOT_TRANSFERABLE = "RT: not transferable"
ONLY_THE_DESK = "RT: only the bound desk mints and burns"


def test_it_is_an_erc20_with_18_decimals(lab: Research) -> None:
    assert (lab.rt.symbol(), lab.rt.decimals()) == ("RT", 18)


def test_it_never_moves(lab: Research) -> None:
    """A market for RT would be a market for the reserve."""
    lab.reward()
    p = lab.people
    for amount in (0, DUT):
        with reverts(NOT_TRANSFERABLE):
            lab.rt.transfer(p.other_licensee, amount, sender=p.licensee)
        with reverts(NOT_TRANSFERABLE):
            lab.rt.approve(p.stranger, amount, sender=p.licensee)
    with reverts(f"ERC20InsufficientAllowance({p.stranger}, 0, {DUT})"):
        lab.rt.transferFrom(p.licensee, p.stranger, DUT, sender=p.stranger)
    with reverts(NOT_TRANSFERABLE):
        lab.rt.transferFrom(p.licensee, p.stranger, 0, sender=p.stranger)
    assert lab.rt.balanceOf(p.licensee) == 1_000 * DUT


@pytest.mark.parametrize("function", ["mint", "burn"])
def test_nobody_but_the_desk_mints_and_burns(lab: Research, function: str) -> None:
    lab.reward()
    for who in vars(lab.people).values():
        with reverts(ONLY_THE_DESK):
            getattr(lab.rt, function)(lab.people.licensee, 1, sender=who)


def test_the_desk_is_bound_once(lab: Research) -> None:
    with reverts("RT: the desk is already bound"):
        lab.as_timelock(lab.rt, "bindDesk", lab.people.stranger)


def test_before_a_desk_is_bound_nobody_mints(lab: Research) -> None:
    deployer = lab.people.deployer
    fresh = lab.evm.deploy("ResearchToken", lab.manager.address, sender=deployer)
    for who in (deployer, lab.people.stranger, ZERO):
        with reverts(ONLY_THE_DESK):
            fresh.mint(deployer, 1, sender=who)
    with reverts("RT: no desk is named"):
        lab.as_timelock(fresh, "bindDesk", ZERO)
    lab.as_timelock(fresh, "bindDesk", lab.people.relay)
    assert lab.evm.event("DeskBound") == {"desk": str(lab.people.relay)}
    fresh.mint(deployer, 5, sender=lab.people.relay)
    fresh.burn(deployer, 2, sender=lab.people.relay)
    assert (fresh.balanceOf(deployer), fresh.totalSupply()) == (3, 3)
    with reverts(f"ERC20InsufficientBalance({deployer}, 3, 4)"):
        fresh.burn(deployer, 4, sender=lab.people.relay)
    fresh.burn(deployer, 2, sender=lab.people.relay)
    assert lab.evm.event("Transfer") == {"from": deployer, "to": ZERO, "value": 2}
