"""R9, R12: when an order's purpose lies inside a consent's, by the Data Use Ontology (DUO).

The model here is written from DUO's own words, code by code, and knows nothing of the bit tricks of
``purposes.vy``: a permission covers itself and what is narrower, every modifier must be undertaken.
"""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.world import NONE, World, reverts

NRES, HMB, DS, POA, GRU = 4, 6, 7, 11, 42
PERMISSIONS = (NRES, HMB, DS, POA, GRU)
MODIFIERS = (12, 15, 16, 18, 19, 20, 21, 22, 24, 25, 26, 27, 28, 29, 43, 45, 46)
UNKNOWN = (0, 1, 5, 8, 41, 44, 47, 99, 255)
ASTHMA, DIABETES = b"\xa5" * 32, b"\xd1" * 32

# What somebody may ask for under a permission, with the disease of DS left aside.
COVERS = {
    NRES: {HMB, DS, POA, GRU},
    GRU: {HMB, DS, POA, GRU},  # general research is any research, ancestry included
    HMB: {HMB, DS},  # health, medical and biomedical; excludes ancestry
    DS: {DS},
    POA: {POA},
}


def permits(given_codes: set[int], disease: bytes, asked_codes: set[int], studied: bytes) -> bool:
    """Whether a consent to ``given_codes`` covers an order for ``asked_codes``."""
    wanted = asked_codes & set(PERMISSIONS)
    if len(wanted) != 1:
        return False
    (purpose,) = wanted
    for code in given_codes - set(PERMISSIONS):
        if code not in asked_codes:
            return False
    if purpose == DS and studied == NONE:
        return False
    for permission in given_codes & set(PERMISSIONS):
        if purpose in COVERS[permission] and (permission != DS or disease == studied):
            return True
    return False


def bits(codes: set[int]) -> int:
    return sum(1 << code for code in codes)


class Desk:
    """Asks the market whether an order passes, and changes nothing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.record = world.record()

    def passes(
        self, given_codes: set[int], disease: bytes, asked: set[int], studied: bytes
    ) -> bool:
        world = self.world
        with world.evm.anchor():
            consent = world.consent(self.record, purposes=bits(given_codes), diseases=disease)
            world.market.grant_consent(consent.values(), b"", sender=world.people.patient)
            order = {"purposes": bits(asked), "diseases": studied}
            if permits(given_codes, disease, asked, studied):
                assert world.buy(consent, **order)
                return True
            with reverts("consent: purpose not covered"):
                world.buy(consent, **order)
            return False


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


@pytest.mark.parametrize("asked", PERMISSIONS)
@pytest.mark.parametrize("given_code", PERMISSIONS)
def test_each_permission_covers_what_is_narrower(desk: Desk, given_code: int, asked: int) -> None:
    for disease, studied in ((NONE, NONE), (ASTHMA, ASTHMA), (ASTHMA, DIABETES), (NONE, ASTHMA)):
        desk.passes({given_code}, disease, {asked}, studied)


def test_the_table_that_a_reader_expects(desk: Desk) -> None:
    """A few lines of the table by hand, so that the model itself is held to something."""
    assert desk.passes({HMB}, NONE, {HMB}, NONE)
    assert desk.passes({GRU}, NONE, {HMB}, NONE)
    assert desk.passes({GRU}, NONE, {POA}, NONE)
    assert desk.passes({HMB}, NONE, {DS}, ASTHMA)
    assert desk.passes({DS}, ASTHMA, {DS}, ASTHMA)
    assert not desk.passes({DS}, ASTHMA, {DS}, DIABETES)
    assert not desk.passes({DS}, NONE, {DS}, NONE)
    assert not desk.passes({DS}, ASTHMA, {HMB}, ASTHMA)
    assert not desk.passes({HMB}, NONE, {POA}, NONE)
    assert not desk.passes({HMB}, NONE, {GRU}, NONE)
    assert not desk.passes({POA}, NONE, {HMB}, NONE)


@pytest.mark.parametrize("asked", [NRES, HMB, DS, POA, GRU])
def test_nres_is_given_and_never_asked_for(desk: Desk, asked: int) -> None:
    assert desk.passes({NRES}, NONE, {asked}, ASTHMA) == (asked != NRES)


def test_an_order_names_exactly_one_permission(desk: Desk) -> None:
    assert not desk.passes({NRES}, NONE, set(), NONE)
    for pair in combinations(PERMISSIONS, 2):
        assert not desk.passes(set(PERMISSIONS), ASTHMA, set(pair), ASTHMA)


def test_modifiers_alone_permit_nothing(desk: Desk) -> None:
    assert not desk.passes(set(MODIFIERS), NONE, {HMB, *MODIFIERS}, NONE)


@pytest.mark.parametrize("modifier", [*MODIFIERS, *UNKNOWN])
@pytest.mark.parametrize("permission", [HMB, GRU, NRES])
def test_every_modifier_known_or_not_must_be_undertaken(
    desk: Desk, permission: int, modifier: int
) -> None:
    given_codes = {permission, modifier}
    assert not desk.passes(given_codes, NONE, {HMB}, NONE)
    assert desk.passes(given_codes, NONE, {HMB, modifier}, NONE)


def test_whoever_undertakes_more_than_is_asked_is_welcome(desk: Desk) -> None:
    assert desk.passes({HMB, 46}, NONE, {HMB, *MODIFIERS, *UNKNOWN}, NONE)


def test_all_modifiers_but_one_are_not_enough(desk: Desk) -> None:
    for missing in MODIFIERS:
        assert not desk.passes({HMB, *MODIFIERS}, NONE, {HMB, *MODIFIERS} - {missing}, NONE)


_codes = st.sets(st.sampled_from((*PERMISSIONS, *PERMISSIONS, *MODIFIERS, *UNKNOWN)), max_size=6)
_diseases = st.sampled_from((NONE, ASTHMA, DIABETES))


def test_any_combination_agrees_with_the_model(desk: Desk) -> None:
    @settings(max_examples=400)
    @given(
        given_codes=_codes, extra=_codes, disease=_diseases, studied=_diseases, near=st.booleans()
    )
    def agree(
        given_codes: set[int], extra: set[int], disease: bytes, studied: bytes, near: bool
    ) -> None:
        # Half of the orders undertake what the consent asks, so that yes is as common as no.
        asked = extra | (given_codes - set(PERMISSIONS)) if near else extra
        if given_codes:
            desk.passes(given_codes, disease, asked, studied)

    agree()
