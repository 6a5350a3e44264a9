"""Keepers for tests that need no node: a chain that the test itself writes."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn
from eth_account import Account
from eth_account.signers.local import LocalAccount

from medtoken import keys
from medtoken.chain.devnet import HOST
from medtoken.keeper.client import HttpKeeper
from medtoken.keeper.service import Limits, Service
from medtoken.keys import (
    Custodianship,
    Keeper,
    KeyKeeper,
    LicenceState,
    Rendition,
    SignedKeyRequest,
    Tip,
    order_with,
)
from medtoken.serving import listen

CHAIN_ID = 31337
MARKET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NOW = 1_800_000_000
RECORD = b"\x01" * 32
LICENCE = b"\x02" * 32
CONSENT = b"\x03" * 32
FIELDS = b"\x05" * 32
"""The masking profile that the consent names."""
COPY = Rendition(RECORD, FIELDS)
SLOT = COPY.id
WHOLE = Rendition(RECORD, bytes(32))
"""What an order to destroy is about."""
DEK = bytes(range(32))
NAMES = ("north", "south", "east")

LICENSEE = Account.from_key(b"\x11" * 32)
STRANGER = Account.from_key(b"\x22" * 32)
CUSTODIAN = Account.from_key(b"\x33" * 32)
PATIENT = Account.from_key(b"\x44" * 32)


class Chain:
    """What every keeper's node says; ``licences`` is changed by the tests."""

    def __init__(self) -> None:
        self.licences = {
            LICENCE: LicenceState(
                live=True,
                licensee=LICENSEE.address,
                record=RECORD,
                expires=NOW + 3600,
                block=100,
                consent=CONSENT,
                fields=FIELDS,
            )
        }
        self.custodians: dict[bytes, str] = {}
        self.patients = {CONSENT: PATIENT.address}
        self.wallets: dict[str, bytes] = {}
        self.error: Exception | None = None
        self.tips = 0

    def tip(self) -> Tip:
        self.tips += 1
        if self.error:
            raise self.error
        return Tip(head=102, head_hash=b"\x0a" * 32, time=NOW, final=100, final_hash=b"\x0b" * 32)

    def licence_states(self, tip: Tip, wanted: Sequence[tuple[bytes, int]]) -> list[LicenceState]:
        unknown = LicenceState(False, "the licence is unknown")
        return [self.licences.get(licence, unknown) for licence, _ in wanted]

    def custodian(self, tip: Tip, record: bytes, number: int, tag: bytes) -> str:
        return self.custodians.get(record, CUSTODIAN.address)

    def patient(self, tip: Tip, consent: bytes) -> str:
        return self.patients.get(consent, "")

    def approves(self, tip: Tip, account: str, digest: bytes, signature: bytes) -> bool:
        return self.wallets.get(account) == signature

    def change(self, **fields: object) -> None:
        self.licences[LICENCE] = dataclasses.replace(self.licences[LICENCE], **fields)  # type: ignore[arg-type]


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def custodianship(account: LocalAccount = CUSTODIAN, **fields: object) -> Custodianship:
    """Towards the keepers of any record."""
    standing = Custodianship(CHAIN_ID, MARKET, order_with(bytes(account.key)), lambda: NOW)
    return dataclasses.replace(standing, **fields)  # type: ignore[arg-type]


def deposit(record: bytes, dek: bytes, keepers: Sequence[Keeper]) -> int:
    """As the custodian, for every licence."""
    return keys.deposit(Rendition(record, FIELDS), dek, keepers, custodianship())


def shred(record: bytes, keepers: Sequence[Keeper]) -> list[keys.ShredReceipt]:
    """As the custodian."""
    return keys.shred(record, keepers, custodianship())


@contextlib.contextmanager
def serving(keeper: KeyKeeper, limits: Limits | None = None) -> Iterator[HttpKeeper]:
    """A keeper behind a real HTTP server in this process, and its client."""
    socket = listen(HOST, 0)
    config = uvicorn.Config(Service(keeper, limits).app, log_level="critical", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        url = f"http://{HOST}:{socket.getsockname()[1]}"
        yield HttpKeeper(url, keeper.keeper_id, name=keeper.name)
    finally:
        server.should_exit = True
        thread.join()


class Wrapped:
    """A keeper of which a test changes one thing."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keeper, name)


Signed = Callable[..., SignedKeyRequest]
