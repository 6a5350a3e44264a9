"""The keeper's HTTP service on a real server: what it answers, refuses, limits, and keeps to itself."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import logging
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.keepers import (
    CONSENT,
    COPY,
    DEK,
    FIELDS,
    LICENCE,
    PATIENT,
    SLOT,
    Chain,
    Signed,
    custodianship,
    serving,
)

from medtoken import bodies
from medtoken.errors import NodeUnreachable
from medtoken.keeper import wire
from medtoken.keeper.client import HttpKeeper
from medtoken.keeper.service import ENDPOINTS, Limits, openapi
from medtoken.keys import (
    Action,
    Code,
    HpkePrivateKey,
    KeyKeeper,
    Refused,
    Rendition,
    Share,
    deposit,
    rotate,
    shred,
    verify_log,
)
from medtoken.messages import Domain, Revocation
from medtoken.serving import listen


@pytest.fixture
def http(keepers: list[KeyKeeper]) -> Iterator[HttpKeeper]:
    with serving(keepers[0]) as client:
        yield client


def ask(keeper: HttpKeeper, method: str, path: str, body: Any = None, **headers: str) -> Any:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return urllib3.request(method, keeper.url + path, body=data, headers=headers, retries=False)


def test_no_answer_waits_for_the_callers_delayed_acknowledgement() -> None:
    async def accepted() -> bool:
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = writer.get_extra_info("socket")
            found.set_result(bool(link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        async with await asyncio.start_server(connected, sock=listen("127.0.0.1", 0)) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            return await found

    assert asyncio.run(accepted())


def problem(answer: Any, code: Code) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert found.keys() == {"code", "detail", "status", "retry"}
    assert (found["code"], found["status"]) == (code, answer.status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "\n" not in found["detail"]
    return found


def test_a_share_comes_over_the_line(
    http: HttpKeeper, signed: Signed, private_key: HpkePrivateKey
) -> None:
    request = signed()
    share = Share.from_bytes(private_key.open(http.release(request), request.request.info()))
    assert (share.record, share.index, share.genuine) == (SLOT, 1, True)
    with pytest.raises(Refused) as refusal:
        http.release(request)
    assert (refusal.value.code, refusal.value.passing) == (Code.NONCE_USED, False)


def test_a_batch_is_answered_in_order(
    http: HttpKeeper, signed: Signed, private_key: HpkePrivateKey, chain: Chain
) -> None:
    requests = [signed(), signed(licence=b"\x09" * 32), signed()]
    looked = chain.tips
    answers = http.release_many(requests)
    assert chain.tips == looked + 1
    assert [a.code if isinstance(a, Refused) else "share" for a in answers] == [
        "share",
        Code.NOT_LIVE,
        "share",
    ]
    for request, answer in ((requests[0], answers[0]), (requests[2], answers[2])):
        assert isinstance(answer, bytes)
        private_key.open(answer, request.request.info())
    assert http.release_many([]) == []


def test_requests_that_come_together_are_each_answered(
    http: HttpKeeper, signed: Signed, private_key: HpkePrivateKey
) -> None:
    requests = [signed() for _ in range(60)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(http.release, requests))
    for request, answer in zip(requests, answers, strict=True):
        private_key.open(answer, request.request.info())
    assert sum(e.event["kind"] == "release" for e in http.log()) == 60


def test_the_whole_life_of_a_share(keepers: list[KeyKeeper]) -> None:
    record = b"\x0c" * 32
    with serving(keepers[0]) as one, serving(keepers[1]) as two, serving(keepers[2]) as three:
        clients = [one, two, three]
        copy = Rendition(record, FIELDS)
        assert deposit(copy, DEK, clients, custodianship()) == 1
        assert rotate(copy, clients, custodianship()) == 2
        assert [k.holding(copy.id) for k in keepers] == [c.holding(copy.id) for c in clients]
        assert one.holding(copy.id).version == 2
        receipts = shred(record, clients, custodianship())
        assert [r.version for r in receipts] == [2, 2, 2]
        assert one.holding(copy.id).shredded
        assert shred(record, clients, custodianship()) == receipts
        for client, keeper in zip(clients, keepers, strict=True):
            entries = list(client.log())
            assert entries == list(keeper.log())
            assert client.log_head().hash == verify_log(entries)


def test_a_patient_revokes_over_the_line(http: HttpKeeper, signed: Signed, chain: Chain) -> None:
    domain = Domain(http.info.chain_id, http.info.market)
    signature = Revocation(CONSENT).sign(bytes(PATIENT.key), domain)
    assert http.revoke(CONSENT, signature)
    assert not http.revoke(CONSENT, signature)
    with pytest.raises(Refused) as refusal:
        http.release(signed())
    assert refusal.value.code is Code.REVOKED


def test_who_answers_must_be_who_was_pinned(http: HttpKeeper) -> None:
    from medtoken.errors import IntegrityError
    from medtoken.keeper.client import look_up

    assert bodies.word(look_up(http.url).keeper) == http.keeper_id
    stranger = HttpKeeper(http.url, b"\x01" * 32)
    with pytest.raises(IntegrityError, match="not the key keeper that was pinned"):
        stranger.card.keeper_id.hex()


def test_health_tells_when_shares_would_be_refused(http: HttpKeeper, chain: Chain) -> None:
    assert http.health() == wire.Health(ok=True, head=102, final=100)
    chain.error = NodeUnreachable("no node answers")
    health = http.health()
    assert (health.ok, health.code) == (False, Code.CHAIN_UNREACHABLE)


def test_a_passing_refusal_says_so(http: HttpKeeper, signed: Signed, chain: Chain) -> None:
    chain.error = Refused(Code.CHAIN_LAGS, "the chain's node lags")
    body = bodies.encoded(wire.ReleaseRequest.of(signed()))
    answer = ask(http, "POST", "/v1/releases", body)
    found = problem(answer, Code.CHAIN_LAGS)
    assert found["retry"]
    assert answer.headers["retry-after"] == "1"
    assert answer.status == 503


# --- what is refused before anything is looked at -----------------------------------------------

BODIES: list[tuple[str, Any]] = [
    ("nothing", b""),
    ("no JSON", b"share please"),
    ("no UTF-8", b"\xff\xfe{}"),
    ("another kind", b"[]"),
    ("too little", {}),
    ("deep", b"[" * 5000),
]


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.takes], ids=lambda e: e.path)
@pytest.mark.parametrize(("_", "body"), BODIES, ids=[name for name, _ in BODIES])
def test_a_malformed_body_is_one_sentence(
    http: HttpKeeper, endpoint: Any, _: str, body: Any
) -> None:
    problem(ask(http, endpoint.method, endpoint.path, body), Code.MALFORMED)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("licence", "0x12"),
        ("licence", LICENCE.hex()),
        ("licence", "0x" + "zz" * 32),
        ("requester", "somebody"),
        ("requester", 5),
        ("nonce", "-1"),
        ("nonce", "٣"),
        ("nonce", "1" * 79),
        ("nonce", str(1 << 256)),
        ("expiry", -1),
        ("chain_id", 1.5),
        ("extra", 1),
    ],
)
def test_a_malformed_field_is_refused(
    http: HttpKeeper, signed: Signed, field: str, value: object
) -> None:
    body = json.loads(bodies.encoded(wire.ReleaseRequest.of(signed())))
    before = len(list(http.log()))
    problem(ask(http, "POST", "/v1/releases", {**body, field: value}), Code.MALFORMED)
    assert len(list(http.log())) == before


@pytest.mark.parametrize(
    "path",
    [
        "/v1/renditions/0x12",
        "/v1/renditions/zz",
        "/v1/log?after=x",
        "/v1/log?after=-1",
        "/v1/log?limit=0",
        "/v1/log?limit=1001",
    ],
)
def test_a_malformed_question_is_refused(http: HttpKeeper, path: str) -> None:
    problem(ask(http, "GET", path), Code.MALFORMED)


def test_what_is_not_there_is_refused(http: HttpKeeper) -> None:
    for method, path in (("GET", "/"), ("GET", "/v1/releases"), ("DELETE", "/v1/log")):
        answer = ask(http, method, path)
        assert answer.json()["code"] == Code.NOT_FOUND


def test_too_large_a_body_is_not_read_to_its_end(http: HttpKeeper) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.takes:
            size = (1 << 20) + 1 if endpoint.path.endswith("batch") else (16 << 10) + 1
            problem(ask(http, "POST", endpoint.path, b" " * size), Code.TOO_LARGE)


def test_too_large_a_batch_is_refused(http: HttpKeeper, signed: Signed) -> None:
    one = wire.ReleaseRequest.of(signed())
    body = bodies.encoded(wire.ReleaseBatch([one] * 101))
    problem(ask(http, "POST", "/v1/releases/batch", body), Code.TOO_LARGE)


def test_too_many_requests_are_told_to_wait(keepers: list[KeyKeeper], signed: Signed) -> None:
    with serving(keepers[0], Limits(rate=0.001, burst=5)) as http:
        for _ in range(5):
            assert ask(http, "GET", "/v1/info").status == 200
        found = problem(ask(http, "GET", "/v1/info"), Code.TOO_MANY)
        assert found["retry"]
        with pytest.raises(Refused) as refusal:
            http.release(signed())
        assert refusal.value.passing


def test_each_of_a_batch_counts(keepers: list[KeyKeeper], signed: Signed) -> None:
    with serving(keepers[0], Limits(rate=0.001, burst=5)) as http:
        body = bodies.encoded(wire.ReleaseBatch([wire.ReleaseRequest.of(signed())] * 6))
        problem(ask(http, "POST", "/v1/releases/batch", body), Code.TOO_MANY)


def test_a_body_that_never_comes_is_given_up(keepers: list[KeyKeeper]) -> None:
    with serving(keepers[0], Limits(body_seconds=0.2)) as http:
        host, port = http.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as line:
            line.sendall(b"POST /v1/releases HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            answer = line.recv(4096)
        assert answer.startswith(b"HTTP/1.1 400")
        assert ask(http, "GET", "/v1/info").status == 200


def test_a_keeper_that_hangs_is_answered_for(keepers: list[KeyKeeper], signed: Signed) -> None:
    import threading

    go_on = threading.Event()

    class Slow(Chain):
        def tip(self) -> Any:
            go_on.wait(30)
            return super().tip()

    keepers[0]._chain = Slow()
    try:
        with serving(keepers[0], Limits(answer_seconds=0.2)) as http:
            with pytest.raises(Refused) as refusal:
                http.release(signed())
            assert refusal.value.code is Code.BUSY
            go_on.set()
    finally:
        go_on.set()


def test_a_failure_inside_tells_the_caller_nothing(
    http: HttpKeeper,
    keepers: list[KeyKeeper],
    signed: Signed,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the disk at 10.0.0.7 is on fire")

    monkeypatch.setattr(keepers[0]._vault, "release", fails)
    with caplog.at_level(logging.ERROR), pytest.raises(Refused) as refusal:
        http.release(signed())
    assert str(refusal.value) == "the keeper failed and released nothing: try again"
    assert "on fire" in caplog.text


def test_nothing_secret_is_logged(
    keepers: list[KeyKeeper], signed: Signed, caplog: pytest.LogCaptureFixture
) -> None:
    shares = [keeper._vault.get(SLOT) for keeper in keepers]
    with caplog.at_level(logging.DEBUG), serving(keepers[0]) as http:
        http.release(signed())
        with pytest.raises(Refused):
            http.release(signed(expiry=0))
        order = custodianship().order(Action.DEPOSIT, COPY, keepers[0].keeper_id, 2, bytes(32))
        with pytest.raises(Refused):
            http.deposit(order, bytes(shares[0]))  # type: ignore[arg-type]  # unsealed, by mistake
        assert "value" not in repr(shares[0])
    secrets = [s.value for s in shares if s] + [bytes(keepers[0]._identity)[:32]]
    told = caplog.text + "".join(e.body for e in keepers[0].log())
    for secret in secrets:
        assert secret.hex() not in told
        assert repr(secret)[2:-1] not in told


# --- the document -------------------------------------------------------------------------------


def test_the_openapi_document_names_every_endpoint(http: HttpKeeper) -> None:
    document = ask(http, "GET", "/openapi.json").json()
    assert document == json.loads(json.dumps(openapi()))
    assert document["openapi"].startswith("3.1")
    served = {(e.path, e.method.lower()) for e in ENDPOINTS}
    assert served == {(p, m) for p, methods in document["paths"].items() for m in methods}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references == set(document["components"]["schemas"])
    operations = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert len(operations) == len(set(operations))


def test_every_refusal_has_a_status() -> None:
    assert wire.STATUS.keys() == set(Code)
    for code in Code:
        passing = Refused(code, "").passing
        assert passing == (wire.STATUS[code] in (429, 500, 503)), code


# --- the parsers ---------------------------------------------------------------------------------

KINDS = [e.takes for e in ENDPOINTS if e.takes] + [e.gives for e in ENDPOINTS if e.gives]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["record", "order", "nonce", "share", "x"]), inner)
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS), json_values | st.binary(max_size=200))
def test_no_body_raises_anything_but_bad_input(kind: type[Any], value: Any) -> None:
    from medtoken.errors import BadInput

    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    try:
        bodies.decoded(data, kind)
    except BadInput as error:
        assert str(error)


@given(st.data())
def test_a_request_with_any_one_field_changed_never_raises(data: st.DataObject) -> None:
    from medtoken.errors import BadInput

    good = {
        "chain_id": 1,
        "market": "0x" + "99" * 20,
        "licence": "0x" + "01" * 32,
        "record": "0x" + "02" * 32,
        "requester": "0x" + "98" * 20,
        "keeper": "0x" + "03" * 32,
        "nonce": "5",
        "block": 1,
        "expiry": 2,
        "public_key": "0x01",
        "signature": "0x02",
    }
    field = data.draw(st.sampled_from(sorted(good)))
    changed = {**good, field: data.draw(st.text() | st.integers() | st.just("0x"))}
    try:
        bodies.decoded(json.dumps(changed).encode(), wire.ReleaseRequest).signed().check_signature()
    except (BadInput, Refused) as error:
        assert str(error)
