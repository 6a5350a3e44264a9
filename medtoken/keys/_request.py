"""What a licensee signs to get a share: the EIP-712 message ``KeyRequest``."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils import is_address, to_canonical_address, to_checksum_address

from medtoken.errors import BadInput

from . import _signing
from ._refusal import Code, Refused

_INFO = b"medtoken key release v1"
_NAME = "KeyRequest"
_FIELDS = (
    ("licence", "bytes32"),
    ("record", "bytes32"),
    ("requester", "address"),
    ("publicKeyHash", "bytes32"),
    ("keeper", "bytes32"),
    ("nonce", "uint256"),
    ("blockNumber", "uint256"),
    ("expiry", "uint256"),
)


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A licensee asks one keeper for its share of one record's key, under one licence."""

    chain_id: int
    market: str
    """Address of the market that issued the licence; verifies the signature's domain."""
    licence: bytes
    """The licence's id, 32 bytes."""
    record: bytes
    """The record's id, 32 bytes."""
    requester: str
    """Address of the licensee, which signs."""
    public_key_hash: bytes
    """``HpkePublicKey.fingerprint`` of the key that the share shall be sealed to, 32 bytes."""
    block: int
    """The keeper must have seen this block as final: the one in which the licence was bought."""
    expiry: int
    """Unix time in seconds from which on the request is void."""
    keeper: bytes = bytes(32)
    """The keeper's id, 32 bytes; ``for_keeper`` sets it."""
    nonce: int = field(default_factory=lambda: secrets.randbits(256))
    """A keeper answers each of a requester's nonces once."""

    def __post_init__(self) -> None:
        if any(
            len(word) != 32
            for word in (self.licence, self.record, self.public_key_hash, self.keeper)
        ):
            raise BadInput("licence, record, public key hash and keeper have 32 bytes each")
        for number in (self.chain_id, self.block, self.expiry, self.nonce):
            if not 0 <= number < 1 << 256:
                raise BadInput("chain id, block, expiry and nonce are never negative")
        object.__setattr__(self, "market", _checksummed(self.market))
        object.__setattr__(self, "requester", _checksummed(self.requester))

    def for_keeper(self, keeper: bytes) -> KeyRequest:
        """The same request to this keeper, with a fresh nonce."""
        return replace(self, keeper=keeper, nonce=secrets.randbits(256))

    def typed_data(self) -> dict[str, Any]:
        """The full EIP-712 message, as a wallet's ``eth_signTypedData_v4`` takes it."""
        return _signing.typed_data(self.chain_id, self.market, _NAME, _FIELDS, self._values())

    def signable(self) -> SignableMessage:
        """The message in the form that eth_account signs and recovers."""
        return encode_typed_data(full_message=self.typed_data())

    def digest(self) -> bytes:
        """The 32-byte EIP-712 digest."""
        return _digest(self)

    def info(self) -> bytes:
        """What HPKE binds the sealed share to: this request and no other."""
        return b"".join(
            (
                _INFO,
                self.chain_id.to_bytes(32, "big"),
                to_canonical_address(self.market),
                self.record,
                self.licence,
                self.keeper,
                to_canonical_address(self.requester),
                self.digest(),
            )
        )

    def render(self) -> str:
        """The request as a sentence for the person who signs it."""
        until = datetime.fromtimestamp(self.expiry, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return (
            f"Ask key keeper 0x{self.keeper.hex()} for its share of the key of record "
            f"0x{self.record.hex()} under licence 0x{self.licence.hex()}, as {self.requester}, "
            f"on chain {self.chain_id}; valid until {until}."
        )

    def _values(self) -> tuple[bytes | int | str, ...]:
        return (
            self.licence,
            self.record,
            self.requester,
            self.public_key_hash,
            self.keeper,
            self.nonce,
            self.block,
            self.expiry,
        )


@lru_cache(maxsize=1024)
def _digest(request: KeyRequest) -> bytes:
    return _signing.digest(request.chain_id, request.market, _NAME, _FIELDS, request._values())


@lru_cache(maxsize=1024)
def _checksummed(address: str) -> str:
    if not is_address(address):
        raise BadInput(f"{address!r} is not an address")
    return str(to_checksum_address(address))


@dataclass(frozen=True, slots=True)
class SignedKeyRequest:
    """A key request as it is sent to a keeper."""

    request: KeyRequest
    public_key: bytes
    """The encoded HPKE public key behind ``request.public_key_hash``."""
    signature: bytes
    """65 bytes r, s, v; of a smart wallet (ERC-1271), whatever it takes."""

    def check_signature(self, approves: Callable[[str, bytes, bytes], bool] | None = None) -> None:
        """KeyRefused unless the requester itself signed exactly this request.

        ``approves`` asks a smart wallet at the requester's address; without it there are none.
        """
        request = self.request
        check_signer("requester", request.requester, request.digest(), self.signature, approves)


def check_signer(
    role: str,
    account: str,
    digest: bytes,
    signature: bytes,
    approves: Callable[[str, bytes, bytes], bool] | None = None,
) -> None:
    """KeyRefused unless ``account``, in its ``role``, signed: with its key or as a smart wallet."""
    found = _signing.signer(digest, signature)
    if found is not None and found == _checksummed(account):
        return
    if approves is not None and approves(account, digest, signature):
        return
    if found is None:
        raise Refused(Code.BAD_SIGNATURE, "the request's signature is malformed")
    raise Refused(Code.BAD_SIGNATURE, f"the request was not signed by its {role}")


def sign_with(account: LocalAccount) -> Callable[[KeyRequest], bytes]:
    """A signer for ``release_key`` from a key held in this process; returns 65 bytes."""
    key = bytes(account.key)
    return lambda request: _signing.sign(key, request.digest())
