"""Values that are one word each, encoded and decoded at once.

Nearly everything the suite passes is such a value, and an audit makes thousands of calls:
``eth_abi`` is built for any type and takes some ten times as long. What does not fit exactly is not
judged here: the caller asks ``eth_abi``, which says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from eth_utils import is_address, to_checksum_address

_WORD = 32
Pack = Callable[[Any], bytes]
Unpack = Callable[[bytes], Any]


class DoesNotFit(Exception):
    """A value or a word that is not exactly of its type."""


@lru_cache(1 << 16)
def address_text(raw: bytes) -> str:
    """20 bytes as checksummed text (EIP-55)."""
    return str(to_checksum_address(raw))


@lru_cache(1 << 16)
def _address_word(text: str) -> bytes:
    if not is_address(text):
        raise DoesNotFit
    return bytes(12) + bytes.fromhex(text[2:])


class Fixed:
    """A list of ABI entries that are one word each, or structs of such."""

    def __init__(self, leaves: Sequence[tuple[Pack, Unpack]], shape: Sequence[Any]) -> None:
        self._packs = [pack for pack, _ in leaves]
        self._unpacks = [unpack for _, unpack in leaves]
        self._flat = all(part is None for part in shape)
        self._shape = shape

    @classmethod
    def of(cls, items: Sequence[Mapping[str, Any]]) -> Fixed | None:
        """For these inputs or outputs; None when one of them is an array or of no fixed length."""
        leaves: list[tuple[Pack, Unpack]] = []
        shape = _shape(items, leaves)
        return None if shape is None else cls(leaves, shape)

    def encode(self, values: Sequence[Any]) -> bytes:
        """Plain values, structs as tuples. Raises DoesNotFit."""
        flat = values if self._flat else _flattened(self._shape, values)
        if len(flat) != len(self._packs):
            raise DoesNotFit
        return b"".join([pack(value) for pack, value in zip(self._packs, flat, strict=True)])

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Values, structs as dicts; what follows the last word is not looked at. Raises DoesNotFit."""
        if len(data) < _WORD * len(self._unpacks):
            raise DoesNotFit
        found = [
            unpack(data[at : at + _WORD])
            for at, unpack in zip(range(0, len(data), _WORD), self._unpacks, strict=False)
        ]
        return tuple(found) if self._flat else tuple(_built(self._shape, iter(found)))


def _shape(
    items: Sequence[Mapping[str, Any]], leaves: list[tuple[Pack, Unpack]]
) -> list[Any] | None:
    """None for a word, a list of (name, shape) for a struct; fills in how each word is read."""
    shape: list[Any] = []
    for item in items:
        kind = str(item["type"])
        if kind == "tuple":
            parts = item["components"]
            inner = _shape(parts, leaves)
            if inner is None:
                return None
            shape.append([(c["name"], s) for c, s in zip(parts, inner, strict=True)])
            continue
        leaf = _leaf(kind)
        if leaf is None:
            return None
        leaves.append(leaf)
        shape.append(None)
    return shape


def _flattened(shape: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    if not isinstance(values, tuple | list) or len(shape) != len(values):
        raise DoesNotFit
    flat: list[Any] = []
    for part, value in zip(shape, values, strict=True):
        if part is None:
            flat.append(value)
        else:
            flat += _flattened([inner for _, inner in part], value)
    return flat


def _built(shape: Sequence[Any], words: Any) -> list[Any]:
    return [
        next(words)
        if part is None
        else dict(zip([n for n, _ in part], _built([s for _, s in part], words), strict=True))
        for part in shape
    ]


@lru_cache(None)
def _leaf(kind: str) -> tuple[Pack, Unpack] | None:
    if kind == "address":
        return _address_pack, _address_unpack
    if kind == "bool":
        return _bool_pack, _bool_unpack
    found = re.fullmatch(r"(u?int|bytes)(\d+)", kind)
    if not found:
        return None
    size = int(found[2])
    if found[1] == "bytes":
        return _bytes(size)
    return _integer(size, signed=found[1] == "int")


def _address_pack(value: Any) -> bytes:
    if type(value) is not str:
        raise DoesNotFit
    return _address_word(value)


def _address_unpack(word: bytes) -> str:
    if any(word[:12]):
        raise DoesNotFit
    return address_text(word[12:])


def _bool_pack(value: Any) -> bytes:
    if type(value) is not bool:
        raise DoesNotFit
    return value.to_bytes(_WORD)


def _bool_unpack(word: bytes) -> bool:
    value = int.from_bytes(word)
    if value > 1:
        raise DoesNotFit
    return value == 1


def _bytes(size: int) -> tuple[Pack, Unpack]:
    rest = bytes(_WORD - size)

    def pack(value: Any) -> bytes:
        if type(value) is not bytes or len(value) != size:
            raise DoesNotFit
        return value + rest

    def unpack(word: bytes) -> bytes:
        if word[size:] != rest:
            raise DoesNotFit
        return word[:size]

    return pack, unpack


def _integer(bits: int, *, signed: bool) -> tuple[Pack, Unpack]:
    low = -(1 << bits - 1) if signed else 0
    high = 1 << (bits - 1 if signed else bits)

    def pack(value: Any) -> bytes:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value < high:
            raise DoesNotFit
        return int(value).to_bytes(_WORD, signed=signed)

    def unpack(word: bytes) -> int:
        value = int.from_bytes(word, signed=signed)
        if not low <= value < high:
            raise DoesNotFit
        return value

    return pack, unpack
