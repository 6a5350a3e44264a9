"""Whatever is done to a sealed record, the reader notices and delivers nothing (R33)."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken.errors import BadInput, IntegrityError
from medtoken.ipfs import EmbeddedStore
from medtoken.sealing import Manifest, SealedReader, SealStream, Trailer, open_sealed
from medtoken.sealing._format import SegmentCipher, build_trailer, derive_keys

from .conftest import SECRET, Record, SealBytes
from .independent_reader import open_record

CHUNK, SEGMENT, TRAILER = 1_048_560, 1_048_576, 512


def expect_refusal(raw: bytes, dek: bytes) -> None:
    """Both readers refuse to open the whole."""
    with pytest.raises(IntegrityError):
        for _ in SealedReader(io.BytesIO(raw), dek).chunks():
            pass
    with pytest.raises(ValueError):  # noqa: PT011
        open_record(raw, dek)


def parts(record: Record) -> tuple[list[bytes], bytes]:
    """The segments and the trailer."""
    body = record.raw[:-TRAILER]
    return [body[at : at + SEGMENT] for at in range(0, len(body), SEGMENT)], record.raw[-TRAILER:]


def with_true_size(raw: bytes) -> bytes:
    """The record with the content size that its trailer states put right."""
    size = (len(raw) - TRAILER).to_bytes(8, "big")
    return raw[: 80 - TRAILER] + size + raw[88 - TRAILER :]


def test_the_untouched_records_open(record: Record, small: Record) -> None:
    for one in (record, small):
        assert open_record(one.raw, one.sealed.dek).plaintext == one.plaintext


# --- bytes --------------------------------------------------------------------------------------


def test_a_flipped_bit_anywhere_in_a_small_record_is_noticed(small: Record) -> None:
    for at in range(len(small.raw)):
        for bit in (0, 7):
            raw = bytearray(small.raw)
            raw[at] ^= 1 << bit
            expect_refusal(bytes(raw), small.sealed.dek)


@settings(deadline=None)
@given(data=st.data())
def test_a_changed_byte_anywhere_is_noticed(data: st.DataObject, record: Record) -> None:
    raw = bytearray(record.raw)
    edges = [at * SEGMENT for at in range(4)] + [len(raw) - TRAILER]
    near = st.sampled_from(edges).flatmap(lambda at: st.integers(max(0, at - 20), at + 20))
    at = data.draw(near | st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        for _ in SealedReader(io.BytesIO(raw), record.sealed.dek).chunks():
            pass


# --- segments -----------------------------------------------------------------------------------

Rearrange = Callable[[list[bytes]], list[bytes]]
REARRANGED: dict[str, Rearrange] = {
    "two swapped": lambda s: [s[1], s[0], *s[2:]],
    "neighbours of the last swapped": lambda s: [s[0], s[2], s[1], s[3]],
    "all turned round": lambda s: s[2::-1] + s[3:],
    "the last one first": lambda s: [s[3], *s[:3]],
    "the first dropped": lambda s: s[1:],
    "a middle one dropped": lambda s: [s[0], *s[2:]],
    "the last dropped": lambda s: s[:-1],
    "all but the last dropped": lambda s: s[-1:],
    "the first repeated": lambda s: [s[0], *s],
    "the last repeated": lambda s: [*s, s[-1]],
    "one put over another": lambda s: [s[0], s[0], *s[2:]],
    "all repeated": lambda s: s + s,
}


@pytest.mark.parametrize("change", REARRANGED.values(), ids=REARRANGED.keys())
def test_rearranged_segments_are_noticed(record: Record, change: Rearrange) -> None:
    segments, trailer = parts(record)
    raw = b"".join(change(segments)) + trailer
    expect_refusal(raw, record.sealed.dek)
    expect_refusal(with_true_size(raw), record.sealed.dek)


@pytest.mark.parametrize(
    "change",
    [
        change
        for name, change in REARRANGED.items()
        if name not in ("the last one first", "the last repeated", "all repeated")
    ],
)
def test_a_key_holder_cannot_rearrange_segments_behind_a_new_trailer(
    record: Record, change: Rearrange
) -> None:
    """Even with a trailer that is right in all else, the segments' own numbers tell."""
    segments, _ = parts(record)
    changed = change(segments)
    size = sum(len(segment) - 16 for segment in changed)
    salt = Trailer.parse(record.raw[-TRAILER:]).salt
    manifest = Manifest("text/csv", size, record.sealed.manifest.fingerprint, bytes(32))
    trailer = build_trailer(salt, derive_keys(record.sealed.dek, salt), manifest)
    reader = SealedReader(io.BytesIO(b"".join(changed) + trailer), record.sealed.dek)
    with pytest.raises(IntegrityError, match="segment"):
        for _ in reader.chunks():
            pass


