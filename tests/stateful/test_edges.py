"""Stories that the machine seldom tells by itself: the largest amounts, a supply of nothing, and
whether what the tests look for would be seen.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from stateful.chain import cast
from stateful.model import (
    DAY,
    FIXED,
    GRAIN,
    METERED,
    NONE,
    TOKEN,
    UNLIMITED,
    Proof,
    Ref,
)
from stateful.pair import EVERYBODY, REFUSED, UNSIGNED, Pair, scene

from medtoken.messages import Revocation, Voucher

PHARMA, RELAY = cast("pharma"), cast("relay")


@pytest.fixture
def pair() -> Iterator[Pair]:
    start = scene()
    with start.chain.evm.anchor():
        shared = [*EVERYBODY, *start.accounts, start.chain]
        yield copy.deepcopy(start, {id(thing): thing for thing in shared})


def buy(pair: Pair, terms: Any, form: int, units: int, end: int, key: int = 0) -> Ref:
    """Pharma buys the record that a consent names alone."""
    order = pair.order(terms.records, form, units, end)
    order["salt"] += key
    licence = pair.market(PHARMA, "buy_licence", order, terms, Proof())
    ref = Ref(terms.struct_hash(), terms.records, str(PHARMA), order["salt"])
    assert licence == ref.id
    return ref


def use(pair: Pair, ref: Ref, units: int) -> Any:
    return pair.market(PHARMA, "use_licence", ref.consent, ref.record, ref.salt, units)


def granted(pair: Pair, **changes: Any) -> Any:
    """Bob's consent to his record alone."""
    record = pair.facts.consents[1].records
    terms = pair.terms(cast("bob"), record, changes)
    pair.grant(terms)
    return terms


def rich(pair: Pair) -> None:
    """A day's largest issue, all of it deposited."""
    pair.decide("UsageToken", "setCap", 10**30)
    pair.warp(DAY)
    pair.office("exchange", "UsageToken", "issue", PHARMA, 10**30, NONE)
    pair.market(PHARMA, "deposit", PHARMA, 10**30)


def test_the_highest_price_is_paid_and_split_to_the_base_unit(pair: Pair) -> None:
    rich(pair)
    highest = (2**64 - 1) * GRAIN
    terms = granted(pair, floorPrice=highest)
    ref = buy(pair, terms, METERED, 50, pair.now + DAY)
    term = buy(pair, terms, FIXED, 0, pair.now + 1)
    pair.warp(1)
    use(pair, ref, 50)
    pair.market(RELAY, "settle", [term, ref])
    assert pair.model.market.licences[ref].settled == 50 * highest
    assert pair.model.market.licences[term].settled == highest


def test_the_most_units_are_prepaid_used_and_settled_one_by_one_at_the_end(pair: Pair) -> None:
    rich(pair)
    most = 2**40 - 1
    pair.decide("Tariff", "set_reference", 4, 85 * GRAIN)
    terms = granted(pair)
    ref = buy(pair, terms, METERED, most - 1, pair.now + DAY)
    assert pair.market(PHARMA, "top_up", ref, 2) is REFUSED
    pair.market(PHARMA, "top_up", ref, 1)
    use(pair, ref, most - 1)
    pair.market(RELAY, "settle", [ref])
    use(pair, ref, 1)
    assert use(pair, ref, 1) is REFUSED
    pair.warp(DAY)
    pair.market(RELAY, "settle", [ref])
    found = pair.model.market.licences[ref]
    assert (found.used, found.refund, found.held) == (most, 0, 0)


def test_the_longest_term_earns_to_its_last_second(pair: Pair) -> None:
    rich(pair)
    pair.decide("Tariff", "set_reference", 4, 85 * GRAIN)
    terms = granted(pair, expiry=2**40 - 1)
    ref = buy(pair, terms, FIXED, 0, 2**40 - 1)
    for moment in (2**39, 2**40 - 2, 2**40 - 1):
        pair.warp(moment - pair.now)
        pair.market(RELAY, "settle", [ref])
    found = pair.model.market.licences[ref]
    assert found.closed
    assert found.settled == found.paid


def test_a_supply_of_nothing_begins_again(pair: Pair) -> None:
    pair.decide("Treasury", "set_ceiling", 0)
    pair.decide("Treasury", "set_burn_share", 10_000)
    ref = buy(pair, pair.facts.consents[1], METERED, 10, pair.now + DAY)
    use(pair, ref, 10)
    pair.market(RELAY, "settle", [ref])
    pay_out(pair)
    assert pair.model.dut.supply == 0
    pair.office("exchange", "UsageToken", "issue", PHARMA, TOKEN * 1000, NONE)
    pair.market(PHARMA, "deposit", PHARMA, TOKEN * 1000)
    again = buy(pair, pair.facts.consents[1], METERED, 1, pair.now + DAY)
    use(pair, again, 1)
    pair.market(RELAY, "settle", [again])
    assert pair.model.dut.supply == TOKEN * 1000 - pair.model.market.licences[again].settled_levy


