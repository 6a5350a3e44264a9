"""Three keepers on a chain that the tests write."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from medtoken import keys
from medtoken.keys import (
    Custodianship,
    HpkePrivateKey,
    Keeper,
    KeeperIdentity,
    KeyKeeper,
    KeyRequest,
    LicenceState,
    SignedKeyRequest,
    SqliteVault,
    Tip,
    order_with,
    sign_with,
)

CHAIN_ID = 31337
MARKET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NOW = 1_800_000_000
RECORD = b"\x01" * 32
LICENCE = b"\x02" * 32
CONSENT = b"\x03" * 32
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
    """As the custodian."""
    return keys.deposit(record, dek, keepers, custodianship())


def shred(record: bytes, keepers: Sequence[Keeper]) -> list[keys.ShredReceipt]:
    """As the custodian."""
    return keys.shred(record, keepers, custodianship())


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
