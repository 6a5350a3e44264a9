"""A key keeper: holds one share per record and gives it only to whom the chain allows now (R34)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from eth_utils import is_address, to_canonical_address, to_checksum_address

from medtoken.errors import BadInput, KeyRefused, MedtokenError

from ._hpke import HpkePublicKey
from ._log import Event, LogEntry
from ._request import SignedKeyRequest
from ._shamir import Share
from ._vault import ShareVault

MAX_LIFETIME = 900
"""Seconds that a request may be valid for at most, so that a stolen one soon is worthless."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LicenceState:
    """What a keeper's own node says about a licence now."""

    live: bool
    """Licence and consent live at a final block, and not revoked, suspended, expired or frozen in
    any block up to the head."""
    reason: str = ""
    """When not live: why, as a sentence part such as ``the consent was revoked``."""
    licensee: str = ""
    """Address that may use the licence."""
    record: bytes = b""
    """The record it is for, 32 bytes."""
    expires: int = 0
    """Unix time in seconds; 0 is never a live licence."""
    block: int = 0
    """The final block that permission was read at."""


class ChainView(Protocol):
    """A keeper's own reading of the chain: permission waits for finality, refusal does not."""

    def licence_state(self, licence: bytes) -> LicenceState:
        """The state of a licence (32-byte id); may raise when the node does not answer."""


class KeyKeeper:
    """One of a record's three keepers. Whatever it is not sure of, it refuses with KeyRefused.

    ``deposit`` and ``shred`` do not ask who calls: whoever puts a keeper behind a network must.
    """

    def __init__(
        self,
        keeper_id: bytes,
        *,
        name: str,
        chain_id: int,
        market: str,
        chain: ChainView,
        vault: ShareVault,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if len(keeper_id) != 32:
            raise BadInput("a keeper's id has 32 bytes")
        if not is_address(market):
            raise BadInput(f"{market!r} is not an address")
        self.keeper_id = keeper_id
        self.name = name
        self._chain_id = chain_id
        self._market = to_checksum_address(market)
        self._chain = chain
        self._vault = vault
        self._clock = clock

    def share_version(self, record: bytes) -> int:
        """The version of the share held, or last held, for a record; 0 if there never was one."""
        return self._vault.version(record)

    def deposit(self, share: Share) -> None:
        """Hold a share, in place of an earlier version's."""
        if not share.genuine:
            raise BadInput("the share is not the one that its commitments name")
        self._vault.put(share, self._event("deposit", share.record, version=share.version))

    def shred(self, record: bytes) -> bool:
        """Destroy a record's share (R35); whether there was one. It can never be put back."""
        return self._vault.shred(record, self._event("shred", record))

    def log(self) -> Iterator[LogEntry]:
        """Everything this keeper did, hash-chained."""
        return self._vault.log()

    def release(self, signed: SignedKeyRequest) -> bytes:
        """This keeper's share, HPKE-sealed to the key in the request.

        The release is in the log, with the licensee's signature, before the share leaves.
        """
        request = signed.request
        public_key = self._check_form(signed)
        signed.check_signature()
        state = self._check_licence(signed)
        share = self._vault.get(request.record)
        if share is None:
            raise KeyRefused("no share of this record's key is held here")
        sealed = public_key.seal(bytes(share), request.info())
        event = self._event(
            "release",
            request.record,
            licence="0x" + request.licence.hex(),
            requester=request.requester,
            public_key_hash="0x" + request.public_key_hash.hex(),
            nonce=str(request.nonce),
            chain_id=request.chain_id,
            market=request.market,
            requested_block=request.block,
            expiry=request.expiry,
            final_block=state.block,
            version=share.version,
            signature="0x" + signed.signature.hex(),
        )
        nonce = to_canonical_address(request.requester) + request.nonce.to_bytes(32, "big")
        self._vault.append(event, nonce)
        return sealed

    def _check_form(self, signed: SignedKeyRequest) -> HpkePublicKey:
        """Everything that needs neither the signature nor the chain."""
        request = signed.request
        if request.chain_id != self._chain_id:
            raise KeyRefused(f"the request is for chain {request.chain_id}, not {self._chain_id}")
        if request.market != self._market:
            raise KeyRefused("the request is for another market")
        if request.keeper != self.keeper_id:
            raise KeyRefused("the request is for another keeper")
        left = request.expiry - self._clock()
        if left <= 0:
            raise KeyRefused("the request has expired")
        if left > MAX_LIFETIME:
            raise KeyRefused(f"the request is valid for longer than {MAX_LIFETIME} seconds")
        try:
            public_key = HpkePublicKey(signed.public_key)
        except BadInput as error:
            raise KeyRefused(str(error)) from error
        if public_key.fingerprint != request.public_key_hash:
            raise KeyRefused("the public key is not the one that was signed for")
        return public_key

    def _check_licence(self, signed: SignedKeyRequest) -> LicenceState:
        """The licence's state, once it allows this release."""
        request = signed.request
        try:
            state = self._chain.licence_state(request.licence)
        except MedtokenError as error:
            raise KeyRefused(f"the chain could not be read: {error}") from error
        except Exception as error:
            _logger.exception("keeper %s could not read licence state", self.name)
            raise KeyRefused("the chain could not be read") from error
        if state.live is not True:
            raise KeyRefused(state.reason or "the licence is not live")
        if state.expires <= self._clock():
            raise KeyRefused("the licence has expired")
        if state.licensee.lower() != request.requester.lower():
            raise KeyRefused("the requester is not the licensee")
        if state.record != request.record:
            raise KeyRefused("the licence is for another record")
        if state.block < request.block:
            raise KeyRefused(
                f"block {request.block} is not final here yet (block {state.block} is): try again"
            )
        return state

    def _event(self, kind: str, record: bytes, **more: str | int) -> Event:
        return {
            "kind": kind,
            "time": int(self._clock()),
            "keeper": "0x" + self.keeper_id.hex(),
            "record": "0x" + record.hex(),
            **more,
        }
