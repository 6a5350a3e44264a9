"""Content identifiers equal Kubo's, and nothing but a canonical CIDv1 is read back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken.errors import BadInput
from medtoken.ipfs import CID, LEAF_SIZE, Codec, file_cid

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())
TWO_LEVELS = (1 << 30) + 1  # one leaf more than a node holds; a second to hash
PERIOD = 1048583
TABLE = bytes((j * j + j // 256 + j // 65536) % 251 for j in range(PERIOD))

cids = st.builds(CID, st.sampled_from(Codec), st.binary(min_size=32, max_size=32))


class Content:
    """The content that ``vectors.json`` describes, without holding it."""

    def __init__(self, size: int) -> None:
        self.size, self.at = size, 0

    def readinto(self, buffer: memoryview) -> int:
        start = self.at % PERIOD
        count = min(len(buffer), self.size - self.at, PERIOD - start)
        buffer[:count] = TABLE[start : start + count]
        self.at += count
        return count


@pytest.mark.parametrize(
    ("size", "cid"),
    [
        pytest.param(
            file["size"],
            file["cid"],
            id=str(file["size"]),
            marks=[pytest.mark.slow]
            if file["size"] > 1 << 29 and file["size"] != TWO_LEVELS
            else [],
        )
        for file in VECTORS["files"]
    ],
)
def test_a_file_has_the_cid_that_kubo_gives_it(size: int, cid: str) -> None:
    assert str(file_cid(Content(size))) == cid


@settings(deadline=None)
@given(st.lists(st.integers(1000, LEAF_SIZE), min_size=1, max_size=30))
def test_the_cid_does_not_depend_on_how_a_stream_is_read(reads: list[int]) -> None:
    class Dribble(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            return super().readinto(buffer[: reads[self.tell() % len(reads)]])

    data = TABLE + TABLE[:5000]
    assert file_cid(Dribble(data)) == file_cid(io.BytesIO(data))


@given(cids)
def test_text_and_binary_forms_read_back(cid: CID) -> None:
    assert CID.parse(str(cid)) == cid == CID.from_bytes(bytes(cid))
    assert len(bytes(cid)) == 36
    assert str(cid)[:4] == {Codec.RAW: "bafk", Codec.DAG_PB: "bafy"}[cid.codec]


GOOD = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        GOOD.upper(),
        "B" + GOOD[1:],
        "z" + GOOD[1:],
        GOOD[:-1],
        GOOD + "a",
        GOOD + "=",
        GOOD[:-1] + "v",  # the same 36 bytes, but bits set that base32 must leave zero
        GOOD[:-1] + "1",
        GOOD[:-2] + "é" + GOOD[-1],
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
        "bafyaa" + GOOD[6:],
        "bafireihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    ],
)
def test_what_is_not_a_canonical_cid_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        CID.parse(text)


@given(cids, st.integers(0, 3), st.integers(1, 255))
def test_a_foreign_prefix_is_refused(cid: CID, at: int, flip: int) -> None:
    binary = bytearray(bytes(cid))
    binary[at] ^= flip
    other = {Codec.RAW: Codec.DAG_PB, Codec.DAG_PB: Codec.RAW}[cid.codec]
    if at == 1 and binary[1] == other:
        assert CID.from_bytes(bytes(binary)) == CID(other, cid.digest)
        return
    with pytest.raises(BadInput):
        CID.from_bytes(bytes(binary))


@given(st.binary(max_size=60).filter(lambda raw: len(raw) != 36))
def test_a_binary_form_has_36_bytes(raw: bytes) -> None:
    with pytest.raises(BadInput):
        CID.from_bytes(raw)
