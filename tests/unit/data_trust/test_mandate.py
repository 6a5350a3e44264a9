"""R21: one signature mandates a trustee; without it nobody sells, and beside it nobody else does."""

from __future__ import annotations

import pytest
from support.desks import items
from support.trust import Trust, buy, mandate, offer
from support.world import CONSENT_FIELDS as FIELDS
from support.world import DAY, DUT, JAPAN, METERED, NONE, YEAR, pack, reverts, unpack

from medtoken.chain.words import GRAIN, OfferWord
from medtoken.merkle import Tree
from medtoken.vocabulary import AUCTION_ONLY, group_mask


def test_one_signature_is_the_mandate(office: Trust) -> None:
    consent = mandate(office)
    word = unpack(office.market.consent_word(consent.struct_hash()), FIELDS)
    assert word["share"] == 6_000
    assert word == unpack(
        pack(FIELDS, patient=int(consent.patient, 16), expiry=consent.expiry, share=6_000), FIELDS
    )
    assert consent.trustee == str(office.people.trustee)
    offer(office, consent, 60 * DUT)
    assert office.evm.event("OfferChanged") == {
        "consent": consent.struct_hash(),
        "record": NONE,
        "trustee": str(office.people.trustee),
        "price": 60 * DUT,
        "open": True,
    }
    assert office.offered(consent) == OfferWord(60 * DUT // GRAIN, said=True, open=True)


@pytest.mark.parametrize("share", [5_999, 6_001, 6_999, 0])
def test_no_other_share_is_a_mandate(office: Trust, share: int) -> None:
    with reverts("consent: share out of bounds"):
        mandate(office, patientShare=share)


def test_a_mandate_is_for_desks_alone(office: Trust) -> None:
    """Else a licensee would buy past the trustee, at no fee, and past platform and annotator."""
    with reverts("consent: share out of bounds"):
        mandate(office, licensees=group_mask(["pharma"]))
    with reverts("consent: sold by auction only"):
        office.buy(mandate(office))


def test_other_desks_do_not_sell_it(office: Trust) -> None:
    p, consent = office.people, mandate(office, expiry=office.now + 2 * YEAR)
    with reverts("auction: a trustee sells it"):
        office.open(office.offer(consent), consent)
    leaves = [(consent.records, consent)]
    terms = office.basket(leaves)
    office.reserve(terms, 1_000 * DUT)
    with reverts("basket: sold by auction only"):
        office.take(terms, items(leaves)[0])
    with reverts("research: sold by auction only"):
        office.research.buy(office.order(consent), consent.values(), [], DUT, sender=p.licensee)


def test_an_auctions_consent_is_no_mandate(office: Trust) -> None:
    """Whatever its nonce happens to be."""
    consent = mandate(office, patientShare=7_500)
    assert consent.trustee is None
    with reverts("trust: no mandate for it"):
        offer(office, consent)
    with reverts("trust: no mandate for it"):
        buy(office, consent)


def test_a_trustee_cannot_name_itself(office: Trust) -> None:
    p = office.people
    plain, others = office.granted(), mandate(office, trustee=p.relay)
    for consent in (plain, others):
        with reverts("trust: no mandate for it"):
            offer(office, consent)
    # Terms that the patient never signed: another nonce is another consent.
    forged = office.consent(
        plain.records,
        licensees=group_mask(["pharma"]) | AUCTION_ONLY,
        patientShare=6_000,
        nonce=int(p.trustee, 16),
    )
    with reverts("trust: no mandate for it"):
        offer(office, forged)
    with reverts("signature: not by its owner"):
        office.grant(forged, signer=p.trustee)


def test_zero_is_no_trustee(office: Trust) -> None:
    consent = mandate(office, trustee="0x" + "00" * 20)
    with reverts("trust: no account is named"):
        office.name_trustee("0x" + "00" * 20)
    with reverts("trust: trustee not accredited"):
        buy(office, consent)


def test_only_the_accreditation_role_names_trustees(office: Trust) -> None:
    p = office.people
    office.name_trustee(p.relay)
    assert office.trust.is_trustee(p.relay)
    assert office.evm.event("TrusteeChanged") == {"trustee": str(p.relay), "accredited": True}
    for who in (p.trustee, p.stranger, p.credentials):
        with reverts("access: caller may not do this"):
            office.trust.set_trustee(who, True, sender=who)
    assert not office.trust.is_trustee(p.stranger)


def test_one_that_was_barred_sells_nothing_more(office: Trust) -> None:
    consent = mandate(office)
    offer(office, consent)
    office.name_trustee(office.people.trustee, accredited=False)
    with reverts("trust: trustee not accredited"):
        buy(office, consent)
    with reverts("trust: trustee not accredited"):
        offer(office, consent)


def test_nothing_is_sold_until_it_is_offered(office: Trust) -> None:
    consent = mandate(office)
    with reverts("trust: the trustee offers it not"):
        buy(office, consent)
    offer(office, consent)
    buy(office, consent)
    offer(office, consent, open_=False)
    with reverts("trust: the trustee offers it not"):
        buy(office, consent)


def test_a_records_own_offer_goes_before(office: Trust) -> None:
    records = [office.record() for _ in range(3)]
    tree = Tree(records)
    consent = mandate(office, tree.root)
    offer(office, consent, 60 * DUT)
    offer(office, consent, 90 * DUT, record=records[1])
    offer(office, consent, record=records[2], open_=False)
    prices = []
    for n in range(2):
        buy(office, consent, record=records[n], proof=tree.proof(n))
        prices.append(office.evm.event("LicenceBought")["paid"])
    assert prices == [60 * DUT, 90 * DUT]
    with reverts("trust: the trustee offers it not"):
        buy(office, consent, record=records[2], proof=tree.proof(2))


@pytest.mark.parametrize("price", [1, GRAIN + 1, 2**64 * GRAIN, 2**256 - 1])
def test_a_price_is_in_grains_and_fits(office: Trust, price: int) -> None:
    consent = mandate(office)
    with reverts("trust: price out of range"):
        offer(office, consent, price)


def test_a_mandate_ends_with_its_consent(office: Trust) -> None:
    revoked, late = mandate(office), mandate(office, expiry=office.now + 30 * DAY)
    for consent in (revoked, late):
        offer(office, consent)
    office.revoke(revoked)
    office.evm.warp(30 * DAY)
    for consent, sentence in (
        (revoked, "consent: it was revoked"),
        (late, "consent: it has expired"),
    ):
        with reverts(sentence):
            offer(office, consent)
        with reverts(sentence):
            buy(office, consent)


def test_no_units_past_the_trustee(office: Trust) -> None:
    """A top-up would pay price and levy, and no trustee."""
    consent = mandate(office)
    offer(office, consent)
    ref = buy(office, consent, form=METERED, units=5)
    with reverts("licence: it takes no more units"):
        office.market.top_up(ref, 1, sender=office.people.licensee)


def test_the_bare_logic_is_locked(office: Trust) -> None:
    p = office.people
    at = [c.address for c in (office.market, office.registry, office.tariff, office.dut)]
    logic = office.evm.deploy(
        "DataTrust", p.deployer, office.manager.address, *at, sender=p.deployer
    )
    with reverts("initializer: done before"):
        logic.initialize(sender=p.deployer)
    with reverts("initializer: done before"):
        office.trust.initialize(sender=p.deployer)
    for missing in range(4):
        named = [*at[:missing], "0x" + "00" * 20, *at[missing + 1 :]]
        with reverts("links: a contract is missing"):
            office.evm.deploy(
                "DataTrust", p.deployer, office.manager.address, *named, sender=p.deployer
            )


def test_the_consents_region_counts(office: Trust) -> None:
    consent = mandate(office, region=JAPAN)
    offer(office, consent)
    with reverts("consent: region not covered"):
        buy(office, consent)
