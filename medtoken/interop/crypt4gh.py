"""Crypt4GH 1.0, the GA4GH's container for encrypted files, in and out (R33, R40).

Crypt4GH checks each segment of 64 KiB alone: nothing in the standard notices segments that were
reordered, repeated or cut off at a boundary. What is written here numbers its segments in their
nonces, which the standard leaves to the writer, so that ``decrypt`` notices all of that in our own
files and every other reader still opens them. ``docs/interop.md`` says what is checked in files of
others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import os
import secrets
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from medtoken.errors import BadInput, IntegrityError, MalformedFile, UnsupportedFile

SEGMENT = 65_536
"""Bytes of plaintext in a segment; only the last one may have fewer."""
_NONCE, _MAC, _KEY = 12, 16, 32
_MAGIC = b"crypt4gh"
_PACKETS_MOST = 1_000
_HEADER_MOST = 1 << 20
"""Bytes of the largest header that is read: thousands of recipients fit."""
_EDITS_MOST = 10_000
_KEYS_MOST = 64
_SEGMENTS_MOST = 1 << 20
"""Of a file that does not number its segments (64 GiB): what came before has to be remembered."""
_KEY_FILE_MOST = 64 * 1024
_ORDER = b"medtoken crypt4gh segment order v1"
_PRIVATE_MAGIC = b"c4gh-v1"
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 14, 8, 1


# ---------------------------------------------------------------------------- keys


@dataclass(frozen=True)
class SecretKey:
    """A Crypt4GH key pair."""

    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """BadInput unless it has 32 bytes."""
        if len(self.raw) != _KEY:
            raise BadInput("A Crypt4GH secret key has 32 bytes.")

    @classmethod
    def generate(cls) -> SecretKey:
        """A fresh one."""
        return cls(secrets.token_bytes(_KEY))

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return X25519PrivateKey.from_private_bytes(self.raw).public_key().public_bytes_raw()


def read_public_key(path: str | os.PathLike[str]) -> bytes:
    """The 32 bytes in a file as ``crypt4gh-keygen`` writes it. Raises BadInput for any other."""
    raw = _pem(path, b"CRYPT4GH PUBLIC KEY")
    if len(raw) != _KEY:
        raise BadInput(f"{os.fspath(path)} holds a public key that has not 32 bytes.")
    return raw


def read_secret_key(path: str | os.PathLike[str], passphrase: str | None = None) -> SecretKey:
    """A secret key file as ``crypt4gh-keygen`` writes it, in the clear or locked by scrypt.

    Raises BadInput for any other file, a missing or wrong passphrase, and other ways of locking.
    """
    name = os.fspath(path)
    raw = _pem(path, b"CRYPT4GH PRIVATE KEY")
    malformed = BadInput(f"{name} is not a Crypt4GH secret key.")
    if not raw.startswith(_PRIVATE_MAGIC):
        raise malformed
    fields = _Fields(raw[len(_PRIVATE_MAGIC) :])
    try:
        kdf = fields.next()
        options = fields.next() if kdf != b"none" else b""
        cipher, secret = fields.next(), fields.next()
    except ValueError:
        raise malformed from None
    if (kdf, cipher) != (b"none", b"none"):
        if (kdf, cipher) != (b"scrypt", b"chacha20_poly1305"):
            raise BadInput(f"{name} is locked in a way that medtoken does not open: use scrypt.")
        if passphrase is None:
            raise BadInput(f"{name} is locked, so its passphrase is needed.")
        salt = options[4:]  # the number before it counts rounds, which scrypt has none of
        unlocking = Scrypt(salt, _KEY, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P).derive(passphrase.encode())
        try:
            secret = ChaCha20Poly1305(unlocking).decrypt(secret[:_NONCE], secret[_NONCE:], None)
        except (InvalidTag, ValueError):
            raise BadInput(f"This is not the passphrase of {name}.") from None
    if len(secret) != _KEY:
        raise malformed
    return SecretKey(secret)


def _pem(path: str | os.PathLike[str], label: bytes) -> bytes:
    """What stands in base64 between the two lines of a key file."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            text = file.read(_KEY_FILE_MOST)
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}.") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kind = label.removeprefix(b"CRYPT4GH ").decode().lower()
    refusal = BadInput(f"{name} is not a file with a Crypt4GH {kind}.")
    if len(lines) < 3 or lines[0] != b"-----BEGIN " + label + b"-----":
        raise refusal
    if lines[-1] != b"-----END " + label + b"-----":
        raise refusal
    try:
        return base64.b64decode(b"".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        raise refusal from None


class _Fields:
    """Strings with their length, two bytes, before them."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def next(self) -> bytes:
        length = int.from_bytes(self._raw[:2], "big")
        found, self._raw = self._raw[2 : 2 + length], self._raw[2 + length :]
        if len(found) != length:
            raise ValueError("cut off")
        return found


# ---------------------------------------------------------------------------- writing


def encrypt(
    chunks: Iterable[bytes | memoryview],
    file: BinaryIO,
    recipients: Sequence[bytes],
    *,
    sender: SecretKey | None = None,
) -> int:
    """Write a Crypt4GH file that each of ``recipients`` (public keys) opens; its bytes.

    ``sender`` shows the recipients who wrote it; without one a fresh key signs nobody's name. Reads
    ``chunks`` once, of any sizes, and holds two segments at most. The order of segments and the
    last of them are marked in the nonces, see ``decrypt``.
    """
    if not recipients:
        raise BadInput("A Crypt4GH file needs a recipient at least.")
    sender = sender or SecretKey.generate()
    key = secrets.token_bytes(_KEY)
    payload = struct.pack("<II", 0, 0) + key
    packets = [_sealed_packet(payload, sender, recipient) for recipient in recipients]
    header = _MAGIC + struct.pack("<II", 1, len(packets)) + b"".join(packets)
    if len(header) > _HEADER_MOST or len(packets) > _PACKETS_MOST:
        raise BadInput("A Crypt4GH file cannot have that many recipients.")
    file.write(header)
    cipher, prefix = ChaCha20Poly1305(key), _order_prefix(key)
    written, index = len(header), 0
    segments = _segments(chunks)
    current = next(segments, None)
    while current is not None:
        following = next(segments, None)
        nonce = prefix + struct.pack(">IB", index, following is None)
        file.write(nonce)
        sealed = cipher.encrypt(nonce, current, None)
        file.write(sealed)
        written += _NONCE + len(sealed)
        current, index = following, index + 1
    if not index:
        raise BadInput("An empty file cannot be exported.")
    return written


def _segments(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same bytes in pieces of 64 KiB, the last one what is left."""
    rest = bytearray()
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            taken = view[: SEGMENT - len(rest)]
            rest += taken
            view = view[len(taken) :]
            if len(rest) == SEGMENT:
                yield bytes(rest)
                rest.clear()
    if rest:
        yield bytes(rest)


def _order_prefix(key: bytes) -> bytes:
    """What begins every nonce under a data key of ours: seven bytes that only its holders know."""
    return HKDF(hashes.SHA256(), 7, None, _ORDER).derive(key)


def _sealed_packet(payload: bytes, sender: SecretKey, recipient: bytes) -> bytes:
    shared = _shared(sender, recipient, reader=recipient, writer=sender.public)
    if shared is None:
        raise BadInput("A recipient's key is not one that can be encrypted to.")
    nonce = secrets.token_bytes(_NONCE)
    sealed = ChaCha20Poly1305(shared).encrypt(nonce, payload, None)
    body = struct.pack("<I", 0) + sender.public + nonce + sealed
    return struct.pack("<I", 4 + len(body)) + body


def _shared(own: SecretKey, other: bytes, *, reader: bytes, writer: bytes) -> bytes | None:
    """The key of a header packet; None when the other's key is no point that a key may be."""
    try:
        secret = X25519PrivateKey.from_private_bytes(own.raw)
        exchanged = secret.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError:
        return None
    return hashlib.blake2b(exchanged + reader + writer).digest()[:_KEY]


# ---------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Header:
    """What a file's header says to the holder of a key."""

    keys: tuple[bytes, ...] = field(repr=False)
    """Data keys, any of which may have been used for any segment."""
    edits: tuple[int, ...] | None
    """Lengths to skip and to keep in turn; None: everything is kept."""
    senders: frozenset[bytes]
    """The public keys that the packets we could open were written with."""


def read_header(source: BinaryIO, secret: SecretKey, *, sender: bytes | None = None) -> Header:
    """Read a header and leave ``source`` at the first segment.

    ``sender``: only packets that this public key wrote count. Raises UnsupportedFile when it is
    no Crypt4GH 1.0, MalformedFile when its header breaks the standard's rules, IntegrityError when
    nothing in it is for this key.
    """
    head = _exactly(source, 16)
    if not head.startswith(_MAGIC):
        raise UnsupportedFile("This is not a Crypt4GH file.")
    version, count = struct.unpack("<II", head[8:])
    if version != 1:
        raise UnsupportedFile(f"This is Crypt4GH version {version}, and version 1 is read.")
    if not 0 < count <= _PACKETS_MOST:
        raise MalformedFile(f"The Crypt4GH header has {count:,} packets; 1 to 1,000 are read.")
    keys: list[bytes] = []
    edits: tuple[int, ...] | None = None
    senders: set[bytes] = set()
    left = _HEADER_MOST
    for _ in range(count):
        (length,) = struct.unpack("<I", _exactly(source, 4))
        left -= length
        if length < 8 or left < 0:
            raise MalformedFile("The Crypt4GH header states a length that no packet can have.")
        opened = _opened_packet(_exactly(source, length - 4), secret, sender)
        if opened is None:
            continue
        writer, payload = opened
        senders.add(writer)
        kind, found = struct.unpack("<I", payload[:4])[0], payload[4:]
        if kind == 0:
            keys.append(_data_key(found))
        elif kind == 1:
            if edits is not None:
                raise MalformedFile("The Crypt4GH header has two edit lists.")
            edits = _edit_list(found)
        else:
            raise UnsupportedFile(f"The Crypt4GH header has a packet of the unknown type {kind}.")
    if not keys:
        whom = "from that sender to this key" if sender is not None else "for this key"
        raise IntegrityError(f"Nothing in the Crypt4GH file is {whom}.")
    if len(keys) > _KEYS_MOST:
        raise MalformedFile(f"The Crypt4GH header has {len(keys)} data keys; 64 are read at most.")
    return Header(tuple(dict.fromkeys(keys)), edits, frozenset(senders))


def decrypt(source: BinaryIO, secret: SecretKey, *, sender: bytes | None = None) -> Iterator[bytes]:
    """The plaintext in pieces of 64 KiB at most; only a caller that got the last may act on any.

    Checked: each segment's tag; that only the last is short; that none comes twice; that an edit
    list fits. Of a file that medtoken wrote also that every segment is at its place and the last
    one is there. In a file of somebody else nothing tells whether segments were reordered or whole
    ones cut off at the end: compare its SHA-256 with what the sender says.
    """
    header = read_header(source, secret, sender=sender)
    plain = _plain_segments(source, header)
    if header.edits is None:
        yield from plain
    else:
        yield from _edited(plain, header.edits)


def _plain_segments(source: BinaryIO, header: Header) -> Iterator[bytes]:
    ciphers = [(ChaCha20Poly1305(key), _order_prefix(key)) for key in header.keys]
    seen: set[bytes] = set()
    numbered: bool | None = None
    size = _NONCE + SEGMENT + _MAC
    sealed = _upto(source, size)
    if not sealed:
        raise IntegrityError("The Crypt4GH file ends after its header.")
    for index in itertools.count():
        following = _upto(source, size)
        last = not following
        if len(sealed) <= _NONCE + _MAC or (not last and len(sealed) != size):
            raise IntegrityError(f"Segment {index} of the Crypt4GH file is cut off.")
        nonce = sealed[:_NONCE]
        plain, prefix = _open_segment(ciphers, index, sealed)
        ours = hmac.compare_digest(nonce[:7], prefix)
        numbered = ours if numbered is None else numbered
        if ours != numbered or (ours and nonce[7:] != struct.pack(">IB", index, last)):
            raise IntegrityError(
                f"Segment {index} of the Crypt4GH file is not at its place, or the file's end is "
                "missing."
            )
        if not ours:
            if index == _SEGMENTS_MOST:
                raise UnsupportedFile("The Crypt4GH file has more than 64 GiB.")
            mark = hashlib.blake2b(nonce + sealed[-_MAC:], digest_size=16).digest()
            if mark in seen:
                raise IntegrityError(f"Segment {index} of the Crypt4GH file came before.")
            seen.add(mark)
        yield plain
        if last:
            return
        sealed = following


def _open_segment(
    ciphers: Sequence[tuple[ChaCha20Poly1305, bytes]], index: int, sealed: bytes
) -> tuple[bytes, bytes]:
    for cipher, prefix in ciphers:
        try:
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], None), prefix
        except InvalidTag:
            continue
    raise IntegrityError(f"Segment {index} of the Crypt4GH file was altered or cut off.")


