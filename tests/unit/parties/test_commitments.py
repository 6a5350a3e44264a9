"""What a custodian says of a file without saying what is in it."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtoken.errors import BadInput
from medtoken.parties.custodian import codes_commitment, duplicate_tag


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_the_duplicate_tag_is_an_hmac_of_the_whole_file(tmp_path: Path, size: int) -> None:
    body, secret = bytes(n % 251 for n in range(size)), b"s" * 32
    (tmp_path / "file").write_bytes(body)
    assert duplicate_tag(tmp_path / "file", secret) == hmac.digest(secret, body, "sha256")


def test_the_duplicate_tag_says_nothing_without_the_secret(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a guess")
    one, two = (duplicate_tag(tmp_path / "file", bytes([n]) * 32) for n in (1, 2))
    assert one != two
    assert one != hashlib.sha256(b"a guess").digest()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        duplicate_tag(tmp_path / "nothing", bytes(32))


@given(st.lists(st.text("ABC:-123", min_size=1), unique=True), st.randoms())
def test_the_codes_are_committed_to_in_any_order(codes: list[str], random: object) -> None:
    shuffled = list(codes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert codes_commitment(shuffled) == codes_commitment(codes)
    assert codes_commitment([*codes, "LOINC:99"]) != codes_commitment(codes)
