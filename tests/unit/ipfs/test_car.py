"""CAR files: written as others read them, read as others write them, verified block by block."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken.errors import BadInput, IntegrityError, MedtokenError, UnsupportedFile
from medtoken.ipfs import (
    CID,
    LEAF_SIZE,
    BlockMissing,
    BlockReader,
    CarFile,
    EmbeddedStore,
    check,
    file_cid,
    repair,
    write_car,
)


@pytest.fixture
def car(full: EmbeddedStore, cid: CID, tmp_path: Path) -> Path:
    path = tmp_path / "record.car"
    with open(path, "wb") as file:
        assert write_car(cid, full.get_block, file) == 5
    return path


def test_a_file_reads_back_from_a_car(car: Path, cid: CID) -> None:
    source = CarFile(car)
    assert source.roots == (cid,)
    assert not source.damage
    assert file_cid(BlockReader(cid, source.get_block)) == cid
    assert [next(iter(source)), len(list(source))] == [cid, 5]


def test_the_first_bytes_are_those_of_the_specification(tmp_path: Path) -> None:
    out, done = io.BytesIO(), []
    cid = CID.of(b"hello")
    write_car(cid, lambda cid: b"hello", out, done.append)
    assert out.getvalue() == (
        bytes.fromhex("3aa265726f6f747381d82a582500")
        + bytes(cid)
        + bytes.fromhex("6776657273696f6e01")
        + bytes([36 + 5])
        + bytes(cid)
        + b"hello"
    )
    assert done == [5]


def test_a_car_fills_a_store(car: Path, cid: CID, bare: EmbeddedStore) -> None:
    assert len(repair(bare, cid, CarFile(car)).repaired) == 5
    assert list(bare.pins()) == [cid]
    assert file_cid(bare.open(cid)) == cid
    assert repair(bare, cid, CarFile(car)).repaired == ()


@pytest.mark.parametrize("cut", [1, 100, LEAF_SIZE, 2 * LEAF_SIZE])
def test_a_car_that_was_cut_says_so_and_gives_what_is_left(car: Path, cid: CID, cut: int) -> None:
    car.write_bytes(car.read_bytes()[:-cut])
    source = CarFile(car)
    assert "middle" in source.damage
    health = check(source, cid)
    assert health.missing
    assert not health.altered
    with pytest.raises(BlockMissing, match="middle"):
        source.get_block(health.missing[0])


def test_every_altered_block_of_a_car_is_named(car: Path, cid: CID) -> None:
    good = car.read_bytes()
    source = CarFile(car)
    for block in source:
        at = good.rindex(bytes(block)) + 36
        car.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(IntegrityError, match=str(block)):
            CarFile(car).get_block(block)


def test_what_is_no_car_is_refused(tmp_path: Path, car: Path) -> None:
    good = car.read_bytes()
    path = tmp_path / "bad.car"
    for bad in (
        b"",
        b"\x00",
        b"\xff" * 20,
        b"not a car at all, but a text of some length",
        b"\x0a\xa1\x67version\x02" + bytes(60),
        good[:30],
        good[:58].replace(b"version\x01", b"version\x02"),
        good[:59].replace(b"roots", b"roofs"),
    ):
        path.write_bytes(bad)
        with pytest.raises(UnsupportedFile):
            CarFile(path)
    with pytest.raises(BadInput, match="cannot be read"):
        CarFile(tmp_path / "none.car")
    with pytest.raises(BadInput, match="cannot be read"):
        CarFile(tmp_path)


def test_blocks_of_other_kinds_are_passed_over(car: Path, cid: CID) -> None:
    old = bytes([0x12, 0x20]) + bytes(32) + b"a CIDv0 block"
    cbor = bytes([1, 0x71, 0x12, 0x20]) + bytes(32) + b"\xa0"
    long = bytes([1, 0x55, 0x13, 0x40]) + bytes(64) + b"SHA-512"
    good = car.read_bytes()
    car.write_bytes(
        good[:59] + b"".join(bytes([len(one)]) + one for one in (old, cbor, long)) + good[59:]
    )
    source = CarFile(car)
    assert not source.damage
    assert file_cid(BlockReader(cid, source.get_block)) == cid


@settings(max_examples=300)
@given(data=st.data())
def test_a_car_of_junk_never_ends_in_anything_but_a_refusal(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    block = b"a leaf"
    out = io.BytesIO()
    cid = CID.of(block)
    write_car(cid, lambda cid: block, out)
    good = bytearray(out.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good) - 1))
        good[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        if not good:
            break
    path = tmp_path_factory.getbasetemp() / "junk.car"
    path.write_bytes(good)
    try:
        source = CarFile(path)
        for found in source:
            assert found.matches(source.get_block(found))
    except MedtokenError:
        pass
