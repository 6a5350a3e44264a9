"""Keys from three keeper processes on a real chain: dead, slow, lying, restarted, and refusing."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from itertools import combinations

import pytest
from support.keepers import Wrapped

from medtoken.chain.contracts import LicenceRef
from medtoken.chain.node import Wallet
from medtoken.errors import KeyRefused
from medtoken.keys import (
    Code,
    HpkePrivateKey,
    HpkePublicKey,
    Refused,
    Share,
    SignedKeyRequest,
    Wanted,
    release_keys,
    revoke,
    sign_with,
    split,
)
from medtoken.messages import Revocation
from medtoken.parties import Licensee

from .conftest import Case, World


def expect_refusal(case: Case, code: Code, **changes: object) -> None:
    """Every keeper refuses for this reason, at once."""
    for keeper in case.world.keepers:
        with pytest.raises(Refused) as refusal:
            keeper.release(case.signed(keeper, **changes))
        assert refusal.value.code is code, refusal.value


def test_any_two_of_three_processes_give_the_key(case: Case) -> None:
    for pair in combinations(case.world.keepers, 2):
        assert case.open(pair) == case.key
    for keeper in case.world.keepers:
        with pytest.raises(KeyRefused):
            case.open([keeper])


@pytest.mark.parametrize("dead", range(3))
def test_one_dead_keeper_is_survived_and_comes_back(case: Case, dead: int) -> None:
    world = case.world
    world.processes[dead].kill()
    assert case.open() == case.key
    world.keepers[dead] = world.processes[dead].start()
    assert case.open([world.keepers[dead], world.keepers[dead - 1]]) == case.key


def test_all_three_killed_and_started_again_deny_nobody_for_long(case: Case) -> None:
    """The licensee asks while nobody is there, and has the key when two are back."""
    world = case.world
    for process in world.processes:
        process.kill()
    result: list[bytes] = []
    asking = threading.Thread(target=lambda: result.append(case.open()))
    asking.start()
    for process in world.processes:
        process.spawn()
    for process in world.processes:
        process.ready()
    asking.join()
    assert result == [case.key]


@pytest.mark.parametrize("slow", range(3))
def test_one_that_hangs_does_not_hold_up_the_others(case: Case, slow: int) -> None:
    case.world.processes[slow].pause()
    assert case.open(hedge=0.2) == case.key


class Liar(Wrapped):
    """Opens what the keeper gave (the test has the key) and seals something else."""

    def __init__(self, case: Case, at: int, tamper: Callable[[Share], bytes]) -> None:
        super().__init__(case.world.keepers[at])
        self._case, self._tamper = case, tamper

    def release(self, signed: SignedKeyRequest) -> bytes:
        info = signed.request.info()
        plain = self._case.private_key.open(self._keeper.release(signed), info)
        return HpkePublicKey(signed.public_key).seal(self._tamper(Share.from_bytes(plain)), info)


LIES: dict[str, Callable[[Share], bytes]] = {
    "another value": lambda s: bytes(dataclasses.replace(s, value=bytes(32))),
    "another key": lambda s: bytes(split(b"\x09" * 32, s.record, s.version)[s.index - 1]),
    "another version": lambda s: bytes(split(b"\x09" * 32, s.record, 7)[s.index - 1]),
    "another record": lambda s: bytes(split(b"\x09" * 32, b"\x08" * 32)[s.index - 1]),
    "nothing": lambda s: b"",
    "garbage": lambda s: b"\xff" * 400,
    "the same share as another": lambda s: bytes(dataclasses.replace(s, index=s.index % 3 + 1)),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("at", [0, 1])
def test_one_liar_is_survived(case: Case, at: int, lie: str) -> None:
    keepers = list(case.world.keepers)
    keepers[at] = Liar(case, at, LIES[lie])  # type: ignore[call-overload]
    assert case.open(keepers) == case.key


def test_a_replayed_answer_is_survived(case: Case) -> None:
    first = case.world.keepers[0]
    stale = first.release(case.signed(first))

    class Replays(Wrapped):
        def release(self, signed: SignedKeyRequest) -> bytes:
            return stale

    assert case.open([Replays(first), *case.world.keepers[1:]]) == case.key


def test_many_keys_come_in_one_batch(world: World) -> None:
    cases = [world.case() for _ in range(3)]
    private_key = HpkePrivateKey.generate()
    fingerprint = private_key.public_key.fingerprint
    wanted = [
        Wanted(case.request(public_key_hash=fingerprint), case.rendition, case.key.__eq__)
        for case in cases
    ]
    unknown = cases[0].request(public_key_hash=fingerprint, licence=b"\x09" * 32)
    keys = release_keys(
        world.keepers,
        [wanted[0], Wanted(unknown, cases[0].rendition, cases[0].key.__eq__), *wanted[1:]],
        private_key,
        sign=sign_with(world.pharma.account),
    )
    assert isinstance(keys[1], KeyRefused)
    assert [keys[0], *keys[2:]] == [case.key for case in cases]


# --- to nobody else -----------------------------------------------------------------------------


def test_nobody_else_gets_a_share(case: Case) -> None:
    for wallet in (case.world.chain.cast["stranger"], Wallet.create()):
        with pytest.raises(KeyRefused, match="not the licensee"):
            case.open(wallet=wallet)
        with pytest.raises(KeyRefused, match="not signed by its requester"):
            case.open(wallet=wallet, requester=case.world.pharma.address)


def test_another_record_is_not_opened_with_a_licence(world: World) -> None:
    one, other = world.case(), world.case()
    expect_refusal(one, Code.WRONG_RECORD, record=other.record)
    expect_refusal(one, Code.NOT_LIVE, licence=b"\x09" * 32)
    expect_refusal(one, Code.NOT_LIVE, block=one.block - 1)


def test_a_purchase_waits_for_finality_and_the_client_waits_with_it(world: World) -> None:
    case = world.case(final=False)
    expect_refusal(case, Code.NOT_FINAL)
    mined = threading.Event()

    def mine() -> None:
        while not mined.wait(0.1):
            world.chain.mine(1)

    thread = threading.Thread(target=mine)
    thread.start()
    try:
        assert case.open() == case.key
    finally:
        mined.set()
        thread.join()


# --- refusals do not wait ------------------------------------------------------------------------


def consent_of(case: Case) -> bytes:
    return case.world.chain.suite.market.licence_ref(case.licence).consent


def test_a_revocation_in_the_newest_block_ends_the_grants(world: World) -> None:
    case, other = world.case(), world.case()
    market = world.chain.suite.market
    consent = consent_of(case)
    patient = case.patient
    height = world.chain.height()
    market.revoke(world.chain.cast["relay"], consent, patient.sign(Revocation(consent)))
    assert world.chain.height() == height + 1
    expect_refusal(case, Code.REVOKED)
    with pytest.raises(KeyRefused, match="the consent was revoked"):
        case.open()
    assert other.open() == other.key


def test_a_revocation_straight_to_the_keepers_ends_the_grants(world: World) -> None:
    """No relay brings it: on the chain the consent is live, and stays so."""
    case, other = world.case(), world.case()
    consent = consent_of(case)
    signature = case.patient.sign(Revocation(consent))
    revoke(consent, signature, world.keepers)
    assert world.chain.suite.market.consent(consent).revoked_at == 0
    expect_refusal(case, Code.REVOKED)
    revoke(consent, signature, world.keepers)
    assert other.open() == other.key
    world.processes[0].kill()
    world.keepers[0] = world.processes[0].start()
    expect_refusal(case, Code.REVOKED)


def test_a_consent_in_the_newest_block_can_be_revoked_already(world: World) -> None:
    case = world.case(final=False)
    consent = consent_of(case)
    stranger = Revocation(consent).sign(
        world.chain.cast["stranger"].key, world.chain.suite.market.domain
    )
    for keeper in world.keepers:
        with pytest.raises(Refused) as refusal:
            keeper.revoke(consent, stranger)
        assert refusal.value.code is Code.BAD_SIGNATURE
        with pytest.raises(Refused) as refusal:
            keeper.revoke(b"\x09" * 32, stranger)
        assert refusal.value.code is Code.UNKNOWN_CONSENT
    revoke(consent, case.patient.sign(Revocation(consent)), world.keepers)
    world.chain.mine()
    expect_refusal(case, Code.REVOKED)


def test_a_suspension_stops_at_once_and_its_end_waits_for_finality(case: Case) -> None:
    world, market = case.world, case.world.chain.suite.market
    market.send(world.operator, "set_suspended", case.licence, True)
    expect_refusal(case, Code.NOT_LIVE)
    world.chain.mine()
    expect_refusal(case, Code.NOT_LIVE)
    market.send(world.operator, "set_suspended", case.licence, False)
    expect_refusal(case, Code.NOT_FINAL)
    world.chain.mine()
    assert case.open() == case.key


def test_a_frozen_licensee_gets_nothing(case: Case) -> None:
    world, suite = case.world, case.world.chain.suite
    word = suite.market.licensee(world.pharma.address)
    standing = (word.groups, word.region)
    suite.market.set_licensee(world.operator, world.pharma.address, *standing, word.flags | 1)
    expect_refusal(case, Code.NOT_LIVE)
    suite.market.set_licensee(world.operator, world.pharma.address, *standing, word.flags)
    assert case.open() == case.key
    suite.usage.send(world.operator, "setFrozen", world.pharma.address, True)
    expect_refusal(case, Code.NOT_LIVE)
    suite.usage.send(world.operator, "setFrozen", world.pharma.address, False)
    assert case.open() == case.key


def test_a_licence_that_was_closed_gives_nothing(case: Case) -> None:
    world, market = case.world, case.world.chain.suite.market
    ref: LicenceRef = market.licence_ref(case.licence)
    consent = consent_of(case)
    market.revoke(world.chain.cast["relay"], consent, case.patient.sign(Revocation(consent)))
    market.settle(world.chain.cast["relay"], [ref])
    expect_refusal(case, Code.REVOKED)


def test_a_metered_licence_gives_nothing_before_its_first_use(world: World) -> None:
    case = world.case(metered=10)
    expect_refusal(case, Code.NOT_LIVE)
    Licensee(world.chain.suite, world.pharma).use(case.licence, 1)
    world.chain.mine()
    assert case.open() == case.key


def test_a_request_is_answered_once_whatever_happens_to_the_process(case: Case) -> None:
    world = case.world
    signed = case.signed(world.keepers[0])
    world.keepers[0].release(signed)
    world.processes[0].kill()
    world.keepers[0] = world.processes[0].start()
    with pytest.raises(Refused) as refusal:
        world.keepers[0].release(signed)
    assert refusal.value.code is Code.NONCE_USED


def test_an_expired_request_is_refused(case: Case) -> None:
    expect_refusal(case, Code.EXPIRED, expiry=case.world.now)
    expect_refusal(case, Code.VALID_TOO_LONG, expiry=case.world.now + 5_000)


def test_a_killed_keeper_has_logged_what_it_gave(case: Case) -> None:
    """Killed in the middle of many releases, its log holds every share that left."""
    world = case.world
    keeper = world.keepers[0]
    requests = [case.signed(keeper) for _ in range(200)]
    answered = []

    def ask() -> None:
        for request in requests:
            try:
                keeper.release(request)
            except KeyRefused:
                return
            answered.append(request)

    thread = threading.Thread(target=ask)
    thread.start()
    while len(answered) < 5:
        time.sleep(0.001)
    world.processes[0].kill()
    thread.join()
    world.keepers[0] = world.processes[0].start()
    logged = {e.event.get("nonce") for e in world.keepers[0].log()}
    assert {str(request.request.nonce) for request in answered} <= logged
