"""Recursive Length Prefix against the reference implementation, and what is no RLP."""

from __future__ import annotations

import pytest
import rlp as reference
from hypothesis import given
from hypothesis import strategies as st

from medtoken.audit.proven.rlp import Item, decode, encode_bytes, encode_int, encode_list
from medtoken.errors import BadInput

ITEMS = st.recursive(
    st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=12
)


def encoded(item: Item) -> bytes:
    return encode_bytes(item) if isinstance(item, bytes) else encode_list([*map(encoded, item)])


@given(ITEMS)
def test_an_item_is_written_as_the_reference_writes_it(item: Item) -> None:
    assert encoded(item) == reference.encode(item)


@given(st.binary(min_size=50, max_size=70_000))
def test_a_long_string_is_written_as_the_reference_writes_it(data: bytes) -> None:
    assert encode_bytes(data) == reference.encode(data)
    assert decode(encode_bytes(data)) == data


@given(st.integers(min_value=0, max_value=2**256 - 1))
def test_a_number_is_written_as_the_reference_writes_it(number: int) -> None:
    assert encode_int(number) == reference.encode(number)


@given(ITEMS)
def test_what_was_written_is_read_back(item: Item) -> None:
    assert decode(encoded(item)) == item


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_the_reference_reads_them_or_refused(data: bytes) -> None:
    try:
        found = decode(data)
    except BadInput:
        with pytest.raises(reference.exceptions.DecodingError):
            reference.decode(data)
    else:
        assert encoded(found) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81\x05",  # a prefix that is not needed
        b"\xb8\x01a",  # a long length for a short string
        b"\xb9\x00\x40" + bytes(64),  # a length that starts with zero
        b"\x83ab",  # cut off
        b"\xc2a",  # a list cut off
        b"ab",  # two items
        b"\xc1" * 20 + b"\xc0",  # deeper than anything that is real
    ],
)
def test_what_is_not_well_formed_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        decode(data)
