"""Recursive Length Prefix: how Ethereum writes headers, receipts and trie nodes as bytes.

Only what the auditor needs, without a layer of types: an item is bytes or a list of items. The
encoder is on the path of every receipt, so it is plain and flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from medtoken.errors import BadInput

Item: TypeAlias = "bytes | list[Item]"

# A trie node nests a node at most, a receipt its logs and their topics; deeper is an attack.
_DEPTH = 8


def encode_bytes(value: bytes) -> bytes:
    """A byte string."""
    if len(value) == 1 and value[0] < 0x80:
        return value
    return prefix(0x80, len(value)) + value


def encode_int(value: int) -> bytes:
    """A number that is not negative: its big-endian bytes, none for zero."""
    if value < 0x80:
        return b"\x80" if value == 0 else bytes((value,))
    return encode_bytes(value.to_bytes((value.bit_length() + 7) // 8))


def encode_list(encoded: Sequence[bytes]) -> bytes:
    """A list of items that are encoded already."""
    body = b"".join(encoded)
    return prefix(0xC0, len(body)) + body


def prefix(kind: int, size: int) -> bytes:
    """What stands before so many bytes: ``kind`` is 0x80 for a byte string, 0xC0 for a list."""
    if size < 56:
        return bytes((kind + size,))
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((kind + 55 + len(length),)) + length


def decode(data: bytes) -> Item:
    """One item that takes up all of ``data``. Raises BadInput where it is not well formed."""
    item, end = _item(data, 0, len(data), 0)
    if end != len(data):
        raise BadInput("RLP ends before its bytes do.")
    return item


def _item(data: bytes, at: int, limit: int, depth: int) -> tuple[Item, int]:
    if at >= limit or depth > _DEPTH:
        raise BadInput("RLP ends in the middle of an item, or nests too deep.")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    listed = first >= 0xC0
    size = first - (0xC0 if listed else 0x80)
    start = at + 1
    if size > 55:
        width = size - 55
        if start + width > limit or data[start] == 0:
            raise BadInput("RLP has a length that is cut off or starts with zero.")
        size = int.from_bytes(data[start : start + width])
        if size < 56:
            raise BadInput("RLP has a long length where a short one fits.")
        start += width
    end = start + size
    if end > limit:
        raise BadInput("RLP ends in the middle of an item.")
    if not listed:
        if size == 1 and data[start] < 0x80:
            raise BadInput("RLP has a prefix before a byte that needs none.")
        return data[start:end], end
    items: list[Item] = []
    place = start
    while place < end:
        item, place = _item(data, place, end, depth + 1)
        items.append(item)
    return items, end
