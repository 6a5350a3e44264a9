"""A keeper whose node lags, reorganises, lies about finality, or goes away: it refuses, and says why."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live import Chain, answering, between, chain

from medtoken.chain.licence_view import MarketView
from medtoken.chain.rpc import Rpc
from medtoken.errors import BadInput, MedtokenError, NodeUnreachable, WrongChain
from medtoken.keeper.bench import licensed
from medtoken.keys import (
    Code,
    KeeperIdentity,
    KeyKeeper,
    LicenceState,
    Refused,
    SqliteVault,
)
from medtoken.messages import DUT, Revocation
from medtoken.parties import Licensee
from medtoken.vocabulary import Capability

from .conftest import World


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A chain that these tests may reorganise."""
    with chain(tmp_path_factory.mktemp("own") / "home") as made:
        Licensee(made.suite, made.cast["pharma"]).deposit(1_000_000 * DUT)
        yield made


def view(own: Chain, url: str | None = None, **options: Any) -> MarketView:
    return MarketView(Rpc(url or own.node.url), own.suite.deployment, **options)


def expect_refusal(code: Code, call: Callable[[], object]) -> None:
    with pytest.raises(Refused) as refusal:
        call()
    assert refusal.value.code is code, refusal.value
    assert refusal.value.passing


class Keepers:
    """Three in this process, for deposits; and one licence whose state is looked at."""

    def __init__(self, own: Chain) -> None:
        self.keepers = [
            KeyKeeper(
                KeeperIdentity.generate(),
                name=f"keeper {number}",
                chain_id=own.node.chain_id,
                market=own.suite.market.address,
                chain=view(own),
                vault=SqliteVault.in_memory(),
            )
            for number in range(3)
        ]
        self.licensee = Licensee(own.suite, own.cast["pharma"])
        self.own = own

    def licensed(self) -> Any:
        return licensed(self.own.suite, self.own.cast, self.licensee, self.keepers)


@contextlib.contextmanager
def edited(own: Chain, edit: Callable[[Any, Any], None]) -> Iterator[str]:
    """A line to the node that changes answers: ``edit`` gets each call and its answer."""

    class Line:
        def __call__(self, method: str, forward: Callable[[], bytes]) -> bytes:
            answers = json.loads(forward())
            for answer in answers if isinstance(answers, list) else [answers]:
                edit(method, answer)
            return json.dumps(answers).encode()

    with between(own.node.url, Line()) as url:
        yield url


def block(answer: Any) -> dict[str, Any] | None:
    result = answer.get("result")
    return result if isinstance(result, dict) and "timestamp" in result else None


def test_a_head_that_is_too_old_is_not_relied_on(own: Chain) -> None:
    now = float(own.node.head().timestamp)
    fresh = view(own, max_head_age=30, clock=lambda: now + 30)
    assert fresh.tip().time == now
    expect_refusal(Code.CHAIN_LAGS, view(own, max_head_age=30, clock=lambda: now + 31).tip)
    expect_refusal(Code.CHAIN_LAGS, view(own, max_head_age=30, clock=lambda: now - 61).tip)


def test_a_node_that_falls_back_is_not_relied_on_until_it_caught_up(own: Chain) -> None:
    back = [0]

    def edit(_: str, answer: Any) -> None:
        found = block(answer)
        if found is not None:
            found["number"] = hex(int(found["number"], 16) - back[0])

    with edited(own, edit) as url:
        looking = view(own, url)
        looking.tip()
        back[0] = 1
        expect_refusal(Code.CHAIN_LAGS, looking.tip)
        own.mine(1)
        back[0] = 0
        looking.tip()


def test_what_was_final_stays(own: Chain) -> None:
    """A node that replaces a final block is not relied on, nor after the keeper's restart."""
    marks: list[bytes] = []
    looking = view(own, on_mark=marks.append)
    own.mine(5)
    looking.tip()
    assert len(marks) == 1
    looking.tip()
    assert len(marks) == 1
    with pytest.raises(MedtokenError):
        own.node.rpc("anvil_reorg", 1_000_000, [])
    own.reorganise(4)
    expect_refusal(Code.CHAIN_REORGANISED, looking.tip)
    own.mine(3)
    expect_refusal(Code.CHAIN_REORGANISED, looking.tip)
    expect_refusal(Code.CHAIN_REORGANISED, view(own, mark=marks[-1]).tip)
    # One that never saw the old block knows no better: that is what a node is trusted with.
    view(own).tip()