def test_a_segment_of_another_sealing_under_the_same_key_is_noticed(seal_bytes: SealBytes) -> None:
    """The record's salt keeps two sealings apart even if a key were used twice."""

    def randomness(salt: int) -> Callable[[int], bytes]:
        values = iter((b"k" * 32, b"s" * 32, bytes([salt]) * 32))
        return lambda count: next(values)

    one = seal_bytes(b"a" * CHUNK + b"x", _random=randomness(1))
    two = seal_bytes(b"b" * CHUNK + b"x", _random=randomness(2))
    assert one.sealed.dek == two.sealed.dek
    expect_refusal(two.raw[:SEGMENT] + one.raw[SEGMENT:], one.sealed.dek)
    expect_refusal(one.raw[:-TRAILER] + two.raw[-TRAILER:], one.sealed.dek)


# --- length -------------------------------------------------------------------------------------


def test_truncation_anywhere_is_noticed(record: Record) -> None:
    size = len(record.raw)
    ends = {0, 1, 15, 16, 17, 511, 512, 513, size - 1, size - 511, size - 512, size - 513}
    ends |= {at * SEGMENT + around for at in (1, 2, 3) for around in (-1, 0, 1, 16, 17, 512)}
    for end in ends:
        raw = record.raw[:end]
        expect_refusal(raw, record.sealed.dek)
        if end > TRAILER:
            expect_refusal(raw[:-TRAILER] + record.raw[-TRAILER:], record.sealed.dek)
            expect_refusal(
                with_true_size(raw[:-TRAILER] + record.raw[-TRAILER:]), record.sealed.dek
            )


@pytest.mark.parametrize("extra", [b"\0", b"x" * 16, b"x" * 17, b"x" * 512, b"x" * SEGMENT])
def test_added_bytes_are_noticed(record: Record, small: Record, extra: bytes) -> None:
    for one in (record, small):
        body, trailer = one.raw[:-TRAILER], one.raw[-TRAILER:]
        for raw in (one.raw + extra, extra + one.raw, body + extra + trailer, one.raw + trailer):
            expect_refusal(raw, one.sealed.dek)
            expect_refusal(with_true_size(raw), one.sealed.dek)


@settings(deadline=None)
@given(st.binary(max_size=1200))
def test_random_bytes_are_no_sealed_record(raw: bytes) -> None:
    expect_refusal(raw, bytes(32))
    expect_refusal(b"MTSEALED" + raw, bytes(32))


