"""A WebAuthn authenticator in software: P-256 by ``cryptography``, answers as a browser makes them."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from medtoken.passkeys import Assertion, Passkey, encoded, relying_party

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP = 1, 4, 8, 16


class Authenticator:
    """One passkey. ``counts`` is whether its signature counter goes up, as on a security key."""

    def __init__(self, secret: int, host: str = "localhost", *, counts: bool = False) -> None:
        self.key = ec.derive_private_key(secret, ec.SECP256R1())
        self.host = host
        self.counts = counts
        self.counter = 0

    @property
    def passkey(self) -> Passkey:
        numbers = self.key.public_key().public_numbers()
        return Passkey(numbers.x.to_bytes(32), numbers.y.to_bytes(32), relying_party(self.host))

    def values(self) -> dict[str, bytes]:
        """The passkey as the contract takes it."""
        return dict(vars(self.passkey))

    def raw(
        self,
        challenge: bytes,
        *,
        flags: int = PRESENT | VERIFIED,
        host: str | None = None,
        counter: int | None = None,
        kind: str = "webauthn.get",
        client: bytes | None = None,
        data: bytes | None = None,
    ) -> tuple[bytes, bytes, bytes]:
        """Authenticator data, client data and a DER signature; each may be made wrong."""
        if self.counts:
            self.counter += 1
        count = self.counter if counter is None else counter
        if data is None:
            data = relying_party(host or self.host) + bytes([flags]) + struct.pack(">I", count)
        if client is None:
            told: dict[str, Any] = {
                "type": kind,
                "challenge": encoded(challenge),
                "origin": f"https://{host or self.host}",
                "crossOrigin": False,
            }
            client = json.dumps(told, separators=(",", ":")).encode()
        signed = data + hashlib.sha256(client).digest()
        return data, client, self.key.sign(signed, ec.ECDSA(hashes.SHA256()))

    def answer(self, challenge: bytes, *, high_s: bool = False, **wrong: Any) -> dict[str, bytes]:
        """An assertion as the contract takes it; with a high s when asked."""
        data, client, signature = self.raw(challenge, **wrong)
        r, s = decode_dss_signature(signature)
        s = max(s, ORDER - s) if high_s else min(s, ORDER - s)
        return {
            "r": r.to_bytes(32),
            "s": s.to_bytes(32),
            "authenticatorData": data,
            "clientData": client,
        }

    def assertion(self, challenge: bytes) -> Assertion:
        """An assertion as the package takes it."""
        return Assertion.of(*self.raw(challenge))


def high(signature: bytes) -> bytes:
    """The malleable twin of a DER signature, with a high s."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, max(s, ORDER - s))
