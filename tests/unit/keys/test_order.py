"""Only a record's custodian orders, each order is for one thing at one keeper, and counts once."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import pytest
from support.keepers import (
    CHAIN_ID,
    COPY,
    CUSTODIAN,
    DEK,
    FIELDS,
    LICENCE,
    MARKET,
    NOW,
    RECORD,
    SLOT,
    STRANGER,
    WHOLE,
    Chain,
    custodianship,
    shred,
)

from medtoken.errors import BadInput, IntegrityError, KeyRefused, NodeUnreachable
from medtoken.keys import (
    Action,
    Code,
    HpkePublicKey,
    KeyKeeper,
    Refused,
    Rendition,
    Share,
    SignedOrder,
    deposit,
    order_with,
    split,
)
from medtoken.keys._order import sealing_info

OTHER = b"\x07" * 32
ANOTHER = Rendition(OTHER, FIELDS)
Order = tuple[SignedOrder, bytes]


@pytest.fixture
def keeper(keepers: list[KeyKeeper]) -> KeyKeeper:
    return keepers[0]


def to_hold(
    keeper: KeyKeeper,
    share: Share | None = None,
    *,
    rendition: Rendition = ANOTHER,
    sealed_to: bytes | None = None,
    action: Action = Action.DEPOSIT,
    version: int = 1,
    **fields: object,
) -> Order:
    """An order to hold a share of a record that is not held yet, and the sealed share."""
    share = share or split(DEK, rendition.id)[0]
    info = sealing_info(Action.DEPOSIT, CHAIN_ID, MARKET, rendition, keeper.keeper_id, version)
    sealed = HpkePublicKey(sealed_to or keeper.card.public_key).seal(bytes(share), info)
    content = hashlib.sha256(sealed).digest()
    standing = custodianship(**fields)
    return standing.order(action, rendition, keeper.keeper_id, version, content), sealed


def refuses(code: Code, call: Callable[[], object]) -> None:
    with pytest.raises(Refused) as refusal:
        call()
    assert refusal.value.code is code


def test_the_custodian_deposits(keeper: KeyKeeper) -> None:
    share = split(DEK, ANOTHER.id)[0]
    keeper.deposit(*to_hold(keeper, share))
    assert keeper._vault.get(ANOTHER.id) == share
    event = list(keeper.log())[-1].event
    assert (event["kind"], event["custodian"]) == ("deposit", CUSTODIAN.address)


def test_an_order_counts_once(keeper: KeyKeeper, keepers: list[KeyKeeper]) -> None:
    order = to_hold(keeper)
    keeper.deposit(*order)
    refuses(Code.WRONG_VERSION, lambda: keeper.deposit(*order))
    shred(OTHER, keepers)
    refuses(Code.SHREDDED, lambda: keeper.deposit(*order))


def test_an_order_is_for_one_keeper(keepers: list[KeyKeeper]) -> None:
    order = to_hold(keepers[0])
    refuses(Code.WRONG_KEEPER, lambda: keepers[1].deposit(*order))
    assert keepers[1].share_version(ANOTHER.id) == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"chain_id": 1}, Code.WRONG_CHAIN),
        ({"market": "0x" + "99" * 20}, Code.WRONG_MARKET),
        ({"sign": order_with(bytes(STRANGER.key))}, Code.NOT_CUSTODIAN),
        ({"sign": lambda order: bytes(65)}, Code.NOT_CUSTODIAN),
        ({"sign": lambda order: bytes(2000)}, Code.BAD_SIGNATURE),
        ({"lifetime": 0}, Code.EXPIRED),
        ({"lifetime": 901}, Code.VALID_TOO_LONG),
        ({"action": Action.COMPLETE}, Code.MALFORMED),
    ],
)
def test_an_order_that_is_not_for_this_is_refused(
    keeper: KeyKeeper, fields: dict[str, object], code: Code
) -> None:
    before = len(list(keeper.log()))
    refuses(code, lambda: keeper.deposit(*to_hold(keeper, **fields)))  # type: ignore[arg-type]
    assert keeper.share_version(ANOTHER.id) == 0
    assert len(list(keeper.log())) == before


def test_who_the_chain_does_not_name_orders_nothing(keeper: KeyKeeper, chain: Chain) -> None:
    chain.custodians[OTHER] = ""
    refuses(Code.NOT_CUSTODIAN, lambda: keeper.deposit(*to_hold(keeper)))
    chain.custodians[OTHER] = STRANGER.address
    refuses(Code.NOT_CUSTODIAN, lambda: keeper.deposit(*to_hold(keeper)))
    chain.error = NodeUnreachable("no node answers")
    refuses(Code.CHAIN_UNREACHABLE, lambda: keeper.deposit(*to_hold(keeper)))


def test_a_smart_wallet_orders_what_it_approves(keeper: KeyKeeper, chain: Chain) -> None:
    wallet = "0x" + "5a" * 20
    chain.custodians[OTHER] = wallet
    refuses(Code.NOT_CUSTODIAN, lambda: keeper.deposit(*to_hold(keeper)))
    chain.wallets[wallet] = b"approved by two of three owners"
    keeper.deposit(*to_hold(keeper, sign=lambda order: b"approved by two of three owners"))
    assert keeper.share_version(ANOTHER.id) == 1


def test_a_share_that_was_swapped_on_the_way_is_refused(keepers: list[KeyKeeper]) -> None:
    keeper = keepers[0]
    order, _ = to_hold(keeper)
    _, other = to_hold(keeper)
    refuses(Code.MALFORMED, lambda: keeper.deposit(order, other))
    # Sealed to another keeper, or for another record: it does not open here, whoever signs for it.
    for wrong in (
        to_hold(keeper, sealed_to=keepers[1].card.public_key),
        _resealed(keeper, rendition=COPY),
        _resealed(keeper, rendition=dataclasses.replace(ANOTHER, licence=LICENCE)),
        _resealed(keeper, rendition=dataclasses.replace(ANOTHER, fields=OTHER)),
        _resealed(keeper, version=2),
        _resealed(keeper, action=Action.ROTATE),
    ):
        refuses(Code.MALFORMED, lambda wrong=wrong: keeper.deposit(*wrong))  # type: ignore[misc]
    assert keeper.share_version(ANOTHER.id) == 0


def _resealed(keeper: KeyKeeper, **changed: object) -> Order:
    """A share sealed for something else than the order that the custodian signs for it."""
    bound: dict[str, object] = {
        "action": Action.DEPOSIT,
        "rendition": ANOTHER,
        "version": 1,
        **changed,
    }
    info = sealing_info(
        bound["action"],  # type: ignore[arg-type]
        CHAIN_ID,
        MARKET,
        bound["rendition"],  # type: ignore[arg-type]
        keeper.keeper_id,
        bound["version"],  # type: ignore[arg-type]
    )
    sealed = HpkePublicKey(keeper.card.public_key).seal(bytes(split(DEK, ANOTHER.id)[0]), info)
    content = hashlib.sha256(sealed).digest()
    return custodianship().order(Action.DEPOSIT, ANOTHER, keeper.keeper_id, 1, content), sealed


def test_a_share_of_something_else_inside_is_refused(keeper: KeyKeeper) -> None:
    refuses(
        Code.WRONG_RECORD, lambda: keeper.deposit(*to_hold(keeper, split(DEK, b"\x08" * 32)[0]))
    )
    refuses(
        Code.WRONG_RECORD, lambda: keeper.deposit(*to_hold(keeper, split(DEK, ANOTHER.id, 2)[0]))
    )
    false = dataclasses.replace(split(DEK, ANOTHER.id)[0], value=bytes(32))
    with pytest.raises(BadInput, match="commitments"):
        keeper.deposit(*to_hold(keeper, false))
    assert keeper.share_version(ANOTHER.id) == 0


def test_a_deposit_does_not_follow_a_keeper_to_another_market(
    keeper: KeyKeeper, chain: Chain
) -> None:
    """The same keys serving another market: what was sealed and signed for this one is refused."""
    other = KeyKeeper(
        keeper._identity,
        name="elsewhere",
        chain_id=CHAIN_ID,
        market="0x" + "99" * 20,
        chain=chain,
        vault=keeper._vault,
    )
    order, sealed = to_hold(keeper)
    refuses(Code.WRONG_MARKET, lambda: other.deposit(order, sealed))


# --- destroying ---------------------------------------------------------------------------------


def test_one_signature_destroys_at_every_keeper(keepers: list[KeyKeeper]) -> None:
    receipts = shred(RECORD, keepers)
    assert [receipt.card for receipt in receipts] == [keeper.card for keeper in keepers]
    for receipt in receipts:
        receipt.check()
        assert (receipt.version, receipt.entry, receipt.time) == (1, 2, NOW)
    assert len({receipt.order for receipt in receipts}) == 1


def test_a_receipt_cannot_be_changed(keeper: KeyKeeper) -> None:
    receipt = keeper.shred(custodianship().order(Action.DESTROY, WHOLE))
    changes: dict[str, object] = {
        "record": OTHER,
        "version": 2,
        "order": OTHER,
        "custodian": STRANGER.address,
        "time": 1,
        "entry": 1,
        "entry_hash": OTHER,
        "chain_id": 1,
        "market": "0x" + "99" * 20,
        "signature": bytes(65),
    }
    for field, value in changes.items():
        with pytest.raises(IntegrityError, match="not signed"):
            dataclasses.replace(receipt, **{field: value}).check()  # type: ignore[arg-type]


def test_a_keeper_that_never_held_a_share_says_so_and_takes_none(keeper: KeyKeeper) -> None:
    receipt = keeper.shred(custodianship().order(Action.DESTROY, Rendition(OTHER, bytes(32))))
    assert receipt.version == 0
    refuses(Code.SHREDDED, lambda: keeper.deposit(*to_hold(keeper)))


def test_a_stranger_destroys_nothing(keepers: list[KeyKeeper]) -> None:
    keeper = keepers[0]
    order = custodianship(STRANGER).order(Action.DESTROY, WHOLE)
    refuses(Code.NOT_CUSTODIAN, lambda: keeper.shred(order))
    mine = custodianship().order(Action.DESTROY, WHOLE)
    elsewhere = dataclasses.replace(mine.order, rendition=Rendition(OTHER, bytes(32)))
    refuses(Code.NOT_CUSTODIAN, lambda: keeper.shred(dataclasses.replace(mine, order=elsewhere)))
    finish = custodianship().order(Action.FINISH, COPY, keeper.keeper_id, 1)
    refuses(Code.MALFORMED, lambda: keeper.shred(finish))
    one_copy = custodianship().order(Action.DESTROY, COPY)
    refuses(Code.MALFORMED, lambda: keeper.shred(one_copy))
    assert keeper.share_version(SLOT) == 1


def test_a_rerun_gives_every_receipt_again(keepers: list[KeyKeeper]) -> None:
    first = keepers[0].shred(custodianship().order(Action.DESTROY, WHOLE))
    again = shred(RECORD, keepers)
    assert again[0] == first
    assert again[1].order != first.order or again[1].deadline == first.deadline


def test_a_deposit_names_the_keepers_that_refused(keepers: list[KeyKeeper]) -> None:
    with pytest.raises(KeyRefused, match=r"north: .*custodian; south: .*custodian; east: "):
        deposit(ANOTHER, DEK, keepers, custodianship(STRANGER))
