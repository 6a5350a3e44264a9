"""Crypt4GH in and out, held against the GA4GH's reference implementation in both directions."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import itertools
import random
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import crypt4gh.header
import crypt4gh.keys
import crypt4gh.keys.c4gh
import crypt4gh.lib
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from medtoken.errors import (
    BadInput,
    IntegrityError,
    MalformedFile,
    MedtokenError,
    UnsupportedFile,
)
from medtoken.interop.crypt4gh import (
    SEGMENT,
    SecretKey,
    decrypt,
    encrypt,
    read_header,
    read_public_key,
    read_secret_key,
)

ALICE, BOB, EVE = (SecretKey(hashlib.sha256(name).digest()) for name in (b"a", b"b", b"e"))
SIZES = (1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 17)
STEP = SEGMENT + 28


@functools.cache
def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def written(plain: bytes, *recipients: SecretKey, sender: SecretKey | None = None) -> bytes:
    file = io.BytesIO()
    count = encrypt([plain], file, [one.public for one in recipients or (BOB,)], sender=sender)
    assert count == len(file.getvalue())
    return file.getvalue()


def read(sealed: bytes, secret: SecretKey = BOB, sender: SecretKey | None = None) -> bytes:
    whose = sender.public if sender else None
    return b"".join(decrypt(io.BytesIO(sealed), secret, sender=whose))


def reference_written(plain: bytes, sender: SecretKey = ALICE, *recipients: SecretKey) -> bytes:
    file = io.BytesIO()
    keys = [(0, sender.raw, one.public) for one in recipients or (BOB,)]
    crypt4gh.lib.encrypt(keys, io.BytesIO(plain), file)
    return file.getvalue()


def reference_read(sealed: bytes, secret: SecretKey = BOB) -> bytes:
    file = io.BytesIO()
    crypt4gh.lib.decrypt([(0, secret.raw, None)], io.BytesIO(sealed), file)
    return file.getvalue()


def parts(sealed: bytes) -> tuple[bytes, list[bytes]]:
    """The header, and the segments."""
    source = io.BytesIO(sealed)
    read_header(source, BOB)
    body = sealed[source.tell() :]
    return sealed[: source.tell()], [body[at : at + STEP] for at in range(0, len(body), STEP)]


@pytest.mark.parametrize("size", SIZES)
def test_the_reference_reads_what_we_write(size: int) -> None:
    assert reference_read(written(content(size))) == content(size)


@pytest.mark.parametrize("size", SIZES)
def test_we_read_what_the_reference_writes(size: int) -> None:
    assert read(reference_written(content(size))) == content(size)


@given(st.lists(st.binary(max_size=5000), max_size=40))
def test_whatever_the_pieces(pieces: list[bytes]) -> None:
    plain = b"".join(pieces)
    file = io.BytesIO()
    if not plain:
        with pytest.raises(BadInput, match="empty"):
            encrypt(pieces, file, [BOB.public])
        return
    encrypt(pieces, file, [BOB.public])
    assert read(file.getvalue()) == plain


def test_each_recipient_opens_it_and_nobody_else() -> None:
    sealed = written(content(100), ALICE, BOB)
    assert read(sealed, ALICE) == read(sealed, BOB) == content(100)
    assert reference_read(sealed, ALICE) == content(100)
    with pytest.raises(IntegrityError, match="is for this key"):
        read(sealed, EVE)


def test_who_wrote_it_can_be_told() -> None:
    sealed = written(content(100), sender=ALICE)
    assert read(sealed, sender=ALICE) == content(100)
    with pytest.raises(IntegrityError, match="from that sender"):
        read(sealed, sender=EVE)
    assert read(reference_written(content(100)), sender=ALICE) == content(100)


def test_without_a_sender_it_is_another_key_each_time() -> None:
    senders = {next(iter(read_header(io.BytesIO(written(b"x")), BOB).senders)) for _ in range(3)}
    assert len(senders) == 3


def test_memory_stays_bounded_whatever_the_size() -> None:
    def source() -> Iterator[bytes]:
        for _ in range(64):
            yield content(1 << 20)

    class Sink(io.BytesIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            return len(data)

    tracemalloc.start()
    encrypt(source(), Sink(), [BOB.public])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20


# ---------------------------------------------------------------------------- order and truncation


def test_every_cut_and_every_exchange_of_our_segments_is_noticed() -> None:
    head, segments = parts(written(content(4 * SEGMENT)))
    assert len(segments) == 4
    for length in range(5):
        for chosen in itertools.permutations(range(4), length):
            if list(chosen) == [0, 1, 2, 3]:
                continue
            with pytest.raises(IntegrityError):
                read(head + b"".join(segments[i] for i in chosen))
    with pytest.raises(IntegrityError):
        read(head + b"".join([*segments, segments[3]]))


def test_the_reference_notices_none_of_that() -> None:
    """Why we number: the standard itself lets an exchange and a cut pass."""
    head, segments = parts(written(content(3 * SEGMENT)))
    assert reference_read(head + segments[1] + segments[0]) == (
        content(3 * SEGMENT)[SEGMENT : 2 * SEGMENT] + content(3 * SEGMENT)[:SEGMENT]
    )


def test_what_can_be_noticed_in_files_of_others_is() -> None:
    head, segments = parts(reference_written(content(2 * SEGMENT + 9)))
    for chosen in ([2, 0, 1], [0, 2, 1], [0, 0, 1, 2], [0, 1, 0], [0, 1, 2, 2]):
        with pytest.raises(IntegrityError):
            read(head + b"".join(segments[i] for i in chosen))
    # The standard has nothing that would tell these, and the docs say so.
    assert len(read(head + segments[0])) == SEGMENT
    assert len(read(head + segments[1] + segments[0])) == 2 * SEGMENT


@pytest.mark.parametrize("make", [written, reference_written])
def test_any_changed_byte_and_any_cut_is_refused(make: object) -> None:
    sealed = make(content(300))  # type: ignore[operator]
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 0x10
        with pytest.raises(MedtokenError):
            read(bytes(altered))
        with pytest.raises(MedtokenError):
            read(sealed[:at])


# ---------------------------------------------------------------------------- headers of others


def packet(payload: bytes, *, method: int = 0) -> bytes:
    sealed = crypt4gh.header.encrypt_X25519_Chacha20_Poly1305(payload, ALICE.raw, BOB.public)
    body = struct.pack("<I", method) + sealed
    return struct.pack("<I", len(body) + 4) + body


def headed(*packets: bytes, count: int | None = None, version: int = 1) -> bytes:
    number = len(packets) if count is None else count
    return b"crypt4gh" + struct.pack("<II", version, number) + b"".join(packets)


def segment(key: bytes, plain: bytes, nonce: int = 7) -> bytes:
    mark = nonce.to_bytes(12)
    return mark + ChaCha20Poly1305(key).encrypt(mark, plain, None)


KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


def key_packet(key: bytes = KEY) -> bytes:
    return packet(struct.pack("<II", 0, 0) + key)


def edits(*lengths: int) -> bytes:
    return packet(struct.pack(f"<II{len(lengths)}Q", 1, len(lengths), *lengths))


def test_two_data_keys() -> None:
    body = segment(KEY, content(SEGMENT), 1) + segment(OTHER, b"end", 2)
    assert read(headed(key_packet(KEY), key_packet(OTHER)) + body) == content(SEGMENT) + b"end"


@given(st.lists(st.integers(0, 90_000), min_size=1, max_size=6))
def test_edit_lists_mean_what_they_mean_to_the_reference(lengths: list[int]) -> None:
    plain = content(2 * SEGMENT + 100)
    body = segment(KEY, plain[:SEGMENT], 1) + segment(KEY, plain[SEGMENT : 2 * SEGMENT], 2)
    body += segment(KEY, plain[2 * SEGMENT :], 3)
    sealed = headed(key_packet(), edits(*lengths)) + body
    expected, at = b"", 0
    for number, length in enumerate(lengths):
        if number % 2:
            expected += plain[at : at + length]
        at += length
    if len(lengths) % 2:
        expected += plain[at:]
    if at > len(plain):
        with pytest.raises(IntegrityError, match="ends before its edit list"):
            read(sealed)
    else:
        assert read(sealed) == expected
        if all(lengths):  # with a length of nothing the reference fails an assertion of its own
            assert reference_read(sealed) == expected


@pytest.mark.parametrize(
    ("sealed", "kind", "words"),
    [
        (b"", MalformedFile, "cut off"),
        (b"crypt4gh", MalformedFile, "cut off"),
        (b"%PDF-1.7" + bytes(40), UnsupportedFile, "not a Crypt4GH file"),
        (headed(key_packet(), version=2), UnsupportedFile, "version 2"),
        (headed(count=0), MalformedFile, "0 packets"),
        (headed(count=2**32 - 1), MalformedFile, "packets"),
        (headed(struct.pack("<I", 2**32 - 1)), MalformedFile, "no packet can have"),
        (headed(struct.pack("<I", 3)), MalformedFile, "no packet can have"),
        (headed(packet(b"abc")), MalformedFile, "empty packet"),
        (headed(packet(struct.pack("<I", 9))), UnsupportedFile, "unknown type 9"),
        (headed(packet(struct.pack("<II", 0, 5) + KEY)), UnsupportedFile, "unknown method 5"),
        (headed(packet(struct.pack("<II", 0, 0) + KEY[:9])), MalformedFile, "has not 32 bytes"),
        (headed(key_packet(), edits(1), edits(1)), MalformedFile, "two edit lists"),
        (headed(packet(struct.pack("<III", 1, 2**30, 1))), MalformedFile, "edit list"),
        (headed(edits(1, 2)), IntegrityError, "is for this key"),
        (headed(key_packet()), IntegrityError, "ends after its header"),
        (headed(packet(b"", method=3)), IntegrityError, "is for this key"),
    ],
    ids=range(17),
)
def test_bad_files(sealed: bytes, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        read(sealed)
    assert "\n" not in str(caught.value)


def test_a_header_cannot_make_us_read_much() -> None:
    large = struct.pack("<I", 600_000) + bytes(599_996)
    with pytest.raises(MalformedFile, match="no packet can have"):
        read(headed(large, large))


def test_a_key_that_is_no_point_is_refused() -> None:
    with pytest.raises(BadInput, match="recipient's key"):
        encrypt([b"x"], io.BytesIO(), [bytes(32)])
    with pytest.raises(BadInput, match="recipient"):
        encrypt([b"x"], io.BytesIO(), [])


# ---------------------------------------------------------------------------- key files


@pytest.mark.parametrize("passphrase", [b"", b"correct horse"])
def test_key_files_of_the_reference(tmp_path: Path, passphrase: bytes) -> None:
    secret, public = tmp_path / "key.sec", tmp_path / "key.pub"
    crypt4gh.keys.c4gh.generate(secret, public, passphrase, b"a comment")
    key = read_secret_key(secret, passphrase.decode() or None)
    assert key.public == read_public_key(public)
    assert read(written(b"hello", key), key) == b"hello"
    if passphrase:
        with pytest.raises(BadInput, match="passphrase is needed"):
            read_secret_key(secret)
        with pytest.raises(BadInput, match="not the passphrase"):
            read_secret_key(secret, "wrong")


def pem(label: str, raw: bytes) -> bytes:
    text = base64.b64encode(raw)
    return f"-----BEGIN {label}-----\n".encode() + text + f"\n-----END {label}-----\n".encode()


def string(text: bytes) -> bytes:
    return len(text).to_bytes(2) + text


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 100,
        b"-----BEGIN CRYPT4GH PRIVATE KEY-----\n!!!\n-----END CRYPT4GH PRIVATE KEY-----",
        pem("CRYPT4GH PUBLIC KEY", bytes(32)),
        pem("CRYPT4GH PRIVATE KEY", b"c4gh-v1"),
        pem("CRYPT4GH PRIVATE KEY", b"c4gh-v1" + string(b"none") * 2 + string(b"short")),
        pem("CRYPT4GH PRIVATE KEY", b"c4gh-v1" + string(b"bcrypt") + string(b"12345678") * 3),
        pem("PRIVATE KEY", bytes(32)),
    ],
)
def test_other_files_are_no_secret_keys(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(raw)
    with pytest.raises(BadInput, match="key"):
        read_secret_key(path, "any")
    with pytest.raises(BadInput):
        read_secret_key(tmp_path / "nothing")


@pytest.mark.parametrize("raw", [b"", pem("CRYPT4GH PUBLIC KEY", b"short"), b"ssh-ed25519 AAAA"])
def test_other_files_are_no_public_keys(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(raw)
    with pytest.raises(BadInput):
        read_public_key(path)


def test_a_secret_key_does_not_print_itself() -> None:
    assert BOB.raw.hex() not in repr(BOB)
    assert repr(BOB.raw) not in repr(BOB)
