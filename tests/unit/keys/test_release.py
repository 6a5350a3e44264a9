"""Any two honest keepers give the key; one alone, or a liar, never does, and liars are named (R34)."""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Callable
from itertools import combinations, permutations
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from support.keepers import (
    COPY,
    DEK,
    FIELDS,
    RECORD,
    SLOT,
    Chain,
    deposit,
    shred,
)

from medtoken.errors import BadInput, KeyRefused
from medtoken.keys import (
    Holding,
    HpkePrivateKey,
    HpkePublicKey,
    Keeper,
    KeyKeeper,
    KeyRequest,
    Rendition,
    Share,
    ShredReceipt,
    SignedKeyRequest,
    SignedOrder,
    release_key,
    sign_with,
    split,
)

Ask = Callable[..., bytes]


@pytest.fixture
def ask(request_for: KeyRequest, private_key: HpkePrivateKey, licensee: LocalAccount) -> Ask:
    """Ask these keepers for the key, as the licensee."""

    def ask(keepers: list[Keeper], signer: LocalAccount = licensee) -> bytes:
        return release_key(
            keepers,
            request_for,
            private_key,
            rendition=COPY,
            sign=sign_with(signer),
            commits_to=lambda dek: dek == DEK,
        )

    return ask


class Wrapped:
    """A keeper whose answer is tampered with."""

    def __init__(self, keeper: KeyKeeper, private_key: HpkePrivateKey) -> None:
        self._keeper = keeper
        self._key = private_key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keeper, name)

    def release(self, signed: SignedKeyRequest) -> bytes:
        info = signed.request.info()
        share = Share.from_bytes(self._key.open(self._keeper.release(signed), info))
        return HpkePublicKey(signed.public_key).seal(bytes(self.tamper(share)), info)

    def tamper(self, share: Share) -> Share | bytes:
        return share


class Dead(Wrapped):
    def holding(self, rendition: bytes) -> Holding:
        raise ConnectionError("nobody there")

    def shred(self, signed: SignedOrder) -> ShredReceipt:
        raise ConnectionError("nobody there")

    def release(self, signed: SignedKeyRequest) -> bytes:
        raise ConnectionError("nobody there")


class FalseValue(Wrapped):
    def tamper(self, share: Share) -> Share:
        return dataclasses.replace(share, value=bytes(32))


class OwnSplit(Wrapped):
    """Consistent in itself: a share of another key, with commitments that fit it."""

    def tamper(self, share: Share) -> Share:
        return split(b"\x09" * 32, share.record, share.version)[share.index - 1]


class OtherRecord(Wrapped):
    def tamper(self, share: Share) -> Share:
        return split(DEK, b"\x09" * 32, share.version)[share.index - 1]


class OtherCommitments(Wrapped):
    """Its own value is right, but it slanders the others."""

    def tamper(self, share: Share) -> Share:
        commitments = [bytes(32)] * 3
        commitments[share.index - 1] = share.commitments[share.index - 1]
        return dataclasses.replace(share, commitments=tuple(commitments))


class Garbage(Wrapped):
    def tamper(self, share: Share) -> bytes:
        return b"garbage"


class Unsealed(Wrapped):
    def release(self, signed: SignedKeyRequest) -> bytes:
        return b"garbage" * 300


LIARS = [Dead, FalseValue, OwnSplit, OtherRecord, OtherCommitments, Garbage, Unsealed]


def test_three_honest_keepers_give_the_key(keepers: list[KeyKeeper], ask: Ask) -> None:
    for order in permutations(keepers):
        assert ask(list(order)) == DEK


def test_any_two_suffice_and_the_third_is_not_asked(keepers: list[KeyKeeper], ask: Ask) -> None:
    for pair in combinations(keepers, 2):
        assert ask(list(pair)) == DEK
    asked = [len([e for e in keeper.log() if e.event["kind"] == "release"]) for keeper in keepers]
    assert ask(keepers) == DEK
    after = [len([e for e in keeper.log() if e.event["kind"] == "release"]) for keeper in keepers]
    assert [b - a for a, b in zip(asked, after, strict=True)] == [1, 1, 0]


def test_one_alone_never_gives_the_key(keepers: list[KeyKeeper], ask: Ask) -> None:
    for keeper in keepers:
        with pytest.raises(KeyRefused, match=f"{keeper.name}: gave a share that fits no other"):
            ask([keeper])
        with pytest.raises(KeyRefused):
            ask([keeper, keeper])
    with pytest.raises(BadInput, match="no key keeper"):
        ask([])


