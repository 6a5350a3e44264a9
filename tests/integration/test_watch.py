"""R31 on a real chain, by the command line: told once, told of again when the chain takes it back."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.live import Ran, medtoken_here
from support.stage import Stage

from medtoken import vocabulary
from medtoken.errors import NodeUnreachable, StateError
from medtoken.vocabulary import Form


class Hook:
    """A webhook that keeps what it took, and refuses while ``status`` says so."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[tuple[str, Any]] = []
        self.url = ""


@contextmanager
def hook() -> Iterator[Hook]:
    made = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if made.status == 200:
                made.taken.append((self.headers["Idempotency-Key"], body))
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def moved(stage: Stage) -> bytes:
    """A licence whose licensee works elsewhere since, and was used there in the newest block."""
    record = stage.record()
    stage.licensee.deposit(10**21)
    bought = stage.buy(record, stage.consent(record), Form.FIXED_TERM)
    stage.licensee.use(bought.licence)
    cast, pharma = stage.chain.cast, stage.licensee.address
    groups = vocabulary.group_mask(["pharma"])
    stage.suite.market.set_licensee(
        cast["operator"], pharma, groups, vocabulary.region_code("JP"), key="moved"
    )
    stage.licensee.use(bought.licence)
    stage.chain.settle()
    return bought.licence


def watch(stage: Stage, *words: str | Path) -> Ran:
    record = stage.home.deployment(stage.chain.node.chain_id)
    where = ("--rpc", stage.chain.node.url, "--deployment", str(record), "--once")
    return medtoken_here("watch", *where, *map(str, words))


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_an_alert_is_told_once_and_withdrawn_with_its_block(
    stage: Stage, moved: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "alerts.jsonl"
    assert watch(stage, "--out", out).code == 0
    (line,) = lines(out)
    assert (line["kind"], line["rule"], line["state"]) == ("scope", "R9", "raised")
    assert line["subject"] == "0x" + moved.hex()
    assert line["parties"] == [stage.licensee.address, stage.patient.address]
    assert line["block"] == stage.chain.height()
    assert watch(stage, "--out", out).code == 0
    assert lines(out) == [line]
    # A kill in the middle of a line loses that line alone, and it is told again.
    out.write_text(out.read_text()[:-20])
    assert watch(stage, "--out", out).code == 0
    assert lines(out) == [line]
    stage.chain.reorganise(1)
    assert watch(stage, "--out", out).code == 0
    assert lines(out) == [line, line | {"state": "withdrawn"}]


def test_a_keeper_that_is_gone_silences_nobody(stage: Stage, moved: bytes, tmp_path: Path) -> None:
    out = tmp_path / "alerts.jsonl"
    ran = watch(stage, "--out", out, "--keeper-log", tmp_path / "gone.jsonl")
    assert ran.code == NodeUnreachable.exit_code
    assert ran.err.count("\n") == 1
    assert [line["subject"] for line in lines(out)] == ["0x" + moved.hex()]


def test_a_webhook_gets_every_alert_before_it_counts(
    stage: Stage, moved: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "alerts.jsonl"
    with hook() as ear:
        ear.status = 503
        ran = watch(stage, "--out", out, "--webhook", ear.url)
        assert ran.code == NodeUnreachable.exit_code
        assert ran.err.strip() == f"Error: The webhook at {ear.url} answered 503."
        assert not out.exists()
        ear.status = 200
        assert watch(stage, "--out", out, "--webhook", ear.url).code == 0
        (line,) = lines(out)
        assert ear.taken == [(f"{line['id']}-raised", line)]
    ran = watch(stage, "--webhook", ear.url)
    assert ran.code == NodeUnreachable.exit_code
    assert "does not answer" in ran.err


def test_a_file_of_something_else_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    out = tmp_path / "alerts.jsonl"
    out.write_text("not ours\n")
    ran = watch(stage, "--out", out)
    assert ran.code == StateError.exit_code
    assert f"Line 1 of {out} is no alert; name another file." in ran.err
    assert out.read_text() == "not ours\n"
