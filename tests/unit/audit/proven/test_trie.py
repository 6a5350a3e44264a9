"""Merkle-Patricia roots and proofs against the reference implementation; proofs that were bent."""

from __future__ import annotations

import pytest
import rlp as reference
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from medtoken._keccak import keccak
from medtoken.audit.proven.rlp import encode_int
from medtoken.audit.proven.trie import EMPTY_ROOT, proven, root_of_list, storage_root
from medtoken.errors import ProofFailed

WORDS = st.integers(min_value=0, max_value=2**256 - 1)
SLOTS = st.dictionaries(WORDS | st.integers(0, 50), WORDS, max_size=40)


def storage_trie(slots: dict[int, int]) -> HexaryTrie:
    trie = HexaryTrie({})
    for slot, word in slots.items():
        if word:
            trie[keccak(slot.to_bytes(32))] = encode_int(word)
    return trie


@given(st.lists(st.binary(min_size=1, max_size=70), max_size=40))
def test_the_root_of_a_list_is_the_references(values: list[bytes]) -> None:
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[reference.encode(index)] = value
    assert root_of_list(values) == trie.root_hash


@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17, 127, 128, 129, 300])
def test_the_root_of_a_long_list_is_the_references(size: int) -> None:
    values = [keccak(bytes([n % 256, n // 256])) * 9 for n in range(size)]
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[reference.encode(index)] = value
    assert root_of_list(values) == trie.root_hash


@given(SLOTS)
def test_the_root_of_a_storage_is_the_references(slots: dict[int, int]) -> None:
    assert storage_root(slots) == storage_trie(slots).root_hash


def test_words_of_zero_are_not_there() -> None:
    assert storage_root({1: 0, 2: 0}) == storage_root({}) == EMPTY_ROOT


@given(SLOTS, WORDS)
def test_a_proof_gives_the_word_that_is_there_or_none(slots: dict[int, int], other: int) -> None:
    trie = storage_trie(slots)
    for slot in {*slots, other}:
        key = keccak(slot.to_bytes(32))
        nodes = [reference.encode(node) for node in trie.get_proof(key)]
        word = slots.get(slot, 0)
        assert proven(trie.root_hash, key, nodes) == (encode_int(word) if word else None)


@given(st.dictionaries(WORDS, WORDS.filter(bool), min_size=2, max_size=40), st.data())
def test_a_proof_with_a_bit_changed_or_a_node_missing_proves_nothing(
    slots: dict[int, int], data: st.DataObject
) -> None:
    trie = storage_trie(slots)
    slot = data.draw(st.sampled_from(sorted(slots)))
    key = keccak(slot.to_bytes(32))
    nodes = [reference.encode(node) for node in trie.get_proof(key)]
    at = data.draw(st.integers(0, len(nodes) - 1))
    place = data.draw(st.integers(0, len(nodes[at]) * 8 - 1))
    bent = bytearray(nodes[at])
    bent[place // 8] ^= 1 << place % 8
    for lie in (nodes[:at] + nodes[at + 1 :], [*nodes[:at], bytes(bent), *nodes[at + 1 :]]):
        with pytest.raises(ProofFailed):
            proven(trie.root_hash, key, lie)


def test_the_proof_of_one_word_does_not_prove_that_another_is_absent() -> None:
    slots = {n: n + 1 for n in range(40)}
    trie = storage_trie(slots)
    nodes = [reference.encode(node) for node in trie.get_proof(keccak((3).to_bytes(32)))]
    others = [slot for slot in slots if slot != 3]
    shown = 0
    for slot in others:
        try:
            assert proven(trie.root_hash, keccak(slot.to_bytes(32)), nodes) is not None
        except ProofFailed:
            shown += 1
    assert shown > 30
