"""R6: statements about a file are corrected by a version of it, and a correction never mints again."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from support.world import DUT, NONE, RECORD_FIELDS, ZERO, World, reverts, unpack

REGISTERED = "registry: the record is already registered"
SUPERSEDED = "registry: the previous version was superseded"
SOMEBODY_ELSES = "registry: the previous version is somebody else's"


def _facts(world: World, record: bytes) -> dict[str, int]:
    return unpack(world.registry.facts(record), RECORD_FIELDS)


def _version_id(previous: bytes) -> bytes:
    return keccak(
        encode(["bytes32", "bytes32"], [keccak(text="medtoken record version"), previous])
    )


def test_what_was_stated_wrongly_about_the_same_file_can_be_corrected(world: World) -> None:
    tag = world.fresh()
    old = world.record(tag=tag, tier=1)
    new = world.register(tag=tag, tier=3, previous=old)
    assert new == world.registry.version_id(old) == _version_id(old)
    assert world.evm.events() == ["RecordSuperseded", "RecordRegistered"]
    assert world.evm.event("RecordSuperseded") == {"record": old, "by": new}
    assert world.evm.event("RecordRegistered")["record"] == new
    assert (_facts(world, old)["tier"], _facts(world, old)["superseded"]) == (1, 1)
    assert (_facts(world, new)["tier"], _facts(world, new)["superseded"]) == (3, 0)
    assert world.attest(new) == 0
    assert world.registry.terms(new)["live"]
    assert not world.registry.terms(old)["live"]


def test_each_version_follows_from_the_one_before_and_none_mints_again(world: World) -> None:
    tag = world.fresh()
    chain = [world.record(tag=tag)]
    for _ in range(5):
        chain.append(world.register(tag=tag, previous=chain[-1]))
        assert chain[-1] == _version_id(chain[-2])
        assert world.attest(chain[-1], completeness=100, annotation=100, units=100_000) == 0
    assert len(set(chain)) == 6
    assert [world.registry.terms(r)["live"] for r in chain] == [False] * 5 + [True]
    assert world.dct.balanceOf(world.people.patient) == 440 * DUT
    assert world.registry.supply(1) == 1


def test_without_naming_the_last_version_the_file_stays_registered_once(world: World) -> None:
    tag = world.fresh()
    first = world.register(tag=tag)
    second = world.register(tag=tag, previous=first)
    third = world.register(tag=tag, previous=second)
    other = world.record()
    wrong = (NONE, first, second, world.registry.version_id(third), other, world.fresh())
    for previous in wrong:
        with reverts(REGISTERED):
            world.register(tag=tag, previous=previous)
    assert world.registry.terms(other)["live"]


def test_a_chain_never_closes_to_a_circle(world: World) -> None:
    """Not by the first record's own tag, not by way of another file, and not by a version's id as tag."""
    tag, other = world.fresh(), world.fresh()
    first = world.register(tag=tag)
    second = world.register(tag=other, previous=first)
    with reverts(REGISTERED):
        world.register(tag=tag, previous=second)
    with reverts(SUPERSEDED):
        world.register(tag=tag, previous=first)
    third = world.register(tag=other, previous=second)
    assert third == _version_id(second)
    odd = world.register(tag=_version_id(third))
    assert odd != _version_id(third)
    assert world.register(tag=other, previous=third) == _version_id(third)


def test_a_chain_never_forks(world: World) -> None:
    """One successor: either the same file with other statements or another file, not both."""
    tag = world.fresh()
    first = world.record(tag=tag)
    same = world.register(tag=tag, previous=first)
    with reverts(SUPERSEDED):
        world.register(previous=first)
    file = world.register(previous=same)
    with reverts(SUPERSEDED):
        world.register(tag=tag, previous=same)
    assert _facts(world, file)["minted"] == _facts(world, same)["minted"] == 1
    assert world.attest(file) == 0


@pytest.mark.parametrize("steps", ["same", "other", "same other", "other same", "same same other"])
def test_no_way_of_correcting_mints_twice(world: World, steps: str) -> None:
    tag = world.fresh()
    record = world.record(tag=tag)
    for step in steps.split():
        tag = tag if step == "same" else world.fresh()
        record = world.register(tag=tag, previous=record)
        assert world.attest(record) == 0
    assert world.dct.totalSupply() == 440 * DUT


def test_a_version_of_what_minted_nothing_mints_once(world: World) -> None:
    tag = world.fresh()
    poor = world.register(tag=tag)
    assert world.attest(poor, completeness=0, annotation=0) == 0
    better = world.register(tag=tag, previous=poor)
    assert world.attest(better) == 440 * DUT
    assert world.attest(world.register(tag=tag, previous=better)) == 0


def test_what_was_superseded_before_it_was_attested_mints_through_its_version_alone(
    world: World,
) -> None:
    tag = world.fresh()
    old = world.register(tag=tag)
    new = world.register(tag=tag, previous=old)
    with reverts("registry: the record was superseded"):
        world.attest(old)
    assert world.attest(new) == 440 * DUT
    assert world.registry.supply(1) == 1


def test_a_correction_cannot_take_over_anothers_record(world: World) -> None:
    people = world.people
    tag = world.fresh()
    mine = world.record(tag=tag)
    # another custodian with the same tag has a record of its own, and nothing of mine to correct
    with reverts(SOMEBODY_ELSES):
        world.register(tag=tag, previous=mine, sender=people.other_custodian)
    theirs = world.register(tag=tag, sender=people.other_custodian)
    with reverts(REGISTERED):
        world.register(tag=tag, previous=mine, sender=people.other_custodian)
    assert theirs != mine
    # and the same custodian gives it to nobody else
    with reverts(SOMEBODY_ELSES):
        world.register(tag=tag, previous=mine, owner=str(people.other_patient))
    assert world.registry.terms(mine)["owner"] == people.patient
    assert world.registry.terms(mine)["live"]


def test_a_version_keeps_the_owner_and_needs_a_consent_of_its_own(world: World) -> None:
    tag = world.fresh()
    old = world.record(tag=tag)
    consent = world.granted(old)
    new = world.record(tag=tag, previous=old)
    with reverts("consent: record not covered"):
        world.buy(consent, record=new)
    with reverts("licence: record is not attested"):
        world.buy(consent)
    assert world.buy(world.granted(new))


def test_a_version_comes_from_a_batch_too_and_only_once(world: World) -> None:
    custodian = world.number(world.people.custodian)
    tag = world.fresh()
    draft: dict[str, Any] = world.draft(tag=tag)
    first = world.registry.record_id(custodian, tag)
    fixed = draft | {"tier": 3, "previous": first}
    kinds = (
        "(address,bytes32,bytes32,bytes32,uint256,uint256,uint256,uint256,uint256,bytes32,"
        "uint256,bytes32)"
    )
    leaves = [keccak(keccak(encode([kinds], [tuple(d.values())]))) for d in (draft, fixed)]
    root = keccak(b"".join(sorted(leaves)))
    world.registry.register_batch(root, 2, NONE, sender=world.people.custodian)
    prove = world.registry.register_from_batch
    with reverts("registry: the previous version is unknown"):
        prove(custodian, root, fixed, [leaves[0]])
    assert prove(custodian, root, draft, [leaves[1]]) == first
    assert prove(custodian, root, fixed, [leaves[0]]) == _version_id(first)
    for again, proof in ((draft, [leaves[1]]), (fixed, [leaves[0]])):
        with reverts(REGISTERED):
            prove(custodian, root, again, proof)


def test_an_unknown_records_version_id_is_only_a_number(world: World) -> None:
    nothing = world.registry.version_id(NONE)
    assert nothing == _version_id(NONE)
    assert world.registry.facts(nothing) == 0
    assert world.registry.terms(nothing)["owner"] == ZERO
