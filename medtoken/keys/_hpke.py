"""HPKE (RFC 9180) to a licensee's key: X25519 with ML-KEM-768, so that a recording does not age.

A key is encoded as one byte for its suite and the raw key. Suite 2 is the post-quantum hybrid
MLKEM768-X25519, suite 1 plain X25519 for where OpenSSL lacks ML-KEM; both with HKDF-SHA256 and
AES-256-GCM.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from medtoken.errors import BadInput, IntegrityError

_X25519 = 1
_HYBRID = 2
_KEMS = {_X25519: KEM.X25519, _HYBRID: KEM.MLKEM768_X25519}
_MLKEM_PUBLIC = 1184
_MLKEM_SEED = 64


def _suite(number: int) -> Suite:
    return Suite(_KEMS[number], KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class HpkePublicKey:
    """The key that a share is sealed to."""

    def __init__(self, encoded: bytes) -> None:
        """Read an encoded public key (33 or 1,217 bytes); BadInput if it is none."""
        self._encoded = encoded
        suite, raw = encoded[:1], encoded[1:]
        try:
            if suite == bytes((_HYBRID,)):
                self._key: Any = MLKEM768X25519PublicKey(
                    MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC]),
                    X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC:]),
                )
            elif suite == bytes((_X25519,)):
                self._key = X25519PublicKey.from_public_bytes(raw)
            else:
                raise BadInput("the public key is of no suite known here")
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadInput(f"the public key is malformed: {error}") from error

    def __bytes__(self) -> bytes:
        return self._encoded

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the encoded key, 32 bytes: what a key request signs."""
        return hashlib.sha256(self._encoded).digest()

    def seal(self, plaintext: bytes, info: bytes) -> bytes:
        """Encrypt to this key, bound to ``info``; the encapsulated key comes first."""
        try:
            return _suite(self._encoded[0]).encrypt(plaintext, self._key, info)
        except ValueError as error:  # a low-order X25519 point
            raise BadInput("the public key is not usable") from error


class HpkePrivateKey:
    """A licensee's key for receiving shares; one per licensee or one per request, as it likes."""

    def __init__(self, encoded: bytes) -> None:
        """Read an encoded private key (33 or 97 bytes); BadInput if it is none."""
        suite, raw = encoded[:1], encoded[1:]
        try:
            if suite == bytes((_HYBRID,)):
                mlkem = MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED])
                x25519 = X25519PrivateKey.from_private_bytes(raw[_MLKEM_SEED:])
                self._key: Any = MLKEM768X25519PrivateKey(mlkem, x25519)
                public = mlkem.public_key().public_bytes_raw()
            elif suite == bytes((_X25519,)):
                x25519 = self._key = X25519PrivateKey.from_private_bytes(raw)
                public = b""
            else:
                raise BadInput("the private key is of no suite known here")
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadInput(f"the private key is malformed: {error}") from error
        self._encoded = encoded
        self.public_key = HpkePublicKey(suite + public + x25519.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> HpkePrivateKey:
        """A new key: the post-quantum hybrid, or plain X25519 where ML-KEM is not available."""
        x25519 = X25519PrivateKey.generate().private_bytes_raw()
        try:
            mlkem = MLKEM768PrivateKey.generate().private_bytes_raw()
        except UnsupportedAlgorithm:
            return cls(bytes((_X25519,)) + x25519)
        return cls(bytes((_HYBRID,)) + mlkem + x25519)

    def __bytes__(self) -> bytes:
        return self._encoded

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Decrypt; IntegrityError if it was altered or made for another key or ``info``."""
        try:
            return _suite(self._encoded[0]).decrypt(sealed, self._key, info)
        except (InvalidTag, ValueError) as error:
            raise IntegrityError("this was not sealed for this key and this request") from error
