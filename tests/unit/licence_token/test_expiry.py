"""R9, R12, ERC-7858: wallets and explorers see when a licence runs, and at once when it does not."""

from __future__ import annotations

from functools import reduce

import pytest
from eth_utils import keccak
from support.world import DAY, FIXED, METERED, RENTAL, World, reverts


def _interface(*signatures: str) -> bytes:
    selectors = [int.from_bytes(keccak(text=s)[:4]) for s in signatures]
    return reduce(lambda a, b: a ^ b, selectors).to_bytes(4)


ERC165 = _interface("supportsInterface(bytes4)")
ERC5192 = _interface("locked(uint256)")
ERC7858 = _interface(
    "expiryType()", "startTime(uint256)", "endTime(uint256)", "isTokenExpired(uint256)"
)


def test_it_says_which_standards_it_follows(world: World) -> None:
    assert (ERC165.hex(), ERC5192.hex()) == ("01ffc9a7", "b45a3c0e")
    for interface in (ERC165, ERC5192, ERC7858, bytes.fromhex("80ac58cd")):
        assert world.token.supportsInterface(interface)
    assert not world.token.supportsInterface(b"\xff" * 4)
    assert world.token.symbol() == "MTL"
    assert world.token.expiryType() == 1  # by time


@pytest.mark.parametrize("form", [FIXED, METERED, RENTAL])
def test_it_runs_from_its_start_to_its_end(world: World, form: int) -> None:
    start = world.now
    shown = world.token.show(world.buy(world.granted(), form=form))
    assert world.token.startTime(shown) == (0 if form == METERED else start)
    assert world.token.endTime(shown) == start + 90 * DAY
    world.evm.warp(90 * DAY - 1)
    assert not world.token.isTokenExpired(shown)
    world.evm.warp(1)
    assert world.token.isTokenExpired(shown)


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("form", [FIXED, METERED])
def test_a_revocation_shows_at_once_and_not_only_when_it_is_settled(
    world: World, form: int, key: bool
) -> None:
    consent, other = world.granted(), world.granted()
    salt = world.keyed() if key else 0
    shown = world.token.show(world.buy(consent, form=form, salt=salt))
    beside = world.token.show(world.buy(other, form=form, salt=salt))
    world.revoke(consent)
    assert world.token.isTokenExpired(shown)
    assert not world.token.isTokenExpired(beside)


def test_a_closed_licence_is_expired(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    shown = world.token.show(ref)
    world.revoke(consent)
    world.settle(ref)
    assert world.token.isTokenExpired(shown)


def test_a_suspension_is_no_end(world: World) -> None:
    """It may be lifted; whether a licence can be used now is the view's `is_valid`."""
    ref = world.buy(world.granted())
    shown = world.token.show(ref)
    world.market.set_suspended(world.licence_id(ref), True, sender=world.people.supervisor)
    assert not world.token.isTokenExpired(shown)
    assert not world.view.is_valid(ref, 1)


def test_nothing_is_said_of_what_was_not_shown(world: World) -> None:
    ref = world.buy(world.granted())
    number = int.from_bytes(world.licence_id(ref))
    for ask in (world.token.startTime, world.token.endTime, world.token.isTokenExpired):
        with reverts(f"ERC721NonexistentToken({number})"):
            ask(number)