def test_a_reorganisation_that_leaves_the_final_block_is_followed(own: Chain) -> None:
    people = Keepers(own)
    bought = people.licensed()
    own.mine(3)
    looking = view(own)
    assert looking.licence_state(bought.licence, bought.block).live
    consent = own.suite.market.licence_ref(bought.licence).consent
    own.suite.market.revoke(own.cast["relay"], consent, bought.patient.sign(Revocation(consent)))
    state = looking.licence_state(bought.licence, bought.block)
    assert (state.live, state.code) == (False, Code.REVOKED)
    # The block with the revocation is left: what the head says now counts, and nothing is stuck.
    own.reorganise(1)
    assert looking.licence_state(bought.licence, bought.block).live


def test_a_block_that_is_left_between_two_calls_mixes_nothing(own: Chain) -> None:
    people = Keepers(own)
    bought = people.licensed()
    own.mine(3)
    looking = view(own)
    tip = looking.tip()
    own.reorganise(1)
    expect_refusal(
        Code.CHAIN_REORGANISED,
        lambda: looking.licence_states(tip, [(bought.licence, bought.block)]),
    )
    assert looking.licence_state(bought.licence, bought.block).live


def test_a_licence_is_what_its_id_says_whatever_the_log_says(own: Chain) -> None:
    """A node whose logs name another licensee makes no licensee of them."""
    people = Keepers(own)
    bought = people.licensed()
    own.mine(3)
    stranger = own.cast["stranger"].address[2:].lower().rjust(64, "0")

    def edit(_: str, answer: Any) -> None:
        if isinstance(answer.get("result"), list):
            for log in answer["result"]:
                log["topics"][3] = "0x" + stranger

    with edited(own, edit) as url:
        state = view(own, url).licence_state(bought.licence, bought.block)
    assert not state.live
    assert "unknown" in state.reason


def test_every_licence_is_read_once_in_a_block(own: Chain) -> None:
    people = Keepers(own)
    bought = people.licensed()
    own.mine(3)
    asked: list[str] = []

    def hook(method: str, forward: Callable[[], bytes]) -> bytes:
        asked.append(method)
        return forward()

    with between(own.node.url, hook) as url:
        looking = view(own, url)
        tip = looking.tip()
        wanted = [(bought.licence, bought.block)] * 50
        first = looking.licence_states(tip, wanted)
        count = len(asked)
        assert looking.licence_states(tip, wanted) == first
        assert len(asked) == count
        own.mine(1)
        looking.licence_states(looking.tip(), wanted)
        assert len(asked) > count + 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'[{"id":0,"result":"0x7a69"}]',
        b'[{"id":0},{"id":1},{"id":2}]',
        b'{"error":{"code":-32600,"message":"batches are off"}}',
    ],
)
def test_what_is_no_node_is_a_refusal(own: Chain, body: bytes) -> None:
    with answering(body) as url, pytest.raises((NodeUnreachable, WrongChain)):
        view(own, url).tip()


def test_a_node_without_a_final_block_is_a_refusal(own: Chain) -> None:
    def edit(_: str, answer: Any) -> None:
        if answer.get("id") == 2:
            answer["result"] = None

    with edited(own, edit) as url:
        expect_refusal(Code.CHAIN_LAGS, view(own, url).tip)


def test_a_node_of_another_chain_is_a_refusal(own: Chain) -> None:
    def edit(_: str, answer: Any) -> None:
        if answer.get("id") == 0:
            answer["result"] = "0x1"

    with edited(own, edit) as url, pytest.raises(WrongChain, match="not on chain 31337"):
        view(own, url).tip()


def test_no_node_is_a_refusal(own: Chain) -> None:
    with pytest.raises(NodeUnreachable):
        view(own, "http://127.0.0.1:1").tip()
    with pytest.raises(BadInput):
        Rpc("ftp://nowhere")


