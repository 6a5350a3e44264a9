"""Masked copies under one record: who states them, what is kept, and that nothing is minted (R9, R35)."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from support.world import World, reverts

from medtoken.keys import Rendition

FIELDS, LICENCE = keccak(text="a masking profile"), keccak(text="a licence")
COPY: dict[str, Any] = {
    "fields": FIELDS,
    "licence": bytes(32),
    "fingerprint": keccak(text="a salted copy"),
    "content": keccak(text="sealed bytes"),
    "codec": 0x55,
    "size": 1_000,
}


def commitment(copy: dict[str, Any]) -> bytes:
    kinds = ["bytes32", "bytes32", "uint256", "uint256"]
    return keccak(encode(kinds, [copy[n] for n in ("fingerprint", "content", "codec", "size")]))


def add(world: World, record: bytes, sender: str | None = None, **changes: Any) -> dict[str, Any]:
    copy = COPY | changes
    world.registry.add_rendition(record, copy, sender=sender or world.people.custodian)
    return copy


def kept(world: World, record: bytes, copy: dict[str, Any]) -> bytes:
    named = world.registry.rendition_id(record, copy["fields"], copy["licence"])
    return world.registry.rendition(named)


def test_the_event_the_commitment_and_nothing_else(world: World) -> None:
    record = world.record()
    facts, minted = world.registry.facts(record), world.dct.balanceOf(world.people.patient)
    supply = world.registry.supply(1)
    copy = add(world, record)
    assert world.evm.events() == ["RenditionAdded"]
    assert world.evm.event("RenditionAdded") == {
        "record": record,
        "fields": FIELDS,
        "licence": bytes(32),
        "rendition": copy,
    }
    assert kept(world, record, copy) == commitment(copy)
    assert world.registry.facts(record) == facts
    assert world.dct.balanceOf(world.people.patient) == minted
    assert world.registry.supply(1) == supply


def test_its_id_is_the_one_that_keepers_use(world: World) -> None:
    record = world.fresh()
    for licence in (bytes(32), LICENCE):
        expected = Rendition(record, FIELDS, licence).id
        assert world.registry.rendition_id(record, FIELDS, licence) == expected


def test_copies_for_other_profiles_and_licences_stand_beside_it(world: World) -> None:
    record, other = world.record(), world.record()
    copies = [
        add(world, record),
        add(world, record, licence=LICENCE, size=2),
        add(world, record, fields=LICENCE, size=3),
    ]
    assert [kept(world, record, copy) for copy in copies] == [commitment(copy) for copy in copies]
    assert not any(any(kept(world, other, copy)) for copy in copies)


def test_a_later_copy_takes_the_place_of_the_one_before(world: World) -> None:
    record = world.record()
    add(world, record)
    later = add(world, record, content=keccak(text="sealed anew"), codec=0x70, size=2**40)
    assert kept(world, record, later) == commitment(later)


def test_a_record_that_nobody_attested_or_that_was_superseded_has_copies(world: World) -> None:
    """Licences that were sold before a correction go on."""
    record = world.register()
    add(world, record)
    world.register(previous=record)
    add(world, record, size=2)


def test_its_refusals(world: World) -> None:
    people = world.people
    record = world.record()
    with reverts("registry: unknown record"):
        add(world, world.fresh())
    with reverts("registry: not the record's custodian"):
        add(world, record, people.other_custodian)
    for changes, sentence in (
        ({"fields": bytes(32)}, "registry: the rendition has no profile"),
        ({"fingerprint": bytes(32)}, "registry: the record has no fingerprint"),
        ({"content": bytes(32)}, "registry: the record has no content"),
        ({"codec": 0}, "registry: unknown codec of the CID"),
        ({"codec": 0x56}, "registry: unknown codec of the CID"),
        ({"size": 0}, "registry: the record is empty"),
    ):
        with reverts(sentence):
            add(world, record, **changes)
    world.registry.destroy(record, LICENCE, sender=people.custodian)
    with reverts("registry: the record was destroyed"):
        add(world, record)


@pytest.mark.parametrize("who", ["stranger", "patient", "attester", "operator"])
def test_a_stranger_states_no_copy(world: World, who: str) -> None:
    record = world.record()
    with reverts("institutions: the caller is not accredited for this"):
        add(world, record, getattr(world.people, who))
    assert not any(kept(world, record, COPY))


def test_a_custodian_that_lost_its_accreditation_states_none(world: World) -> None:
    record = world.record()
    world.accredit(world.people.custodian, 0)
    with reverts("institutions: the caller is not accredited for this"):
        add(world, record)
