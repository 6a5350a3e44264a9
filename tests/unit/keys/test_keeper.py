"""A keeper gives its share to whom the chain allows, once, and to nobody else (R34)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from support.keepers import (
    CHAIN_ID,
    CONSENT,
    FIELDS,
    LICENCE,
    MARKET,
    NOW,
    RECORD,
    SLOT,
    WHOLE,
    Chain,
    Clock,
    Signed,
    custodianship,
)

from medtoken.errors import BadInput, KeyRefused, NodeUnreachable
from medtoken.keys import (
    Action,
    HpkePrivateKey,
    KeeperIdentity,
    KeyKeeper,
    LicenceState,
    Share,
    SignedKeyRequest,
    SqliteVault,
    verify_log,
)


@pytest.fixture
def keeper(keepers: list[KeyKeeper]) -> KeyKeeper:
    return keepers[0]


def released(keeper: KeyKeeper) -> list[dict[str, Any]]:
    return [entry.event for entry in keeper.log() if entry.event["kind"] == "release"]


def refuses(keeper: KeyKeeper, signed: SignedKeyRequest, why: str) -> None:
    """The keeper refuses for this reason and has logged no release."""
    before = len(released(keeper))
    with pytest.raises(KeyRefused, match=why):
        keeper.release(signed)
    assert len(released(keeper)) == before


def test_a_live_licensee_gets_the_share(
    keeper: KeyKeeper, signed: Signed, private_key: HpkePrivateKey
) -> None:
    request = signed()
    share = Share.from_bytes(private_key.open(keeper.release(request), request.request.info()))
    assert share.genuine
    assert (share.record, share.version, share.index) == (SLOT, 1, 1)


def test_a_release_is_logged_with_the_signature_that_asked(
    keeper: KeyKeeper, signed: Signed
) -> None:
    request = signed()
    keeper.release(request)
    (event,) = released(keeper)
    assert event == {
        "kind": "release",
        "time": NOW,
        "keeper": "0x" + keeper.keeper_id.hex(),
        "record": "0x" + RECORD.hex(),
        "licence": "0x" + LICENCE.hex(),
        "consent": "0x" + CONSENT.hex(),
        "fields": "0x" + FIELDS.hex(),
        "copy_for": "0x" + "00" * 32,
        "requester": request.request.requester,
        "public_key_hash": "0x" + request.request.public_key_hash.hex(),
        "nonce": str(request.request.nonce),
        "chain_id": CHAIN_ID,
        "market": MARKET,
        "requested_block": 100,
        "expiry": NOW + 300,
        "final_block": 100,
        "head_block": 102,
        "head_hash": "0x" + "0a" * 32,
        "version": 1,
        "request": "0x" + request.request.digest().hex(),
        "signature": "0x" + request.signature.hex(),
    }
    verify_log(keeper.log())


# --- the request --------------------------------------------------------------------------------


def test_a_replayed_request_is_refused(keeper: KeyKeeper, signed: Signed) -> None:
    request = signed()
    keeper.release(request)
    refuses(keeper, request, "nonce")
    refuses(keeper, signed(nonce=request.request.nonce, expiry=NOW + 301), "nonce")
    keeper.release(signed())


def test_another_requesters_nonce_is_its_own(
    keeper: KeyKeeper, signed: Signed, stranger: LocalAccount, chain: Chain
) -> None:
    keeper.release(signed(nonce=7))
    chain.change(licensee=stranger.address)
    keeper.release(signed(stranger, nonce=7, requester=stranger.address))


def test_a_refused_request_may_be_sent_again_when_the_reason_is_gone(
    keeper: KeyKeeper, signed: Signed, chain: Chain
) -> None:
    request = signed()
    chain.change(block=99)
    refuses(keeper, request, "not final here yet")
    chain.change(block=100)
    keeper.release(request)


def test_an_expired_request_is_refused(keeper: KeyKeeper, signed: Signed, clock: Clock) -> None:
    request = signed()
    clock.now = request.request.expiry
    refuses(keeper, request, "has expired")
    refuses(keeper, signed(expiry=0), "has expired")


def test_a_request_valid_for_too_long_is_refused(keeper: KeyKeeper, signed: Signed) -> None:
    keeper.release(signed(expiry=NOW + 900))
    refuses(keeper, signed(expiry=NOW + 901), "longer than 900 seconds")


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("chain_id", 1, "chain 1, not 31337"),
        ("market", "0x" + "99" * 20, "another market"),
        ("keeper", b"\x09" * 32, "another keeper"),
        ("keeper", bytes(32), "another keeper"),
        ("public_key_hash", b"\x09" * 32, "not the one that was signed for"),
        ("licence", b"\x09" * 32, "unknown"),
        ("record", b"\x09" * 32, "another record"),
    ],
)
def test_a_request_for_something_else_is_refused(
    keeper: KeyKeeper, signed: Signed, field: str, value: object, why: str
) -> None:
    refuses(keeper, signed(**{field: value}), why)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("licence", b"\x09" * 32),
        ("record", b"\x09" * 32),
        ("block", 1),
        ("expiry", NOW + 301),
        ("nonce", 1),
        ("requester", "0x" + "99" * 20),
    ],
)
def test_a_field_changed_after_signing_is_refused(
    keeper: KeyKeeper, signed: Signed, field: str, value: object
) -> None:
    good = signed()
    changed = dataclasses.replace(good.request, **{field: value})  # type: ignore[arg-type]
    refuses(keeper, dataclasses.replace(good, request=changed), "not signed by its requester")


def test_a_stranger_is_refused(keeper: KeyKeeper, signed: Signed, stranger: LocalAccount) -> None:
    refuses(keeper, signed(stranger), "not signed by its requester")
    refuses(keeper, signed(stranger, requester=stranger.address), "not the licensee")


def test_another_public_key_than_was_signed_for_is_refused(
    keeper: KeyKeeper, signed: Signed
) -> None:
    other = bytes(HpkePrivateKey.generate().public_key)
    refuses(keeper, dataclasses.replace(signed(), public_key=other), "not the one")
    for bad in (b"", b"\x01", b"\x03" + bytes(32), bytes(1217)):
        refuses(keeper, dataclasses.replace(signed(), public_key=bad), "key")


# --- the chain ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["the consent was revoked", "the licence is suspended"])
def test_a_licence_that_is_not_live_is_refused_for_its_reason(
    keeper: KeyKeeper, signed: Signed, chain: Chain, reason: str
) -> None:
    keeper.release(signed())
    chain.change(live=False, reason=reason)
    refuses(keeper, signed(), reason)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"live": False}, "not live"),
        ({"live": 1}, "not live"),
        ({"expires": 0}, "licence has expired"),
        ({"expires": NOW}, "licence has expired"),
        ({"licensee": "0x" + "00" * 20}, "not the licensee"),
        ({"licensee": ""}, "not the licensee"),
        ({"record": bytes(32)}, "another record"),
        ({"record": b""}, "another record"),
        ({"block": 0}, "not final"),
        ({"block": 99}, "block 100 is not final here yet"),
    ],
)
def test_whatever_the_chain_leaves_unsaid_is_a_refusal(
    keeper: KeyKeeper, signed: Signed, chain: Chain, fields: dict[str, object], why: str
) -> None:
    chain.change(**fields)
    refuses(keeper, signed(), why)


def test_an_empty_state_is_a_refusal(keeper: KeyKeeper, signed: Signed, chain: Chain) -> None:
    chain.licences[LICENCE] = LicenceState(True)
    refuses(keeper, signed(), "expired")


@pytest.mark.parametrize(
    "error", [NodeUnreachable("no node answers"), TimeoutError(), KeyError("x"), ValueError()]
)
def test_a_chain_that_cannot_be_read_is_a_refusal(
    keeper: KeyKeeper, signed: Signed, chain: Chain, error: Exception
) -> None:
    chain.error = error
    refuses(keeper, signed(), "chain could not be read")


def test_a_share_is_not_released_when_it_cannot_be_logged(
    keeper: KeyKeeper, signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(keeper._vault, "release", full)
    with pytest.raises(OSError, match="disk full"):
        keeper.release(signed())


# --- shares -------------------------------------------------------------------------------------


def test_a_record_not_held_is_refused(keeper: KeyKeeper, signed: Signed, chain: Chain) -> None:
    chain.change(record=b"\x05" * 32)
    refuses(keeper, signed(record=b"\x05" * 32), "no share")


def test_a_shredded_record_is_refused_and_logged(keeper: KeyKeeper, signed: Signed) -> None:
    order = custodianship().order(Action.DESTROY, WHOLE)
    receipt = keeper.shred(order)
    receipt.check()
    refuses(keeper, signed(), "no share")
    assert keeper.shred(custodianship(lifetime=900).order(Action.DESTROY, WHOLE)) == receipt
    assert [entry.event["kind"] for entry in keeper.log()] == ["deposit", "shred"]


@pytest.mark.parametrize("market", ["nowhere", "0x12", ""])
def test_a_keeper_without_a_proper_market_is_refused(
    chain: Chain, identities: list[KeeperIdentity], market: str
) -> None:
    vault = SqliteVault.in_memory()
    with pytest.raises(BadInput, match="not an address"):
        KeyKeeper(identities[0], name="one", chain_id=1, market=market, chain=chain, vault=vault)
