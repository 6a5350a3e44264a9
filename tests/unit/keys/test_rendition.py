"""Copies by profile and for one licence: who gets which key, and that no order mixes them (R9, R35)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import combinations

import pytest
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from support.keepers import (
    CONSENT,
    COPY,
    DEK,
    FIELDS,
    LICENCE,
    RECORD,
    Chain,
    custodianship,
    shred,
)

from medtoken.errors import BadInput, KeyRefused
from medtoken.keys import (
    Code,
    HpkePrivateKey,
    Keeper,
    KeyKeeper,
    KeyRequest,
    Refused,
    Rendition,
    deposit,
    release_key,
    rotate,
    sign_with,
)

NARROW = b"\x06" * 32
OTHER_LICENCE = b"\x0e" * 32
NARROW_DEK, OWN_DEK = b"\x61" * 32, b"\x62" * 32
Ask = Callable[..., bytes]


@pytest.fixture
def ask(request_for: KeyRequest, private_key: HpkePrivateKey, licensee: LocalAccount) -> Ask:
    """Ask keepers for the key of a copy, whatever the key is."""

    def ask(keepers: list[Keeper], rendition: Rendition, licence: bytes = LICENCE) -> bytes:
        request = dataclasses.replace(request_for, licence=licence)
        return release_key(
            keepers,
            request,
            private_key,
            rendition=rendition,
            sign=sign_with(licensee),
            commits_to=lambda dek: True,
        )

    return ask


@pytest.fixture
def narrow(keepers: list[KeyKeeper]) -> Rendition:
    """A narrower copy beside the first one."""
    rendition = Rendition(RECORD, NARROW)
    deposit(rendition, NARROW_DEK, keepers, custodianship())
    return rendition


@pytest.fixture
def own(keepers: list[KeyKeeper]) -> Rendition:
    """A copy made for one licence."""
    rendition = Rendition(RECORD, FIELDS, LICENCE)
    deposit(rendition, OWN_DEK, keepers, custodianship())
    return rendition


@pytest.fixture
def other_licence(chain: Chain) -> bytes:
    """Another licence of the same licensee, under the same consent."""
    chain.licences[OTHER_LICENCE] = chain.licences[LICENCE]
    return OTHER_LICENCE


def test_the_consents_profile_decides_which_key_is_given(
    keepers: list[KeyKeeper], ask: Ask, chain: Chain, narrow: Rendition
) -> None:
    assert ask(keepers, COPY) == DEK
    with pytest.raises(KeyRefused, match="the key of another record or copy"):
        ask(keepers, narrow)
    chain.change(fields=NARROW)
    assert ask(keepers, narrow) == NARROW_DEK
    with pytest.raises(KeyRefused, match="the key of another record or copy"):
        ask(keepers, COPY)


@pytest.mark.parametrize("fields", [b"\x09" * 32, bytes(32)], ids=["another", "zero"])
def test_without_a_copy_for_the_profile_nothing_is_given(
    keepers: list[KeyKeeper], ask: Ask, chain: Chain, narrow: Rendition, fields: bytes
) -> None:
    chain.change(fields=fields)
    for rendition in (COPY, narrow, Rendition(RECORD, fields)):
        with pytest.raises(KeyRefused, match="for the profile that the consent names"):
            ask(keepers, rendition)


def test_a_chain_that_names_no_profile_gives_nothing(
    keepers: list[KeyKeeper], ask: Ask, chain: Chain
) -> None:
    chain.change(fields=b"")
    with pytest.raises(KeyRefused):
        ask(keepers, COPY)


def test_a_licence_with_a_copy_of_its_own_gets_that_and_no_other(
    keepers: list[KeyKeeper], ask: Ask, own: Rendition, other_licence: bytes
) -> None:
    assert ask(keepers, own) == OWN_DEK
    with pytest.raises(KeyRefused, match="the key of another record or copy"):
        ask(keepers, COPY)
    assert ask(keepers, COPY, other_licence) == DEK
    with pytest.raises(KeyRefused, match="the key of another record or copy"):
        ask(keepers, own, other_licence)


def test_where_each_copy_is_for_one_licence_another_gets_none(
    keepers: list[KeyKeeper], ask: Ask, chain: Chain, other_licence: bytes
) -> None:
    """The unmarked copy was never deposited: nobody can be given it."""
    chain.licences[LICENCE] = chain.licences[other_licence] = dataclasses.replace(
        chain.licences[LICENCE], fields=NARROW
    )
    mine = Rendition(RECORD, NARROW, LICENCE)
    deposit(mine, OWN_DEK, keepers, custodianship())
    assert ask(keepers, mine) == OWN_DEK
    with pytest.raises(KeyRefused, match="for the profile that the consent names"):
        ask(keepers, mine, other_licence)


def test_the_log_names_the_copy(keepers: list[KeyKeeper], ask: Ask, own: Rendition) -> None:
    ask(keepers, own)
    deposited, released = (e.event for e in list(keepers[0].log())[-2:])
    for event in (deposited, released):
        assert event["record"] == "0x" + RECORD.hex()
        assert event["fields"] == "0x" + FIELDS.hex()
        assert event["copy_for"] == "0x" + LICENCE.hex()
    assert (deposited["kind"], released["kind"]) == ("deposit", "release")
    assert released["consent"] == "0x" + CONSENT.hex()


def test_a_rotation_of_one_copy_leaves_the_other_as_it_is(
    keepers: list[KeyKeeper], ask: Ask, chain: Chain, narrow: Rendition
) -> None:
    assert rotate(narrow, keepers, custodianship()) == 2
    assert [keeper.share_version(narrow.id) for keeper in keepers] == [2, 2, 2]
    assert [keeper.share_version(COPY.id) for keeper in keepers] == [1, 1, 1]
    for pair in combinations(keepers, 2):
        assert ask(list(pair), COPY) == DEK
    chain.change(fields=NARROW)
    for pair in combinations(keepers, 2):
        assert ask(list(pair), narrow) == NARROW_DEK


def test_destroying_a_record_destroys_every_copy(
    keepers: list[KeyKeeper], ask: Ask, chain: Chain, narrow: Rendition, own: Rendition
) -> None:
    rotate(narrow, keepers, custodianship())
    receipts = shred(RECORD, keepers)
    assert [receipt.version for receipt in receipts] == [2, 2, 2]
    for fields in (FIELDS, NARROW):
        chain.change(fields=fields)
        for rendition in (COPY, narrow, own):
            assert all(keeper.holding(rendition.id).shredded for keeper in keepers)
            with pytest.raises(KeyRefused):
                ask(keepers, rendition)
    for rendition in (COPY, narrow, own, Rendition(RECORD, b"\x09" * 32)):
        with pytest.raises(KeyRefused, match="shredded"):
            deposit(rendition, DEK, keepers, custodianship())


def test_another_record_keeps_its_copies(keepers: list[KeyKeeper], narrow: Rendition) -> None:
    other = Rendition(b"\x0f" * 32, NARROW)
    deposit(other, DEK, keepers, custodianship())
    shred(RECORD, keepers)
    assert not any(keeper.holding(other.id).shredded for keeper in keepers)
    assert all(keeper.share_version(other.id) == 1 for keeper in keepers)


def test_a_deposit_names_a_profile(keepers: list[KeyKeeper]) -> None:
    with pytest.raises(KeyRefused, match="names no masking profile"):
        deposit(Rendition(RECORD, bytes(32)), DEK, keepers, custodianship())


def test_the_id_is_the_registrys_and_each_part_of_it_counts() -> None:
    """``tests/unit/record_registry`` holds the contract to the same bytes."""
    kind = keccak(text="medtoken record rendition")
    assert COPY.id == keccak(kind + RECORD + FIELDS + bytes(32))
    every = [
        COPY,
        Rendition(RECORD, NARROW),
        Rendition(FIELDS, RECORD),
        Rendition(RECORD, FIELDS, LICENCE),
    ]
    assert len({one.id for one in every}) == len(every)
    with pytest.raises(BadInput, match="32 bytes"):
        Rendition(RECORD, b"short")
    assert LICENCE.hex() in Rendition(RECORD, FIELDS, LICENCE).render()


def test_a_release_of_a_copy_that_is_gone_is_refused_in_the_vault(
    keepers: list[KeyKeeper], narrow: Rendition
) -> None:
    """Between the look at the share and the log entry the record may be shredded."""
    from medtoken.keys._vault import Release

    vault = keepers[0]._vault
    shred(RECORD, keepers)
    (answer,) = vault.release([Release({"kind": "release"}, b"nonce", narrow.id, CONSENT)])
    assert isinstance(answer, Refused)
    assert answer.code is Code.NO_SHARE
