"""Who a keeper is: one key to receive shares, one to sign receipts, and the id that names both."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from eth_utils import is_address, to_canonical_address, to_checksum_address

from medtoken.errors import BadInput, IntegrityError

from . import _signing
from ._hpke import HpkePrivateKey, HpkePublicKey
from ._vault import ShareVault

_LABEL = b"medtoken keeper id v1"
_KEPT = "identity"
_RECEIPT = "ShredReceipt"
_RECEIPT_FIELDS = (
    ("record", "bytes32"),
    ("keeper", "bytes32"),
    ("version", "uint256"),
    ("order", "bytes32"),
    ("custodian", "address"),
    ("time", "uint256"),
    ("entry", "uint256"),
    ("entryHash", "bytes32"),
)
_HEAD = "LogHead"
_HEAD_FIELDS = (
    ("keeper", "bytes32"),
    ("entries", "uint256"),
    ("hash", "bytes32"),
    ("time", "uint256"),
)


@dataclass(frozen=True)
class KeeperCard:
    """A keeper's public keys. Its id is their hash, so whoever pins the id has pinned both."""

    address: str
    """Signs receipts and log heads."""
    public_key: bytes
    """Encoded HPKE key that shares are sealed to."""

    def __post_init__(self) -> None:
        if not is_address(self.address):
            raise BadInput(f"{self.address!r} is not an address")
        HpkePublicKey(self.public_key)
        object.__setattr__(self, "address", to_checksum_address(self.address))

    @property
    def keeper_id(self) -> bytes:
        """SHA-256 over both keys, 32 bytes."""
        fingerprint = hashlib.sha256(self.public_key).digest()
        return hashlib.sha256(_LABEL + to_canonical_address(self.address) + fingerprint).digest()


class KeeperIdentity:
    """A keeper's private keys."""

    def __init__(self, hpke: HpkePrivateKey, signing_key: bytes) -> None:
        """``signing_key`` is a secp256k1 key of 32 bytes."""
        self.hpke = hpke
        self._signing_key = signing_key
        self.card = KeeperCard(_signing.address_of(signing_key), bytes(hpke.public_key))

    @classmethod
    def generate(cls) -> KeeperIdentity:
        """New keys."""
        return cls(HpkePrivateKey.generate(), secrets.token_bytes(32))

    @classmethod
    def from_bytes(cls, encoded: bytes) -> KeeperIdentity:
        """Read what ``bytes(identity)`` wrote; BadInput if it is anything else."""
        try:
            return cls(HpkePrivateKey(encoded[32:]), encoded[:32])
        except ValueError as error:
            raise BadInput("these bytes are not a keeper's keys") from error

    @classmethod
    def of(cls, vault: ShareVault) -> KeeperIdentity:
        """The keys kept in a keeper's own vault; made at the first call."""
        held = vault.kept(_KEPT)
        return cls.from_bytes(held or vault.keep_first(_KEPT, bytes(cls.generate())))

    def __bytes__(self) -> bytes:
        return self._signing_key + bytes(self.hpke)

    def sign(self, digest: bytes) -> bytes:
        """65 bytes r, s, v."""
        return _signing.sign(self._signing_key, digest)


@dataclass(frozen=True)
class ShredReceipt:
    """A keeper's signed word that it destroyed what it held of a record's key (R35)."""

    chain_id: int
    market: str
    card: KeeperCard
    record: bytes
    version: int
    """The last version held; 0 if there never was a share here, and none will be taken now."""
    order: bytes
    """Digest of the custodian's order, which ``deadline`` and ``order_signature`` make good."""
    deadline: int
    order_signature: bytes
    custodian: str
    """The account that the keeper's node named as the record's custodian."""
    time: int
    """When, unix seconds."""
    entry: int
    """Number of the log entry that records it."""
    entry_hash: bytes
    signature: bytes = b""

    def digest(self) -> bytes:
        """The 32 bytes that the keeper signs."""
        values = (
            self.record,
            self.card.keeper_id,
            self.version,
            self.order,
            self.custodian,
            self.time,
            self.entry,
            self.entry_hash,
        )
        return _signing.digest(self.chain_id, self.market, _RECEIPT, _RECEIPT_FIELDS, values)

    def check(self) -> None:
        """IntegrityError unless the keeper that the receipt names signed it."""
        if _signing.signer(self.digest(), self.signature) != self.card.address:
            raise IntegrityError(
                f"the receipt of keeper 0x{self.card.keeper_id.hex()} is not signed by it"
            )


@dataclass(frozen=True)
class LogHead:
    """A keeper's signed word of how long its log is and what it ends with."""

    chain_id: int
    market: str
    card: KeeperCard
    entries: int
    hash: bytes
    time: int
    signature: bytes = b""

    def digest(self) -> bytes:
        """The 32 bytes that the keeper signs."""
        values = (self.card.keeper_id, self.entries, self.hash, self.time)
        return _signing.digest(self.chain_id, self.market, _HEAD, _HEAD_FIELDS, values)

    def check(self) -> None:
        """IntegrityError unless the keeper that the head names signed it."""
        if _signing.signer(self.digest(), self.signature) != self.card.address:
            raise IntegrityError(
                f"the log's head is not signed by keeper 0x{self.card.keeper_id.hex()}"
            )
