"""The service as HTTP: headers, limits, what is not there, and any request at all."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.recording import EvmChain
from support.service import Live, serving
from support.world import World

from medtoken import bodies
from medtoken.errors import NodeUnreachable
from medtoken.service import wire
from medtoken.service.app import ENDPOINTS, Limits, openapi


def test_every_answer_forbids_whatever_a_page_does_not_need(live: Live) -> None:
    live.service.watching.look()
    for path in ("/v1/info", "/nothing", "/openapi.json", "/health", "/v1/records/0x12"):
        headers = live.raw("GET", path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert not re.search(r"unsafe|https?:|\*|data:", policy)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


def test_what_is_not_there_is_one_sentence(live: Live, world: World) -> None:
    assert live.refused(404, "GET", "/nothing") == "There is nothing here."
    assert "asked for" in live.refused(405, "POST", "/v1/info", {})
    assert "GET" in live.raw("POST", "/v1/info", {}).headers["allow"]
    for path in ("/static/.env", "/static/..%2fapp.py", "/static/app.py", "/static/"):
        live.refused(404, "GET", path)
    assert "no such record" in live.refused(400, "GET", "/v1/records/0x" + "11" * 32)
    assert "no such consent" in live.refused(400, "GET", "/v1/consents/0x" + "11" * 32)
    assert "address" in live.refused(400, "GET", "/v1/patients/patient/records")
    path = f"/v1/patients/{world.people.patient}/records"
    assert "limit" in live.refused(400, "GET", f"{path}?limit=0")
    assert "offset" in live.refused(400, "GET", f"{path}?offset=x")


def test_before_the_chain_was_read_everybody_is_told_to_come_again(world: World) -> None:
    live = serving(world)
    answer = live.raw("GET", "/v1/info")
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert live.raw("GET", "/health").status == 503
    live.service.watching.look()
    assert live.raw("GET", "/health").ok()["ok"]


def test_while_the_node_is_gone_the_last_books_are_shown_and_said_to_be_old(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = live.get("/v1/info")

    def gone(self: EvmChain) -> Any:
        raise NodeUnreachable("No Ethereum node answers.")

    with monkeypatch.context() as patch:
        patch.setattr(EvmChain, "head", gone)
        told = live.get("/v1/info")
        assert "does not reach its node" in told.pop("trouble")
        assert live.raw("GET", "/health").status == 503
    assert told == {k: v for k, v in before.items() if k != "trouble"}
    assert live.get("/v1/info")["trouble"] is None


def test_too_many_requests_of_one_address_are_put_off(world: World) -> None:
    live = serving(world, limits=Limits(rate=0.001, burst=3))
    for _ in range(3):
        live.get("/v1/info")
    assert "Too many" in live.refused(429, "GET", "/v1/info")
    assert live.raw("GET", "/v1/info", client="192.0.2.9").status == 200


def test_the_document_names_every_endpoint_and_type() -> None:
    document = openapi()
    told = {(m.upper(), p) for p, ways in document["paths"].items() for m in ways}
    assert told == {(e.method, e.path) for e in ENDPOINTS}
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert references == set(document["components"]["schemas"])


PLAIN = st.text(max_size=40) | st.sampled_from(
    ["0x", "0x" + "00" * 32, "0x" + "11" * 20, "-1", "٣"]
)
WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_asked_the_answer_is_one_of_the_documents(live: Live, data: Any) -> None:
    """Fuzzes each endpoint by its own table: the answer fits its type, or is a problem, never a 500."""
    live.service.watching.look()
    endpoint = data.draw(st.sampled_from(ENDPOINTS))
    path, query = endpoint.path, []
    for name, where, _ in endpoint.parameters:
        value = data.draw(PLAIN)
        if where == "path":
            path = path.replace(f"{{{name}}}", value.replace("?", "").replace("/", "") or "x")
        elif data.draw(st.booleans()):
            query.append(f"{name}={value.replace('&', '').replace('#', '')}")
    body = None
    if endpoint.takes:
        names = endpoint.takes.__struct_fields__
        body = data.draw(WILD | st.fixed_dictionaries(dict.fromkeys(names, WILD)))
        body = body if body is not None else b"null"
    url = path + ("?" + "&".join(query) if query else "")
    answer = live.raw(endpoint.method, url.encode("unicode_escape").decode(), body)
    if answer.status == 200:
        if endpoint.gives is not None:
            bodies.decoded(answer.body, endpoint.gives)
    else:
        assert answer.status in (400, 404, 409, 429), answer.body
        assert bodies.decoded(answer.body, wire.Problem).status == answer.status
