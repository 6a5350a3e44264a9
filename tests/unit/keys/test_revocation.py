"""A patient's revocation, taken directly, ends every grant under that consent and nothing else (R9)."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from pathlib import Path

import pytest
from support.keepers import (
    CHAIN_ID,
    CONSENT,
    COPY,
    DEK,
    LICENCE,
    LICENSEE,
    MARKET,
    PATIENT,
    RECORD,
    STRANGER,
    Chain,
    Signed,
)

from medtoken.errors import KeyRefused, NodeUnreachable
from medtoken.keys import (
    Code,
    HpkePrivateKey,
    KeyKeeper,
    KeyRequest,
    Refused,
    SqliteVault,
    release_key,
    revoke,
    sign_with,
)
from medtoken.messages import Domain, Revocation

DOMAIN = Domain(CHAIN_ID, MARKET)
SIGNED = Revocation(CONSENT).sign(bytes(PATIENT.key), DOMAIN)


@pytest.fixture
def keeper(keepers: list[KeyKeeper]) -> KeyKeeper:
    return keepers[0]


def expect_refusal(code: Code, keeper: KeyKeeper, consent: bytes, signature: bytes) -> None:
    before = len(list(keeper.log()))
    with pytest.raises(Refused) as refusal:
        keeper.revoke(consent, signature)
    assert refusal.value.code is code
    assert len(list(keeper.log())) == before


def test_a_revocation_ends_the_grants_though_the_chain_still_allows_them(
    keeper: KeyKeeper, signed: Signed, chain: Chain
) -> None:
    keeper.release(signed())
    assert keeper.revoke(CONSENT, SIGNED)
    assert chain.licences[LICENCE].live
    with pytest.raises(Refused) as refusal:
        keeper.release(signed())
    assert refusal.value.code is Code.REVOKED
    event = list(keeper.log())[-1].event
    assert (event["kind"], event["patient"]) == ("revocation", PATIENT.address)


def test_another_licence_of_the_same_record_goes_on(
    keeper: KeyKeeper, signed: Signed, chain: Chain
) -> None:
    other, consent = b"\x0e" * 32, b"\x0f" * 32
    chain.licences[other] = dataclasses.replace(chain.licences[LICENCE], consent=consent)
    keeper.revoke(CONSENT, SIGNED)
    keeper.release(signed(licence=other))


def test_it_is_taken_once_and_outlives_the_process(
    keeper: KeyKeeper, vaults: list[SqliteVault], tmp_path: Path
) -> None:
    assert keeper.revoke(CONSENT, SIGNED)
    assert not keeper.revoke(CONSENT, SIGNED)
    assert not keeper.revoke(CONSENT, b"")
    assert [e.event["kind"] for e in keeper.log()] == ["deposit", "revocation"]
    vault = SqliteVault(tmp_path / "vault.sqlite", b"k" * 32)
    assert vault.revoke(CONSENT, {"kind": "revocation"})
    assert SqliteVault(tmp_path / "vault.sqlite", b"k" * 32).revoked(CONSENT)


def test_nobody_else_revokes(keeper: KeyKeeper) -> None:
    for signature in (
        Revocation(CONSENT).sign(bytes(STRANGER.key), DOMAIN),
        Revocation(CONSENT).sign(bytes(LICENSEE.key), DOMAIN),
        Revocation(b"\x09" * 32).sign(bytes(PATIENT.key), DOMAIN),
        Revocation(CONSENT).sign(bytes(PATIENT.key), Domain(1, MARKET)),
        Revocation(CONSENT).sign(bytes(PATIENT.key), Domain(CHAIN_ID, "0x" + "99" * 20)),
        SIGNED[:-1],
        b"",
    ):
        expect_refusal(Code.BAD_SIGNATURE, keeper, CONSENT, signature)
    expect_refusal(Code.MALFORMED, keeper, CONSENT, bytes(1025))
    expect_refusal(Code.MALFORMED, keeper, CONSENT[:-1], SIGNED)


def test_a_smart_wallets_patient_revokes(keeper: KeyKeeper, chain: Chain) -> None:
    wallet = "0x" + "5a" * 20
    chain.patients[CONSENT] = wallet
    expect_refusal(Code.BAD_SIGNATURE, keeper, CONSENT, SIGNED)
    chain.wallets[wallet] = b"approved"
    assert keeper.revoke(CONSENT, b"approved")


def test_a_consent_that_is_not_there_yet_is_worth_another_try(
    keeper: KeyKeeper, chain: Chain
) -> None:
    chain.patients.clear()
    expect_refusal(Code.UNKNOWN_CONSENT, keeper, CONSENT, SIGNED)
    assert Refused(Code.UNKNOWN_CONSENT, "").passing
    chain.error = NodeUnreachable("no node answers")
    expect_refusal(Code.CHAIN_UNREACHABLE, keeper, CONSENT, SIGNED)


def test_two_keepers_that_know_are_enough(
    keepers: list[KeyKeeper], request_for: KeyRequest, private_key: HpkePrivateKey
) -> None:
    def ask() -> bytes:
        return release_key(
            keepers,
            request_for,
            private_key,
            rendition=COPY,
            sign=sign_with(LICENSEE),
            commits_to=lambda dek: dek == DEK,
        )

    keepers[0].revoke(CONSENT, SIGNED)
    assert ask() == DEK  # as with any single keeper: it cannot deny, either
    revoke(CONSENT, SIGNED, keepers[:2])
    with pytest.raises(KeyRefused, match="revoked"):
        ask()


def test_who_did_not_take_it_is_named(keepers: list[KeyKeeper], chain: Chain) -> None:
    bad = Revocation(CONSENT).sign(bytes(STRANGER.key), DOMAIN)
    with pytest.raises(KeyRefused, match=r"north: .*; south: .*; east: "):
        revoke(CONSENT, bad, keepers)


def test_a_release_and_a_revocation_at_once_come_in_one_order(tmp_path: Path) -> None:
    """Whatever the order, no release stands behind the revocation in the log."""
    from medtoken.keys import split
    from medtoken.keys._vault import Release

    first, second = (SqliteVault(tmp_path / "v.sqlite", b"k" * 32) for _ in range(2))
    first.put(split(DEK, RECORD)[0], {"kind": "deposit"})
    release = Release({"kind": "release"}, b"nonce", RECORD, CONSENT)
    second.revoke(CONSENT, {"kind": "revocation"})
    (answer,) = first.release([release])
    assert isinstance(answer, Refused)
    assert answer.code is Code.REVOKED
    assert [e.event["kind"] for e in first.log()] == ["deposit", "revocation"]


def test_every_order_of_messages_is_a_chain(keepers: list[KeyKeeper]) -> None:
    for one, other in combinations(keepers, 2):
        assert one.log_head().card != other.log_head().card
        head = one.log_head()
        head.check()
        with pytest.raises(Exception, match="not signed"):
            dataclasses.replace(head, entries=9).check()