def pay_out(pair: Pair) -> None:
    """Everybody takes all, and the exchange redeems it."""
    market, exchange = pair.model.market, cast("exchange")
    for who in EVERYBODY:
        earned = market.earners[who].earned
        if earned:
            pair.market(who, "withdraw", who, who, earned, UNLIMITED, UNSIGNED)
    for account, licensee in list(market.licensees.items()):
        if licensee.deposit:
            pair.market(account, "reclaim", licensee.deposit)
    for account, held in list(pair.model.dut.balances.items()):
        if held and account != exchange:
            pair.do(account, "UsageToken", "transfer", exchange, held)
    pair.do(exchange, "UsageToken", "redeem", pair.model.dut.balances[exchange], NONE)


def test_vouchers_count_to_the_last_second_of_their_window(pair: Pair) -> None:
    meter, market = cast("meter"), pair.model.market
    terms = pair.facts.consents[1]
    refs = [buy(pair, terms, METERED, 10, pair.now + DAY, int(meter, 16)) for _ in range(2)]
    start = pair.now
    pair.warp(3600)
    revocation = pair.sign(terms.patient, Revocation(refs[0].consent))
    pair.market(RELAY, "revoke_consent", refs[0].consent, revocation)
    pair.warp(market.window)

    def voucher(ref: Ref, units: int, time: int) -> dict[str, Any]:
        signature = pair.sign(meter, Voucher(ref.id, units, time))
        return {"ref": ref, "units": units, "time": time, "signature": signature}

    after = voucher(refs[0], 9, start + 3601)
    assert pair.market(RELAY, "redeem_vouchers", [after]) is REFUSED
    last = voucher(refs[0], 7, start + 3600)
    pair.market(RELAY, "redeem_vouchers", [last, last])
    pair.market(RELAY, "settle", refs)
    assert not any(market.licences[ref].closed for ref in refs)
    pair.warp(1)
    assert pair.market(RELAY, "redeem_vouchers", [voucher(refs[1], 7, start)]) is REFUSED
    pair.market(RELAY, "settle", refs)
    assert [market.licences[ref].used for ref in refs] == [7, 0]
    assert all(market.licences[ref].closed for ref in refs)


def test_earnings_given_to_the_treasury_disturb_no_audit(pair: Pair) -> None:
    ref = buy(pair, pair.facts.consents[1], METERED, 1, pair.now + DAY)
    use(pair, ref, 1)
    pair.market(RELAY, "settle", [ref])
    bob, treasury = cast("bob"), pair.model.treasury.address
    pair.market(bob, "withdraw", bob, treasury, GRAIN, pair.now, UNSIGNED)
    assert pair.chain.audit().holds


# ------------------------------------------------------------------ would it be seen?

VIEWS = {
    ("UsageToken", "balanceOf"),
    ("UsageToken", "totalSupply"),
    ("Treasury", "books"),
    ("DataMarket", "licensee_word"),
    ("DataMarket", "earnings_word"),
    ("DataMarket", "licence_word"),
    ("DataMarket", "consent_word"),
    ("RecordRegistry", "facts"),
}


def test_every_invariant_of_the_state_is_really_looked_at(pair: Pair) -> None:
    """A state with any one of these views off by one is found out, without the model's help."""
    ref = buy(pair, pair.facts.consents[1], METERED, 10, pair.now + DAY)
    done = buy(pair, pair.facts.consents[1], METERED, 10, pair.now + 1)
    for one in (ref, done):
        use(pair, one, 4)
    pair.warp(1)
    pair.market(RELAY, "settle", [ref, done])
    for key, answer in list(pair.witness.state.items()):
        if key[:2] not in VIEWS:
            continue
        wrong = (answer[0] + 1, *answer[1:]) if isinstance(answer, tuple) else answer + 1
        witness = copy.deepcopy(pair.witness, {id(one): one for one in EVERYBODY})
        with pytest.raises(AssertionError, match=r"I\d+:"):
            witness.step("nothing", [], witness.state | {key: wrong}, pair.now, {})
        with pytest.raises(AssertionError, match="I16"):
            pair.witness.refused(pair.witness.state | {key: wrong})


def test_a_model_that_is_wrong_is_noticed(pair: Pair) -> None:
    pair.model.market.licensees[PHARMA].deposit += 1
    with pytest.raises(AssertionError, match=r"I7: .*licensee_word"):
        pair.check("nothing", refused=True)


def test_a_refusal_that_the_model_does_not_know_is_noticed(pair: Pair) -> None:
    pair.model.market.paused = True
    with pytest.raises(AssertionError, match="the chain does it, the model refuses"):
        pair.market(PHARMA, "deposit", PHARMA, 1)
    pair.model.market.paused = False
    pair.model.dut.balances[PHARMA] += 1
    with pytest.raises(AssertionError, match="the chain refuses: ERC20InsufficientBalance"):
        pair.market(PHARMA, "deposit", PHARMA, pair.model.dut.balances[PHARMA])


def test_a_sentence_that_the_model_does_not_give_is_noticed(pair: Pair) -> None:
    pair.chain.call(cast("sanctions"), "UsageToken", "setFrozen", PHARMA, True)
    with pytest.raises(AssertionError, match="the chain says 'DUT: the account is frozen'"):
        pair.do(PHARMA, "UsageToken", "transfer", RELAY, UNLIMITED)
