"""A licence as a GA4GH Visa: a signed statement that access was granted (GA4GH Passport v1.2).

The issuer's signature says what the chain said at one block; whoever relies on it trusts the issuer
until the visa expires, which is why that is soon. Nothing else here knows what JSON Web Tokens are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from medtoken.chain.contracts import Suite
from medtoken.errors import BadInput, ConsentRefused, IntegrityError, MalformedFile

TYPE = "ControlledAccessGrants"
JWT_TYPE = "vnd.ga4gh.visa+jwt"
_CLAIM = "ga4gh_visa_v1"
_FIELD_MOST = 255
"""Characters of a visa's ``value`` and ``source``, and of ``sub``."""
_TOKEN_MOST = 64 * 1024
_RSA_LEAST = 2048
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class Issuer:
    """Who signs visas: its URL, its key, and where its public keys are published."""

    url: str
    key: PrivateKey
    jwks_url: str

    def __post_init__(self) -> None:
        """BadInput unless both addresses are https, and the key is P-256 or RSA of 2048 bits."""
        for one in (self.url, self.jwks_url):
            _https(one)
        _algorithm(self.key.public_key())

    @property
    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set to publish at ``jwks_url``."""
        return {"keys": [jwk(self.key.public_key())]}


def load_key(pem: bytes, name: str) -> PrivateKey:
    """A private key in PEM without a passphrase: P-256 (ES256) or RSA of 2048 bits (RS256)."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadInput(f"{name} is not a private key in PEM without a passphrase.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise BadInput("A visa is signed with a key on P-256 or an RSA key of 2048 bits at least.")
    _algorithm(key.public_key())
    return key


def licence_visa(
    suite: Suite,
    licence: bytes,
    issuer: Issuer,
    *,
    datasets: str,
    source: str,
    block: int | None = None,
    lifetime: int = 3600,
    issued_at: int,
) -> str:
    """The visa of a licence that ran as of a block (None: the newest final one); a compact JWS.

    ``datasets`` is the URL that record ids are appended to, ``source`` the URL of the organisation
    that stands behind the grant, ``lifetime`` seconds from ``issued_at`` (unix seconds), never past
    the licence's end. Raises ConsentRefused when the licence was not usable at that block.
    """
    if lifetime <= 0:
        raise BadInput("A visa must be good for a second at least.")
    at = suite.node.final() if block is None else suite.node.block(block)
    args, ref, bought = suite.market.licence_bought(licence)
    if at.number < bought or not suite.market.is_usable(ref, at.number):
        raise ConsentRefused(f"The licence was not usable at block {at.number}.")
    end = suite.market.licence(licence, at.number).end
    expires = min(issued_at + lifetime, end)
    if expires <= issued_at:
        raise ConsentRefused("The licence has ended.")
    value = f"{_https(datasets).rstrip('/')}/0x{ref.record.hex()}"
    chain = suite.node.chain_id
    place = {
        "licence": "0x" + licence.hex(),
        "record": "0x" + ref.record.hex(),
        "consent": "0x" + ref.consent.hex(),
        "chain": f"eip155:{chain}",
        "market": suite.market.address,
        "block": at.number,
        "block_hash": "0x" + at.hash.hex(),
    }
    subject = f"did:pkh:eip155:{chain}:{args['licensee']}"
    if max(len(value), len(_https(source)), len(subject)) > _FIELD_MOST:
        raise BadInput("The addresses in a visa may have 255 characters at most.")
    payload = {
        "iss": issuer.url,
        "sub": subject,
        "iat": issued_at,
        "exp": expires,
        "jti": "urn:sha256:" + hashlib.sha256(_json(place) + str(issued_at).encode()).hexdigest(),
        _CLAIM: {
            "type": TYPE,
            "asserted": suite.node.block(bought).timestamp,
            "value": value,
            "source": source,
            "by": "system",
        },
        "medtoken": place,
    }
    return _sign(payload, issuer)


def read_visa(token: str, jwks: Mapping[str, Any], *, now: int) -> dict[str, Any]:
    """The claims of a visa that one of a key set's keys signed and that is in force ``now``.

    Raises MalformedFile when it is no visa, IntegrityError when nobody of that set signed it or its
    time is over. Whether the issuer may be relied on is for the caller to know.
    """
    malformed = MalformedFile("This is not a GA4GH visa.")
    parts = token.strip().split(".")
    if len(token) > _TOKEN_MOST or len(parts) != 3:
        raise malformed
    header, payload = (_object(_decoded(part)) for part in parts[:2])
    visa = payload.get(_CLAIM)
    if not isinstance(visa, dict) or not all(
        isinstance(visa.get(name), str) and visa[name] for name in ("type", "value", "source")
    ):
        raise malformed
    times = [payload.get(name) for name in ("iat", "exp")] + [visa.get("asserted")]
    if any(not isinstance(time, int) or isinstance(time, bool) for time in times):
        raise malformed
    if not all(isinstance(payload.get(name), str) for name in ("iss", "sub")):
        raise malformed
    if "crit" in header:
        raise MalformedFile("The visa's header has extensions that are not understood.")
    signed = f"{parts[0]}.{parts[1]}".encode()
    if not any(_verifies(key, header, signed, parts[2]) for key in _keys(jwks, header)):
        raise IntegrityError("The visa was not signed with any of these keys.")
    if not payload["iat"] - 60 <= now < payload["exp"]:
        raise IntegrityError("The visa is not in force: it has expired, or is not issued yet.")
    return payload


