"""Fixtures: three keepers on a chain that the tests write. A conftest takes them by importing all."""

from __future__ import annotations

import dataclasses

import pytest
from eth_account.signers.local import LocalAccount

from medtoken.keys import (
    HpkePrivateKey,
    KeeperIdentity,
    KeyKeeper,
    KeyRequest,
    SignedKeyRequest,
    SqliteVault,
    sign_with,
)
from support.keepers import (
    CHAIN_ID,
    DEK,
    LICENCE,
    LICENSEE,
    MARKET,
    NAMES,
    NOW,
    RECORD,
    STRANGER,
    Chain,
    Clock,
    Signed,
    deposit,
)


@pytest.fixture
def licensee() -> LocalAccount:
    return LICENSEE


@pytest.fixture
def stranger() -> LocalAccount:
    return STRANGER


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def private_key() -> HpkePrivateKey:
    return HpkePrivateKey.generate()


@pytest.fixture
def vaults() -> list[SqliteVault]:
    return [SqliteVault.in_memory() for _ in NAMES]


@pytest.fixture(scope="session")
def identities() -> list[KeeperIdentity]:
    return [KeeperIdentity.generate() for _ in NAMES]


@pytest.fixture
def keepers(
    chain: Chain, clock: Clock, vaults: list[SqliteVault], identities: list[KeeperIdentity]
) -> list[KeyKeeper]:
    """Three keepers that hold the shares of one record."""
    keepers = [
        KeyKeeper(
            identity,
            name=name,
            chain_id=CHAIN_ID,
            market=MARKET,
            chain=chain,
            vault=vault,
            clock=clock,
        )
        for name, vault, identity in zip(NAMES, vaults, identities, strict=True)
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