def test_an_error_from_the_node_is_never_a_permission(own: Chain) -> None:
    """Whichever answer turns into an error, the licence is not live for it."""
    people = Keepers(own)
    bought = people.licensed()
    own.mine(3)
    broken = [-1]
    count = [0]

    def edit(_: str, answer: Any) -> None:
        if count[0] == broken[0]:
            answer.pop("result", None)
            answer["error"] = {"code": -32000, "message": "missing trie node"}
        count[0] += 1

    with edited(own, edit) as url:
        good = view(own, url).licence_state(bought.licence, bought.block)
        assert good.live
        total = count[0]
        for at in range(total):
            broken[0], count[0] = at, 0
            state: LicenceState | None = None
            with contextlib.suppress(MedtokenError):
                state = view(own, url).licence_state(bought.licence, bought.block)
            assert state is None or not state.live, at
            assert count[0] > at


# --- who is a custodian --------------------------------------------------------------------------


def test_a_custodian_is_whom_the_registry_names(own: Chain) -> None:
    people = Keepers(own)
    bought = people.licensed()
    own.mine(3)
    looking = view(own)
    tip = looking.tip()
    hospital = own.cast["hospital"].address
    number, registry = own.suite.registry.number_of(hospital), own.suite.registry
    assert looking.custodian(tip, bought.record, 0, bytes(32)) == hospital
    # What comes with an order does not change who a registered record's custodian is.
    assert looking.custodian(tip, bought.record, 2, b"t" * 32) == hospital
    tag = b"t" * 32
    fresh = registry.record_id(number, tag)
    assert looking.custodian(tip, fresh, number, tag) == hospital
    for wrong in ((number, bytes(32)), (number + 1, tag), (0, tag), (1 << 30, tag), (999, tag)):
        assert looking.custodian(tip, fresh, *wrong) == ""
    laboratory = registry.number_of(own.cast["laboratory"].address)
    own_id = registry.record_id(laboratory, tag)
    assert looking.custodian(tip, own_id, laboratory, tag) == ""


def test_who_loses_the_accreditation_seals_nothing_new_and_may_still_destroy(own: Chain) -> None:
    people = Keepers(own)
    bought = people.licensed()
    own.mine(3)
    looking, registry = view(own), own.suite.registry
    hospital = own.cast["hospital"].address
    number, tag = registry.number_of(hospital), b"u" * 32
    fresh = registry.record_id(number, tag)
    registry.accredit(own.cast["operator"], hospital, 0)
    tip = looking.tip()
    assert looking.custodian(tip, fresh, number, tag) == ""
    assert looking.custodian(tip, bought.record, 0, tag) == hospital
    registry.accredit(own.cast["operator"], hospital, int(Capability.CUSTODIAN))
    tip = looking.tip()
    assert looking.custodian(tip, bought.record, 0, tag) == hospital
    own.mine(1)
    expect_refusal(Code.NOT_FINAL, lambda: looking.custodian(looking.tip(), fresh, number, tag))
    own.mine(3)
    assert looking.custodian(looking.tip(), fresh, number, tag) == hospital


def test_a_custodian_that_moved_orders_from_its_new_account_once_that_is_final(own: Chain) -> None:
    people = Keepers(own)
    bought = people.licensed()
    own.mine(3)
    looking, registry = view(own), own.suite.registry
    old = own.cast["hospital"].address
    number = registry.number_of(old)
    new = own.cast["stranger"].address
    registry.send(own.cast["operator"], "move", number, new)
    expect_refusal(
        Code.NOT_FINAL, lambda: looking.custodian(looking.tip(), bought.record, 0, bytes(32))
    )
    own.mine(3)
    assert looking.custodian(looking.tip(), bought.record, 0, bytes(32)) == new
    registry.send(own.cast["operator"], "move", number, old)
    own.mine(3)


def test_a_keeper_process_refuses_while_its_head_is_old(world: World, tmp_path: Path) -> None:
    """Started with a wall clock beside a chain that nobody mines: it says that its node lags."""
    from medtoken.keeper.process import KeeperProcess

    keeper = KeeperProcess(
        tmp_path,
        rpc=world.chain.node.url,
        deployment=world.chain.home.deployment(world.chain.node.chain_id),
        name="strict",
        options=("--head-age", "0.000001"),
    )
    try:
        client = keeper.start()
        health = client.health()
        assert (health.ok, health.code) == (False, Code.CHAIN_LAGS)
        case = world.case()
        with pytest.raises(Refused) as refusal:
            client.release(case.signed(client))
        assert refusal.value.code is Code.CHAIN_LAGS
    finally:
        keeper.stop()
