"""Rosters: one cohort gives one root, proofs are the contract's, and nonsense is refused."""

from __future__ import annotations

import hashlib

import pytest
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from medtoken import _keccak
from medtoken.chain.contracts import option_id, study_id
from medtoken.errors import BadInput
from medtoken.merkle import Tree, verify
from medtoken.royalty import Roster, claim_batches, join_batches, leaf

STUDY = b"\1" * 32


def account(n: int) -> str:
    return "0x" + hashlib.sha256(b"%d" % n).hexdigest()[:40]


def roster(count: int) -> Roster:
    return Roster(STUDY, {account(i): i + 1 for i in range(count)})


def test_a_leaf_is_what_the_contract_hashes() -> None:
    encoded = encode(
        ["bytes32", "uint256", "address", "uint256"], [STUDY, 7, account(7), 2**96 - 1]
    )
    raw = bytes.fromhex(account(7)[2:])
    assert leaf(STUDY, 7, raw, 2**96 - 1) == keccak(keccak(encoded))


def test_ids_are_the_contracts() -> None:
    assert study_id(account(1), 5) == keccak(encode(["address", "uint256"], [account(1), 5]))
    assert option_id(STUDY, account(1), b"\2" * 32) == keccak(
        encode(["bytes32", "address", "bytes32"], [STUDY, account(1), b"\2" * 32])
    )


@given(st.binary(max_size=300))
def test_both_keccaks_are_one(data: bytes) -> None:
    assert _keccak.keccak(data) == _keccak._slow(data) == keccak(data)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 33, 100])
def test_every_line_is_proven(count: int) -> None:
    made = roster(count)
    assert len(made) == count
    for index, (who, weight) in enumerate(made):
        m = made.member(index)
        assert (m.account, m.weight, made.index(who)) == (who, weight, index)
        assert verify(m.proof, made.root, leaf(STUDY, index, bytes.fromhex(who[2:]), weight))
        assert not verify(
            m.proof, made.root, leaf(STUDY, index, bytes.fromhex(who[2:]), weight + 1)
        )


def test_the_order_and_spelling_of_what_comes_in_do_not_matter() -> None:
    lines = [(account(i), i + 1) for i in range(50)]
    other = [(a.upper().replace("0X", "0x"), w) for a, w in reversed(lines)]
    raw = [(bytes.fromhex(a[2:]), w) for a, w in lines]
    roots = {Roster(STUDY, made).root for made in (lines, dict(lines), other, raw)}
    assert len(roots) == 1
    assert Roster(b"\2" * 32, lines).root not in roots


def test_who_weighs_nothing_is_left_out() -> None:
    made = Roster(STUDY, {account(1): 0, account(2): 3})
    assert list(made) == [(made.account(0), 3)]
    assert made.index(account(1)) is None


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "between one line"),
        ([(account(1), 0)], "between one line"),
        ([(account(1), 1), (account(1).upper().replace("0X", "0x"), 2)], "an account once"),
        ([(account(1), -1)], "weights of a roster"),
        ([(account(1), 2**96)], "weights of a roster"),
        ([("0x" + "00" * 20, 1)], "is not an account"),
        ([("0x12", 1)], "is not an account"),
        ([("somebody", 1)], "is not an account"),
    ],
)
def test_nonsense_is_refused(lines: list[tuple[str, int]], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        Roster(STUDY, lines)


def test_a_study_is_named_by_32_bytes_and_lines_by_their_place() -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        Roster(b"\1" * 31, {account(1): 1})
    for index in (-1, 1):
        with pytest.raises(BadInput, match="no line"):
            roster(1).member(index)


def test_a_tree_takes_whole_leaves_and_at_least_one() -> None:
    with pytest.raises(BadInput, match="at least one leaf"):
        Tree([])
    with pytest.raises(BadInput, match="32 bytes"):
        Tree([b"\1" * 31])
    assert Tree(iter([b"\1" * 32])).root == b"\1" * 32


def test_batches_hold_each_once_and_no_more_than_the_contract_takes() -> None:
    names = [account(i % 230) for i in range(400)]
    sizes = [len(b) for b in claim_batches(names)]
    assert sizes == [100, 100, 30]
    made = roster(230)
    joins = list(join_batches(made, names))
    assert [len(b) for b in joins] == [50] * 4 + [30]
    assert {m.account.lower() for b in joins for m in b} == set(names)
    with pytest.raises(BadInput, match="not in the roster"):
        list(join_batches(made, [account(231)]))
    for size in (0, 101):
        with pytest.raises(BadInput, match="A batch credits"):
            list(claim_batches(names, size))
        with pytest.raises(BadInput, match="A batch proves"):
            list(join_batches(made, names, size))
