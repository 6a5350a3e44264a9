"""Visas, checked by a JWT library that is not ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from medtoken.chain.contracts import LicenceRef
from medtoken.errors import BadInput, ConsentRefused, IntegrityError, MalformedFile, MedtokenError
from medtoken.interop.visa import (
    Issuer,
    PrivateKey,
    jwk,
    licence_visa,
    load_key,
    read_visa,
)

NOW = 1_800_000_000
LICENSEE = "0x" + "a1" * 20
REF = LicenceRef(b"\1" * 32, b"\2" * 32, LICENSEE, 7)
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
KEYS = pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])


@dataclass
class Market:
    """As much of a market as a visa asks."""

    usable: tuple[int, int] = (10, 20)
    end: int = NOW + 86_400
    address: str = "0x" + "b2" * 20

    def licence_bought(self, licence: bytes) -> tuple[dict[str, Any], LicenceRef, int]:
        return {"licensee": LICENSEE}, REF, 10

    def is_usable(self, ref: LicenceRef, block: int) -> bool:
        return self.usable[0] <= block <= self.usable[1]

    def licence(self, licence: bytes, block: int) -> Any:
        return SimpleNamespace(end=self.end)


def suite(**changes: Any) -> Any:
    def block(number: int) -> Any:
        return SimpleNamespace(
            number=number, hash=bytes([number] * 32), timestamp=NOW - 100 + number
        )

    node = SimpleNamespace(chain_id=31337, block=block, final=lambda: block(15))
    return SimpleNamespace(node=node, market=Market(**changes))


def issuer(key: PrivateKey = EC) -> Issuer:
    return Issuer("https://broker.example", key, "https://broker.example/jwks")


def visa(key: PrivateKey = EC, *, made: Any = None, **more: Any) -> str:
    values = {"datasets": "https://broker.example/records/", "source": "https://hospital.example"}
    return licence_visa(
        made or suite(), REF.id(), issuer(key), **{**values, "issued_at": NOW, **more}
    )


@KEYS
def test_another_library_verifies_it(key: PrivateKey) -> None:
    token = visa(key)
    head = jwt.get_unverified_header(token)
    keys = jwt.PyJWKSet.from_dict(issuer(key).jwks)
    claims = jwt.decode(
        token,
        keys[head["kid"]],
        algorithms=[head["alg"]],
        issuer="https://broker.example",
        options={"verify_exp": False, "verify_iat": False, "require": ["iss", "sub", "iat", "exp"]},
    )
    assert head["typ"] == "vnd.ga4gh.visa+jwt"
    assert head["jku"] == "https://broker.example/jwks"
    assert claims["sub"] == f"did:pkh:eip155:31337:{LICENSEE}"
    assert (claims["iat"], claims["exp"]) == (NOW, NOW + 3600)
    assert claims["ga4gh_visa_v1"] == {
        "type": "ControlledAccessGrants",
        "asserted": NOW - 90,
        "value": "https://broker.example/records/0x" + "02" * 32,
        "source": "https://hospital.example",
        "by": "system",
    }
    assert claims["medtoken"]["block"] == 15
    assert claims["medtoken"]["block_hash"] == "0x" + "0f" * 32
    assert read_visa(token, issuer(key).jwks, now=NOW) == claims


@KEYS
def test_another_library_refuses_a_changed_one(key: PrivateKey) -> None:
    token = visa(key)
    keys = jwt.PyJWKSet.from_dict(issuer(key).jwks).keys
    middle = len(token) // 2
    changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(changed, keys[0], algorithms=["ES256", "RS256"])
    with pytest.raises(MedtokenError):
        read_visa(changed, issuer(key).jwks, now=NOW)


@KEYS
def test_we_read_what_another_library_signs(key: PrivateKey) -> None:
    claims = {
        "iss": "https://x.example", "sub": "s", "iat": NOW, "exp": NOW + 9,
        "ga4gh_visa_v1": {
            "type": "AffiliationAndRole", "asserted": NOW, "value": "faculty@x.example",
            "source": "https://x.example",
        },
    }  # fmt: skip
    public = jwk(key.public_key())
    token = jwt.encode(claims, key, algorithm=public["alg"], headers={"kid": public["kid"]})
    assert read_visa(token, {"keys": [public]}, now=NOW) == claims
    other = jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
    for keys in ([], [other], [other | {"kid": public["kid"]}]):
        with pytest.raises(IntegrityError, match="not signed with any"):
            read_visa(token, {"keys": keys}, now=NOW)
    for now in (NOW + 9, NOW - 61):
        with pytest.raises(IntegrityError, match="not in force"):
            read_visa(token, {"keys": [public]}, now=now)


def test_a_token_may_not_choose_how_it_is_checked() -> None:
    """No algorithm of none, and no public key taken for a shared secret."""
    public = jwk(EC.public_key())
    claims = jwt.decode(visa(), options={"verify_signature": False})
    for key, algorithm in ((None, "none"), ("secret" * 9, "HS256"), (RSA, "RS256")):
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": public["kid"]})
        with pytest.raises(IntegrityError, match="not signed with any"):
            read_visa(token, {"keys": [public]}, now=NOW)


def test_it_says_what_was_so_at_one_block() -> None:
    assert (
        jwt.decode(visa(block=20), options={"verify_signature": False})["medtoken"]["block"] == 20
    )
    for block in (9, 21):
        with pytest.raises(ConsentRefused, match=f"not usable at block {block}"):
            visa(block=block)


def test_it_never_outlives_the_licence() -> None:
    token = visa(made=suite(end=NOW + 5))
    assert jwt.decode(token, options={"verify_signature": False})["exp"] == NOW + 5
    with pytest.raises(ConsentRefused, match="has ended"):
        visa(made=suite(end=NOW))


@pytest.mark.parametrize(
    "changes",
    [
        {"datasets": "http://broker.example"},
        {"datasets": "https://broker.example/" + "x" * 250},
        {"source": "hospital"},
        {"source": "https://[::1"},
        {"lifetime": 0},
    ],
)
def test_bad_values(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        visa(**changes)


def test_bad_keys() -> None:
    def pem(key: Any, lock: Any = None) -> bytes:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption())

    assert isinstance(load_key(pem(EC), "x"), ec.EllipticCurvePrivateKey)
    for bad in (
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        pem(EC, BestAvailableEncryption(b"secret")),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505  # that is why it is refused
    ):
        with pytest.raises(BadInput):
            load_key(bad, "key.pem")
    with pytest.raises(BadInput):
        Issuer("http://x.example", EC, "https://x.example/jwks")


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": 7},
        {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]},
        {"keys": [{"kty": "EC", "crv": "P-256"}]},
        {"keys": [{"kty": "RSA", "n": "AQ", "e": "AQ"}]},
        {"keys": [{"kty": "RSA", "n": 5, "e": None}]},
    ],
)
def test_bad_key_sets(jwks: dict[str, Any]) -> None:
    token = visa()
    kid = jwt.get_unverified_header(token)["kid"]
    if isinstance(jwks.get("keys"), list):
        jwks = {"keys": [one | {"kid": kid} for one in jwks["keys"]]}
    with pytest.raises(MalformedFile):
        read_visa(token, jwks, now=NOW)


@pytest.mark.parametrize(
    "token", ["", "a.b.c", "..", "e30.e30.", "é.e30.e30", "e30." * 30_000, "bnVsbA.bnVsbA.AA"]
)
def test_other_texts_are_no_visas(token: str) -> None:
    with pytest.raises(MalformedFile):
        read_visa(token, {"keys": []}, now=NOW)


def test_a_key_set_is_json() -> None:
    assert json.loads(json.dumps(issuer().jwks)) == issuer().jwks
    assert "d" not in issuer(RSA).jwks["keys"][0]
