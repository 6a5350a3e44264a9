"""Gateways are read block by block; whatever one does wrong is noticed, named, and got around."""

from __future__ import annotations

import io
import socket

import pytest
from support.gateway import MOODS, Mood, gateway, stalls

from medtoken.errors import BadInput, IntegrityError, StoreError
from medtoken.ipfs import (
    CID,
    BlockMissing,
    BlockReader,
    EmbeddedStore,
    FirstOf,
    Gateway,
    Source,
    file_cid,
)

PATIENCE = 0.6


def whole(cid: CID, source: Source) -> bool:
    """Whether all of the file is read from the source, and is that file."""
    return file_cid(BlockReader(cid, source.get_block)) == cid


@pytest.mark.parametrize("blocks", [True, False])
def test_a_file_reads_back_from_a_gateway(full: EmbeddedStore, cid: CID, blocks: bool) -> None:
    with gateway(full, blocks=blocks) as server:
        source = Gateway(server.url + "/")
        assert whole(cid, source)
        source.close()


def test_a_gateway_without_blocks_is_read_through_once_for_the_nodes(
    full: EmbeddedStore, cid: CID
) -> None:
    with gateway(full, blocks=False) as server:
        source = Gateway(server.url)
        whole(cid, source)
        whole(cid, source)
        assert sum(str(cid) in path and "raw" not in path for path in server.asked) == 1


def test_a_gateway_that_refuses_the_form_is_asked_for_the_file(
    full: EmbeddedStore, cid: CID
) -> None:
    with gateway(full) as server:
        server.raw_status = 406
        assert whole(cid, Gateway(server.url))


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("mood", MOODS, ids=lambda mood: mood.__name__)
def test_a_bad_gateway_is_named_and_another_is_asked(
    full: EmbeddedStore,
    cid: CID,
    mood: Mood,
    blocks: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with gateway(full, mood, blocks=blocks) as bad, gateway(full) as good:
        source = Gateway(bad.url, patience=PATIENCE)
        with pytest.raises((StoreError, IntegrityError), match=bad.url):
            source.get_block(cid)
        both = FirstOf([source, Gateway(good.url)])
        assert whole(cid, both)
        assert list(both.faults) == [f"the gateway {bad.url}"]
        assert bad.url in caplog.text
        assert good.url not in caplog.text


def test_a_gateway_that_disappears_in_the_middle_is_named_and_another_is_asked(
    full: EmbeddedStore, cid: CID
) -> None:
    with gateway(full) as good:
        with gateway(full) as bad:
            reader = (both := FirstOf([Gateway(bad.url), Gateway(good.url)])).open(cid)
            first = reader.read(10)
        assert file_cid(io.BytesIO(first + reader.readall())) == cid
    assert list(both.faults) == [f"the gateway {bad.url}"]


def test_nobody_there_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(StoreError, match="cannot be reached"):
        Gateway(f"http://127.0.0.1:{port}").get_block(CID.of(b""))


def test_a_server_that_accepts_and_says_nothing_is_given_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreError, match="within 0.3 s"):
            Gateway(f"http://127.0.0.1:{port}", patience=0.3).get_block(CID.of(b""))


@pytest.mark.parametrize("blocks", [True, False])
def test_what_a_gateway_does_not_have_is_missing_and_no_fault(
    bare: EmbeddedStore, full: EmbeddedStore, cid: CID, blocks: bool
) -> None:
    with gateway(bare, blocks=blocks) as empty, gateway(full) as good:
        with pytest.raises(BlockMissing):
            Gateway(empty.url).get_block(cid)
        both = FirstOf([Gateway(empty.url), Gateway(good.url)])
        assert whole(cid, both)
        assert not both.faults


def test_a_gateway_that_fails_says_with_what(full: EmbeddedStore, cid: CID) -> None:
    with gateway(full) as server:
        server.status = 503
        with pytest.raises(StoreError, match="503"):
            Gateway(server.url).get_block(cid)


def test_a_redirect_to_elsewhere_is_not_followed(full: EmbeddedStore, cid: CID) -> None:
    with gateway(full) as server, gateway(full) as victim:
        for target in (
            victim.url.replace("127.0.0.1", "localhost"),
            "http://127.0.0.1.example/",
            "file:///etc/passwd",
        ):
            server.location = target + f"/ipfs/{cid}"
            with pytest.raises(StoreError, match="elsewhere"):
                Gateway(server.url).get_block(cid)
        assert not victim.asked


def test_a_redirect_in_circles_ends(full: EmbeddedStore, cid: CID) -> None:
    with gateway(full) as server:
        server.location = f"/ipfs/{cid}"
        with pytest.raises(StoreError, match="302"):
            Gateway(server.url).get_block(cid)
        assert len(server.asked) < 10


def test_an_endless_file_is_cut_off(full: EmbeddedStore, cid: CID) -> None:
    with (
        gateway(full, blocks=False) as server,
        pytest.raises(IntegrityError, match="more bytes than"),
    ):
        Gateway(server.url, largest=1 << 20).get_block(cid)


@pytest.mark.parametrize(
    "url", ["", "gateway.example", "ftp://a", "http://", "http://a/?x=1", "/ip4/1.2.3.4/tcp/1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="gateway"):
        Gateway(url)


def test_a_source_that_stalls_is_asked_last_from_then_on(full: EmbeddedStore, cid: CID) -> None:
    with gateway(full, stalls) as slow:
        both = FirstOf([Gateway(slow.url, patience=0.2), full])
        assert whole(cid, both)
        assert len(slow.asked) == 1


def test_when_nobody_has_it_everybody_is_named(
    full: EmbeddedStore, bare: EmbeddedStore, cid: CID
) -> None:
    with gateway(full, MOODS[0]) as liar:
        with pytest.raises(IntegrityError) as error:
            FirstOf([bare, Gateway(liar.url)]).get_block(cid)
        assert liar.url in str(error.value)
        assert bare.name in str(error.value)
    with pytest.raises(StoreError) as gone:
        FirstOf([bare, Gateway(liar.url)]).get_block(cid)
    assert type(gone.value) is StoreError
    with pytest.raises(BlockMissing):
        FirstOf([bare]).get_block(cid)
    with pytest.raises(BadInput):
        FirstOf([])
