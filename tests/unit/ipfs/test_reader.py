"""A stored file reads back byte by byte, and a tree that lies is caught."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken.errors import IntegrityError
from medtoken.ipfs import CID, LEAF_SIZE, BlockReader, Codec, _unixfs, add_blocks
from medtoken.ipfs._unixfs import Link, decode_node, encode_node

Blocks = dict[CID, bytes]


def stored(data: bytes) -> tuple[CID, Blocks]:
    blocks: Blocks = {}
    cid, size = add_blocks(io.BytesIO(data), lambda at, block: blocks.update({at: bytes(block)}))
    assert size == len(data)
    return cid, blocks


def leaf(data: bytes) -> tuple[Link, Blocks]:
    cid = CID.of(data)
    return Link(cid, len(data), len(data)), {cid: data}


def node(links: list[Link]) -> tuple[Link, Blocks]:
    block = encode_node(links)
    cid = CID.of(block, Codec.DAG_PB)
    size, total = sum(link.size for link in links), sum(link.total for link in links)
    return Link(cid, size, total + len(block)), {cid: block}


@pytest.fixture
def small_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves of 8 bytes and nodes of 3 links, so that small files have deep trees."""
    monkeypatch.setattr(_unixfs, "LEAF_SIZE", 8)
    monkeypatch.setattr(_unixfs, "MAX_LINKS", 3)


@pytest.mark.usefixtures("small_tree")
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 23, 24, 25, 71, 72, 73, 215, 216, 217, 700])
def test_a_tree_of_any_height_reads_back(size: int) -> None:
    data = bytes(i * 7 % 256 for i in range(size))
    cid, blocks = stored(data)
    reader = BlockReader(cid, blocks.__getitem__)
    assert reader.size == size
    assert reader.readall() == data
    for start in range(0, size, 5):
        reader.seek(start)
        assert reader.read(3) == data[start : start + min(3, 8 - start % 8)]
    assert (cid.codec is Codec.DAG_PB) == (size > 8)


@pytest.mark.usefixtures("small_tree")
def test_the_tree_is_balanced_and_filled_from_the_left() -> None:
    cid, blocks = stored(bytes(8 * 10))
    root = decode_node(blocks[cid])
    assert [link.size for link in root] == [72, 8]
    assert [link.size for link in decode_node(blocks[root[0].cid])] == [24, 24, 24]
    (only,) = decode_node(blocks[root[1].cid])
    assert [link.size for link in decode_node(blocks[only.cid])] == [8]


@settings(deadline=None)
@given(data=st.data())
def test_any_range_reads_back(data: st.DataObject) -> None:
    content = bytes(range(251)) * 10_000
    cid, blocks = stored(content)
    reader = io.BufferedReader(BlockReader(cid, blocks.__getitem__))
    for _ in range(3):
        start = data.draw(st.integers(0, len(content) + 10))
        length = data.draw(st.integers(0, len(content)))
        reader.seek(start)
        assert reader.read(length) == content[start : start + length]
    assert reader.seek(-5, io.SEEK_END) == len(content) - 5
    assert reader.read() == content[-5:]


@given(st.binary(min_size=1, max_size=3), st.integers(0, 300))
def test_a_node_is_read_only_in_its_canonical_form(junk: bytes, at: int) -> None:
    block = encode_node([leaf(bytes([i]) * 300)[0] for i in range(3)])
    at %= len(block) + 1
    for altered in (
        block[:at] + junk + block[at:],
        block[:at],
        block[:at] + junk + block[at + 1 :],
    ):
        try:
            links = decode_node(altered)
        except IntegrityError:
            continue
        assert encode_node(links) == altered


@given(st.binary(max_size=200))
def test_a_node_of_random_bytes_is_refused(block: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_node(block)


def test_a_leaf_of_another_size_than_the_tree_states_is_refused() -> None:
    first, blocks = leaf(b"a" * 100)
    for wrong in (99, 101):
        root, more = node([first._replace(size=wrong), first])
        reader = BlockReader(root.cid, (blocks | more).__getitem__)
        with pytest.raises(IntegrityError, match="size"):
            reader.readall()


def test_a_node_of_another_size_than_the_tree_states_is_refused() -> None:
    first, blocks = leaf(b"a" * 100)
    inner, more = node([first, first])
    root, most = node([inner._replace(size=150), first])
    reader = BlockReader(root.cid, (blocks | more | most).__getitem__)
    with pytest.raises(IntegrityError, match="size"):
        reader.readall()


def test_a_tree_deeper_than_any_file_needs_is_refused() -> None:
    link, blocks = leaf(b"a")
    for _ in range(20):
        link, more = node([link])
        blocks |= more
    with pytest.raises(IntegrityError, match="deeper"):
        BlockReader(link.cid, blocks.__getitem__).readall()


def test_a_single_block_larger_than_a_leaf_is_refused() -> None:
    link, blocks = leaf(bytes(LEAF_SIZE + 1))
    with pytest.raises(IntegrityError, match="larger"):
        BlockReader(link.cid, blocks.__getitem__)


def test_blocks_come_before_the_nodes_that_link_to_them() -> None:
    seen: list[CID] = []

    def put(cid: CID, block: bytes | memoryview) -> None:
        if cid.codec is Codec.DAG_PB:
            assert {link.cid for link in decode_node(bytes(block))} <= set(seen)
        seen.append(cid)

    root, _ = add_blocks(io.BytesIO(bytes(3 * LEAF_SIZE + 1)), put)
    assert seen[-1] == root
    assert len(seen) == 5
    assert [a == b for a, b in pairwise(seen)] == [True, True, False, False]


def test_a_reader_refuses_positions_before_the_start() -> None:
    cid, blocks = stored(b"abc")
    with pytest.raises(ValueError, match="negative"):
        BlockReader(cid, blocks.__getitem__).seek(-1)
