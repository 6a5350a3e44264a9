"""R12, R13, R15: bought inside a consent, at its price with the levy on top, from a deposit."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from eth_utils import keccak
from support.world import (
    DAY,
    DUT,
    FIXED,
    METER_FIELDS,
    METERED,
    NONE,
    TERM_FIELDS,
    YEAR,
    World,
    pack,
    reverts,
)

from medtoken import vocabulary
from medtoken.deploy.plan import agreement_hash

NO_REASON = "the contract refused and gave no reason"
_salts = count(1)


# ---------------------------------------------------------------- what is stored and told


def test_a_metered_licence_is_one_word(world: World) -> None:
    consent = world.granted()
    before = world.deposit_of(world.people.licensee)
    ref = world.buy(consent, units=10)
    assert world.licence(ref) == pack(
        METER_FIELDS,
        price=50 * DUT // 10**9,
        end=world.now + 90 * DAY,
        epoch=1,
        flags=METERED,
        units=10,
        used=0,
        settled=0,
    )
    assert before - world.deposit_of(world.people.licensee) == 500 * DUT + 25 * DUT


def test_a_fixed_term_is_one_word(world: World) -> None:
    consent = world.granted()
    before = world.deposit_of(world.people.licensee)
    ref = world.buy(consent, form=FIXED)
    assert world.licence(ref) == pack(
        TERM_FIELDS,
        price=50 * DUT // 10**9,
        end=world.now + 90 * DAY,
        epoch=1,
        flags=FIXED,
        start=world.now,
        settled=world.now,
        rest=0,
    )
    assert before - world.deposit_of(world.people.licensee) == 50 * DUT + 5 * DUT // 2


@pytest.mark.parametrize(("form", "units", "paid"), [(FIXED, 0, 50 * DUT), (METERED, 7, 350 * DUT)])
def test_the_event_tells_all_that_an_auditor_needs(
    world: World, form: int, units: int, paid: int
) -> None:
    consent = world.granted()
    ref = world.buy(consent, form=form, units=units, salt=99, purposes=1 << 6 | 1 << 46 | 1 << 21)
    assert world.evm.events() == ["LicenceBought"]
    assert world.evm.event("LicenceBought") == {
        "licence": world.licence_id(ref),
        "consent": consent.struct_hash(),
        "licensee": world.people.licensee,
        "payer": world.people.licensee,
        "record": consent.records,
        "form": form,
        "price": 50 * DUT,
        "units": units,
        "end": world.now + 90 * DAY,
        "purposes": 1 << 6 | 1 << 46 | 1 << 21,
        "diseases": NONE,
        "urgent": False,
        "agreement": agreement_hash(),
        "salt": 99,
        "epoch": 1,
        "paid": paid,
        "levy": paid * 5 // 100,
    }


def test_its_id_is_the_hash_of_its_reference(world: World) -> None:
    ref = world.buy(world.granted(), salt=5)
    packed = ref["consent"] + ref["record"] + bytes(12) + bytes.fromhex(ref["licensee"][2:])
    assert world.evm.event("LicenceBought")["licence"] == keccak(packed + (5).to_bytes(32))


# ---------------------------------------------------------------- price (R13)


@pytest.mark.parametrize(
    ("kind", "dvi", "floor", "price"),
    [
        (1, 85, 0, 50 * DUT),
        (2, 85, 0, 10 * DUT),
        (3, 85, 0, 5 * DUT),
        (4, 85, 0, 20 * DUT),
        (1, 100, 0, 50 * DUT * 100 // 85 // 10**9 * 10**9),
        (1, 1, 0, 50 * DUT // 85 // 10**9 * 10**9),
        (1, 84, 50 * DUT, 50 * DUT),  # the floor is above the reference
        (1, 85, 50 * DUT + 10**9, 50 * DUT + 10**9),
        (1, 86, 50 * DUT, 50 * DUT * 86 // 85 // 10**9 * 10**9),  # and here below it
    ],
)
def test_the_price_is_the_reference_by_dvi_or_the_floor(
    world: World, kind: int, dvi: int, floor: int, price: int
) -> None:
    consent = world.granted(world.record(kind=kind, dvi=dvi), floorPrice=floor)
    assert world.quote(consent.records, floorPrice=floor)["price"] == price
    before = world.deposit_of(world.people.licensee)
    ref = world.buy(consent, units=1)
    assert price % 10**9 == 0
    assert world.meter(ref)["price"] * 10**9 == price
    assert before - world.deposit_of(world.people.licensee) == price + price // 20


@pytest.mark.parametrize(
    ("term", "years"),
    [(1, 1), (YEAR - 1, 1), (YEAR, 1), (YEAR + 1, 2), (2 * YEAR, 2), (2 * YEAR + 1, 3)],
)
def test_a_fixed_term_costs_one_unit_per_started_year(world: World, term: int, years: int) -> None:
    consent = world.granted(expiry=world.now + 5 * YEAR)
    ref = world.buy(consent, form=FIXED, end=world.now + term)
    assert world.term(ref)["price"] * 10**9 == years * 50 * DUT


@pytest.mark.parametrize("kind", [5, 6, 8])
def test_a_kind_without_a_reference_is_not_for_sale(world: World, kind: int) -> None:
    consent = world.granted(world.record(kind=kind))
    with reverts("licence: kind is not for sale"):
        world.buy(consent)


def test_a_price_above_the_buyers_limit_is_refused(world: World) -> None:
    consent = world.granted()
    with reverts("licence: price above the limit"):
        world.buy(consent, maxPrice=50 * DUT - 1)
    with reverts("licence: price above the limit"):
        world.buy(consent, maxPrice=0)
    assert world.buy(consent, maxPrice=50 * DUT)


def test_the_limit_protects_from_a_reference_that_rises_first(world: World) -> None:
    consent = world.granted()
    world.as_timelock(world.tariff, "set_reference", 1, 51 * DUT)
    with reverts("licence: price above the limit"):
        world.buy(consent, maxPrice=50 * DUT)


# ---------------------------------------------------------------- the levy and the deposit (R15)


def test_the_whole_deposit_can_be_spent_and_not_a_unit_more(world: World) -> None:
    licensee = world.people.licensee
    consent = world.granted()
    world.market.reclaim(world.deposit_of(licensee) - 525 * DUT, sender=licensee)
    with reverts("account: deposit is too small"):
        world.buy(consent, units=11)
    world.buy(consent, units=10)
    assert world.deposit_of(licensee) == 0
    with reverts("account: deposit is too small"):
        world.buy(consent, units=1, salt=1)


def test_one_base_unit_too_little_is_refused(world: World) -> None:
    licensee = world.people.licensee
    consent = world.granted()
    world.market.reclaim(world.deposit_of(licensee) - 525 * DUT + 1, sender=licensee)
    with reverts("account: deposit is too small"):
        world.buy(consent, units=10)


def test_buying_leaves_the_licensees_standing_as_it_was(world: World) -> None:
    licensee = world.people.licensee
    world.license(licensee, ["research", "pharma"], 158, int(vocabulary.LicenseeFlag.CERTIFIED))
    before = world.market.licensee_word(licensee) >> 128
    world.buy(world.granted())
    assert world.market.licensee_word(licensee) >> 128 == before


def test_a_deposit_is_spent_by_its_owner_only(world: World) -> None:
    consent = world.granted()
    stranger = world.people.stranger
    world.license(stranger)
    with reverts("account: deposit is too small"):
        world.buy(consent, sender=stranger)


# ---------------------------------------------------------------- the order itself (R12)


@pytest.mark.parametrize("agreement", [NONE, b"\1" * 32])
def test_the_agreement_in_force_must_be_signed(world: World, agreement: bytes) -> None:
    consent = world.granted()
    with reverts("licence: agreement not signed"):
        world.buy(consent, agreement=agreement)


def test_no_agreement_in_force_stops_every_purchase(world: World) -> None:
    consent = world.granted()
    world.as_timelock(world.market, "set_agreement", NONE)
    for agreement in (NONE, agreement_hash()):
        with reverts("licence: agreement not signed"):
            world.buy(consent, agreement=agreement)


def test_the_agreement_is_the_one_in_force_when_it_is_bought(world: World) -> None:
    consent = world.granted()
    world.as_timelock(world.market, "set_agreement", b"\2" * 32)
    with reverts("licence: agreement not signed"):
        world.buy(consent)
    assert world.buy(consent, agreement=b"\2" * 32)


@pytest.mark.parametrize("form", [0, 4, 2**16 + 1, 2**256 - 1])
def test_an_unknown_form_is_refused(world: World, form: int) -> None:
    with reverts("licence: unknown form"):
        world.buy(world.granted(), form=form)


@pytest.mark.parametrize("units", [0, 2**40, 2**64, 2**256 - 1])
def test_units_must_be_some_and_fit(world: World, units: int) -> None:
    with reverts("licence: units out of range"):
        world.buy(world.granted(), units=units)


@pytest.mark.parametrize("units", [1, 2**256 - 1])
def test_a_fixed_term_has_no_units(world: World, units: int) -> None:
    with reverts("licence: a term has no units"):
        world.buy(world.granted(), form=FIXED, units=units)


@pytest.mark.parametrize("form", [FIXED, METERED])
@pytest.mark.parametrize("ago", [0, 1, 10**9])
def test_a_term_without_length_is_refused(world: World, form: int, ago: int) -> None:
    with reverts("licence: the term has no length"):
        world.buy(world.granted(), form=form, end=world.now - ago)


@pytest.mark.parametrize("form", [FIXED, METERED])
def test_it_may_end_with_the_consent_and_no_later(world: World, form: int) -> None:
    consent = world.granted()
    with reverts("licence: outlives the consent"):
        world.buy(consent, form=form, end=consent.expiry + 1)
    assert world.buy(consent, form=form, end=consent.expiry)


@pytest.mark.parametrize("form", [FIXED, METERED])
@pytest.mark.parametrize("end", [2**40, 2**104, 2**256 - 1])
def test_an_end_over_40_bits_is_refused_with_its_reason(world: World, form: int, end: int) -> None:
    with reverts("licence: outlives the consent"):
        world.buy(world.granted(expiry=2**40 - 1), form=form, end=end)


def test_the_same_licence_is_not_bought_twice(world: World) -> None:
    consent = world.granted()
    world.buy(consent, salt=7)
    with reverts("licence: bought before"):
        world.buy(consent, salt=7)
    with reverts("licence: bought before"):
        world.buy(consent, salt=7, form=FIXED)
    assert world.buy(consent, salt=8)
    assert world.buy(consent, salt=7, sender=world.people.other_licensee)


def test_a_closed_licence_is_not_bought_again(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent, end=world.now + 10)
    world.evm.warp(10)
    world.settle(ref)
    with reverts("licence: bought before"):
        world.buy(consent)


# ---------------------------------------------------------------- the consent (R9)


def test_terms_that_nobody_granted_are_refused(world: World) -> None:
    consent = world.consent(world.record())
    with reverts("consent: unknown consent"):
        world.buy(consent)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("purposes", 2**256 - 1),
        ("licensees", 2**256 - 1),
        ("floorPrice", 0),
        ("patientShare", 7_000),
        ("tier", 3),
        ("expiry", 2**40 - 1),
        ("region", 1),
        ("nonce", 0),
    ],
)
def test_terms_changed_by_the_buyer_are_another_consent(
    world: World, field: str, value: Any
) -> None:
    consent = world.granted()
    forged = consent.values() | {field: value}
    with reverts("consent: unknown consent"):
        world.market.buy_licence(world.order(consent), forged, [], sender=world.people.licensee)


def test_a_revoked_consent_sells_nothing(world: World) -> None:
    consent = world.granted()
    world.revoke(consent)
    with reverts("consent: it was revoked"):
        world.buy(consent)


def test_an_expired_consent_sells_nothing_from_its_second_on(world: World) -> None:
    consent = world.granted(expiry=world.now + 100)
    world.evm.warp(99)
    assert world.buy(consent, end=consent.expiry)
    world.evm.warp(1)
    with reverts("consent: it has expired"):
        world.buy(consent, end=world.now + 1, salt=1)


def test_a_record_outside_the_consent_is_refused(world: World) -> None:
    consent, other = world.granted(), world.record()
    with reverts("consent: record not covered"):
        world.buy(consent, record=other)


def test_a_record_of_somebody_else_is_not_covered_by_my_consent(world: World) -> None:
    theirs = world.record(owner=str(world.people.other_patient))
    consent = world.granted(theirs)
    with reverts("consent: not by record's owner"):
        world.buy(consent)


def test_only_the_credential_groups_named_may_buy(world: World) -> None:
    consent = world.granted(licensees=vocabulary.group_mask(["research"]))
    with reverts("consent: licensee not covered"):
        world.buy(consent)
    world.license(world.people.licensee, ["insurer", "research"])
    assert world.buy(consent)


def test_a_stranger_without_a_credential_cannot_buy(world: World) -> None:
    people = world.people
    consent = world.granted(licensees=2**256 - 1, region=1)
    world.market.deposit(people.stranger, 1000 * DUT, sender=people.licensee)
    for who in (people.stranger, people.operator, people.custodian, people.patient):
        with reverts("consent: licensee not covered"):
            world.buy(consent, sender=who)


def test_groups_above_the_96_that_exist_are_held_by_nobody(world: World) -> None:
    consent = world.granted(licensees=(2**256 - 1) ^ (2**96 - 1))
    world.market.set_licensee(
        world.people.licensee, 2**96 - 1, 999, 2, sender=world.people.credentials
    )
    with reverts("consent: licensee not covered"):
        world.buy(consent)


def test_the_region_of_the_licensee_must_be_the_consents(world: World) -> None:
    consent = world.granted()
    world.license(world.people.licensee, region=392)
    with reverts("consent: region not covered"):
        world.buy(consent)


def test_a_consent_for_the_world_covers_every_region_and_none_is_no_region(world: World) -> None:
    consent = world.granted(region=vocabulary.REGIONS["WORLD"][0])
    world.license(world.people.licensee, region=392)
    assert world.buy(consent)
    world.license(world.people.licensee, region=0)
    with reverts("consent: region not covered"):
        world.buy(consent, salt=1)


def test_a_licensee_of_the_world_is_not_in_every_region(world: World) -> None:
    world.license(world.people.licensee, region=1)
    with reverts("consent: region not covered"):
        world.buy(world.granted())


def test_a_frozen_licensee_cannot_buy_and_keeps_its_deposit(world: World) -> None:
    licensee = world.people.licensee
    consent = world.granted()
    deposit = world.deposit_of(licensee)
    world.license(licensee, flags=int(vocabulary.LicenseeFlag.FROZEN))
    with reverts("licence: the licensee is frozen"):
        world.buy(consent)
    assert world.deposit_of(licensee) == deposit
    world.license(licensee)
    assert world.buy(consent)


@pytest.mark.parametrize(("covered", "tier"), [(1, 1), (2, 1), (2, 2)])
def test_a_tier_up_to_the_consents_is_covered(world: World, covered: int, tier: int) -> None:
    assert world.buy(world.granted(world.record(tier=tier), tier=covered))


@pytest.mark.parametrize(("covered", "tier"), [(1, 2), (1, 3), (2, 3)])
def test_a_tier_above_the_consents_is_not(world: World, covered: int, tier: int) -> None:
    consent = world.granted(world.record(tier=tier), tier=covered)
    with reverts("consent: tier not covered"):
        world.buy(consent)


@pytest.mark.parametrize("covered", [3, 4, 2**256 - 1])
@pytest.mark.parametrize("tier", [1, 2, 3])
def test_without_the_patients_passkey_nobody_buys(world: World, covered: int, tier: int) -> None:
    """R10: also for a record of a lower tier, when the patient wants it so."""
    consent = world.granted(world.record(tier=tier), tier=covered)
    with reverts("licence: patient's passkey needed"):
        world.buy(consent)


# ---------------------------------------------------------------- the record (R6, R7)


def test_an_unattested_record_is_not_sold(world: World) -> None:
    consent = world.granted(world.register())
    with reverts("licence: record is not attested"):
        world.buy(consent)


def test_an_unknown_record_is_not_sold(world: World) -> None:
    consent = world.granted(world.fresh())
    with reverts("licence: record is not attested"):
        world.buy(consent)


def test_a_superseded_record_is_not_sold_and_old_licences_run_on(world: World) -> None:
    record = world.record()
    consent = world.granted(record)
    ref = world.buy(consent)
    world.record(previous=record)
    with reverts("licence: record is not attested"):
        world.buy(consent, salt=1)
    world.use(ref, 10)
    world.settle(ref)
    assert world.earned(world.people.patient) == 10 * 50 * DUT * 6 // 10 * 7 // 8


# ---------------------------------------------------------------- sets of records


def _tree(leaves: list[bytes]) -> tuple[bytes, list[list[bytes]]]:
    """Root and proofs of a Merkle tree with sorted pairs over a power of two of leaves."""
    proofs: list[list[bytes]] = [[] for _ in leaves]
    level = list(leaves)
    width = 1
    while len(level) > 1:
        for i in range(len(leaves)):
            proofs[i].append(level[i // width ^ 1])
        level = [keccak(b"".join(sorted(level[i : i + 2]))) for i in range(0, len(level), 2)]
        width *= 2
    return level[0], proofs


def test_each_record_of_a_set_is_bought_with_its_proof(world: World) -> None:
    records = [world.record() for _ in range(8)]
    root, proofs = _tree(records)
    consent = world.granted(root)
    for record, proof in zip(records, proofs, strict=True):
        assert world.buy(consent, record=record, proof=proof)


def test_a_record_that_is_not_in_the_set_has_no_proof(world: World) -> None:
    records = [world.record() for _ in range(4)]
    root, proofs = _tree(records)
    consent = world.granted(root)
    outside = world.record()
    wrong: list[tuple[bytes, list[bytes]]] = [
        (outside, proofs[0]),
        (records[1], proofs[0][::-1]),
        (records[0], proofs[2]),
        (records[0], []),
        (records[0], proofs[0][:1]),
        (records[0], [*proofs[0], NONE]),
        (records[0], [NONE] * 32),
    ]
    for record, proof in wrong:
        with reverts("consent: record not covered"):
            world.buy(consent, record=record, proof=proof)


def test_an_inner_node_of_the_set_is_no_record(world: World) -> None:
    records = [world.record() for _ in range(4)]
    root, proofs = _tree(records)
    consent = world.granted(root)
    node = proofs[2][1]  # over the first two records
    with reverts("licence: record is not attested"):
        world.buy(consent, record=node, proof=[proofs[0][1]])
    with reverts("licence: record is not attested"):
        world.buy(consent, record=root)


def test_a_set_with_a_record_of_somebody_else_sells_only_ones_own(world: World) -> None:
    mine, theirs = world.record(), world.record(owner=str(world.people.other_patient))
    root, proofs = _tree([mine, theirs])
    consent = world.granted(root)
    assert world.buy(consent, record=mine, proof=proofs[0])
    with reverts("consent: not by record's owner"):
        world.buy(consent, record=theirs, proof=proofs[1])


def test_33_levels_are_refused(world: World) -> None:
    consent = world.granted()
    with reverts(NO_REASON):
        world.buy(consent, proof=[NONE] * 33)


# ---------------------------------------------------------------- pause, and the edges of the word


def test_a_paused_market_sells_nothing(world: World) -> None:
    consent = world.granted()
    world.market.pause(sender=world.people.guardian)
    with reverts("market: paused"):
        world.buy(consent)
    world.as_timelock(world.market, "unpause")
    assert world.buy(consent)


def _rich(world: World, amount: int) -> None:
    people = world.people
    world.as_timelock(world.dut, "setCap", 10**30)
    for _ in range(-(-amount // 9 * 10 // 10**30) + 1):
        world.evm.warp(DAY)
        world.fund(people.licensee, 10**30)
        world.market.deposit(people.licensee, 10**30, sender=people.licensee)


def test_the_largest_price_fills_its_64_bits_and_no_more(world: World) -> None:
    top = (2**64 - 1) * 10**9
    _rich(world, 3 * top)
    consent = world.granted(floorPrice=top, expiry=world.now + 4 * YEAR)
    ref = world.buy(consent, form=FIXED, end=world.now + YEAR)
    assert world.term(ref)["price"] == 2**64 - 1
    assert world.term(ref)["end"] == world.now + YEAR
    with reverts("licence: price out of range"):
        world.buy(consent, form=FIXED, end=world.now + YEAR + 1, salt=1)


def test_the_most_units_fill_their_40_bits_and_no_more(world: World) -> None:
    world.as_timelock(world.tariff, "set_reference", 1, 85 * 10**9)
    consent = world.granted(world.record(dvi=1), floorPrice=0)
    _rich(world, 2**40 * 10**9)
    ref = world.buy(consent, units=2**40 - 1)
    assert world.meter(ref) == {
        "price": 1,
        "end": world.now + 90 * DAY,
        "epoch": 1,
        "flags": METERED,
        "units": 2**40 - 1,
        "used": 0,
        "settled": 0,
    }
    world.use(ref, 2**40 - 1)
    assert world.meter(ref)["used"] == 2**40 - 1
    world.settle(ref)
    assert world.meter(ref)["settled"] == 2**40 - 1
    with reverts("licence: too few units prepaid"):
        world.use(ref)


def test_a_salt_of_all_ones_names_a_licence_like_any_other(world: World) -> None:
    ref = world.buy(world.granted(), salt=2**256 - 1)
    world.use(ref)
    assert world.meter(ref)["used"] == 1


def test_nobody_gets_a_licence_for_nothing(world: World) -> None:
    """R13: the lowest reference at the lowest DVI is still a price."""
    world.as_timelock(world.tariff, "set_reference", 1, 85 * 10**9)
    consent = world.granted(world.record(dvi=1), floorPrice=0)
    ref = world.buy(consent)
    assert world.meter(ref)["price"] == 1


def test_a_licensee_whom_sanctions_froze_cannot_spend_its_deposit(world: World) -> None:
    """R2: or it pays a friend, through a record of that friend, out of a deposit made before."""
    people = world.people
    consent = world.granted()
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts("licence: the licensee is frozen"):
        world.buy(consent)
