"""R6: an accredited custodian registers a record once, under its fingerprint and duplicate tag."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from support.world import NONE, RECORD_FIELDS, ZERO, World, pack, reverts, unpack


def test_a_record_is_one_word_a_commitment_and_an_event(world: World) -> None:
    people = world.people
    draft = world.draft()
    record = world.registry.register(draft, sender=people.custodian)
    custodian = world.number(people.custodian)
    assert record == world.registry.record_id(custodian, draft["tag"])
    assert world.registry.facts(record) == pack(
        RECORD_FIELDS,
        owner=int(people.patient, 16),
        custodian=custodian,
        annotator=world.number(people.annotator),
        kind=1,
        tier=2,
        region=392,
    )
    parts = [draft[f] for f in ("fingerprint", "content", "codec", "size", "codes")]
    kinds = ["bytes32", "bytes32", "uint256", "uint256", "bytes32"]
    assert world.registry.commitment(record) == keccak(encode(kinds, parts))
    assert world.evm.events() == ["RecordRegistered"]
    assert world.evm.event("RecordRegistered") == {
        "record": record,
        "owner": people.patient,
        "custodian": custodian,
        "draft": draft,
    }


def test_it_says_who_is_paid_and_is_not_live_before_it_is_attested(world: World) -> None:
    people = world.people
    record = world.register()
    assert world.registry.parties(record) == {
        "owner": people.patient,
        "custodian": people.custodian,
        "annotator": people.annotator,
        "kind": 1,
    }
    assert world.registry.terms(record) == {
        "owner": people.patient,
        "kind": 1,
        "tier": 2,
        "region": 392,
        "dvi": 0,
        "live": False,
    }


def test_the_largest_of_every_field_stays_in_its_own_bits(world: World) -> None:
    record = world.register(
        owner="0x" + "ff" * 20, kind=8, tier=3, region=999, size=2**256 - 1, codec=112
    )
    facts = unpack(world.registry.facts(record), RECORD_FIELDS)
    assert facts["owner"] == 2**160 - 1
    assert (facts["kind"], facts["tier"], facts["region"]) == (8, 3, 999)
    assert facts["quality"] == facts["dvi"] == facts["attested"] == facts["minted"] == 0
    assert facts["superseded"] == facts["rest"] == 0


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"owner": ZERO}, "registry: the record has no owner"),
    ({"fingerprint": NONE}, "registry: the record has no fingerprint"),
    ({"tag": NONE}, "registry: the record has no duplicate tag"),
    ({"content": NONE}, "registry: the record has no content"),
    ({"size": 0}, "registry: the record is empty"),
]
MALFORMED += [
    ({"codec": c}, "registry: unknown codec of the CID") for c in (0, 84, 113, 2**256 - 1)
]
MALFORMED += [({"kind": k}, "registry: unknown kind of record") for k in (0, 9, 16 + 1, 2**256 - 1)]
MALFORMED += [({"tier": t}, "registry: unknown sensitivity tier") for t in (0, 4, 2**256 - 1)]
MALFORMED += [
    ({"region": r}, "registry: unknown region") for r in (0, 1000, 1024 + 158, 2**256 - 1)
]


@pytest.mark.parametrize(("change", "sentence"), MALFORMED)
def test_a_malformed_draft_is_refused(world: World, change: dict[str, Any], sentence: str) -> None:
    with reverts(sentence):
        world.register(**change)


def test_one_file_registers_once_with_a_custodian(world: World) -> None:
    tag = world.fresh()
    world.register(tag=tag)
    with reverts("registry: the record is already registered"):
        world.register(tag=tag)


def test_nobody_can_squat_on_the_id_of_another_custodians_record(world: World) -> None:
    tag = world.fresh()
    theirs = world.register(tag=tag, sender=world.people.other_custodian)
    mine = world.register(tag=tag)
    assert mine != theirs
    assert world.registry.terms(mine)["owner"] == world.people.patient


def test_a_stranger_cannot_register(world: World) -> None:
    people = world.people
    others = (people.stranger, people.patient, people.annotator, people.attester, people.licensee)
    for who in others:
        with reverts("institutions: the caller is not accredited for this"):
            world.register(sender=who)


# ---------------------------------------------------------------- annotators (R8)


def test_without_an_annotator_nobody_is_paid_as_one(world: World) -> None:
    record = world.register(annotator=0)
    assert world.registry.parties(record)["annotator"] == ZERO


def test_the_annotator_must_be_accredited_as_one(world: World) -> None:
    people = world.people
    for number in (world.number(people.attester), world.number(people.other_custodian), 77, 2**20):
        with reverts("registry: the annotator is not accredited"):
            world.register(annotator=number)
    world.accredit(people.annotator, 0)
    with reverts("registry: the annotator is not accredited"):
        world.register(annotator=world.number(people.annotator))


@pytest.mark.parametrize("spill", [1 << 20, 1 << 24, 1 << 232])
def test_an_annotators_number_cannot_spill_into_the_kind(world: World, spill: int) -> None:
    with reverts("registry: the annotator is not accredited"):
        world.register(annotator=world.number(world.people.annotator) + spill)


def test_nobody_names_themselves(world: World) -> None:
    both = world.people.custodian
    number = world.accredit(both, 3)
    with reverts("registry: nobody names themselves annotator"):
        world.register(annotator=number)


# ---------------------------------------------------------------- corrections (R6)


def test_a_correction_supersedes_and_names_its_predecessor(world: World) -> None:
    old = world.record()
    before = unpack(world.registry.facts(old), RECORD_FIELDS)
    new = world.register(previous=old)
    assert world.evm.events() == ["RecordSuperseded", "RecordRegistered"]
    assert world.evm.event("RecordSuperseded") == {"record": old, "by": new}
    assert unpack(world.registry.facts(old), RECORD_FIELDS) == before | {"superseded": 1}
    assert not world.registry.terms(old)["live"]
    assert unpack(world.registry.facts(new), RECORD_FIELDS)["minted"] == 1


def test_a_record_is_corrected_once(world: World) -> None:
    old = world.record()
    world.register(previous=old)
    with reverts("registry: the previous version was superseded"):
        world.register(previous=old)


def test_an_unknown_record_is_not_corrected(world: World) -> None:
    with reverts("registry: the previous version is unknown"):
        world.register(previous=world.fresh())


def test_a_record_is_no_correction_of_itself(world: World) -> None:
    tag = world.fresh()
    own = world.registry.record_id(world.number(world.people.custodian), tag)
    with reverts("registry: the previous version is unknown"):
        world.register(tag=tag, previous=own)


def test_only_the_same_custodian_corrects_and_only_for_the_same_owner(world: World) -> None:
    people = world.people
    old = world.record()
    somebody_elses = "registry: the previous version is somebody else's"
    with reverts(somebody_elses):
        world.register(previous=old, sender=people.other_custodian)
    with reverts(somebody_elses):
        world.register(previous=old, owner=str(people.other_patient))
    assert world.registry.terms(old)["live"]
