"""Records between nodes, gateways and files: what one has, another can read and verify."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from support.gateway import gateway, lies, stalls
from support.kubo import Daemon, daemon

from medtoken.errors import StoreError
from medtoken.ipfs import (
    EmbeddedStore,
    FirstOf,
    Gateway,
    KuboStore,
    check,
    file_cid,
    repair,
)
from medtoken.sealing import SealedReader, seal


def test_two_nodes_exchange_a_record(
    node: Daemon, program: Path, content: bytes, tmp_path: Path
) -> None:
    """The hospital's node has a sealed record; the licensee's gets it from there and keeps it."""
    (tmp_path / "record").write_bytes(content)
    with daemon(program, tmp_path / "licensee") as theirs:
        with daemon(program, tmp_path / "hospital") as hospital:
            sealed = seal(
                tmp_path / "record", custodian_secret=bytes(32), store=KuboStore(hospital.api)
            )
            cid = sealed.cid
            theirs.ipfs("swarm", "connect", hospital.address)
            licensee = KuboStore(theirs.api)
            assert not licensee.has(cid)
            reader = SealedReader(
                licensee.open(cid), sealed.dek, fingerprint=sealed.manifest.fingerprint
            )
            assert reader.read_range(0, len(content)) == content
            licensee.pin(cid)
        own = KuboStore(theirs.api, offline=True)
        assert check(own, cid).sound
        assert list(own.pins()) == [cid]
        with pytest.raises(StoreError, match="within 1 s|in time"):
            KuboStore(node.api, patience=1).get_block(cid)


def test_a_kubo_gateway_gives_blocks_and_files(
    node: Daemon, store: KuboStore, stream: io.BytesIO
) -> None:
    cid = store.add_file(stream)
    assert file_cid(FirstOf([Gateway(node.gateway)]).open(cid)) == cid


def test_a_gateway_that_serves_blocks_only_is_enough(
    program: Path, tmp_path: Path, stream: io.BytesIO
) -> None:
    with daemon(program, tmp_path / "repo", Gateway__DeserializedResponses=False) as trustless:
        cid = KuboStore(trustless.api).add_file(stream)
        assert file_cid(FirstOf([Gateway(trustless.gateway)]).open(cid)) == cid


def test_a_record_is_read_around_everything_that_fails(
    node: Daemon,
    store: KuboStore,
    embedded: EmbeddedStore,
    stream: io.BytesIO,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cid = store.add_file(stream)
    stream.seek(0)
    embedded.add_file(stream)
    gone = KuboStore("/ip4/127.0.0.1/tcp/1")
    with gateway(embedded, lies) as liar, gateway(embedded, stalls) as slow:
        sources = [
            gone,
            Gateway(liar.url),
            Gateway(slow.url, patience=0.5),
            KuboStore(node.api, offline=True),
        ]
        names = [source.name for source in sources[:3]]
        both = FirstOf(sources)
        with caplog.at_level(logging.WARNING):
            assert file_cid(both.open(cid)) == cid
    assert sorted(both.faults) == sorted(names)
    assert all(name in caplog.text for name in names)
    assert node.api not in caplog.text


def test_a_store_is_filled_from_a_node_that_disappears_and_then_from_another(
    own: Daemon, embedded: EmbeddedStore, tmp_path: Path, stream: io.BytesIO
) -> None:
    cid = KuboStore(own.api).add_file(stream)
    stream.seek(0)
    backup = EmbeddedStore(tmp_path / "backup", durable=False)
    backup.add_file(stream)
    done: list[int] = []

    def progress(size: int) -> None:
        done.append(size)
        if len(done) == 5:
            own.kill()

    first = KuboStore(own.api)
    with gateway(backup) as second:
        both = FirstOf([first, Gateway(second.url)])
        health = repair(embedded, cid, both, progress)
    assert len(health.repaired) == 22
    assert list(both.faults) == [first.name]
    assert check(embedded, cid).sound
