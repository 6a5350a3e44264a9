"""R2: permit (ERC-2612) and deposit in one transaction, whoever submits the permit first."""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from support.evm import CHAIN_ID
from support.world import DUT, Actor, World, reverts


def permit(
    world: World, owner: Actor, amount: int, **changes: Any
) -> tuple[int, int, bytes, bytes]:
    """Deadline, v, r, s of the owner's permit to the market."""
    values = {
        "owner": str(owner),
        "spender": world.market.address,
        "value": amount,
        "nonce": world.dut.nonces(owner),
        "deadline": world.now + 60,
    } | changes
    kinds = ("address", "address", "uint256", "uint256", "uint256")
    data = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Permit": [{"name": n, "type": k} for n, k in zip(values, kinds, strict=True)],
        },
        "primaryType": "Permit",
        "domain": {
            "name": "Data Usage Token",
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": world.dut.address,
        },
        "message": values,
    }
    signed = Account.sign_message(encode_typed_data(full_message=data), owner.key)
    return values["deadline"], signed.v, signed.r.to_bytes(32), signed.s.to_bytes(32)


def _poor(world: World) -> Actor:
    """A licensee who has DUT and has approved nothing."""
    licensee = world.people.licensee
    world.dut.approve(world.market.address, 0, sender=licensee)
    return licensee


def test_one_transaction_permits_and_deposits(world: World) -> None:
    licensee = _poor(world)
    before = world.deposit_of(licensee)
    signed = permit(world, licensee, 5 * DUT)
    world.market.deposit_with_permit(licensee, 5 * DUT, *signed, sender=licensee)
    assert world.evm.event("Deposited")["amount"] == 5 * DUT
    assert world.deposit_of(licensee) - before == 5 * DUT
    assert world.dut.allowance(licensee, world.market.address) == 0


def test_a_permit_that_somebody_submitted_first_does_no_harm(world: World) -> None:
    licensee = _poor(world)
    before = world.deposit_of(licensee)
    deadline, v, r, s = permit(world, licensee, 5 * DUT)
    world.dut.permit(
        licensee, world.market.address, 5 * DUT, deadline, v, r, s, sender=world.people.stranger
    )
    world.market.deposit_with_permit(licensee, 5 * DUT, deadline, v, r, s, sender=licensee)
    assert world.deposit_of(licensee) - before == 5 * DUT


def test_a_stranger_cannot_use_anothers_permit(world: World) -> None:
    people = world.people
    licensee = _poor(world)
    signed = permit(world, licensee, 5 * DUT)
    for who in (people.stranger, people.custodian):
        with reverts(f"ERC20InsufficientAllowance({world.market.address}, 0, {5 * DUT})"):
            world.market.deposit_with_permit(who, 5 * DUT, *signed, sender=who)


def test_after_a_front_run_a_stranger_still_cannot_take_the_allowance(world: World) -> None:
    people = world.people
    licensee = _poor(world)
    deadline, v, r, s = permit(world, licensee, 5 * DUT)
    world.dut.permit(licensee, world.market.address, 5 * DUT, deadline, v, r, s)
    with reverts(f"ERC20InsufficientAllowance({world.market.address}, 0, {5 * DUT})"):
        world.market.deposit(people.stranger, 5 * DUT, sender=people.stranger)


def test_a_permit_over_another_amount_late_or_replayed_is_worth_nothing(world: World) -> None:
    licensee = _poor(world)
    none = f"ERC20InsufficientAllowance({world.market.address}, 0, {5 * DUT})"
    late = permit(world, licensee, 5 * DUT, deadline=world.now - 1)
    other = permit(world, licensee, 6 * DUT)
    for signed in (late, other):
        with reverts(none):
            world.market.deposit_with_permit(licensee, 5 * DUT, *signed, sender=licensee)
    signed = permit(world, licensee, 5 * DUT)
    world.market.deposit_with_permit(licensee, 5 * DUT, *signed, sender=licensee)
    with reverts(none):
        world.market.deposit_with_permit(licensee, 5 * DUT, *signed, sender=licensee)


def test_a_paused_market_keeps_the_permit_unused(world: World) -> None:
    licensee = _poor(world)
    signed = permit(world, licensee, 5 * DUT)
    world.market.pause(sender=world.people.guardian)
    with reverts("market: paused"):
        world.market.deposit_with_permit(licensee, 5 * DUT, *signed, sender=licensee)
    assert world.dut.nonces(licensee) == 0


def test_an_amount_of_zero_is_refused(world: World) -> None:
    licensee = _poor(world)
    with reverts("account: the amount is zero"):
        world.market.deposit_with_permit(licensee, 0, *permit(world, licensee, 0), sender=licensee)
