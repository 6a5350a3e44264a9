"""R2: what several earners signed is paid in one transaction; a refused one spoils nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.assets import opened
from support.evm import Reverted
from support.royalties import Stage
from support.vyper_source import runtime_code
from support.world import DUT, ZERO, Actor, World, reverts

from medtoken.chain.words import EarningsWord
from medtoken.messages import Domain, Withdrawal

BURN_GAS = 2


def said(world: World, purse: Any, who: Actor, amount: int = DUT, **changes: Any) -> dict[str, Any]:
    """A withdrawal that somebody signed for a purse, as the relay is given it."""
    word = purse.earnings_word(who) if purse.name == "DataMarket" else purse.balance_word(who)
    nonce = EarningsWord.unpack(int(word)).nonce
    signer = changes.pop("by", who)
    values = {"to": str(who), "deadline": world.now + 3600} | changes
    message = Withdrawal(str(who), values["to"], amount, nonce, values["deadline"])
    signature = message.sign(signer.key, Domain(31337, purse.address))
    return {"account": str(who), "amount": amount, "signature": signature} | values


def bring(world: World, purse: Any, signed: Sequence[dict[str, Any]]) -> int:
    relay = world.suite["PayoutRelay"]
    return int(relay.withdraw_many(purse.address, list(signed), sender=world.people.stranger))


@pytest.fixture
def earners(world: World) -> list[Actor]:
    """Patient, custodian, annotator and platform, who all earned."""
    world.earn()
    p = world.people
    return [p.patient, p.custodian, p.annotator, p.platform]


def test_everybody_is_paid_in_one_transaction(world: World, earners: list[Actor]) -> None:
    before = [int(world.dut.balanceOf(who)) for who in earners]
    signed = [said(world, world.market, who, world.earned(who)) for who in earners]
    assert bring(world, world.market, signed) == 4
    paid = [log.args for log in world.evm.logs if log.event == "Withdrawn"]
    assert [(p["account"], p["amount"]) for p in paid] == [
        (s["account"], s["amount"]) for s in signed
    ]
    for who, held, one in zip(earners, before, signed, strict=True):
        assert world.earned(who) == 0
        assert world.dut.balanceOf(who) == held + one["amount"] > held


def test_what_was_brought_before_pays_nobody_twice(world: World, earners: list[Actor]) -> None:
    signed = [said(world, world.market, who) for who in earners]
    world.withdraw(world.withdrawal(earners[1], DUT), earners[1])
    assert bring(world, world.market, signed) == 3
    assert bring(world, world.market, signed) == 0
    assert [world.nonce(who) for who in earners] == [1] * 4


def test_what_is_refused_is_passed_over(world: World, earners: list[Actor]) -> None:
    patient, custodian, annotator, platform = earners
    world.dut.setFrozen(annotator, True, sender=world.people.sanctions)
    signed = [
        said(world, world.market, patient, deadline=world.now - 1),
        said(world, world.market, custodian, by=world.people.stranger),
        said(world, world.market, annotator),
        said(world, world.market, patient, 10**30),
        said(world, world.market, platform, to=str(world.new_actor())),
        said(world, world.market, platform),
    ]
    assert bring(world, world.market, signed) == 1
    assert [world.nonce(who) for who in earners] == [0, 0, 0, 1]
    assert world.dut.balanceOf(world.people.stranger) == 0


def test_a_wallet_that_burns_gas_leaves_enough_for_the_others(
    world: World, earners: list[Actor]
) -> None:
    hungry = world.new_actor()
    consent = world.consent(world.record(owner=str(hungry)), patient=str(hungry))
    world.grant(consent, hungry)
    ref = world.buy(consent)
    world.use(ref, 10)
    world.settle(ref)
    kinds = ["uint256", "bytes", "address", "bytes"]
    code = runtime_code(world.evm, "OddWallet", kinds, BURN_GAS, b"", ZERO, b"")
    first = said(world, world.market, hungry) | {"signature": b"\1" * 66}
    world.evm.insert_code(hungry, code)
    signed = [first, *(said(world, world.market, who) for who in earners)]
    assert bring(world, world.market, signed) == 4
    assert world.evm.gas < 600_000


def test_too_little_gas_is_no_refusal(world: World, earners: list[Actor]) -> None:
    """Else whoever brings them could have some passed over by being stingy."""
    relay = world.suite["PayoutRelay"]
    signed = [said(world, world.market, who) for who in earners]
    data = relay.abi.call("withdraw_many", world.market.address, signed)
    engine = world.evm._evm
    for gas in range(20_000, 480_000, 20_000):
        with world.evm.anchor():
            try:
                out = engine.message_call(
                    world.people.stranger, relay.address, calldata=data, gas=gas
                )
            except RuntimeError:
                continue
            finally:
                engine.reset_transient_storage()
            assert int.from_bytes(out) == len(earners)
    world.evm.transact = _with_gas(world, 200_000)
    with pytest.raises(Reverted, match="payouts: too little gas"):
        bring(world, world.market, signed)
    del world.evm.transact
    assert bring(world, world.market, signed) == 4


def _with_gas(world: World, gas: int) -> Any:
    """Transactions with so much gas."""
    engine = world.evm._evm

    def transact(sender: str, to: str, data: bytes) -> bytes:
        try:
            return bytes(engine.message_call(sender, to, calldata=data, gas=gas))
        except RuntimeError as error:
            assert b"payouts: too little gas".hex() in str(error)
            raise Reverted("payouts: too little gas") from None

    return transact


def test_nobody_speaks_in_the_relays_own_name(world: World) -> None:
    """Whoever sends a withdrawal needs no signature, and the relay sends everybody's."""
    relay = world.suite["PayoutRelay"].address
    record = world.record(owner=str(world.people.patient), annotator=0)
    consent = world.granted(record)
    world.as_timelock(world.market, "set_platform", relay)
    ref = world.buy(consent)
    world.use(ref, 10)
    world.settle(ref)
    assert world.earned(relay) > 0
    mine = {
        "account": relay,
        "to": str(world.people.licensee),
        "amount": 1,
        "deadline": world.now,
        "signature": b"",
    }
    assert bring(world, world.market, [mine]) == 0


def test_the_vault_and_the_asset_desk_pay_in_one_transaction_too(world: World) -> None:
    royalties, payers = Stage(world), world.people
    patients = [payers.patient, payers.other_patient]
    study = royalties.open({str(who): 1 for who in patients})
    study.bring(10 * DUT)
    for who in patients:
        study.join(who)
    assert (
        bring(world, royalties.vault, [said(world, royalties.vault, who) for who in patients]) == 2
    )
    maker = opened(world)
    maker.join()
    maker.sell(maker.offer(), 10, payers.other_licensee)
    maker.collect()
    maker.claim()
    earners = [payers.patient, payers.other_custodian, payers.custodian]
    for who in earners:
        world.admit(who)
    assert bring(world, world.assets, [said(world, world.assets, who) for who in earners]) == 3


def test_refusals(world: World) -> None:
    relay = world.suite["PayoutRelay"]
    with reverts("payouts: nothing is brought"):
        relay.withdraw_many(world.market.address, [])
    one = said(world, world.market, world.people.patient)
    with reverts("payouts: no such contract"):
        relay.withdraw_many(world.people.stranger, [one])
