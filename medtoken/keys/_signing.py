"""EIP-712 in the domain of the key keepers: digests, signatures, who signed.

Written out rather than left to eth_account's encoder, which takes twenty times as long; the tests
hold both to the same bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import coincurve
from eth_utils import keccak, to_canonical_address, to_checksum_address

DOMAIN_NAME = "medtoken key keeper"
DOMAIN_VERSION = "1"
DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
SIGNATURE_BYTES = 65
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0

Fields = tuple[tuple[str, str], ...]
"""A message's fields: name and EIP-712 type, one of bytes32, uint256, address and string."""


@lru_cache(maxsize=64)
def domain_separator(chain_id: int, market: str, name: str = DOMAIN_NAME) -> bytes:
    """The hash of the keepers' domain, or of another ``name``'s, on one chain, for one market."""
    kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    return keccak(
        keccak(text=kind)
        + keccak(text=name)
        + keccak(text=DOMAIN_VERSION)
        + chain_id.to_bytes(32)
        + bytes(12)
        + to_canonical_address(market)
    )


@lru_cache(maxsize=64)
def _type_hash(name: str, fields: Fields) -> bytes:
    return keccak(text=f"{name}({','.join(f'{kind} {field}' for field, kind in fields)})")


def digest(
    chain_id: int,
    market: str,
    name: str,
    fields: Fields,
    values: tuple[bytes | int | str, ...],
    domain: str = DOMAIN_NAME,
) -> bytes:
    """The 32 bytes that are signed."""
    words = [_type_hash(name, fields)]
    for (_, kind), value in zip(fields, values, strict=True):
        if kind == "string":
            words.append(keccak(text=str(value)))
        elif kind == "address":
            words.append(bytes(12) + to_canonical_address(str(value)))
        else:
            words.append(value if isinstance(value, bytes) else int(value).to_bytes(32))
    return keccak(
        b"\x19\x01" + domain_separator(chain_id, market, domain) + keccak(b"".join(words))
    )


def typed_data(
    chain_id: int, market: str, name: str, fields: Fields, values: tuple[bytes | int | str, ...]
) -> dict[str, Any]:
    """The whole message, as a wallet's ``eth_signTypedData_v4`` takes it."""
    return {
        "types": {
            "EIP712Domain": DOMAIN_FIELDS,
            name: [{"name": field, "type": kind} for field, kind in fields],
        },
        "primaryType": name,
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": chain_id,
            "verifyingContract": market,
        },
        "message": {
            field: "0x" + value.hex() if isinstance(value, bytes) else value
            for (field, _), value in zip(fields, values, strict=True)
        },
    }


def sign(key: bytes, signed: bytes) -> bytes:
    """Sign a digest with a secp256k1 key of 32 bytes; 65 bytes r, s, v with low s."""
    signature = coincurve.PrivateKey(key).sign_recoverable(signed, hasher=None)
    return signature[:64] + bytes((27 + signature[64],))


def address_of(key: bytes) -> str:
    """The checksummed address of a secp256k1 key of 32 bytes."""
    return _address(coincurve.PublicKey.from_secret(key))


def signer(signed: bytes, signature: bytes) -> str | None:
    """The address whose key signed a digest; None for what is no signature, or one with high s."""
    if len(signature) != SIGNATURE_BYTES or signature[64] not in (27, 28):
        return None
    if int.from_bytes(signature[32:64]) > _HALF_ORDER:
        return None
    try:
        found = coincurve.PublicKey.from_signature_and_message(
            signature[:64] + bytes((signature[64] - 27,)), signed, hasher=None
        )
    except Exception:  # coincurve raises bare Exception for some, ValueError for others
        return None
    return _address(found)


def _address(key: coincurve.PublicKey) -> str:
    return _checksummed(key.format(compressed=False)[1:])


@lru_cache(maxsize=1024)
def _checksummed(point: bytes) -> str:
    return str(to_checksum_address(keccak(point)[-20:]))
