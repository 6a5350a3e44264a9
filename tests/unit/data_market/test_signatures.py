"""R9: whose signature counts, for every message that anybody may relay.

Each act is a way of using a signature: granting, revoking and cancelling a consent, and withdrawing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from eth_abi import encode
from support.vyper_source import runtime_code
from support.world import ZERO, World, reverts

from medtoken.messages import Domain, Message, Revocation, Withdrawal

MAGIC = bytes.fromhex("1626ba7e") + bytes(28)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
NOT_OWNER = "signature: not by its owner"
QUIET, REVERT, BURN_GAS, CALL_BACK = range(4)


@dataclass(frozen=True)
class Act:
    """A message of ``account`` on a prepared chain, and how to bring it with some signature."""

    message: Message
    bring: Callable[[bytes], Any]
    done: Callable[[], bool]


def _grant(world: World, account: str) -> Act:
    consent = world.consent(world.fresh(), patient=str(account))
    return Act(
        consent,
        lambda signature: world.market.grant_consent(consent.values(), signature),
        lambda: world.market.consent_word(consent.struct_hash()) != 0,
    )


def _granted_as(world: World, account: str) -> Any:
    consent = world.consent(world.fresh(), patient=str(account))
    world.market.grant_consent(consent.values(), b"", sender=account)
    return consent


def _revoke(world: World, account: str) -> Act:
    consent_id = _granted_as(world, account).struct_hash()
    return Act(
        Revocation(consent_id),
        lambda signature: world.market.revoke_consent(consent_id, signature),
        lambda: world.market.consent_word(consent_id) >> 200 & 2**40 - 1 != 0,
    )


def _cancel(world: World, account: str) -> Act:
    consent = world.consent(world.fresh(), patient=str(account))
    return Act(
        Revocation(consent.struct_hash()),
        lambda signature: world.market.cancel_consent(consent.values(), signature),
        lambda: world.market.consent_word(consent.struct_hash()) != 0,
    )


def _withdraw(world: World, account: str) -> Act:
    record = world.record(owner=str(account))
    consent = world.consent(record, patient=str(account))
    world.market.grant_consent(consent.values(), b"", sender=account)
    ref = world.buy(consent)
    world.use(ref, 10)
    world.settle(ref)
    message = Withdrawal(str(account), str(account), 100, 0, world.now + 3600)
    return Act(
        message,
        lambda signature: world.market.withdraw(
            message.account, message.to, 100, message.deadline, signature
        ),
        lambda: world.dut.balanceOf(account) == 100,
    )


ACTS = {"grant": _grant, "revoke": _revoke, "cancel": _cancel, "withdraw": _withdraw}
Prepare = Callable[[World, str], Act]


@pytest.fixture(params=ACTS.values(), ids=ACTS.keys())
def prepare(request: pytest.FixtureRequest) -> Prepare:
    return request.param


def _odd(
    world: World, behaviour: int, answer: bytes, target: str = ZERO, data: bytes = b""
) -> bytes:
    kinds = ["uint256", "bytes", "address", "bytes"]
    return runtime_code(world.evm, "OddWallet", kinds, behaviour, answer, target, data)


def _prepare_wallet(world: World, prepare: Prepare, code: bytes) -> Act:
    """The act of an account that has code from then on (an account with code sends nothing itself)."""
    account = world.new_actor()
    act = prepare(world, account)
    world.evm.insert_code(account, code)
    return act


# ---------------------------------------------------------------- plain wallets


def test_the_owners_key_signs(world: World, prepare: Prepare) -> None:
    act = prepare(world, world.people.patient)
    act.bring(act.message.sign(world.people.patient.key, world.domain))
    assert act.done()


def test_anothers_key_does_not(world: World, prepare: Prepare) -> None:
    act = prepare(world, world.people.patient)
    with reverts(NOT_OWNER):
        act.bring(act.message.sign(world.people.stranger.key, world.domain))
    assert not act.done()


@pytest.mark.parametrize(
    "domain",
    [
        lambda w: Domain(1, w.market.address),
        lambda w: Domain(w.domain.chain_id, w.registry.address),
        lambda w: Domain(w.domain.chain_id, w.people.stranger),
    ],
    ids=["another chain", "another contract", "another market"],
)
def test_a_signature_for_somewhere_else_does_not(
    world: World, prepare: Prepare, domain: Callable[[World], Domain]
) -> None:
    act = prepare(world, world.people.patient)
    with reverts(NOT_OWNER):
        act.bring(act.message.sign(world.people.patient.key, domain(world)))


def test_a_signature_of_another_kind_of_message_does_not(world: World, prepare: Prepare) -> None:
    act = prepare(world, world.people.patient)
    other = (
        world.consent(world.fresh())
        if isinstance(act.message, Revocation)
        else Revocation(act.message.struct_hash())
    )
    with reverts(NOT_OWNER):
        act.bring(other.sign(world.people.patient.key, world.domain))


def _high_s(signature: bytes) -> bytes:
    s = int.from_bytes(signature[32:64])
    return signature[:32] + (ORDER - s).to_bytes(32) + bytes([55 - signature[64]])


def _compact(signature: bytes) -> bytes:
    s = int.from_bytes(signature[32:64]) | (signature[64] - 27) << 255
    return signature[:32] + s.to_bytes(32)


MALFORMED: dict[str, Callable[[bytes], bytes]] = {
    "its malleable twin": _high_s,
    "64 bytes (ERC-2098)": _compact,
    "empty": lambda _: b"",
    "one byte short": lambda s: s[:64],
    "one byte long": lambda s: s + b"\0",
    "v of 0 or 1": lambda s: s[:64] + bytes([s[64] - 27]),
    "the other v": lambda s: s[:64] + bytes([55 - s[64]]),
    "v of 29": lambda s: s[:64] + b"\x1d",
    "zeros": lambda _: bytes(65),
    "r of zero": lambda s: bytes(32) + s[32:],
    "s of zero": lambda s: s[:32] + bytes(32) + s[64:],
    "r over the order": lambda s: b"\xff" * 32 + s[32:],
    "1,024 bytes": lambda s: s + bytes(1024 - 65),
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_signature_does_not(
    world: World, prepare: Prepare, change: Callable[[bytes], bytes]
) -> None:
    act = prepare(world, world.people.patient)
    with reverts(NOT_OWNER):
        act.bring(change(act.message.sign(world.people.patient.key, world.domain)))


def test_more_than_1024_bytes_are_refused_before_anything_is_called(
    world: World, prepare: Prepare
) -> None:
    act = _prepare_wallet(world, prepare, _odd(world, QUIET, MAGIC))
    with reverts("the contract refused and gave no reason"):
        act.bring(bytes(1025))
    assert not act.done()


def test_the_zero_address_owns_nothing_that_a_bad_signature_could_open(world: World) -> None:
    """The precompile answers zero to a malformed signature."""
    consent = world.consent(world.fresh(), patient=ZERO)
    with reverts(NOT_OWNER):
        world.market.cancel_consent(consent.values(), bytes(65))


# ---------------------------------------------------------------- wallets with code


def test_a_smart_wallet_signs_through_its_key(world: World, prepare: Prepare) -> None:
    """ERC-1271; the wallet itself reverts when the signature is too short."""
    owner = world.people.stranger
    code = runtime_code(world.evm, "KeyWallet", ["address"], str(owner))
    act = _prepare_wallet(world, prepare, code)
    for bad in (act.message.sign(world.people.patient.key, world.domain), b""):
        with reverts(NOT_OWNER):
            act.bring(bad)
    act.bring(act.message.sign(owner.key, world.domain))
    assert act.done()


def test_a_smart_wallet_may_use_a_longer_signature(world: World, prepare: Prepare) -> None:
    owner = world.people.stranger
    code = runtime_code(world.evm, "KeyWallet", ["address"], str(owner))
    act = _prepare_wallet(world, prepare, code)
    act.bring(act.message.sign(owner.key, world.domain) + bytes(1024 - 65))
    assert act.done()


@pytest.mark.parametrize("size", [0, 31, 64, 65, 66, 1024])
def test_a_wallet_that_says_yes_is_believed_about_itself(
    world: World, prepare: Prepare, size: int
) -> None:
    act = _prepare_wallet(world, prepare, _odd(world, QUIET, MAGIC))
    act.bring(bytes(size))
    assert act.done()


def test_a_wallet_that_says_yes_is_not_asked_about_anybody_else(
    world: World, prepare: Prepare
) -> None:
    act = prepare(world, world.people.patient)
    liar = world.new_actor()
    world.evm.insert_code(liar, _odd(world, QUIET, MAGIC))
    for signature in (b"", act.message.sign(liar.key, world.domain), bytes.fromhex(liar[2:])):
        with reverts(NOT_OWNER):
            act.bring(signature)


ANSWERS = {
    "no": (QUIET, b"\xff\xff\xff\xff" + bytes(28)),
    "nothing": (QUIET, b""),
    "only the four bytes": (QUIET, MAGIC[:4]),
    "31 bytes of a yes": (QUIET, MAGIC[:31]),
    "true": (QUIET, bytes(31) + b"\1"),
    "a yes on the wrong side": (QUIET, bytes(28) + MAGIC[:4]),
    "a yes with dirty bits": (QUIET, MAGIC[:4] + b"\0" * 27 + b"\1"),
    "a yes inside bytes": (QUIET, encode(["bytes"], [MAGIC])),
    "4,096 zeros": (QUIET, bytes(4096)),
    "a revert": (REVERT, MAGIC),
    "endless work": (BURN_GAS, MAGIC),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_any_other_answer_of_a_wallet_is_a_no(
    world: World, prepare: Prepare, answer: tuple[int, bytes]
) -> None:
    act = _prepare_wallet(world, prepare, _odd(world, *answer))
    with reverts(NOT_OWNER):
        act.bring(b"anything")
    assert not act.done()


def test_an_account_with_delegated_code_still_signs_with_its_key(
    world: World, prepare: Prepare
) -> None:
    """EIP-7702: the account carries code, here one that would refuse, and its key still owns it."""
    account = world.new_actor()
    act = prepare(world, account)
    world.evm.insert_code(account, _odd(world, REVERT, b""))
    with reverts(NOT_OWNER):
        act.bring(act.message.sign(world.people.stranger.key, world.domain))
    act.bring(act.message.sign(account.key, world.domain))
    assert act.done()


def test_a_wallet_cannot_withdraw_again_while_it_is_asked(world: World) -> None:
    """Re-entrancy: the wallet is asked in a static call, and what it tries in there fails."""
    account = world.new_actor()
    act = _withdraw(world, account)
    again = world.market.abi.call("withdraw", account, account, 100, world.now + 10, b"")
    code = _odd(world, CALL_BACK, MAGIC, world.market.address, again)
    earned = world.earned(account)
    world.evm.insert_code(account, code)
    act.bring(b"yes")
    assert world.dut.balanceOf(account) == 100
    assert world.earned(account) == earned - 100
    assert world.nonce(account) == 1


def test_a_wallet_cannot_cancel_from_inside_its_own_grant(world: World) -> None:
    account = world.new_actor()
    consent = world.consent(world.fresh(), patient=str(account))
    again = world.market.abi.call("cancel_consent", consent.values(), b"")
    world.evm.insert_code(account, _odd(world, CALL_BACK, MAGIC, world.market.address, again))
    world.market.grant_consent(consent.values(), b"yes")
    assert world.evm.events() == ["ConsentGranted"]
    assert world.market.consent_word(consent.struct_hash()) >> 200 & 2**40 - 1 == 0