def test_a_source_that_ends_early_is_noticed(record: Record) -> None:
    class Short(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            return super().readinto(buffer) if self.tell() != SEGMENT else 0

    reader = SealedReader(Short(record.raw), record.sealed.dek)
    with pytest.raises(IntegrityError, match="truncated"):
        reader.read_range(CHUNK, 1)


# --- keys ---------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused(record: Record, small: Record) -> None:
    for dek in (small.sealed.dek, bytes(32), os.urandom(32)):
        with pytest.raises(IntegrityError, match="does not open"):
            SealedReader(io.BytesIO(record.raw), dek)
    for dek in (b"", record.sealed.dek[:31], record.sealed.dek + b"\0"):
        with pytest.raises(IntegrityError, match="does not open"):
            SealedReader(io.BytesIO(record.raw), dek)


def test_the_commitment_is_checked_without_opening(record: Record, small: Record) -> None:
    trailer = Trailer.parse(record.raw[-TRAILER:])
    assert trailer.commitment == record.sealed.commitment
    assert trailer.commits_to(record.sealed.dek)
    assert not trailer.commits_to(small.sealed.dek)
    assert not trailer.commits_to(record.sealed.dek[:-1])


def test_another_record_is_refused_by_its_fingerprint(record: Record, small: Record) -> None:
    with pytest.raises(IntegrityError, match="another record"):
        SealedReader(
            io.BytesIO(small.raw), small.sealed.dek, fingerprint=record.sealed.manifest.fingerprint
        )


def test_a_ciphertext_made_for_two_keys_opens_with_one_only(small: Record) -> None:
    """GCM does not commit to its key; the trailer's commitment does.

    One segment of two blocks is computed that authenticates under two keys, which is linear
    algebra in GF(2^128). The reader refuses the key that the record was not sealed with.
    """
    trailer = Trailer.parse(small.raw[-TRAILER:])
    first, second = small.sealed.dek, bytes(32)
    associated = b"medtoken sealed record v1 segment" + small.raw[-TRAILER:][:80]
    keys = [derive_keys(dek, trailer.salt) for dek in (first, second)]
    # Both use the first key's header and nonce prefix, as whoever forges would write them.
    both = [
        one._replace(nonce_prefix=keys[0].nonce_prefix, commitment=keys[0].commitment)
        for one in keys
    ]
    assert len(associated) == 33 + 80
    segment = two_key_segment([one.segments for one in both], both[0].nonce_prefix, associated)
    opened = []
    for one in both:
        out = memoryview(bytearray(32))
        SegmentCipher(trailer.salt, one).decrypt_into(0, True, memoryview(segment), out)
        opened.append(bytes(out))
    assert opened[0] != opened[1]

    fingerprint = hashlib.sha256(bytes(32) + opened[0]).digest()
    forged = segment + build_trailer(
        trailer.salt, keys[0], Manifest("text/csv", 32, fingerprint, bytes(32))
    )
    assert SealedReader(io.BytesIO(forged), first).read_range(0, 32) == opened[0]
    with pytest.raises(IntegrityError, match="does not open"):
        SealedReader(io.BytesIO(forged), second)


def two_key_segment(keys: list[bytes], prefix: bytes, associated: bytes) -> bytes:
    """32 bytes of ciphertext and one tag that AES-256-GCM accepts under both keys."""
    from Crypto.Cipher import AES

    def multiply(x: int, y: int) -> int:
        product = 0
        for bit in range(127, -1, -1):
            if y >> bit & 1:
                product ^= x
            x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
        return product

    def power(x: int, exponent: int) -> int:
        result = 1 << 127
        while exponent:
            if exponent & 1:
                result = multiply(result, x)
            x, exponent = multiply(x, x), exponent >> 1
        return result

    nonce = prefix + bytes(4) + b"\x01"
    padded = associated + bytes(-len(associated) % 16)
    blocks = [int.from_bytes(padded[at : at + 16], "big") for at in range(0, len(padded), 16)]
    lengths = (len(associated) * 8) << 64 | 32 * 8
    free = int.from_bytes(b"any first block!", "big")
    known, factor = [], []
    for key in keys:
        ecb = AES.new(key, AES.MODE_ECB)
        h = int.from_bytes(ecb.encrypt(bytes(16)), "big")
        total = int.from_bytes(ecb.encrypt(nonce + b"\0\0\0\x01"), "big")
        terms = [*blocks, free, 0, lengths]
        for place, term in enumerate(terms):
            total ^= multiply(term, power(h, len(terms) - place))
        known.append(total)
        factor.append(power(h, 2))
    solved = multiply(known[0] ^ known[1], power(factor[0] ^ factor[1], 2**128 - 2))
    tag = known[0] ^ multiply(solved, factor[0])
    return b"".join(number.to_bytes(16, "big") for number in (free, solved, tag))


def test_a_fingerprint_that_the_content_has_not_is_noticed(small: Record, tmp_path: Path) -> None:
    """A custodian that seals one thing and registers another is caught at the end."""
    trailer = Trailer.parse(small.raw[-TRAILER:])
    keys = derive_keys(small.sealed.dek, trailer.salt)
    lie = Manifest("text/csv", len(small.plaintext), bytes(32), small.sealed.manifest.salt)
    raw = small.raw[:-TRAILER] + build_trailer(trailer.salt, keys, lie)
    with pytest.raises(IntegrityError, match="fingerprint"):
        open_sealed(io.BytesIO(raw), small.sealed.dek, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# --- trailers from a hostile custodian ----------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, b"XTSEALED", "not a sealed record"),
        (8, b"\x02", "version 2"),
        (9, b"\x02", "parameters"),
        (10, b"\x15", "parameters"),
        (11, b"\x01", "parameters"),
        (12, b"\0\0\x04\0", "parameters"),
        (80, bytes(8), "size"),
        (80, (16).to_bytes(8, "big"), "size"),
        (80, (SEGMENT + 16).to_bytes(8, "big"), "size"),
        (80, ((1 << 40) + 17).to_bytes(8, "big"), "size"),
        (80, b"\xff" * 8, "size"),
    ],
)
def test_a_trailer_outside_the_specification_is_refused(
    small: Record, at: int, value: bytes, message: str
) -> None:
    raw = bytearray(small.raw)
    start = len(raw) - TRAILER + at
    raw[start : start + len(value)] = value
    with pytest.raises(IntegrityError, match=message):
        SealedReader(io.BytesIO(raw), small.sealed.dek)


