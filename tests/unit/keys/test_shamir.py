"""Any two shares of one split make the key; nothing else does, and a false share is known."""

from __future__ import annotations

import dataclasses
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtoken.errors import BadInput, IntegrityError
from medtoken.keys import Share, combine, split

RECORD = b"\x01" * 32
keys = st.binary(min_size=32, max_size=32)


@given(keys, keys, st.integers(1, 2**32 - 1))
def test_any_two_shares_make_the_key(dek: bytes, record: bytes, version: int) -> None:
    shares = split(dek, record, version)
    assert [share.index for share in shares] == [1, 2, 3]
    for pair in permutations(shares, 2):
        assert combine(pair) == dek
    for share in shares:
        assert share.genuine
        assert Share.from_bytes(bytes(share)) == share


def test_the_extreme_keys_split_too() -> None:
    for dek in (bytes(32), b"\xff" * 32, bytes(16) + b"\xff" * 16):
        for pair in combinations(split(dek, RECORD), 2):
            assert combine(pair) == dek


def test_a_share_says_nothing_of_the_key() -> None:
    """Every split of one key has other shares, and no half of a share is a half of the key."""
    dek = bytes(range(32))
    values = {share.value for _ in range(20) for share in split(dek, RECORD)}
    assert len(values) == 60
    assert not {value[:16] for value in values} & {dek[:16], dek[16:]}


@given(st.integers(0, 165), st.integers(1, 255))
def test_an_altered_share_never_combines(at: int, flip: int) -> None:
    first, second, _ = split(bytes(32), RECORD)
    binary = bytearray(bytes(first))
    binary[at] ^= flip
    with pytest.raises((IntegrityError, BadInput)):
        combine((Share.from_bytes(bytes(binary)), second))


def test_shares_of_two_splits_never_combine() -> None:
    dek = bytes(32)
    first = split(dek, RECORD)
    for other in (split(dek, RECORD), split(dek, RECORD, 2), split(dek, b"\x02" * 32)):
        with pytest.raises(IntegrityError, match="same split"):
            combine((first[0], other[1]))


@pytest.mark.parametrize("chosen", [(), (0,), (0, 0), (0, 1, 2)])
def test_other_than_two_different_shares_are_refused(chosen: tuple[int, ...]) -> None:
    shares = split(bytes(32), RECORD)
    with pytest.raises(IntegrityError, match="two different"):
        combine([shares[place] for place in chosen])


def test_a_false_value_is_known_from_the_commitments() -> None:
    first, second, _ = split(bytes(32), RECORD)
    false = dataclasses.replace(first, value=bytes(32))
    assert not false.genuine
    with pytest.raises(IntegrityError, match="committed"):
        combine((false, second))


@given(st.binary(max_size=200).filter(lambda raw: len(raw) != 166))
def test_bytes_that_are_no_share_are_refused(raw: bytes) -> None:
    with pytest.raises(BadInput):
        Share.from_bytes(raw)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        split(bytes(size), RECORD)


def test_recorded_shares_still_make_their_key() -> None:
    """The scheme's field and encoding, pinned: computed by hand in GF(2^128) below."""

    def double(x: int) -> int:
        return (x << 1 ^ (0x87 if x >> 127 else 0)) & (1 << 128) - 1

    dek = bytes(range(32))
    slopes = (0x8123456789ABCDEF0123456789ABCDEF, 0xFEDCBA9876543210FEDCBA9876543210)
    halves = [int.from_bytes(half, "big") for half in (dek[:16], dek[16:])]
    at_one = b"".join((h ^ s).to_bytes(16, "big") for h, s in zip(halves, slopes, strict=True))
    at_two = b"".join(
        (h ^ double(s)).to_bytes(16, "big") for h, s in zip(halves, slopes, strict=True)
    )
    from hashlib import sha256

    values = (at_one, at_two, bytes(32))
    commitments = tuple(
        sha256(
            b"medtoken key share v1" + RECORD + (1).to_bytes(4, "big") + bytes([index]) + value
        ).digest()
        for index, value in enumerate(values, 1)
    )
    shares = [Share(RECORD, 1, i + 1, values[i], commitments) for i in (0, 1)]
    assert combine(shares) == dek
