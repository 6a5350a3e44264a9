"""R6: many records register at once under a Merkle root, and are proven one by one."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from support.world import NONE, RECORD_FIELDS, World, reverts, unpack

NO_PROOF = "registry: the record is not in the batch"
KINDS = "(address,bytes32,bytes32,bytes32,uint256,uint256,uint256,uint256,uint256,bytes32,uint256,bytes32)"
Draft = dict[str, Any]


def leaf(draft: Draft) -> bytes:
    return keccak(keccak(encode([KINDS], [tuple(draft.values())])))


def tree(leaves: list[bytes]) -> tuple[bytes, list[list[bytes]]]:
    """Root and proofs over leaves; an odd node at the end of a level moves up as it is."""
    proofs: list[list[bytes]] = [[] for _ in leaves]
    at = list(range(len(leaves)))
    level = leaves
    while len(level) > 1:
        for i, position in enumerate(at):
            if position ^ 1 < len(level):
                proofs[i].append(level[position ^ 1])
            at[i] = position // 2
        level = [
            keccak(b"".join(sorted(level[i : i + 2]))) if i + 1 < len(level) else level[i]
            for i in range(0, len(level), 2)
        ]
    return level[0], proofs


@pytest.fixture
def drafts(world: World) -> list[Draft]:
    return [world.draft() for _ in range(7)]


def _register(world: World, drafts: list[Draft]) -> tuple[bytes, list[list[bytes]]]:
    root, proofs = tree([leaf(d) for d in drafts])
    world.registry.register_batch(root, len(drafts), b"\7" * 32, sender=world.people.custodian)
    return root, proofs


def test_a_batch_is_one_number_and_an_event(world: World, drafts: list[Draft]) -> None:
    root, _ = _register(world, drafts)
    custodian = world.number(world.people.custodian)
    assert world.evm.event("BatchRegistered") == {
        "root": root,
        "custodian": custodian,
        "count": 7,
        "manifest": b"\7" * 32,
    }
    assert world.registry.batch(custodian, root) == 7
    assert world.registry.batch(custodian + 1, root) == 0


def test_its_refusals(world: World, drafts: list[Draft]) -> None:
    people = world.people
    root, _ = _register(world, drafts)

    def again(root: bytes, count: int, sender: str) -> None:
        world.registry.register_batch(root, count, NONE, sender=sender)

    with reverts("registry: the batch has no root"):
        again(NONE, 1, people.custodian)
    with reverts("registry: the batch is empty"):
        again(b"\1" * 32, 0, people.custodian)
    with reverts("registry: the batch is already registered"):
        again(root, 7, people.custodian)
    for who in (people.stranger, people.patient, people.annotator, people.attester):
        with reverts("institutions: the caller is not accredited for this"):
            again(b"\1" * 32, 1, who)


def test_a_root_belongs_to_its_custodian_and_is_not_squatted(
    world: World, drafts: list[Draft]
) -> None:
    root, proofs = tree([leaf(d) for d in drafts])
    other = world.people.other_custodian
    world.registry.register_batch(root, 7, NONE, sender=other)
    _register(world, drafts)
    mine = world.number(world.people.custodian)
    record = world.registry.register_from_batch(mine, root, drafts[0], proofs[0])
    assert world.registry.parties(record)["custodian"] == world.people.custodian


# ---------------------------------------------------------------- proving


def test_anybody_proves_each_record_and_it_is_registered_as_by_its_custodian(
    world: World, drafts: list[Draft]
) -> None:
    root, proofs = _register(world, drafts)
    custodian = world.number(world.people.custodian)
    for draft, proof in zip(drafts, proofs, strict=True):
        record = world.registry.register_from_batch(
            custodian, root, draft, proof, sender=world.people.stranger
        )
        assert record == world.registry.record_id(custodian, draft["tag"])
        assert world.evm.event("RecordRegistered")["draft"] == draft
        assert unpack(world.registry.facts(record), RECORD_FIELDS)["custodian"] == custodian
    assert world.attest(record) > 0


def test_a_batch_of_one_needs_no_proof(world: World, drafts: list[Draft]) -> None:
    root, proofs = _register(world, drafts[:1])
    assert proofs == [[]]
    custodian = world.number(world.people.custodian)
    assert world.registry.register_from_batch(custodian, root, drafts[0], [])


def test_a_record_is_proven_once_and_never_registered_beside(
    world: World, drafts: list[Draft]
) -> None:
    root, proofs = _register(world, drafts)
    custodian = world.number(world.people.custodian)
    world.registry.register_from_batch(custodian, root, drafts[0], proofs[0])
    with reverts("registry: the record is already registered"):
        world.registry.register_from_batch(custodian, root, drafts[0], proofs[0])
    with reverts("registry: the record is already registered"):
        world.registry.register(drafts[0], sender=world.people.custodian)


def test_a_wrong_leaf_or_proof_proves_nothing(world: World, drafts: list[Draft]) -> None:
    root, proofs = _register(world, drafts)
    custodian = world.number(world.people.custodian)
    forged = drafts[0] | {"owner": str(world.people.stranger)}
    for draft, proof in (
        (forged, proofs[0]),
        (world.draft(), proofs[0]),
        (drafts[0], proofs[1]),
        (drafts[0], proofs[0][:-1]),
        (drafts[0], [*proofs[0], NONE]),
        (drafts[0], proofs[0][::-1]),
        (drafts[0], []),
        (drafts[0], [NONE] * 32),
    ):
        with reverts(NO_PROOF):
            world.registry.register_from_batch(custodian, root, draft, proof)


def test_a_batch_that_nobody_registered_is_unknown(world: World, drafts: list[Draft]) -> None:
    root, proofs = _register(world, drafts)
    custodian = world.number(world.people.custodian)
    other = world.number(world.people.other_custodian)
    for number, which in ((other, root), (custodian, b"\1" * 32), (0, NONE), (2**256 - 1, root)):
        with reverts("registry: unknown batch"):
            world.registry.register_from_batch(number, which, drafts[0], proofs[0])


def test_a_batch_of_a_custodian_that_lost_its_accreditation_rests(
    world: World, drafts: list[Draft]
) -> None:
    root, proofs = _register(world, drafts)
    custodian = world.accredit(world.people.custodian, 0)
    with reverts("registry: the custodian is not accredited"):
        world.registry.register_from_batch(custodian, root, drafts[0], proofs[0])
    world.accredit(world.people.custodian, 1)
    assert world.registry.register_from_batch(custodian, root, drafts[0], proofs[0])


def test_a_draft_in_a_batch_is_checked_like_any_other(world: World) -> None:
    custodian = world.accredit(world.people.custodian, 3)
    old = world.record(owner=str(world.people.other_patient))
    bad = {
        "registry: the record has no owner": world.draft(owner="0x" + "00" * 20),
        "registry: nobody names themselves annotator": world.draft(annotator=custodian),
        "registry: the previous version is somebody else's": world.draft(previous=old),
        "registry: unknown sensitivity tier": world.draft(tier=4),
    }
    root, proofs = _register(world, list(bad.values()))
    for (sentence, draft), proof in zip(bad.items(), proofs, strict=True):
        with reverts(sentence):
            world.registry.register_from_batch(custodian, root, draft, proof)


def test_an_inner_node_is_no_leaf(world: World, drafts: list[Draft]) -> None:
    """Leaves are hashed twice, so that no 64 bytes of an inner node can pass for a draft."""
    leaves = [leaf(d) for d in drafts[:2]]
    root, _ = _register(world, drafts[:2])
    assert keccak(b"".join(sorted(leaves))) == root
    once = keccak(encode([KINDS], [tuple(drafts[0].values())]))
    single, _ = tree([once, leaves[1]])
    world.registry.register_batch(single, 2, NONE, sender=world.people.custodian)
    custodian = world.number(world.people.custodian)
    with reverts(NO_PROOF):
        world.registry.register_from_batch(custodian, single, drafts[0], [leaves[1]])
