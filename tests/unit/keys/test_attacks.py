"""Attacks on the cryptography: binding, nonces, malformed points and keys, swapped shares."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import sqlite3
from itertools import permutations
from pathlib import Path

import pytest
from Crypto.Protocol.SecretSharing import Shamir
from hypothesis import given
from hypothesis import strategies as st
from support.keepers import (
    CHAIN_ID,
    DEK,
    FIELDS,
    LICENCE,
    MARKET,
    NOW,
    RECORD,
    Chain,
    Signed,
)

from medtoken.errors import BadInput, IntegrityError
from medtoken.keys import (
    Code,
    HpkePrivateKey,
    HpkePublicKey,
    KeyKeeper,
    KeyRequest,
    Refused,
    Rendition,
    Share,
    SqliteVault,
    combine,
    split,
)

# Points of small order on Curve25519: whoever uses one makes the shared secret zero.
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.fixture
def keeper(keepers: list[KeyKeeper]) -> KeyKeeper:
    return keepers[0]


# --- HPKE ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:8])
@pytest.mark.parametrize("hybrid", [False, True])
def test_a_point_of_small_order_gets_no_share(
    keeper: KeyKeeper, signed: Signed, private_key: HpkePrivateKey, point: bytes, hybrid: bool
) -> None:
    encoded = bytes(private_key.public_key)[:-32] + point if hybrid else b"\x01" + point
    request = signed(public_key_hash=hashlib.sha256(encoded).digest())
    try:
        sealed = keeper.release(dataclasses.replace(request, public_key=encoded))
    except Refused as refusal:
        assert refusal.code is Code.WRONG_PUBLIC_KEY
        return
    # The hybrid's ML-KEM half still keeps it secret: nobody opens it with the zero secret alone.
    assert hybrid
    with pytest.raises(IntegrityError):
        private_key.open(sealed, request.request.info())


def test_what_is_no_mlkem_key_gets_no_share(
    keeper: KeyKeeper, signed: Signed, private_key: HpkePrivateKey
) -> None:
    good = bytes(private_key.public_key)
    for bad in (
        good[:1] + b"\xff" * 1184 + good[-32:],  # coefficients beyond the modulus
        good[:-1],
        good + b"\0",
        b"\x03" + good[1:],
        b"",
    ):
        request = signed(public_key_hash=hashlib.sha256(bad).digest())
        with pytest.raises(Refused) as refusal:
            keeper.release(dataclasses.replace(request, public_key=bad))
        assert refusal.value.code is Code.WRONG_PUBLIC_KEY


def test_a_sealed_share_opens_for_its_own_request_only(
    keeper: KeyKeeper, signed: Signed, private_key: HpkePrivateKey
) -> None:
    one = signed()
    sealed = keeper.release(one)
    for changed in (
        {"chain_id": 1},
        {"market": "0x" + "99" * 20},
        {"record": b"\x09" * 32},
        {"licence": b"\x09" * 32},
        {"keeper": b"\x09" * 32},
        {"requester": "0x" + "99" * 20},
        {"nonce": one.request.nonce ^ 1},
        {"expiry": one.request.expiry + 1},
        {"block": 99},
    ):
        info = dataclasses.replace(one.request, **changed).info()  # type: ignore[arg-type]
        with pytest.raises(IntegrityError):
            private_key.open(sealed, info)
    with pytest.raises(IntegrityError):
        HpkePrivateKey.generate().open(sealed, one.request.info())
    assert Share.from_bytes(private_key.open(sealed, one.request.info())).genuine


def test_no_encapsulation_is_used_twice(
    keeper: KeyKeeper, signed: Signed, private_key: HpkePrivateKey
) -> None:
    """The same share to the same key, again and again: key and nonce of HPKE are fresh each time."""
    sealed = [keeper.release(signed()) for _ in range(50)]
    encapsulation = len(sealed[0]) - Share.SIZE - 16
    assert encapsulation in (32, 1120)
    assert len({one[:encapsulation] for one in sealed}) == 50
    assert len({one[encapsulation:] for one in sealed}) == 50


@given(st.binary(max_size=1400))
def test_no_bytes_but_keys_are_public_keys(data: bytes) -> None:
    try:
        key = HpkePublicKey(data)
    except BadInput:
        return
    assert (len(data), data[0]) in ((33, 1), (1217, 2))
    assert bytes(key) == data


# --- the vault's own encryption -----------------------------------------------------------------


def test_no_nonce_of_the_vault_is_used_twice(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    vault = SqliteVault(path, b"k" * 32)
    share = split(DEK, RECORD)[0]
    nonces = []
    for version in range(1, 201):
        vault.put(dataclasses.replace(share, version=version), {})
        vault.keep("name", b"the same value")
        raw = sqlite3.connect(path)
        nonces.append(raw.execute("SELECT substr(sealed, 1, 12) FROM shares").fetchone()[0])
        nonces.append(raw.execute("SELECT substr(sealed, 1, 12) FROM kept").fetchone()[0])
        raw.close()
    assert len(set(nonces)) == len(nonces)


@pytest.mark.parametrize("column", ["sealed", "next"])
def test_a_share_put_back_from_a_backup_is_noticed(tmp_path: Path, column: str) -> None:
    """An old version's ciphertext in a new version's place, or the prepared one in use, is refused."""
    from medtoken.keys._vault import Staged

    path = tmp_path / "vault.sqlite"
    vault = SqliteVault(path, b"k" * 32)
    one, two = (split(DEK, RECORD, version)[0] for version in (1, 2))
    vault.put(one, {})
    vault.stage(Staged(b"r" * 32, two, complete=True), {})
    raw = sqlite3.connect(path)
    if column == "sealed":
        raw.execute("UPDATE shares SET sealed = next")
    else:
        raw.execute("UPDATE shares SET next = sealed")
    raw.commit()
    raw.close()
    with pytest.raises(IntegrityError, match="altered"):
        vault.held([RECORD])


def test_a_damaged_share_is_one_refusal_and_not_a_whole_batch(
    keeper: KeyKeeper, signed: Signed, chain: Chain
) -> None:
    other, licence = b"\x05" * 32, b"\x06" * 32
    chain.licences[licence] = dataclasses.replace(chain.licences[LICENCE], record=other)
    slot = Rendition(other, FIELDS).id
    keeper._vault.put(split(DEK, slot)[0], {})
    with keeper._vault._transaction() as run:  # type: ignore[attr-defined]
        run("UPDATE shares SET sealed = ? WHERE rendition = ?", bytes(300), slot)
    bad, good = keeper.release_many([signed(licence=licence, record=other), signed()])
    assert isinstance(bad, Refused)
    assert bad.code is Code.BROKEN
    assert isinstance(good, bytes)


# --- shares -------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32))
def test_the_key_is_what_the_general_formula_gives(dek: bytes) -> None:
    shares = split(dek, RECORD)
    for one, other in permutations(shares, 2):
        general = b"".join(
            Shamir.combine([(s.index, s.value[half]) for s in (one, other)], ssss=False)
            for half in (slice(0, 16), slice(16, 32))
        )
        assert combine((one, other)) == general == dek


def test_shares_of_two_records_are_never_taken_for_one_another() -> None:
    ours, theirs = split(DEK, RECORD), split(DEK, b"\x09" * 32)
    stolen = [
        dataclasses.replace(theirs[0], record=RECORD),
        dataclasses.replace(ours[0], index=2),
        dataclasses.replace(ours[0], version=2),
        dataclasses.replace(ours[0], value=theirs[0].value),
        dataclasses.replace(ours[0], commitments=theirs[0].commitments),
    ]
    for share in stolen:
        assert not share.genuine
        with pytest.raises(IntegrityError):
            combine((share, ours[2]))
    assert combine(ours[:2]) == DEK


def test_a_split_reuses_nothing() -> None:
    splits = [split(DEK, RECORD) for _ in range(100)]
    values = {share.value for shares in splits for share in shares}
    assert len(values) == 300
    halves = {value[half] for value in values for half in (slice(0, 16), slice(16, 32))}
    assert len(halves) == 600


def test_one_share_fits_every_key() -> None:
    """For one share and any key at all there is a line through both: alone it tells nothing."""
    share = split(DEK, RECORD)[0]
    for _ in range(50):
        key = secrets.token_bytes(16)
        # f(x) = key + c·x through (1, value): the share at 2 that would make it this key.
        slope = int.from_bytes(share.value[:16]) ^ int.from_bytes(key)
        doubled = slope << 1 ^ ((1 << 128 | 0x87) if slope >> 127 else 0)
        at_two = (int.from_bytes(key) ^ doubled).to_bytes(16)
        assert Shamir.combine([(1, share.value[:16]), (2, at_two)], ssss=False) == key


# --- replay -------------------------------------------------------------------------------------


def test_a_request_is_no_good_on_another_chain_market_or_keeper(
    keepers: list[KeyKeeper], signed: Signed, chain: Chain
) -> None:
    request = signed()
    keepers[0].release(request)
    for other in keepers[1:]:
        with pytest.raises(Refused) as refusal:
            other.release(request)
        assert refusal.value.code is Code.WRONG_KEEPER

    def elsewhere(chain_id: int, market: str) -> KeyKeeper:
        return KeyKeeper(
            keepers[0]._identity,
            name="elsewhere",
            chain_id=chain_id,
            market=market,
            chain=chain,
            vault=keepers[0]._vault,
            clock=lambda: NOW,
        )

    for keeper, code in (
        (elsewhere(1, MARKET), Code.WRONG_CHAIN),
        (elsewhere(CHAIN_ID, "0x" + "99" * 20), Code.WRONG_MARKET),
    ):
        with pytest.raises(Refused) as refusal:
            keeper.release(signed())
        assert refusal.value.code is code


def test_the_same_request_twice_in_one_batch_is_answered_once(
    keeper: KeyKeeper, signed: Signed
) -> None:
    request, other = signed(), signed()
    answers = keeper.release_many([request, other, request])
    assert isinstance(answers[0], bytes)
    assert isinstance(answers[1], bytes)
    assert isinstance(answers[2], Refused)
    assert answers[2].code is Code.NONCE_USED


def test_a_batch_is_judged_one_by_one_with_one_look_at_the_chain(
    keeper: KeyKeeper, signed: Signed, chain: Chain
) -> None:
    looked = chain.tips
    requests = [signed(), signed(licence=b"\x09" * 32), signed(expiry=0), signed()]
    answers = keeper.release_many(requests)
    assert chain.tips == looked + 1
    kinds = [a.code if isinstance(a, Refused) else "share" for a in answers]
    assert kinds == ["share", Code.NOT_LIVE, Code.EXPIRED, "share"]
    assert keeper.release_many([]) == []
    with pytest.raises(Refused) as refusal:
        keeper.release_many([signed()] * 101)
    assert refusal.value.code is Code.TOO_LARGE


def test_a_smart_wallet_asks_with_what_it_approves(
    keeper: KeyKeeper, signed: Signed, chain: Chain
) -> None:
    wallet = "0x" + "5A" * 20
    chain.change(licensee=wallet)
    request: KeyRequest = signed(requester=wallet).request

    def asked(signature: bytes) -> bytes:
        return keeper.release(dataclasses.replace(signed(), request=request, signature=signature))

    with pytest.raises(Refused):
        asked(b"approved")
    chain.wallets[request.requester] = b"approved"
    assert asked(b"approved")