@pytest.mark.parametrize("liar", LIARS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_dead_or_lying_keeper_is_survived(
    keepers: list[KeyKeeper],
    ask: Ask,
    private_key: HpkePrivateKey,
    liar: type[Wrapped],
    place: int,
) -> None:
    mixed: list[Keeper] = list(keepers)
    mixed[place] = liar(keepers[place], private_key)
    assert ask(mixed) == DEK


@pytest.mark.parametrize("liar", LIARS)
def test_a_dead_or_lying_keeper_is_named(
    keepers: list[KeyKeeper],
    ask: Ask,
    private_key: HpkePrivateKey,
    liar: type[Wrapped],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        ask([liar(keepers[0], private_key), *keepers[1:]])
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["key keeper north"]


@pytest.mark.parametrize("liar", LIARS)
def test_two_dead_or_lying_keepers_give_nothing_but_names(
    keepers: list[KeyKeeper], ask: Ask, private_key: HpkePrivateKey, liar: type[Wrapped]
) -> None:
    for places in combinations(range(3), 2):
        mixed: list[Keeper] = list(keepers)
        for place in places:
            mixed[place] = liar(keepers[place], private_key)
        with pytest.raises(KeyRefused) as refusal:
            ask(mixed)
        for place in places:
            assert f"{keepers[place].name}: " in str(refusal.value)


def test_a_false_value_is_blamed_on_who_gave_it(
    keepers: list[KeyKeeper], ask: Ask, private_key: HpkePrivateKey
) -> None:
    with pytest.raises(KeyRefused, match=r"north: gave a false share; south: .*fits no other"):
        ask([FalseValue(keepers[0], private_key), keepers[1]])


def test_shares_of_a_key_that_is_not_the_records_are_refused(
    keepers: list[KeyKeeper],
    request_for: KeyRequest,
    private_key: HpkePrivateKey,
    licensee: LocalAccount,
) -> None:
    with pytest.raises(KeyRefused, match="does not open the record"):
        release_key(
            keepers,
            request_for,
            private_key,
            rendition=COPY,
            sign=sign_with(licensee),
            commits_to=lambda dek: False,
        )


def test_the_refusal_says_what_each_keeper_answered(
    keepers: list[KeyKeeper], ask: Ask, private_key: HpkePrivateKey, chain: Chain
) -> None:
    chain.change(live=False, reason="the consent was revoked")
    with pytest.raises(KeyRefused) as refusal:
        ask([keepers[0], Dead(keepers[1], private_key), keepers[2]])
    assert str(refusal.value).startswith(
        "the key was not released: north: the consent was revoked; "
        "south: did not answer (ConnectionError('nobody there'))"
    )


def test_a_stranger_gets_nothing(
    keepers: list[KeyKeeper], ask: Ask, stranger: LocalAccount
) -> None:
    with pytest.raises(KeyRefused, match=r"north: .*requester; south: .*requester"):
        ask(keepers, stranger)


def test_a_wallet_that_declines_ends_the_attempt(
    keepers: list[KeyKeeper], request_for: KeyRequest, private_key: HpkePrivateKey
) -> None:
    def declines(request: KeyRequest) -> bytes:
        raise PermissionError("declined in the wallet")

    with pytest.raises(PermissionError, match="declined"):
        release_key(
            keepers, request_for, private_key, rendition=COPY, sign=declines, commits_to=bool
        )


def test_a_request_for_another_key_pair_is_refused(
    keepers: list[KeyKeeper], request_for: KeyRequest, licensee: LocalAccount
) -> None:
    other = HpkePrivateKey.generate()
    with pytest.raises(BadInput, match="another public key"):
        release_key(
            keepers, request_for, other, rendition=COPY, sign=sign_with(licensee), commits_to=bool
        )


def test_a_keeper_cannot_use_a_request_at_another(
    keepers: list[KeyKeeper], ask: Ask, private_key: HpkePrivateKey
) -> None:
    class Forwards(Wrapped):
        def release(self, signed: SignedKeyRequest) -> bytes:
            return keepers[1].release(signed)

    with pytest.raises(KeyRefused, match="north: the request is for another keeper"):
        ask([Forwards(keepers[0], private_key)])


def test_an_answer_to_another_request_does_not_open(
    keepers: list[KeyKeeper], ask: Ask, private_key: HpkePrivateKey
) -> None:
    class Repeats(Wrapped):
        first: bytes | None = None

        def release(self, signed: SignedKeyRequest) -> bytes:
            self.first = self.first or self._keeper.release(signed)
            return self.first

    repeating = Repeats(keepers[0], private_key)
    assert ask([repeating, keepers[1]]) == DEK
    with pytest.raises(KeyRefused, match="north: this was not sealed for this key"):
        ask([repeating, keepers[1]])


# --- deposit and shred --------------------------------------------------------------------------


def test_the_key_of_a_sealed_record_comes_back(
    keepers: list[KeyKeeper],
    request_for: KeyRequest,
    private_key: HpkePrivateKey,
    licensee: LocalAccount,
    chain: Chain,
) -> None:
    """Sealed, deposited, released, opened."""
    from medtoken.ipfs import file_cid
    from medtoken.sealing import SealedReader, SealStream, Trailer

    with SealStream(io.BytesIO(b"a record"), bytes(32)) as stream:
        raw = stream.readall()
        sealed = stream.result(file_cid(io.BytesIO(raw)))
    record = b"\x05" * 32
    chain.change(record=record)
    deposit(record, sealed.dek, keepers)
    dek = release_key(
        keepers,
        dataclasses.replace(request_for, record=record),
        private_key,
        rendition=Rendition(record, FIELDS),
        sign=sign_with(licensee),
        commits_to=Trailer.parse(raw[-512:]).commits_to,
    )
    assert SealedReader(io.BytesIO(raw), dek).read_range(0, 100) == b"a record"


def test_a_key_is_deposited_anew_in_a_later_version(keepers: list[KeyKeeper], ask: Ask) -> None:
    before = [keeper._vault.get(SLOT) for keeper in keepers]
    assert deposit(RECORD, DEK, keepers) == 2
    after = [keeper._vault.get(SLOT) for keeper in keepers]
    assert {share.version for share in after if share} == {2}
    assert not {share.value for share in before if share} & {
        share.value for share in after if share
    }
    assert ask(keepers) == DEK


def test_an_interrupted_deposit_is_made_good_by_another(
    keepers: list[KeyKeeper], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One keeper has the new share when another fails: the two old ones still serve."""

    def fails(share: Share) -> None:
        raise ConnectionError("nobody there")

    with monkeypatch.context() as broken:
        broken.setattr(keepers[1], "deposit", fails)
        broken.setattr(keepers[2], "deposit", fails)
        with pytest.raises(KeyRefused, match="south: did not answer.*; east: did not answer"):
            deposit(RECORD, DEK, keepers)
    assert [keeper.share_version(SLOT) for keeper in keepers] == [2, 1, 1]
    assert ask(keepers) == DEK
    assert deposit(RECORD, DEK, keepers) == 3
    assert ask(keepers) == DEK


def test_nothing_is_deposited_when_a_keeper_does_not_answer(
    keepers: list[KeyKeeper], private_key: HpkePrivateKey
) -> None:
    with pytest.raises(KeyRefused, match="north: did not answer"):
        deposit(RECORD, DEK, [Dead(keepers[0], private_key), *keepers[1:]])
    assert [keeper.share_version(SLOT) for keeper in keepers] == [1, 1, 1]


def test_other_than_three_different_keepers_are_refused(keepers: list[KeyKeeper]) -> None:
    for bad in ([], keepers[:2], [*keepers, keepers[0]], [keepers[0], keepers[0], keepers[1]]):
        with pytest.raises(BadInput, match="three different"):
            deposit(RECORD, DEK, bad)


def test_a_shredded_record_has_no_key_any_more(keepers: list[KeyKeeper], ask: Ask) -> None:
    assert ask(keepers) == DEK
    shred(RECORD, keepers)
    shred(RECORD, keepers)
    with pytest.raises(KeyRefused, match=r"north: no share.*; south: no share"):
        ask(keepers)
    with pytest.raises(KeyRefused, match="shredded"):
        deposit(RECORD, DEK, keepers)


def test_a_keeper_that_did_not_shred_is_named(
    keepers: list[KeyKeeper], ask: Ask, private_key: HpkePrivateKey
) -> None:
    with pytest.raises(KeyRefused, match=r"not every share was shredded: north: did not answer"):
        shred(RECORD, [Dead(keepers[0], private_key), *keepers[1:]])
    with pytest.raises(KeyRefused) as refusal:
        ask(keepers)
    assert "north: gave a share that fits no other" in str(refusal.value)
