"""R6: what anybody can read of a record; everything unknown reads as zero, and zero denies."""

from __future__ import annotations

from eth_abi import encode
from eth_utils import keccak
from support.world import NONE, ZERO, World


def test_an_unknown_record_is_zeros(world: World) -> None:
    record = world.fresh()
    assert world.registry.facts(record) == 0
    assert world.registry.commitment(record) == NONE
    assert world.registry.terms(record) == {
        "owner": ZERO,
        "kind": 0,
        "tier": 0,
        "region": 0,
        "dvi": 0,
        "live": False,
    }
    assert world.registry.parties(record) == {
        "owner": ZERO,
        "custodian": ZERO,
        "annotator": ZERO,
        "kind": 0,
    }
    assert world.registry.supply(0) == world.registry.supply(9) == 0
    assert world.registry.batch(1, record) == 0


def test_a_record_id_follows_from_custodian_and_tag_alone(world: World) -> None:
    tag = world.fresh()
    kind = keccak(text="medtoken record")
    for custodian in (1, 2**20 - 1):
        expected = keccak(encode(["bytes32", "uint256", "bytes32"], [kind, custodian, tag]))
        assert world.registry.record_id(custodian, tag) == expected
