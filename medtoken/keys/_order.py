"""What a record's custodian signs to a keeper: deposit, rotate, destroy (``KeeperOrder``)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from eth_utils import is_address, to_canonical_address, to_checksum_address

from medtoken.errors import BadInput

from . import _signing
from ._rendition import Rendition

_NAME = "KeeperOrder"
_FIELDS = (
    ("action", "string"),
    ("record", "bytes32"),
    ("fields", "bytes32"),
    ("licence", "bytes32"),
    ("keeper", "bytes32"),
    ("version", "uint256"),
    ("content", "bytes32"),
    ("deadline", "uint256"),
)
ANY_KEEPER = bytes(32)
_INFO = b"medtoken keeper order v1"


class Action(StrEnum):
    """What is ordered. It is signed by name, so that no order passes for another."""

    DEPOSIT = "deposit"
    """Hold this share; ``content`` is the SHA-256 of the share as sealed to the keeper."""
    ROTATE = "rotate"
    """Prepare the next version; ``content`` is the SHA-256 of the rotation and the sealed change."""
    COMPLETE = "complete"
    """The next version's three commitments; ``content`` is the SHA-256 of rotation and these."""
    ABANDON = "abandon"
    """Forget a version that only some have in use, and keep the one before. ``content`` is zero."""
    FINISH = "finish"
    """All three have the next version: forget the one before. ``content`` is zero."""
    DESTROY = "destroy"
    """Shred every share of every copy for good, at whatever keeper; all but the record is zero."""


_SENTENCES = {
    Action.DEPOSIT: "hold version {version} of its share of the key",
    Action.ROTATE: "prepare version {version} of its share of the key",
    Action.COMPLETE: "take version {version} of its share of the key into use",
    Action.ABANDON: "forget version {version} of its share of the key, keeping the one before,",
    Action.FINISH: "forget its shares of the key before version {version}",
    Action.DESTROY: "DESTROY its shares of the keys for ever, so that nobody can open any copy again,",
}


@dataclass(frozen=True, slots=True)
class KeeperOrder:
    """A custodian orders one keeper (or, to destroy, all) to do something with a record's share."""

    chain_id: int
    market: str
    action: Action
    rendition: Rendition
    """Of which copy; to destroy, of the record alone: it is about all of them."""
    keeper: bytes
    version: int
    content: bytes
    deadline: int
    """Unix time in seconds from which on the order is void."""

    def __post_init__(self) -> None:
        if any(len(word) != 32 for word in (self.keeper, self.content)):
            raise BadInput("keeper and content have 32 bytes each")
        if not is_address(self.market):
            raise BadInput(f"{self.market!r} is not an address")
        if not 0 <= self.version < 1 << 32 or not 0 <= self.deadline < 1 << 64:
            raise BadInput("an order's version or deadline is out of range")
        if not 0 <= self.chain_id < 1 << 256:
            raise BadInput("chain ids are never negative")
        object.__setattr__(self, "market", to_checksum_address(self.market))

    @property
    def record(self) -> bytes:
        """The record's id."""
        return self.rendition.record

    def digest(self) -> bytes:
        """The 32-byte EIP-712 digest."""
        return _signing.digest(self.chain_id, self.market, _NAME, _FIELDS, self._values())

    def typed_data(self) -> dict[str, Any]:
        """The full EIP-712 message, as a wallet's ``eth_signTypedData_v4`` takes it."""
        return _signing.typed_data(self.chain_id, self.market, _NAME, _FIELDS, self._values())

    def render(self) -> str:
        """The order as a sentence for the person who signs it."""
        whom = "every key keeper" if self.keeper == ANY_KEEPER else f"keeper 0x{self.keeper.hex()}"
        until = datetime.fromtimestamp(self.deadline, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return (
            f"Order {whom} to {_SENTENCES[self.action].format(version=self.version)} of "
            f"{self._what()}, on chain {self.chain_id}; valid until {until}."
        )

    def _what(self) -> str:
        if self.action is Action.DESTROY:
            return f"record 0x{self.record.hex()} and all its copies"
        return self.rendition.render()

    def _values(self) -> tuple[bytes | int | str, ...]:
        return (
            self.action.value,
            self.record,
            self.rendition.fields,
            self.rendition.licence,
            self.keeper,
            self.version,
            self.content,
            self.deadline,
        )


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order as it is sent, with what shows that its signer is the custodian."""

    order: KeeperOrder
    signature: bytes
    custodian: int = 0
    """The institution's number, for a record that is not registered yet."""
    tag: bytes = bytes(32)
    """The duplicate tag that with ``custodian`` makes the record's id; likewise."""


@dataclass(frozen=True)
class Custodianship:
    """A custodian's standing towards the keepers of one record, and its way to sign."""

    chain_id: int
    market: str
    sign: Callable[[KeeperOrder], bytes]
    now: Callable[[], int]
    """The chain's time, unix seconds."""
    custodian: int = 0
    """The institution's number: needed only before the record is registered."""
    tag: bytes = bytes(32)
    lifetime: int = 600

    def order(
        self,
        action: Action,
        rendition: Rendition,
        keeper: bytes = ANY_KEEPER,
        version: int = 0,
        content: bytes = bytes(32),
    ) -> SignedOrder:
        """Draw up an order and sign it."""
        order = KeeperOrder(
            self.chain_id,
            self.market,
            action,
            rendition,
            keeper,
            version,
            content,
            self.now() + self.lifetime,
        )
        return SignedOrder(order, self.sign(order), self.custodian, self.tag)


def order_with(key: bytes) -> Callable[[KeeperOrder], bytes]:
    """A signer of orders from a secp256k1 key held in this process; returns 65 bytes."""
    return lambda order: _signing.sign(key, order.digest())


def sealing_info(action: Action, chain_id: int, market: str, rendition: Rendition,
                 keeper: bytes, version: int) -> bytes:  # fmt: skip
    """What HPKE binds a share, or a change of one, to on its way to a keeper."""
    return b"".join(
        (
            _INFO,
            hashlib.sha256(action.value.encode()).digest(),
            chain_id.to_bytes(32),
            to_canonical_address(market),
            rendition.id,
            keeper,
            version.to_bytes(4),
        )
    )
