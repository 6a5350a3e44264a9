"""R4: RT pays a share of a licence's price out of the reserve's budget; payees and levy are as always."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.desks import CERTIFIED
from support.research import Research
from support.world import DAY, DUT, FIXED, JAPAN, RENTAL, TAIWAN, YEAR, reverts

from medtoken.chain.words import GRAIN, SupportWord
from medtoken.deploy.roles import Role
from medtoken.vocabulary import AUCTION_ONLY, group_mask

# 10 calls at 50 DUT, of which RT pays 15 %.
PRICE, LEVY, MOST = 500 * DUT, 25 * DUT, 75 * DUT


@pytest.fixture
def rich(lab: Research) -> Research:
    """The licensee holds 1,000 RT."""
    lab.reward()
    return lab


def test_rt_is_burned_and_the_budgets_dut_set_aside(rich: Research) -> None:
    lab, licensee, desk = rich, rich.people.licensee, rich.research.address
    consent = lab.granted()
    deposit, supply = lab.deposit_of(licensee), lab.dut.totalSupply()
    reserve, available = lab.reserve_left(), lab.available()
    ref = lab.buy_with(consent, MOST)
    licence = lab.licence_id(ref)
    assert lab.evm.event("LicenceSupported") == {
        "licence": licence,
        "licensee": str(licensee),
        "amount": MOST,
    }
    bought = lab.evm.event("LicenceBought")
    assert (bought["paid"], bought["levy"], bought["payer"]) == (PRICE, LEVY, desk)
    assert lab.deposit_of(licensee) == deposit - PRICE - LEVY
    assert lab.rt.balanceOf(licensee) == lab.rt.totalSupply() == 1_000 * DUT - MOST
    assert lab.reserve_left() == lab.available() == reserve - MOST == available - MOST
    assert lab.deposit_of(desk) == MOST
    assert lab.dut.balanceOf(desk) == 0
    assert lab.dut.totalSupply() == supply
    assert lab.support(ref) == SupportWord(amount=MOST // GRAIN, units=10)


def test_the_licence_is_the_one_that_the_market_sells(rich: Research) -> None:
    """Same price, rates, units and end; only the support is beside it."""
    lab, consent = rich, rich.granted()
    plain = lab.buy(consent)
    ref = lab.buy_with(consent, MOST)
    assert lab.sold(ref) == lab.sold(plain)
    lab.use(ref, 3)
    earned = lab.earned(lab.people.patient)
    lab.settle(ref)
    assert lab.earned(lab.people.patient) - earned == 150 * DUT * 70 * 75 // 10_000


@pytest.mark.parametrize(
    ("form", "days", "price"),
    [(FIXED, 90, 50), (FIXED, 364, 50), (RENTAL, 90, 15)],
)
def test_terms_and_rentals(rich: Research, form: int, days: int, price: int) -> None:
    """A rental costs 30 % of a year's price."""
    lab, consent = rich, rich.granted(floorPrice=0)
    most = price * DUT * 15 // 100
    with reverts("research: more than its share"):
        lab.buy_with(consent, most + GRAIN, form=form, end=lab.now + days * DAY)
    ref = lab.buy_with(consent, most, form=form, end=lab.now + days * DAY)
    assert lab.support(ref) == SupportWord(amount=most // GRAIN)


def test_a_desk_sells_no_rental_below_a_years_floor(rich: Research) -> None:
    """The market takes a desk's price as a year's; such a rental is bought without RT."""
    consent = rich.granted(floorPrice=50 * DUT)
    with reverts("licence: price below the floor"):
        rich.buy_with(consent, DUT, form=RENTAL)
    rich.buy(consent, form=RENTAL)


def test_two_started_years_and_every_factor_of_the_price(rich: Research) -> None:
    """R13: in region 1.3, certified compliant −15 %."""
    lab = rich
    record = lab.record(region=TAIWAN)
    consent = lab.granted(record, expiry=lab.now + 2 * YEAR, floorPrice=0)
    lab.license(lab.people.licensee, flags=CERTIFIED)
    paid = 2 * 50 * DUT * 130 * 85 // 10_000
    ref = lab.buy_with(consent, paid * 15 // 100, form=FIXED, end=lab.now + YEAR + DAY)
    assert lab.evm.event("LicenceBought")["paid"] == paid
    with reverts("research: more than its share"):
        lab.buy_with(consent, paid * 15 // 100 + GRAIN, form=FIXED, end=lab.now + YEAR + DAY)
    assert lab.support(ref).amount == paid * 15 // 100 // GRAIN


def test_a_set_of_records_by_proof(rich: Research) -> None:
    lab, records = rich, [rich.record(), rich.record()]
    root = keccak(b"".join(sorted(records)))
    ref = lab.buy_with(lab.granted(root), DUT, record=records[0], proof=[records[1]])
    assert lab.support(ref).amount == DUT // GRAIN


@pytest.mark.parametrize("amount", [0, 1, GRAIN - 1, DUT + 1])
def test_amounts_off_the_grain_are_refused(rich: Research, amount: int) -> None:
    with reverts("research: amount out of range"):
        rich.buy_with(rich.granted(), amount)


def test_the_least_amount(rich: Research) -> None:
    ref = rich.buy_with(rich.granted(), GRAIN)
    assert rich.support(ref).amount == 1


def test_more_than_its_share_of_the_price_is_refused(rich: Research) -> None:
    with reverts("research: more than its share"):
        rich.buy_with(rich.granted(), MOST + GRAIN)
    rich.as_timelock(rich.research, "set_share", 5_000)
    with reverts("research: more than its share"):
        rich.buy_with(rich.granted(), PRICE // 2 + GRAIN)
    rich.buy_with(rich.granted(), PRICE // 2)


def test_an_empty_budget_refuses_the_purchase(rich: Research) -> None:
    """R4: and nothing else happens, the licence is not bought at its full price."""
    lab, licensee = rich, rich.people.licensee
    lab.budget(MOST)
    lab.buy_with(lab.granted(), MOST)
    before = lab.deposit_of(licensee), lab.rt.balanceOf(licensee)
    with reverts("treasury: the budget is too small"):
        lab.buy_with(lab.granted(), GRAIN)
    assert (lab.deposit_of(licensee), lab.rt.balanceOf(licensee)) == before
    lab.evm.warp(90 * DAY)  # another period
    lab.buy_with(lab.granted(), MOST)


def test_a_stale_budget_refuses(rich: Research) -> None:
    rich.budget(MOST, period=DAY, length=DAY)
    rich.evm.warp(DAY)
    with reverts("treasury: no budget for this"):
        rich.buy_with(rich.granted(), MOST)


def test_an_empty_reserve_refuses(lab: Research) -> None:
    lab.reward(kind=3)
    lab.as_timelock(lab.research, "set_share", 5_000)
    lab.budget(100_000 * DUT)
    lab.buy_with(lab.granted(), 9_000 * DUT, units=400)
    with reverts("treasury: the reserve is too small"):
        lab.buy_with(lab.granted(), 1_000 * DUT + GRAIN, units=400, sender=_other(lab))


def _other(lab: Research) -> str:
    other = lab.people.other_licensee
    lab.reward(kind=2, sender=other)
    return other


def test_rt_that_one_does_not_hold_is_refused(lab: Research) -> None:
    licensee = lab.people.licensee
    with reverts(f"ERC20InsufficientBalance({licensee}, 0, {MOST})"):
        lab.buy_with(lab.granted(), MOST)


def test_the_whole_price_must_be_in_the_deposit(rich: Research) -> None:
    """So that what comes back of a revoked licence is the licensee's own."""
    lab, licensee = rich, rich.people.licensee
    lab.market.reclaim(lab.deposit_of(licensee) - PRICE - LEVY + 1, sender=licensee)
    with reverts("account: deposit is too small"):
        lab.buy_with(lab.granted(), MOST)


def test_what_is_sold_by_auction_only_is_not_sold_here(rich: Research) -> None:
    consent = rich.granted(licensees=group_mask(["pharma"]) | AUCTION_ONLY)
    with reverts("research: sold by auction only"):
        rich.buy_with(consent, MOST)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"purposes": 1 << 42}, "consent: purpose not covered"),
        ({"agreement": b"\1" * 32}, "licence: agreement not signed"),
        ({"maxPrice": 49 * DUT}, "licence: price above the limit"),
        ({"end": 1}, "licence: the term has no length"),
        ({"units": 0}, "licence: units out of range"),
        ({"form": 0}, "licence: unknown form"),
        ({"form": FIXED, "units": 1}, "licence: a term has no units"),
    ],
)
def test_the_market_refuses_what_it_always_does(
    rich: Research, changes: dict[str, int], sentence: str
) -> None:
    """R9, R12: the desk sells nothing that a licensee could not buy itself."""
    with reverts(sentence):
        rich.buy_with(rich.granted(), MOST, **changes)


def test_consents_and_standing_count(rich: Research) -> None:
    lab, people = rich, rich.people
    revoked = lab.granted()
    lab.revoke(revoked)
    with reverts("consent: it was revoked"):
        lab.buy_with(revoked, MOST)
    consent = lab.granted()
    lab.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts("licence: the licensee is frozen"):
        lab.buy_with(consent, MOST)
    lab.dut.setFrozen(people.licensee, False, sender=people.sanctions)
    lab.license(people.licensee, region=JAPAN)
    with reverts("consent: region not covered"):
        lab.buy_with(consent, MOST)


def test_a_record_that_nobody_attested_is_not_sold(rich: Research) -> None:
    consent = rich.consent(rich.register())
    rich.grant(consent)
    with reverts("licence: price out of range"):
        rich.buy_with(consent, MOST)


def test_a_pause_stops_it(rich: Research) -> None:
    consent = rich.granted()
    rich.pause()
    with reverts("market: paused"):
        rich.buy_with(consent, MOST)


def test_a_licence_is_bought_once(rich: Research) -> None:
    consent = rich.granted()
    rich.buy_with(consent, DUT, salt=5)
    with reverts("licence: bought before"):
        rich.buy_with(consent, DUT, salt=5)


def test_a_desk_without_its_role_sells_nothing(rich: Research) -> None:
    lab = rich
    lab.as_timelock(lab.manager, "revokeRole", int(Role.DESK), lab.research.address)
    with reverts("access: caller may not do this"):
        lab.buy_with(lab.granted(), MOST)
