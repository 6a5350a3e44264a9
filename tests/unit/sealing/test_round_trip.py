"""What was sealed opens again, whole and in ranges; what cannot be sealed is refused."""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken.errors import BadInput, IntegrityError, StoreError
from medtoken.ipfs import CID, EmbeddedStore, file_cid
from medtoken.sealing import Manifest, SealedReader, SealStream, _seal, open_sealed, seal

from .conftest import SECRET, Record, SealBytes
from .independent_reader import open_record

CHUNK, SEGMENT, TRAILER = 1_048_560, 1_048_576, 512
BOUNDARIES = [
    base + around
    for base in (0, CHUNK - TRAILER, CHUNK, SEGMENT, 2 * CHUNK, 4 * CHUNK, 5 * CHUNK)
    for around in (-17, -16, -1, 0, 1, 16, 17)
    if base + around > 0
]


@pytest.mark.parametrize("size", BOUNDARIES)
def test_every_size_around_a_boundary_opens_again(
    size: int, seal_bytes: SealBytes, tmp_path: Path
) -> None:
    plaintext = hashlib.shake_128(b"record").digest(size)
    record = seal_bytes(plaintext)
    segments = -(-size // CHUNK)
    assert len(record.raw) == size + 16 * segments + TRAILER == record.sealed.sealed_size
    manifest = open_sealed(io.BytesIO(record.raw), record.sealed.dek, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == plaintext
    assert manifest == record.sealed.manifest
    assert manifest.plaintext_size == size
    assert open_record(record.raw, record.sealed.dek).plaintext == plaintext


def test_a_file_goes_through_a_store(tmp_path: Path) -> None:
    plaintext = os.urandom(2 * CHUNK + 5)
    (tmp_path / "in").write_bytes(plaintext)
    store = EmbeddedStore(tmp_path / "store")
    sealed = seal(
        tmp_path / "in", custodian_secret=SECRET, store=store, media_type="application/dicom"
    )
    assert list(store.pins()) == [sealed.cid]
    with store.open(sealed.cid) as source:
        manifest = open_sealed(
            source, sealed.dek, tmp_path / "out", fingerprint=sealed.manifest.fingerprint
        )
    assert (tmp_path / "out").read_bytes() == plaintext
    assert manifest.media_type == "application/dicom"
    assert manifest.fingerprint == hashlib.sha256(manifest.salt + plaintext).digest()
    assert sealed.duplicate_tag == hmac.digest(SECRET, plaintext, "sha256")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "store"]


def test_a_full_segment_is_exactly_one_leaf(record: Record, tmp_path: Path) -> None:
    asked: list[CID] = []

    class Spy(EmbeddedStore):
        def get_block(self, cid: CID) -> bytes:
            asked.append(cid)
            return super().get_block(cid)

    store = Spy(tmp_path / "store")
    reader = SealedReader(store.open(store.add_file(io.BytesIO(record.raw))), record.sealed.dek)
    for index in range(3):
        asked.clear()
        reader.read_range(index * CHUNK, CHUNK)
        assert asked == [CID.of(record.raw[index * SEGMENT : (index + 1) * SEGMENT])]


def test_sealing_twice_shares_nothing_but_the_duplicate_tag(seal_bytes: SealBytes) -> None:
    one, two = seal_bytes(b"the same"), seal_bytes(b"the same")
    assert one.sealed.duplicate_tag == two.sealed.duplicate_tag
    assert one.sealed.dek != two.sealed.dek
    assert one.sealed.commitment != two.sealed.commitment
    assert one.sealed.manifest.salt != two.sealed.manifest.salt
    assert one.sealed.manifest.fingerprint != two.sealed.manifest.fingerprint
    assert one.raw[:24] != two.raw[:24]


def test_nothing_secret_is_in_the_text_form(small: Record) -> None:
    text = repr(small.sealed)
    for secret in (small.sealed.dek, small.sealed.manifest.salt):
        assert repr(secret) not in text
        assert secret.hex() not in text


@settings(deadline=None)
@given(data=st.data())
def test_any_range_reads_back(data: st.DataObject, record: Record) -> None:
    reader = SealedReader(io.BytesIO(record.raw), record.sealed.dek)
    size = len(record.plaintext)
    near = st.sampled_from([0, CHUNK, 2 * CHUNK, 3 * CHUNK, size]).flatmap(
        lambda at: st.integers(max(0, at - 20), at + 20)
    )
    for _ in range(3):
        start = data.draw(near | st.integers(0, size + 100))
        length = data.draw(st.integers(0, 50) | st.integers(0, size))
        assert reader.read_range(start, length) == record.plaintext[start : start + length]


def test_a_range_reads_only_the_segments_that_hold_it(record: Record) -> None:
    raw = bytearray(record.raw)
    raw[5] ^= 1
    raw[2 * SEGMENT + 5] ^= 1
    reader = SealedReader(io.BytesIO(raw), record.sealed.dek)
    assert reader.read_range(CHUNK, CHUNK) == record.plaintext[CHUNK : 2 * CHUNK]
    for start in (CHUNK - 1, 2 * CHUNK - 1):
        with pytest.raises(IntegrityError, match="segment"):
            reader.read_range(start, 2)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1)])
