"""R3: a lineage's roster and its published list."""

from __future__ import annotations

import pytest

from medtoken.errors import BadInput
from medtoken.lineage import Manifest, Roster, leaf
from medtoken.merkle import verify

ASSET = b"\7" * 32
LICENCES = [bytes([n]) * 32 for n in (9, 3, 200)]
WEIGHTS = dict(zip(LICENCES, (1, 2, 3), strict=True))


def test_lines_are_sorted_and_proven() -> None:
    roster = Roster(ASSET, WEIGHTS)
    assert roster.licences == sorted(LICENCES)
    assert (roster.total, len(roster)) == (6, 3)
    for index in range(3):
        line = roster.line(index)
        assert verify(line.proof, roster.root, leaf(ASSET, index, line.licence, line.weight))
        assert roster.index(line.licence) == index
    assert roster.index(bytes(32)) is None
    assert Roster(ASSET, reversed(list(WEIGHTS.items()))).root == roster.root
    assert Roster(b"\6" * 32, WEIGHTS).root != roster.root


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({}, "between one line"),
        ({LICENCES[0]: 0}, "positive"),
        ({LICENCES[0]: 2**96}, "less than 2"),
        ({b"short": 1}, "32 bytes"),
        ([(LICENCES[0], 1), (LICENCES[0], 1)], "names a licence once"),
    ],
)
def test_what_is_no_roster_is_refused(weights, sentence) -> None:
    with pytest.raises(BadInput, match=sentence):
        Roster(ASSET, weights)


def test_a_roster_has_only_its_lines() -> None:
    with pytest.raises(BadInput, match="no line 3"):
        Roster(ASSET, WEIGHTS).line(3)


def test_the_list_comes_back_as_it_went() -> None:
    manifest = Manifest(ASSET, WEIGHTS)
    data = manifest.encode()
    again = Manifest.decode(data)
    assert again.roster().root == manifest.roster().root
    assert again.cid() == manifest.cid()
    assert str(manifest.cid()).startswith("b")


@pytest.mark.parametrize("data", [b"", b"{}", b'{"asset":1}', b"[]"])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match="no lineage's manifest"):
        Manifest.decode(data)
    with pytest.raises(BadInput, match="canonical"):
        Manifest.decode(Manifest(ASSET, WEIGHTS).encode() + b" ")
