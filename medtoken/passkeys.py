"""Passkeys: what a browser's WebAuthn answers, in the form in which the chain checks it (R10)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature as InvalidKeySignature
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import load_der_public_key

from medtoken.errors import BadInput, InvalidSignature

# The order of P-256: a signature is valid with s and with the order less s; the chain takes the low one.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_MOST_DATA, _MOST_CLIENT = 512, 1024  # bytes that the contract takes
_LEAST_DATA, _PRESENT_AND_VERIFIED = 37, 5
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?!.{{254}}){_LABEL}(?:\.{_LABEL})*")
_CLIENT_START = b'{"type":"webauthn.get","challenge":"'


def relying_party(host: str) -> bytes:
    """SHA-256 of a relying party's id, the host that serves the page; as authenticators state it.

    Raises BadInput for anything but the bare name as browsers write it: in lower-case ASCII.
    """
    if not _HOST.fullmatch(host):
        # Other letters are not turned to ASCII here: there are several ways, and browsers take one.
        raise BadInput(
            "The site must be a bare host name in lower-case ASCII, like records.example; "
            "a name with other letters is written with xn--."
        )
    return hashlib.sha256(host.encode()).digest()


@dataclass(frozen=True)
class Passkey:
    """A public key on P-256, and the relying party that it is for. All zero is none."""

    x: bytes = bytes(32)
    y: bytes = bytes(32)
    relyingParty: bytes = bytes(32)  # noqa: N815  the ABI's name

    def __bool__(self) -> bool:
        """Whether it is one."""
        return any(self.relyingParty)

    @classmethod
    def of(cls, public_key: bytes, host: str) -> Passkey:
        """From what a browser's ``getPublicKey()`` gives: DER. Raises BadInput when it is not P-256's."""
        try:
            key = load_der_public_key(public_key)
        except (ValueError, UnsupportedAlgorithm):
            raise BadInput("The passkey's public key cannot be read.") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise BadInput("The passkey's public key is not one of P-256 (ES256).")
        numbers = key.public_numbers()
        return cls(numbers.x.to_bytes(32), numbers.y.to_bytes(32), relying_party(host))


@dataclass(frozen=True)
class Assertion:
    """What an authenticator answers when its user approves, with a low s."""

    r: bytes
    s: bytes
    authenticatorData: bytes  # noqa: N815  the ABI's name
    clientData: bytes  # noqa: N815

    def check(self, passkey: Passkey, challenge: bytes) -> None:
        """Refuse, before gas is spent, what the chain would refuse. Raises InvalidSignature."""
        data = self.authenticatorData
        if len(data) < _LEAST_DATA or data[:32] != passkey.relyingParty:
            raise InvalidSignature("The passkey is for another site.")
        if data[32] & _PRESENT_AND_VERIFIED != _PRESENT_AND_VERIFIED:
            raise InvalidSignature("The passkey's user was not verified by a finger, face or PIN.")
        if not self.clientData.startswith(_CLIENT_START + encoded(challenge).encode() + b'"'):
            raise InvalidSignature("The passkey answered another question.")
        x, y = (int.from_bytes(part) for part in (passkey.x, passkey.y))
        r, s = (int.from_bytes(part) for part in (self.r, self.s))
        signed = data + hashlib.sha256(self.clientData).digest()
        try:
            key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
        except (ValueError, InvalidKeySignature):
            raise InvalidSignature("The passkey's signature is not valid.") from None

    @classmethod
    def of(cls, authenticator_data: bytes, client_data: bytes, signature: bytes) -> Assertion:
        """From a browser's answer; ``signature`` is DER. Raises BadInput when it has no such form."""
        try:
            r, s = decode_dss_signature(signature)
        except ValueError:
            raise BadInput("The passkey's signature is not in DER.") from None
        if not (0 < r < _ORDER and 0 < s < _ORDER):
            raise BadInput("The passkey's signature is out of range.")
        if len(authenticator_data) > _MOST_DATA or len(client_data) > _MOST_CLIENT:
            raise BadInput("The passkey's answer is longer than the chain takes.")
        if not client_data.startswith(_CLIENT_START):
            raise BadInput("The passkey's answer is none to navigator.credentials.get().")
        low = min(s, _ORDER - s)
        return cls(r.to_bytes(32), low.to_bytes(32), authenticator_data, client_data)

    @classmethod
    def of_json(cls, answer: Mapping[str, Any]) -> Assertion:
        """From the JSON form of a browser's credential (``toJSON()``), or its ``response`` alone.

        Raises BadInput when a part is missing or malformed.
        """
        parts = answer.get("response", answer)
        try:
            return cls.of(
                *(
                    decoded(parts[name])
                    for name in ("authenticatorData", "clientDataJSON", "signature")
                )
            )
        except (KeyError, TypeError, AttributeError):
            raise BadInput("The passkey's answer lacks a part.") from None


def decoded(text: str) -> bytes:
    """Base64url without padding, as WebAuthn writes bytes. Raises BadInput when it is not."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("A part of the passkey's answer is not base64url.") from None


def encoded(data: bytes) -> str:
    """Bytes as base64url without padding: a challenge as a browser takes it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
