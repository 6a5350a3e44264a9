"""A trust that lies (R21): sales without a mandate, fees that are not what the rule gives."""

from __future__ import annotations

import pytest
from support.histories import insert, named
from support.world import DUT

from medtoken.audit.rules import TRUST_SHARE
from medtoken.chain.words import GRAIN

OTHER = "0x" + "ab" * 20
WORD = b"\1" * 32


def test_the_story_leaves_what_the_rules_give(honest) -> None:
    ledger, world = honest.fold(honest.events), honest.world
    book = ledger.trust
    a_call = 51 * DUT * 15 // 100
    assert book.held == book.outstanding == 4 * a_call
    deposit = ledger.market.licensees[world.trust.address].deposit
    assert deposit == book.held + book.till.gifts > book.held
    assert book.taken == book.paid + book.returned + book.held == 9 * DUT + 7 * a_call
    assert [sale.done for sale in book.sales.values()] == [True, False]
    assert ledger.as_dict()["trust"]["trustees"] == [str(world.people.trustee)]
    assert honest.broken(honest.events) == {}


@pytest.mark.parametrize(
    ("event", "at", "change", "invariant", "rule", "text"),
    [
        ("LicenceTrusted", 0, {"fee": 1}, 2, "R21", "the trustee's part in the sale"),
        ("LicenceTrusted", 0, {"trustee": OTHER}, 4, "R21", "trustee of the sale"),
        ("LicenceTrusted", 0, {"licensee": OTHER}, 4, "R21", "licensee in the sale"),
        ("LicenceTrusted", 0, {"asked": 59 * DUT}, 2, "R21", "asked for the sale"),
        ("LicenceTrusted", 0, {"licence": WORD}, 4, "R21", "that was not bought of the trust"),
        ("OfferChanged", 0, {"open": False}, 4, "R21", "of what its trustee does not offer"),
        ("OfferChanged", 0, {"price": 60 * DUT + 1}, 7, "R21", "is uneven"),
        ("OfferChanged", 0, {"trustee": OTHER}, 4, "R21", "trustee of the offer"),
        ("OfferChanged", 0, {"price": 61 * DUT}, 2, "R21", "asked for the sale"),
        ("TrusteeChanged", 0, {"accredited": False}, 4, "R21", "that may not act"),
        ("TrusteePaid", 0, {"amount": 1}, 6, "R21", "trustee, amount, licensee and rest"),
        ("TrusteePaid", 0, {"trustee": OTHER}, 6, "R21", "trustee, amount, licensee and rest"),
        ("TrusteePaid", 0, {"returned": GRAIN}, 6, "R21", "trustee, amount, licensee and rest"),
        ("TrusteePaid", -1, {"returned": 0}, 6, "R21", "trustee, amount, licensee and rest"),
        ("TrusteePaid", 0, {"licence": WORD}, 6, "R21", "of no sale, or of one that is done"),
    ],
)
def test_a_lie_is_found(honest, event, at, change, invariant, rule, text) -> None:
    named(honest, honest.changed(honest.find(event, at), **change), invariant, rule, text)


def test_a_trustee_that_was_paid_twice(honest) -> None:
    at = honest.find("TrusteePaid", -1)
    named(honest, insert(honest.events, at, honest.events[at]), 6, "R21", "of one that is done")


def test_a_mandate_that_was_sold_past_its_trustee(honest) -> None:
    """And a trustee that sold what nobody mandated it with."""
    at = honest.find("LicenceTrusted")
    named(honest, honest.without(at), 4, "R12", "which does not say why")
    consents = [i for i, e in enumerate(honest.events) if e.event == "ConsentGranted"]
    mandated = [
        i for i in consents if honest.events[i].args["terms"]["patientShare"] == TRUST_SHARE
    ]
    terms = honest.events[mandated[0]].args["terms"]
    lie = honest.changed(mandated[0], terms=terms | {"patientShare": 7_500})
    named(honest, lie, 4, "R21", "without a mandate, or by somebody else")
    lie = honest.changed(mandated[0], terms=terms | {"licensees": 2})
    named(honest, lie, 2, "R8", "share in")


def test_a_platform_that_takes_its_part_of_a_trust(honest) -> None:
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "LicenceSettled" and e.args["gross"] and not e.args["platformAmount"]
    )
    args = honest.events[at].args
    ten = args["gross"] // 10
    lie = honest.changed(at, platformAmount=ten, patientAmount=args["patientAmount"] - ten)
    named(honest, lie, 2, "R15", "platform")
