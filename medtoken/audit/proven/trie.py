"""Merkle-Patricia tries: the root of a whole map, and proofs of single keys against a root.

Receipts stand in a trie by their index, accounts and storage slots by the hash of their key
("secure" trie). Where every entry is known the root is computed and compared; where only some are
asked for, the node's proof is walked from the root down, and shows presence or absence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from medtoken._keccak import keccak
from medtoken.audit.proven.rlp import (
    Item,
    decode,
    encode_bytes,
    encode_int,
    encode_list,
)
from medtoken.errors import BadInput, ProofFailed

EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
_NIBBLES = tuple(bytes((byte >> 4, byte & 15)) for byte in range(256))


def root_of_list(values: Sequence[bytes]) -> bytes:
    """The root over values by their index, as a header commits to receipts and transactions."""
    return _root((encode_int(index), value) for index, value in enumerate(values))


def storage_root(slots: Mapping[int, int], zeros: Iterable[int] = ()) -> bytes:
    """The root over a contract's storage: slot number to word. A word of zero is not there.

    ``zeros``: slots that a node keeps although their word is zero, which the protocol does not know.
    """
    words = {slot: word for slot, word in slots.items() if word} | dict.fromkeys(zeros, 0)
    return _root((keccak(slot.to_bytes(32)), encode_int(word)) for slot, word in words.items())


def proven(root: bytes, key: bytes, nodes: Iterable[bytes]) -> bytes | None:
    """The value under ``key`` (already hashed where the trie is a secure one), None if absent.

    ``nodes`` are the encoded nodes from the root down, as ``eth_getProof`` gives them. Raises
    ProofFailed where they do not lead from the root to an answer.
    """
    known = {keccak(node): node for node in nodes}
    path = _nibbles(key)
    if root == EMPTY_ROOT:
        return None
    node = _resolve(root, known)
    while True:
        if len(node) == 17:
            if not path:
                return _bytes(node[16]) or None
            child, path = node[path[0]], path[1:]
        else:
            way, leaf = _unpacked(_bytes(node[0]))
            if path[: len(way)] != way:
                return None
            path = path[len(way) :]
            if leaf:
                return None if path else _bytes(node[1])
            child = node[1]
        if child == b"":
            return None
        node = _resolve(child, known)


def _resolve(child: Item, known: Mapping[bytes, bytes]) -> list[Item]:
    """A node by its hash, or the node itself where it is short enough to stand in its parent."""
    if isinstance(child, bytes):
        found = known.get(child)
        if found is None:
            raise ProofFailed("A proof lacks a node between the root and the key.")
        try:
            child = decode(found)
        except BadInput as error:
            raise ProofFailed(f"A proof has a node that is not well formed: {error}") from None
    if not isinstance(child, list) or len(child) not in (2, 17):
        raise ProofFailed("A proof has a node that is neither a branch nor a path.")
    return child


def _bytes(item: Item) -> bytes:
    if not isinstance(item, bytes):
        raise ProofFailed("A proof has a list where a value belongs.")
    return item


def _nibbles(key: bytes) -> bytes:
    return b"".join([_NIBBLES[byte] for byte in key])


def _packed(path: bytes, leaf: bool) -> bytes:
    """A path in the hex-prefix encoding: a flag for leaf and odd length, then the nibbles."""
    flag = 2 if leaf else 0
    odd = len(path) & 1
    full = bytes((flag + 1,)) + path if odd else bytes((flag, 0)) + path
    return bytes([a << 4 | b for a, b in zip(full[::2], full[1::2], strict=True)])


def _unpacked(packed: bytes) -> tuple[bytes, bool]:
    if not packed or packed[0] > 0x3F or (not packed[0] & 0x10 and packed[0] & 0x0F):
        raise ProofFailed("A proof has a path that is not well formed.")
    nibbles = _nibbles(packed)
    return nibbles[1 if packed[0] & 0x10 else 2 :], bool(packed[0] & 0x20)


def _root(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    ordered = sorted((_nibbles(key), encode_bytes(value)) for key, value in entries)
    if not ordered:
        return EMPTY_ROOT
    return keccak(_node(ordered, 0, len(ordered), 0))


def _node(entries: list[tuple[bytes, bytes]], first: int, last: int, depth: int) -> bytes:
    """The encoded node over ``entries[first:last]``, which share their first ``depth`` nibbles."""
    path, value = entries[first]
    if last - first == 1:
        return encode_list((encode_bytes(_packed(path[depth:], leaf=True)), value))
    # The entries are in order, so what the first and the last share all share.
    final = entries[last - 1][0]
    shared = depth
    end = min(len(path), len(final))
    while shared < end and path[shared] == final[shared]:
        shared += 1
    if shared > depth:
        below = _reference(_node(entries, first, last, shared))
        return encode_list((encode_bytes(_packed(path[depth:shared], leaf=False)), below))
    children = [b"\x80"] * 17
    if len(path) == depth:
        children[16] = value
        first += 1
    while first < last:
        nibble = entries[first][0][depth]
        stop = first + 1
        while stop < last and entries[stop][0][depth] == nibble:
            stop += 1
        children[nibble] = _reference(_node(entries, first, stop, depth + 1))
        first = stop
    return encode_list(children)


def _reference(node: bytes) -> bytes:
    """How a parent names a child: by its hash, or whole where that is shorter."""
    return node if len(node) < 32 else b"\xa0" + keccak(node)
