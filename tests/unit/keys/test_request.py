"""The EIP-712 message that a licensee signs, against an encoding written out by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils import keccak

from medtoken.errors import BadInput, KeyRefused
from medtoken.keys import KeyRequest, SignedKeyRequest, sign_with

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())


def from_vector(vector: dict[str, object]) -> KeyRequest:
    fields = dict(vector)
    for name in ("licence", "record", "public_key_hash", "keeper"):
        fields[name] = bytes.fromhex(str(fields[name])[2:])
    for name in ("chain_id", "block", "expiry", "nonce"):
        fields[name] = int(str(fields[name]))
    return KeyRequest(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda vector: vector["name"])
def test_the_digest_and_signature_are_the_recorded_ones(vector: dict[str, object]) -> None:
    request = from_vector(vector["request"])  # type: ignore[arg-type]
    account = Account.from_key(str(vector["private_key"]))
    signature = sign_with(account)(request)
    assert "0x" + request.digest().hex() == vector["digest"]
    assert "0x" + signature.hex() == vector["signature"]
    assert request.render() == vector["text"]
    SignedKeyRequest(request, b"", signature).check_signature()


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda vector: vector["name"])
def test_the_digest_is_that_of_the_specification(vector: dict[str, object]) -> None:
    request = from_vector(vector["request"])  # type: ignore[arg-type]

    def word(value: int | bytes | str) -> bytes:
        if isinstance(value, str):
            return bytes(12) + bytes.fromhex(value[2:])
        return value.to_bytes(32, "big") if isinstance(value, int) else value

    domain = (
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
        keccak(text="medtoken key keeper"),
        keccak(text="1"),
        request.chain_id,
        request.market,
    )
    message = (
        "KeyRequest(bytes32 licence,bytes32 record,address requester,bytes32 publicKeyHash,"
        "bytes32 keeper,uint256 nonce,uint256 blockNumber,uint256 expiry)",
        request.licence,
        request.record,
        request.requester,
        request.public_key_hash,
        request.keeper,
        request.nonce,
        request.block,
        request.expiry,
    )
    hashes = [
        keccak(keccak(text=kind) + b"".join(map(word, fields)))
        for kind, *fields in (domain, message)
    ]
    assert request.digest() == keccak(b"\x19\x01" + b"".join(hashes))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("licence", b"\x09" * 32),
        ("record", b"\x09" * 32),
        ("public_key_hash", b"\x09" * 32),
        ("keeper", b"\x09" * 32),
        ("requester", "0x" + "99" * 20),
        ("market", "0x" + "99" * 20),
        ("chain_id", 1),
        ("nonce", 9),
        ("block", 9),
        ("expiry", 9),
    ],
)
def test_every_field_is_signed_and_bound(
    request_for: KeyRequest, field: str, value: object
) -> None:
    changed = dataclasses.replace(request_for, **{field: value})  # type: ignore[arg-type]
    assert changed.digest() != request_for.digest()
    assert changed.info() != request_for.info()


def test_each_keeper_gets_its_own_nonce(request_for: KeyRequest) -> None:
    one, two = (request_for.for_keeper(bytes([i]) * 32) for i in (1, 2))
    assert one.keeper == b"\x01" * 32
    assert len({one.nonce, two.nonce, request_for.nonce}) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("licence", b""),
        ("record", bytes(31)),
        ("public_key_hash", bytes(33)),
        ("keeper", b"x"),
        ("requester", "0x12"),
        ("market", "nobody"),
        ("nonce", -1),
        ("nonce", 1 << 256),
        ("expiry", -1),
        ("chain_id", -1),
        ("block", 1 << 256),
    ],
)
def test_a_malformed_field_is_refused(request_for: KeyRequest, field: str, value: object) -> None:
    with pytest.raises(BadInput):
        dataclasses.replace(request_for, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("signature", [b"", bytes(65), b"\xff" * 65, bytes(64), bytes(66)])
def test_a_malformed_signature_is_refused(request_for: KeyRequest, signature: bytes) -> None:
    with pytest.raises(KeyRefused, match="signature|signed"):
        SignedKeyRequest(request_for, b"", signature).check_signature()