def test_a_negative_range_is_refused(small: Record, offset: int, length: int) -> None:
    with pytest.raises(BadInput):
        SealedReader(io.BytesIO(small.raw), small.sealed.dek).read_range(offset, length)


def test_a_stream_read_in_any_pieces_is_the_same(seal_bytes: SealBytes, record: Record) -> None:
    fixed = iter(range(1, 1000))
    randomness = lambda count: bytes([next(fixed)]) * count  # noqa: E731
    whole = seal_bytes(record.plaintext, _random=randomness).raw
    fixed = iter(range(1, 1000))

    class Dribble(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            return super().readinto(buffer[:70_001])

    stream = SealStream(Dribble(record.plaintext), SECRET, "text/csv", _random=randomness)
    pieces = b"".join(iter(lambda: stream.read(99_991), b""))
    assert pieces == whole


def test_a_hash_that_lags_behind_still_sees_every_byte() -> None:
    """Buffers are reused: none may be filled again before it was hashed."""
    plaintext = hashlib.shake_128(b"lag").digest(9 * CHUNK)

    class Slow:
        def __init__(self) -> None:
            self.inner = hmac.new(SECRET, digestmod="sha256")
            self.digest = self.inner.digest

        def update(self, data: memoryview) -> None:
            time.sleep(0.02)
            self.inner.update(data)

    with SealStream(io.BytesIO(plaintext), SECRET) as stream:
        stream._tag = Slow()  # type: ignore[assignment]
        sealed = stream.result(file_cid(stream))
    assert sealed.duplicate_tag == hmac.digest(SECRET, plaintext, "sha256")


# --- refused ------------------------------------------------------------------------------------


def test_an_empty_file_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    store = EmbeddedStore(tmp_path / "store")
    with pytest.raises(BadInput, match="empty"):
        seal(tmp_path / "in", custodian_secret=SECRET, store=store)
    assert list(store.pins()) == []
    assert list(tmp_path.glob("store/blocks/*/*")) == []


@pytest.mark.parametrize("name", ["missing", "."])
def test_an_unreadable_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        seal(tmp_path / name, custodian_secret=SECRET, store=EmbeddedStore(tmp_path / "store"))


def test_a_short_custodian_secret_is_refused() -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        SealStream(io.BytesIO(b"x"), SECRET[:31])


@pytest.mark.parametrize("media_type", ["", "a" * 128, "text/ünicode", "text\n", "a\0"])
def test_a_media_type_that_cannot_be_written_is_refused(media_type: str) -> None:
    with pytest.raises(BadInput, match="media type"):
        SealStream(io.BytesIO(b"x"), SECRET, media_type)
    with pytest.raises(BadInput, match="media type"):
        Manifest(media_type, 1, bytes(32), bytes(32))


def test_the_longest_media_type_reads_back(seal_bytes: SealBytes) -> None:
    record = seal_bytes(b"x", "a" * 127)
    assert open_record(record.raw, record.sealed.dek).media_type == "a" * 127
    assert SealedReader(io.BytesIO(record.raw), record.sealed.dek).manifest.media_type == "a" * 127


def test_too_large_a_record_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_seal, "MAX_SEGMENTS", 2)
    assert SealStream(io.BytesIO(bytes(2 * CHUNK)), SECRET).readall()
    with pytest.raises(BadInput, match="split"):
        SealStream(io.BytesIO(bytes(2 * CHUNK + 1)), SECRET).readall()


def test_facts_before_the_end_of_the_stream_are_refused(record: Record) -> None:
    stream = SealStream(io.BytesIO(record.plaintext), SECRET)
    stream.read(10)
    with stream, pytest.raises(BadInput, match="to its end"):
        stream.result(record.sealed.cid)


def test_a_failing_store_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x")

    class Full(EmbeddedStore):
        def add_file(self, stream: object) -> CID:
            raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="full"):
        seal(tmp_path / "in", custodian_secret=SECRET, store=Full(tmp_path / "store"))


def test_the_cid_is_that_of_the_whole_record(record: Record) -> None:
    assert record.sealed.cid == file_cid(io.BytesIO(record.raw))
