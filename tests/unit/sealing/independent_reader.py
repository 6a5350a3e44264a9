"""A second reader of sealed records, written from ``docs/format.md`` alone: two
readers that share no code and agree have read the same specification. Nothing here may import
``medtoken``, and it uses another cryptographic library.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

from Crypto.Cipher import AES

FIXED = bytes.fromhex("4d545345414c4544 01 01 14 00 00000200")
LABEL = b"medtoken sealed record v1 "
SEGMENT = 1_048_576


class Opened(NamedTuple):
    plaintext: bytes
    media_type: str
    fingerprint: bytes


def hkdf(key: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869; one block of output is enough for every use in the format."""
    extracted = hmac.new(salt, key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:size]


def gcm(key: bytes, nonce: bytes, data: bytes, sealed: bytes) -> bytes:
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce)
    cipher.update(data)
    return cipher.decrypt_and_verify(sealed[:-16], sealed[-16:])


def open_record(record: bytes, dek: bytes) -> Opened:
    """The plaintext and what the manifest says, or ValueError."""
    trailer = record[-512:]
    if len(trailer) != 512 or trailer[:16] != FIXED:
        raise ValueError("no trailer")
    salt, commitment = trailer[16:48], trailer[48:80]
    content_size = int.from_bytes(trailer[80:88], "big")
    if content_size + 512 != len(record) or not 17 <= content_size <= 1 << 40:
        raise ValueError("content size")
    if 1 <= content_size % SEGMENT <= 16:
        raise ValueError("content size")
    if hkdf(dek, salt, LABEL + b"commit" + FIXED, 32) != commitment:
        raise ValueError("commitment")

    manifest_key = hkdf(dek, salt, LABEL + b"manifest" + FIXED, 32)
    manifest = gcm(manifest_key, bytes(12), trailer[:88], trailer[88:])
    count = -(-content_size // SEGMENT)
    length = manifest[72]
    media_type = manifest[73 : 73 + length]
    if int.from_bytes(manifest[64:72], "big") != content_size - 16 * count:
        raise ValueError("plaintext size")
    if not 1 <= length <= 127 or any(manifest[73 + length :]):
        raise ValueError("media type")
    if not all(0x20 <= byte <= 0x7E for byte in media_type):
        raise ValueError("media type")

    key = hkdf(dek, salt, LABEL + b"segments" + FIXED, 32)
    prefix = hkdf(dek, salt, LABEL + b"nonce" + FIXED, 7)
    data = LABEL + b"segment" + FIXED + salt + commitment
    plaintext = b""
    for i in range(count):
        segment = record[i * SEGMENT : min((i + 1) * SEGMENT, content_size)]
        nonce = prefix + i.to_bytes(4, "big") + (b"\x01" if i == count - 1 else b"\x00")
        plaintext += gcm(key, nonce, data, segment)
    if hashlib.sha256(manifest[:32] + plaintext).digest() != manifest[32:64]:
        raise ValueError("fingerprint")
    return Opened(plaintext, media_type.decode("ascii"), manifest[32:64])