def jwk(key: PublicKey) -> dict[str, str]:
    """A public key as a JSON Web Key; its ``kid`` is its thumbprint (RFC 7638)."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        numbers = key.public_numbers()
        named = {
            "crv": "P-256",
            "kty": "EC",
            "x": _number(numbers.x, 32),
            "y": _number(numbers.y, 32),
        }
    else:
        public = key.public_numbers()
        named = {"e": _number(public.e), "kty": "RSA", "n": _number(public.n)}
    thumbprint = _encoded(hashlib.sha256(_json(named)).digest())
    return named | {"alg": _algorithm(key), "use": "sig", "kid": thumbprint}


def _sign(payload: Mapping[str, Any], issuer: Issuer) -> str:
    public = jwk(issuer.key.public_key())
    header = {
        "typ": JWT_TYPE,
        "alg": public["alg"],
        "kid": public["kid"],
        "jku": issuer.jwks_url,
    }
    signed = f"{_encoded(_json(header))}.{_encoded(_json(payload))}"
    if isinstance(issuer.key, rsa.RSAPrivateKey):
        signature = issuer.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = utils.decode_dss_signature(
            issuer.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        )
        signature = r.to_bytes(32) + s.to_bytes(32)
    return f"{signed}.{_encoded(signature)}"


def _verifies(key: PublicKey, header: Mapping[str, Any], signed: bytes, signature: str) -> bool:
    raw = _decoded(signature)
    try:
        if isinstance(key, rsa.RSAPublicKey) and header.get("alg") == "RS256":
            key.verify(raw, signed, padding.PKCS1v15(), hashes.SHA256())
            return True
        if isinstance(key, ec.EllipticCurvePublicKey) and header.get("alg") == "ES256":
            if len(raw) != 64:
                return False
            pair = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
            key.verify(utils.encode_dss_signature(*pair), signed, ec.ECDSA(hashes.SHA256()))
            return True
    except InvalidSignature:
        return False
    return False


def _keys(jwks: Mapping[str, Any], header: Mapping[str, Any]) -> list[PublicKey]:
    """The keys of a set that a header may mean; those of other kinds are passed over."""
    listed = jwks.get("keys")
    if not isinstance(listed, list) or len(listed) > 100:
        raise MalformedFile("This is not a JSON Web Key Set.")
    found: list[PublicKey] = []
    for one in listed:
        if not isinstance(one, dict) or one.get("kid") != header.get("kid"):
            continue
        try:
            if one.get("kty") == "EC" and one.get("crv") == "P-256":
                point = ec.EllipticCurvePublicNumbers(
                    _value(one, "x"), _value(one, "y"), ec.SECP256R1()
                )
                found.append(point.public_key())
            elif one.get("kty") == "RSA":
                key = rsa.RSAPublicNumbers(_value(one, "e"), _value(one, "n")).public_key()
                if _RSA_LEAST <= key.key_size <= 8 * _RSA_LEAST:
                    found.append(key)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise MalformedFile("The JSON Web Key Set holds a malformed key.") from None
    return found


def _value(key: Mapping[str, Any], name: str) -> int:
    text = key.get(name)
    return int.from_bytes(_decoded(text if isinstance(text, str) else "!"))


def _algorithm(key: PublicKey) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_LEAST:
        return "RS256"
    raise BadInput("A visa is signed with a key on P-256 or an RSA key of 2048 bits at least.")


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and not parts.query
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise BadInput(f"{url!r} is not an address that begins with https://.")
    return url


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MalformedFile("This is not a GA4GH visa.")
    return found


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(value: int, size: int | None = None) -> str:
    return _encoded(value.to_bytes(size or -(-value.bit_length() // 8)))


def _decoded(text: str) -> bytes:
    try:
        raw = text.encode("ascii")
        if len(raw) > _TOKEN_MOST or b"+" in raw or b"/" in raw or b"=" in raw:
            raise ValueError("not base64url")
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise MalformedFile("This is not a GA4GH visa.") from None