@pytest.mark.parametrize(
    "plain",
    [
        bytes(64) + (12).to_bytes(8, "big") + b"\0" + bytes(335),
        bytes(64) + (12).to_bytes(8, "big") + b"\x80" + b"a" * 128 + bytes(207),
        bytes(64) + (12).to_bytes(8, "big") + b"\xff" + b"a" * 335,
        bytes(64) + (12).to_bytes(8, "big") + b"\x01a" + bytes(333) + b"x",
        bytes(64) + (12).to_bytes(8, "big") + b"\x01\xff" + bytes(334),
        bytes(64) + (12).to_bytes(8, "big") + b"\x01\n" + bytes(334),
        bytes(64) + (13).to_bytes(8, "big") + b"\x01a" + bytes(334),
    ],
    ids=[
        "no media type",
        "128 characters",
        "longer than the manifest",
        "padding not zero",
        "not ASCII",
        "not printable",
        "another size",
    ],
)
def test_a_manifest_outside_the_specification_is_refused(small: Record, plain: bytes) -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    trailer = Trailer.parse(small.raw[-TRAILER:])
    key = derive_keys(small.sealed.dek, trailer.salt).manifest
    manifest = AESGCM(key).encrypt(bytes(12), plain, trailer.head)
    raw = small.raw[:-TRAILER] + trailer.head + manifest
    with pytest.raises(IntegrityError, match="manifest"):
        SealedReader(io.BytesIO(raw), small.sealed.dek)
    expect_refusal(raw, small.sealed.dek)


# --- delivery -----------------------------------------------------------------------------------


def test_a_failure_delivers_nothing_and_keeps_what_was_there(
    record: Record, tmp_path: Path
) -> None:
    (tmp_path / "out").write_bytes(b"from before")
    for at in (5, SEGMENT + 5, 3 * SEGMENT + 5):
        raw = bytearray(record.raw)
        raw[at] ^= 1
        with pytest.raises(IntegrityError):
            open_sealed(io.BytesIO(raw), record.sealed.dek, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == b"from before"
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_place_that_cannot_be_written_is_refused(small: Record, tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "out", tmp_path):
        with pytest.raises(BadInput, match="cannot be written"):
            open_sealed(io.BytesIO(small.raw), small.sealed.dek, path)
    assert list(tmp_path.parent.glob(".*.part")) == []


def test_an_opened_record_is_private(small: Record, tmp_path: Path) -> None:
    open_sealed(io.BytesIO(small.raw), small.sealed.dek, tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_a_store_that_swaps_two_whole_records_is_noticed(
    record: Record, small: Record, tmp_path: Path
) -> None:
    store = EmbeddedStore(tmp_path / "store")
    cids = [store.add_file(io.BytesIO(one.raw)) for one in (record, small)]
    paths = [tmp_path / "store" / "blocks" / str(cid)[-3:-1] / str(cid) for cid in cids]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)
    for cid, one in zip(cids, (record, small), strict=True):
        with pytest.raises(IntegrityError, match="altered"):
            SealedReader(store.open(cid), one.sealed.dek)


def test_sealing_stops_when_its_source_fails(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            if self.tell() >= 2 * CHUNK:
                raise OSError(5, "Input/output error")
            return super().readinto(buffer)

    store = EmbeddedStore(tmp_path / "store")
    with pytest.raises(OSError, match="Input/output"):
        store.add_file(SealStream(Broken(bytes(5 * CHUNK)), SECRET))
    assert list(store.pins()) == []
    assert list(tmp_path.glob("store/blocks/*/*")) == []
