"""R5: the trees over sealed bytes, by an independent computation, and what they refuse."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtoken.errors import BadInput
from medtoken.holding import CHUNK, ChunkTree, Holding, Line, chunk_count, plain_size


def _root(chunks: list[bytes]) -> bytes:
    """The root by its definition."""
    level = [hashlib.sha256(b"\0" + c).digest() for c in chunks]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [hashlib.sha256(b"".join(p)).digest() if len(p) == 2 else p[0] for p in pairs]
    return level[0]


@given(st.integers(1, 20 * CHUNK), st.data())
def test_a_chunk_leads_to_the_root_by_its_path(size: int, data: st.DataObject) -> None:
    sealed = hashlib.shake_256(str(size).encode()).digest(size)
    tree = ChunkTree(io.BytesIO(sealed))
    chunks = [sealed[i : i + CHUNK] for i in range(0, size, CHUNK)]
    assert (tree.size, len(chunks), tree.root) == (size, chunk_count(size), _root(chunks))
    index = data.draw(st.integers(0, len(chunks) - 1))
    node, width, path = hashlib.sha256(b"\0" + chunks[index]).digest(), len(chunks), []
    path = tree.path(index)
    while width > 1:
        if index ^ 1 < width:
            other = path.pop(0)
            pair = other + node if index & 1 else node + other
            node = hashlib.sha256(pair).digest()
        index, width = index >> 1, (width + 1) >> 1
    assert (node, path) == (tree.root, [])


def test_a_source_that_gives_little_at_a_time_is_read_to_its_end() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 1, 7))

    sealed = bytes(range(256)) * 9
    assert ChunkTree(Slow(sealed)).root == ChunkTree(io.BytesIO(sealed)).root


@pytest.mark.parametrize(
    ("plain", "segments"),
    [(1, 1), (1_048_560, 1), (1_048_561, 2), (3 * 1_048_560, 3), (10**9, 954)],
)
def test_the_plaintexts_size_follows_from_the_sealed_one(plain: int, segments: int) -> None:
    assert plain_size(plain + 16 * segments + 512) == plain


def test_what_is_no_sealed_record() -> None:
    for size in (0, 512, 528, 2**40 + 513):
        with pytest.raises(BadInput, match=f"No sealed record has {size} bytes"):
            plain_size(size)
    with pytest.raises(BadInput, match="no chunks"):
        ChunkTree(io.BytesIO())


def _lines(count: int) -> list[Line]:
    def key(n: int) -> bytes:
        return hashlib.sha256(str(n).encode()).digest()

    return [Line(key(n), key(-n - 1), 600 + n) for n in range(count)]


@given(st.integers(1, 40), st.integers(0, 10**6))
def test_every_byte_has_one_place(count: int, at: int) -> None:
    holding = Holding(_lines(count))
    place = holding.place(at % holding.size)
    before = 0
    for line in holding.lines:
        if at % holding.size < before + line.plain:
            break
        before += line.plain
    assert place.line == line
    assert place.chunk == (at % holding.size - before) * chunk_count(line.size) // line.plain
    assert sum(step.size for step in place.steps) + line.plain == holding.size


def test_the_order_of_lines_does_not_matter_and_each_counts_once() -> None:
    lines = _lines(9)
    assert Holding(lines).root == Holding(lines[::-1]).root
    assert Holding(lines).size == sum(line.plain for line in lines)
    for wrong, words in (([], "between one"), ([lines[0], lines[0]], "same sealed bytes")):
        with pytest.raises(BadInput, match=words):
            Holding(wrong)
    with pytest.raises(BadInput, match="has no byte"):
        Holding(lines).place(Holding(lines).size)
