"""Every block is checked; what is missing or altered comes back from wherever it can be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtoken.errors import BadInput, IntegrityError
from medtoken.ipfs import (
    CID,
    BlockMissing,
    CarFile,
    Codec,
    EmbeddedStore,
    Gateway,
    KuboStore,
    check,
    file_cid,
    open_source,
    open_store,
    repair,
)
from medtoken.ipfs._unixfs import Link, encode_node


def path_of(store: EmbeddedStore, cid: CID) -> Path:
    return store._path(cid)


def test_a_whole_file_is_sound(full: EmbeddedStore, cid: CID, content: bytes) -> None:
    seen: list[int] = []
    health = check(full, cid, seen.append)
    assert health.sound
    assert (health.blocks, health.missing, health.altered) == (5, (), ())
    assert health.size == len(content) + len(full.get_block(cid))
    assert seen[-1] == health.size


def test_missing_and_altered_blocks_are_told_apart_and_repaired(
    full: EmbeddedStore, bare: EmbeddedStore, cid: CID, content: bytes
) -> None:
    repair(bare, cid, full)
    gone, bad = CID.of(content[: 1 << 20]), CID.of(b"the end")
    path_of(full, gone).unlink()
    path_of(full, bad).write_bytes(b"The end")
    health = check(full, cid)
    assert (health.missing, health.altered, health.blocks) == ((gone,), (bad,), 3)
    assert set(repair(full, cid, bare).repaired) == {gone, bad}
    assert check(full, cid).sound
    assert file_cid(full.open(cid)) == cid


def test_a_missing_node_hides_what_is_below_it_until_it_is_back(
    full: EmbeddedStore, bare: EmbeddedStore, cid: CID
) -> None:
    repair(bare, cid, full)
    path_of(full, cid).unlink()
    path_of(full, CID.of(b"the end")).unlink()
    assert check(full, cid).missing == (cid,)
    assert len(repair(full, cid, bare).repaired) == 2
    assert check(full, cid).sound


def test_a_repair_that_finds_nothing_pins_nothing(
    full: EmbeddedStore, bare: EmbeddedStore, cid: CID, tmp_path: Path
) -> None:
    path_of(full, CID.of(b"the end")).unlink()
    with pytest.raises(BlockMissing):
        repair(bare, cid, full)
    assert list(bare.pins()) == []
    with pytest.raises(BlockMissing):
        bare.pin(cid)
    assert list(bare.pins()) == []


def test_a_pin_survives_collecting_and_what_is_not_pinned_does_not(
    full: EmbeddedStore, bare: EmbeddedStore, cid: CID
) -> None:
    for block in (cid, CID.of(b"the end")):
        bare.put_block(full.get_block(block), block.codec)
    assert bare.collect() == 2
    repair(bare, cid, full)
    assert bare.collect() == 0
    assert check(bare, cid).sound


def test_a_tree_that_states_another_size_is_not_sound(bare: EmbeddedStore) -> None:
    leaf = bare.put_block(b"leaf")
    root = bare.put_block(encode_node([Link(leaf, 5, 4)]), Codec.DAG_PB)
    assert check(bare, root).altered == (leaf,)
    with pytest.raises(IntegrityError, match="size"):
        repair(bare, root, bare)


def test_sources_are_known_by_their_words(full: EmbeddedStore, cid: CID, tmp_path: Path) -> None:
    from medtoken.ipfs import write_car

    with open(tmp_path / "a.car", "wb") as file:
        write_car(cid, full.get_block, file)
    assert isinstance(open_source(str(tmp_path / "full")), EmbeddedStore)
    assert isinstance(open_source(str(tmp_path / "a.car")), CarFile)
    assert isinstance(open_source("https://gateway.example"), Gateway)
    assert isinstance(open_source("/ip4/127.0.0.1/tcp/5001"), KuboStore)
    assert isinstance(open_source("kubo"), KuboStore)
    for nothing in ("", "elsewhere", str(tmp_path), "ftp://a/b"):
        with pytest.raises(BadInput, match="no source"):
            open_source(nothing)
    assert isinstance(open_store("embedded", tmp_path / "new"), EmbeddedStore)
    assert isinstance(open_store("kubo", tmp_path / "new"), KuboStore)
    with pytest.raises(BadInput, match="embedded and kubo"):
        open_store("s3", tmp_path / "new")


@pytest.mark.parametrize("api", ["", "5001", "http://127.0.0.1:5001", "/ip4/1.2.3/tcp/1", "/x/y"])
def test_what_is_no_daemons_address_is_refused(api: str) -> None:
    with pytest.raises(BadInput, match="not the address of an IPFS daemon"):
        KuboStore(api)
