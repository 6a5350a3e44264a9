"""Three keepers on a chain that the tests write."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from medtoken.keys import (
    HpkePrivateKey,
    KeyKeeper,
    KeyRequest,
    LicenceState,
    SignedKeyRequest,
    SqliteVault,
    deposit,
    sign_with,
)

CHAIN_ID = 31337
MARKET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NOW = 1_800_000_000
RECORD = b"\x01" * 32
LICENCE = b"\x02" * 32
DEK = bytes(range(32))
NAMES = ("north", "south", "east")


class Chain:
    """What every keeper's node says; ``licences`` is changed by the tests."""

    def __init__(self, licensee: str) -> None:
        self.licences = {
            LICENCE: LicenceState(
                live=True, licensee=licensee, record=RECORD, expires=NOW + 3600, block=100
            )
        }
        self.error: Exception | None = None

    def licence_state(self, licence: bytes) -> LicenceState:
        if self.error:
            raise self.error
        return self.licences.get(licence, LicenceState(False, "the licence is unknown"))

    def change(self, **fields: object) -> None:
        self.licences[LICENCE] = dataclasses.replace(self.licences[LICENCE], **fields)  # type: ignore[arg-type]


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def licensee() -> LocalAccount:
    return Account.from_key(b"\x11" * 32)


@pytest.fixture
def stranger() -> LocalAccount:
    return Account.from_key(b"\x22" * 32)


@pytest.fixture
def chain(licensee: LocalAccount) -> Chain:
    return Chain(licensee.address)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def private_key() -> HpkePrivateKey:
    return HpkePrivateKey.generate()


@pytest.fixture
def vaults() -> list[SqliteVault]:
    return [SqliteVault.in_memory() for _ in NAMES]


@pytest.fixture
def keepers(chain: Chain, clock: Clock, vaults: list[SqliteVault]) -> list[KeyKeeper]:
    """Three keepers that hold the shares of one record."""
    keepers = [
        KeyKeeper(
            name.encode().ljust(32, b"\0"),
            name=name,
            chain_id=CHAIN_ID,
            market=MARKET,
            chain=chain,
            vault=vault,
            clock=clock,
        )
        for name, vault in zip(NAMES, vaults, strict=True)
    ]
    deposit(RECORD, DEK, keepers)
    return keepers


@pytest.fixture
def request_for(licensee: LocalAccount, private_key: HpkePrivateKey) -> KeyRequest:
    """A good request, not yet addressed to a keeper."""
    return KeyRequest(
        chain_id=CHAIN_ID,
        market=MARKET,
        licence=LICENCE,
        record=RECORD,
        requester=licensee.address,
        public_key_hash=private_key.public_key.fingerprint,
        block=100,
        expiry=NOW + 300,
    )


Signed = Callable[..., SignedKeyRequest]


@pytest.fixture
def signed(
    request_for: KeyRequest,
    keepers: list[KeyKeeper],
    licensee: LocalAccount,
    private_key: HpkePrivateKey,
) -> Signed:
    """A request to the first keeper, signed by the licensee, with fields changed before signing."""

    def make(signer: LocalAccount = licensee, **fields: object) -> SignedKeyRequest:
        addressed = request_for.for_keeper(keepers[0].keeper_id)
        request = dataclasses.replace(addressed, **fields)  # type: ignore[arg-type]
        return SignedKeyRequest(request, bytes(private_key.public_key), sign_with(signer)(request))

    return make
