"""R2: an allowance by signature (ERC-2612)."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from support.evm import CHAIN_ID
from support.world import DUT, World, reverts


def _sign(world: World, **changes: Any) -> tuple[int, bytes, bytes]:
    """v, r, s of the licensee's permit of one DUT to the stranger for a minute; see ``changes``."""
    people = world.people
    message = {
        "owner": str(people.licensee),
        "spender": str(people.stranger),
        "value": DUT,
        "nonce": 0,
        "deadline": world.now + 60,
    }
    domain = {
        "name": "Data Usage Token",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": world.dut.address,
    }
    for name, value in changes.items():
        (domain if name in domain else message)[name] = value
    kinds = {"owner": "address", "spender": "address"}
    types = {"Permit": [{"name": n, "type": kinds.get(n, "uint256")} for n in message]}
    signable = encode_typed_data(domain, types, message)
    signed = Account.sign_message(signable, people.licensee.key)
    return signed.v, signed.r.to_bytes(32), signed.s.to_bytes(32)


def _permit(world: World, signature: tuple[int, bytes, bytes], deadline: int | None = None) -> None:
    people = world.people
    until = world.now + 60 if deadline is None else deadline
    world.dut.permit(people.licensee, people.stranger, DUT, until, *signature)


def test_it_allows_exactly_what_was_signed_once(world: World) -> None:
    people = world.people
    signature = _sign(world)
    _permit(world, signature)
    assert world.evm.event("Approval")["value"] == DUT
    assert world.dut.allowance(people.licensee, people.stranger) == DUT
    assert world.dut.nonces(people.licensee) == 1
    with pytest.raises(Exception, match=r"ERC2612InvalidSigner\(.*\)"):
        _permit(world, signature)


@pytest.mark.parametrize(
    "change",
    [{"value": 2 * DUT}, {"nonce": 1}, {"chainId": 1}, {"name": "medtoken"}, {"version": "2"}],
    ids=str,
)
def test_a_signature_over_anything_else_is_refused(world: World, change: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"ERC2612InvalidSigner\(.*\)"):
        _permit(world, _sign(world, **change))
    assert world.dut.allowance(world.people.licensee, world.people.stranger) == 0


def test_the_deadline_second_is_in_time_and_the_next_is_not(world: World) -> None:
    deadline = world.now + 60
    signature = _sign(world)
    world.evm.warp(61)
    with reverts(f"ERC2612ExpiredSignature({deadline})"):
        _permit(world, signature, deadline)
    _permit(world, _sign(world, deadline=world.now), world.now)


def test_a_high_s_is_refused(world: World) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    v, r, s = _sign(world)
    twin = order - int.from_bytes(s)
    with reverts(f"ECDSAInvalidSignatureS({twin.to_bytes(32)})"):
        _permit(world, (55 - v, r, twin.to_bytes(32)))
