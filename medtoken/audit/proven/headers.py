"""Block headers: hashed here, chained to each other, and asked whether they may hold our logs.

A header is what a node says until its hash is one that we know: the auditor gives one block hash,
and each header names its parent's. So one hash vouches for the whole chain before it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from medtoken._keccak import keccak
from medtoken.audit.proven.rlp import encode_bytes, encode_int, encode_list
from medtoken.errors import NodeUnreachable


class Header(msgspec.Struct, rename="camel", frozen=True):
    """A header as ``eth_getBlockByNumber`` gives it: hexadecimal text, as hashed by Ethereum.

    Fields that later upgrades of the protocol added are absent on chains without them.
    """

    number: str
    hash: str
    parent_hash: str
    sha3_uncles: str
    miner: str
    state_root: str
    transactions_root: str
    receipts_root: str
    logs_bloom: str
    difficulty: str
    gas_limit: str
    gas_used: str
    timestamp: str
    extra_data: str
    mix_hash: str
    nonce: str
    transactions: list[str] = []
    base_fee_per_gas: str | None = None
    withdrawals_root: str | None = None
    blob_gas_used: str | None = None
    excess_blob_gas: str | None = None
    parent_beacon_block_root: str | None = None
    requests_hash: str | None = None


_BYTES_FIRST = (
    "parent_hash",
    "sha3_uncles",
    "miner",
    "state_root",
    "transactions_root",
    "receipts_root",
    "logs_bloom",
)
_NUMBERS = ("difficulty", "number", "gas_limit", "gas_used", "timestamp")
_BYTES_LAST = ("extra_data", "mix_hash", "nonce")
# In the order in which upgrades appended them; none is there without those before it.
_LATER = (
    ("base_fee_per_gas", int),
    ("withdrawals_root", bytes),
    ("blob_gas_used", int),
    ("excess_blob_gas", int),
    ("parent_beacon_block_root", bytes),
    ("requests_hash", bytes),
)


class Block(msgspec.Struct, frozen=True):
    """What a header commits to, after its hash was computed from all of its fields."""

    number: int
    hash: bytes
    parent: bytes
    timestamp: int  # unix seconds
    state_root: bytes
    receipts_root: bytes
    transactions_root: bytes
    bloom: int
    transactions: tuple[str, ...]  # what the node says of them; not proven


def hashed(header: Header) -> Block:
    """A header with the hash that its fields give, whatever hash the node put beside them.

    Raises NodeUnreachable where a field is not the hexadecimal text that it must be.
    """
    try:
        fields = [encode_bytes(_raw(getattr(header, name))) for name in _BYTES_FIRST]
        fields += [encode_int(int(getattr(header, name), 16)) for name in _NUMBERS]
        fields += [encode_bytes(_raw(getattr(header, name))) for name in _BYTES_LAST]
        for name, kind in _LATER:
            value = getattr(header, name)
            if value is None:
                break
            fields.append(encode_int(int(value, 16)) if kind is int else encode_bytes(_raw(value)))
        return Block(
            number=int(header.number, 16),
            hash=keccak(encode_list(fields)),
            parent=_raw(header.parent_hash),
            timestamp=int(header.timestamp, 16),
            state_root=_raw(header.state_root),
            receipts_root=_raw(header.receipts_root),
            transactions_root=_raw(header.transactions_root),
            bloom=int(header.logs_bloom, 16),
            transactions=tuple(header.transactions),
        )
    except ValueError:
        raise NodeUnreachable("The node gave a block header that is not hexadecimal.") from None


def bloom_mask(item: bytes) -> int:
    """The bits that an address or topic sets in a header's bloom; a log of it leaves all of them set."""
    digest = keccak(item)
    mask = 0
    for at in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[at : at + 2]) & 2047)
    return mask


def may_hold(block: Block, masks: Iterable[int]) -> bool:
    """Whether a block may hold a log of one of these; False is certain, True is not."""
    bloom = block.bloom
    return bool(bloom) and any(bloom & mask == mask for mask in masks)


def _raw(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError
    return bytes.fromhex(text[2:])
