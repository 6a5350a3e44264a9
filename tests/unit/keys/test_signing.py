"""Our own EIP-712 and signatures against eth_account's, and the signatures that must not count."""

from __future__ import annotations

import dataclasses
import secrets

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st
from support.keepers import CHAIN_ID, COPY, CUSTODIAN, MARKET, PATIENT, WHOLE, custodianship

from medtoken.errors import BadInput
from medtoken.keys import (
    Action,
    KeeperIdentity,
    KeeperOrder,
    KeyRequest,
    Rendition,
    order_with,
    signer_of,
)
from medtoken.keys._keeper import revocation_digest
from medtoken.messages import Domain, Revocation

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
words = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, 2**256 - 1)


def eip712(typed_data: dict[str, object]) -> bytes:
    message = encode_typed_data(full_message=typed_data)
    return keccak(b"\x19" + message.version + message.header + message.body)


@given(words, words, words, words, numbers, numbers, numbers, st.integers(1, 2**256 - 1))
def test_a_key_request_is_hashed_as_wallets_hash_it(
    licence: bytes,
    record: bytes,
    key: bytes,
    keeper: bytes,
    nonce: int,
    block: int,
    expiry: int,
    chain_id: int,
) -> None:
    request = KeyRequest(
        chain_id, MARKET, licence, record, PATIENT.address, key, block, expiry, keeper, nonce
    )
    assert request.digest() == eip712(request.typed_data())


@given(
    st.sampled_from(list(Action)),
    st.builds(Rendition, words, words, words),
    words,
    st.integers(0, 2**32 - 1),
    words,
    st.integers(0, 2**64 - 1),
)
def test_an_order_is_hashed_as_wallets_hash_it(
    action: Action,
    rendition: Rendition,
    keeper: bytes,
    version: int,
    content: bytes,
    deadline: int,
) -> None:
    order = KeeperOrder(CHAIN_ID, MARKET, action, rendition, keeper, version, content, deadline)
    assert order.digest() == eip712(order.typed_data())


@given(words)
def test_a_revocation_is_the_message_that_the_market_takes(consent: bytes) -> None:
    signature = Revocation(consent).sign(bytes(PATIENT.key), Domain(CHAIN_ID, MARKET))
    assert signer_of(revocation_digest(CHAIN_ID, MARKET, consent), signature) == PATIENT.address
    assert signer_of(revocation_digest(1, MARKET, consent), signature) != PATIENT.address


@given(words, words.filter(lambda key: 0 < int.from_bytes(key) < ORDER))
def test_signers_are_found_as_eth_account_finds_them(digest: bytes, key: bytes) -> None:
    account = Account.from_key(key)
    theirs = bytes(Account.unsafe_sign_hash(digest, key).signature)
    assert signer_of(digest, theirs) == account.address


def test_every_field_of_an_order_is_signed() -> None:
    order = custodianship().order(Action.ROTATE, COPY, b"\x05" * 32, 2, b"\x06" * 32).order
    changes = {
        "chain_id": 1,
        "market": "0x" + "99" * 20,
        "action": Action.COMPLETE,
        "rendition": dataclasses.replace(COPY, record=b"\x09" * 32),
        "keeper": b"\x09" * 32,
        "version": 3,
        "content": b"\x09" * 32,
        "deadline": 9,
    }
    assert changes.keys() == {field.name for field in dataclasses.fields(order)}
    digests = {dataclasses.replace(order, **{k: v}).digest() for k, v in changes.items()}  # type: ignore[arg-type]
    for part in ("fields", "licence"):
        other = dataclasses.replace(COPY, **{part: b"\x09" * 32})  # type: ignore[arg-type]
        digests.add(dataclasses.replace(order, rendition=other).digest())
    assert len(digests | {order.digest()}) == len(changes) + 3


def test_messages_of_different_kinds_never_share_a_digest() -> None:
    """The same 32 bytes everywhere: only the type and the domain keep the messages apart."""
    word, number = b"\x01" * 32, int.from_bytes(b"\x01" * 32)
    request = KeyRequest(
        CHAIN_ID, MARKET, word, word, PATIENT.address, word, number, number, word, number
    )
    orders = [
        KeeperOrder(CHAIN_ID, MARKET, action, Rendition(word, word), word, 1, word, 1).digest()
        for action in Action
    ]
    digests = [request.digest(), *orders, revocation_digest(CHAIN_ID, MARKET, word)]
    assert len(set(digests)) == len(digests)


def test_the_malleable_twin_of_a_signature_does_not_count() -> None:
    digest = secrets.token_bytes(32)
    order = custodianship().order(Action.DESTROY, WHOLE).order
    signature = order_with(bytes(CUSTODIAN.key))(order)
    assert signer_of(order.digest(), signature) == CUSTODIAN.address
    s = ORDER - int.from_bytes(signature[32:64])
    twin = signature[:32] + s.to_bytes(32) + bytes((55 - signature[64],))
    # eth_account takes the twin, so it is a good one; the contracts and the keepers do not.
    assert Account._recover_hash(order.digest(), signature=twin) == CUSTODIAN.address
    assert signer_of(order.digest(), twin) is None
    assert signer_of(digest, signature) != CUSTODIAN.address


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(65),
        bytes(64) + b"\x1b",
        b"\xff" * 32 + bytes(31) + b"\x01\x1b",
        ORDER.to_bytes(32) + (1).to_bytes(32) + b"\x1b",
        (5).to_bytes(32) + (1).to_bytes(32) + b"\x1b",  # no point has this x
        (1).to_bytes(32) + (1).to_bytes(32) + b"\x00",
        (1).to_bytes(32) + (1).to_bytes(32) + b"\x1d",
    ],
)
def test_what_is_no_signature_has_no_signer(signature: bytes) -> None:
    assert signer_of(b"\x01" * 32, signature) is None


def test_an_identity_is_named_by_both_of_its_keys() -> None:
    one, other = KeeperIdentity.generate(), KeeperIdentity.generate()
    assert KeeperIdentity.from_bytes(bytes(one)).card == one.card
    for changed in (
        dataclasses.replace(one.card, address=other.card.address),
        dataclasses.replace(one.card, public_key=other.card.public_key),
    ):
        assert changed.keeper_id != one.card.keeper_id
    for damaged in (b"", bytes(32), bytes(one)[:-1], bytes(32) + bytes(one)[32:]):
        with pytest.raises(BadInput):
            KeeperIdentity.from_bytes(damaged)