def _edited(plain: Iterator[bytes], edits: Sequence[int]) -> Iterator[bytes]:
    """What an edit list keeps. What comes after it is read to its end all the same, and checked."""
    short = IntegrityError("The Crypt4GH file ends before its edit list does.")
    piece = b""
    # A list that ends by skipping keeps all the rest.
    endless = len(edits) % 2 == 1
    for number, length in enumerate(edits):
        keep, left = number % 2 == 1, length
        while left:
            if not piece:
                piece = next(plain, b"")
                if not piece:
                    raise short
            taken, piece = piece[:left], piece[left:]
            left -= len(taken)
            if keep:
                yield taken
    if endless and piece:
        yield piece
    for rest in plain:
        if endless:
            yield rest


def _opened_packet(
    packet: bytes, secret: SecretKey, sender: bytes | None
) -> tuple[bytes, bytes] | None:
    """The writer's public key and the payload of a packet that is for us, else None."""
    (method,) = struct.unpack("<I", packet[:4])
    writer, nonce, sealed = packet[4:36], packet[36:48], packet[48:]
    if method != 0 or len(sealed) < _MAC or (sender is not None and writer != sender):
        return None
    shared = _shared(secret, writer, reader=secret.public, writer=writer)
    if shared is None:
        return None
    try:
        payload = ChaCha20Poly1305(shared).decrypt(nonce, sealed, None)
    except InvalidTag:
        return None
    if len(payload) < 4:
        raise MalformedFile("The Crypt4GH header has an empty packet.")
    return writer, payload


def _data_key(found: bytes) -> bytes:
    if len(found) < 4 + _KEY:
        raise MalformedFile("The Crypt4GH header has a data key that has not 32 bytes.")
    (method,) = struct.unpack("<I", found[:4])
    if method != 0:
        raise UnsupportedFile(f"The Crypt4GH file is encrypted by the unknown method {method}.")
    return found[4 : 4 + _KEY]


def _edit_list(found: bytes) -> tuple[int, ...]:
    malformed = MalformedFile("The Crypt4GH header has a malformed edit list.")
    if len(found) < 4:
        raise malformed
    (count,) = struct.unpack("<I", found[:4])
    if not 0 < count <= _EDITS_MOST or len(found) < 4 + 8 * count:
        raise malformed
    return struct.unpack(f"<{count}Q", found[4 : 4 + 8 * count])


def _exactly(source: BinaryIO, count: int) -> bytes:
    found = _upto(source, count)
    if len(found) != count:
        raise MalformedFile("The Crypt4GH header is cut off.")
    return found


def _upto(source: BinaryIO, count: int) -> bytes:
    """``count`` bytes, fewer only at the end; a stream may give fewer at a time."""
    found = bytearray()
    while len(found) < count:
        piece = source.read(count - len(found))
        if not piece:
            break
        found += piece
    return bytes(found)
