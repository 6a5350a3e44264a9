"""What was committed survives anything that happens to the process, and damage is told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.meters import KEY, MARKET, Pair, terms

from medtoken.errors import MeterRefused, StateError
from medtoken.messages import Domain
from medtoken.metering import CustodianMeter, LicenseeMeter
from medtoken.metering._journal import Journal


def _lively(pair: Pair) -> bytes:
    """A pair with everything in its journals."""
    licence, other = pair.sync(terms(1)), pair.sync(terms(2))
    pair.call(licence, 5)
    pair.acknowledge(licence)
    lost = pair.licensee.begin(licence, 3)
    pair.custodian.count(licence, lost, 3)
    waiting = pair.licensee.begin(licence, 2, b"w" * 16)
    pair.custodian.count(licence, waiting, 2, b"w" * 16)
    pair.call(licence, 4)
    pair.licensee.abandon(licence, lost)
    pair.call(other, 9)
    pair.custodian.count(other, 77, 1)
    pair.custodian.write_off(other, 77)
    pair.clock.now += 3
    pair.acknowledge(other)
    pair.custodian.commit()
    pair.licensee.commit()
    return licence


def _all(pair: Pair) -> object:
    return (
        [vars(one) | {"replays": None, "public": None} for one in pair.custodian._licences],
        [vars(one) for one in pair.licensee._licences],
    )


def test_everything_is_there_after_a_crash(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    licence = _lively(pair)
    before = _all(pair)
    for _ in range(2):
        pair.crash()
        assert _all(pair) == before
    assert [(c.number, c.units) for c in pair.licensee.open_calls(licence)] == [(3, 2)]
    assert not pair.custodian.count(licence, 3, 2, b"w" * 16)
    pair.licensee.received(licence, 3)
    pair.acknowledge(licence)
    assert pair.custodian.acknowledged(licence) == 11
    assert pair.licensee.begin(licence) == 5


def test_and_after_the_journals_were_rewritten(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    _lively(pair)
    before = _all(pair)
    sizes = pair.custodian._journal.size, pair.licensee._journal.size
    pair.custodian.compact()
    pair.licensee.compact()
    assert _all(pair) == before
    assert pair.custodian._journal.size < sizes[0]
    pair.crash()
    assert _all(pair) == before


def test_journals_are_rewritten_when_they_have_grown(tmp_path: Path) -> None:
    pair = Pair(tmp_path, compact_at=500)
    licence = pair.sync(terms())
    for _ in range(600):
        pair.call(licence)
        pair.acknowledge(licence)
    assert pair.custodian._journal.size < 30_000
    assert pair.licensee._journal.size < 3_000
    pair.crash()
    assert pair.custodian.counted(licence) == pair.licensee.received_units(licence) == 600


def test_what_was_not_committed_is_forgotten_by_both(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    licence = pair.sync(terms())
    pair.call(licence)
    pair.licensee.commit()
    pair.custodian.count(licence, 2)  # no answer left
    assert pair.licensee.begin(licence) == 2  # never sent
    pair.crash()
    assert pair.custodian.counted(licence) == 1
    assert pair.licensee.open_calls(licence) == []
    assert pair.licensee.begin(licence) == 2


def test_an_answer_whose_receipt_was_lost_is_fetched_again(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    licence = pair.sync(terms())
    pair.call(licence)  # the receipt is in memory only
    pair.crash()
    (call,) = pair.licensee.open_calls(licence)
    assert not pair.custodian.count(licence, call.number, call.units, call.request)
    pair.licensee.received(licence, call.number)
    pair.licensee.received(licence, call.number)
    pair.acknowledge(licence)
    assert pair.custodian.acknowledged(licence) == pair.custodian.counted(licence) == 1


@pytest.mark.parametrize("side", ["custodian", "licensee"])
def test_a_block_that_was_cut_off_is_dropped_at_any_byte(tmp_path: Path, side: str) -> None:
    pair = Pair(tmp_path)
    licence = pair.sync(terms())
    path = tmp_path / side / f"{side}.journal"
    pair.call(licence)
    pair.licensee.commit()
    whole = path.read_bytes()
    pair.call(licence)
    pair.licensee.commit()
    more = path.read_bytes()
    pair.custodian._journal.close()
    pair.licensee._journal.close()
    assert more.startswith(whole)
    for cut in range(len(whole), len(more)):
        for tail in (b"", bytes(40)):
            path.write_bytes(more[:cut] + (tail if cut == len(whole) else b""))
            again = Pair(tmp_path)
            assert again.custodian.counted(licence) in (1, 2)
            kept = path.read_bytes()
            assert whole.startswith(kept[: len(whole)])
            assert len(whole) <= len(kept) <= max(cut, len(whole))
            assert more.startswith(kept)
            again.custodian._journal.close()
            again.licensee._journal.close()


def test_damage_is_told_and_nothing_is_lost_silently(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    licence = pair.sync(terms())
    path = tmp_path / "custodian" / "custodian.journal"
    for _ in range(3):
        pair.call(licence)
    pair.custodian.close()
    whole = path.read_bytes()
    for at in range(60, len(whole) - 1, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with pytest.raises(StateError, match="was damaged at byte"):
            pair._custodian()
    path.write_bytes(whole)
    pair.custodian = pair._custodian()
    assert pair.custodian.counted(licence) == 3


def test_a_folder_is_one_meters_and_one_processes(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    with pytest.raises(StateError, match="Another process holds the meter"):
        pair._custodian()
    pair.custodian.close()
    with pytest.raises(StateError, match="no journal of this meter"):
        CustodianMeter(tmp_path / "custodian", Domain(1, MARKET.market), credit=1)
    pair._custodian().close()
    pair.licensee.close()
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StateError, match="cannot be used"):
        LicenseeMeter(file / "inside", MARKET, KEY)


def test_a_disk_that_refuses_stops_the_meter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(tmp_path)
    licence = pair.sync(terms())
    pair.custodian.count(licence, 1)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("medtoken.metering._journal.os.write", full)
        with pytest.raises(StateError, match="No space left on device"):
            pair.custodian.commit()
    pair.custodian.count(licence, 2)
    with pytest.raises(StateError, match="open it again"):
        pair.custodian.commit()
    pair.crash()
    assert pair.custodian.counted(licence) == 0


def test_an_entry_of_another_version_is_told(tmp_path: Path) -> None:
    for side, make in (("custodian", Pair._custodian), ("licensee", Pair._licensee)):
        pair = Pair(tmp_path / side)
        meter = pair.custodian if side == "custodian" else pair.licensee
        meter._journal.append(b"?")
        meter.close()
        with pytest.raises(StateError, match="does not know"):
            make(pair)


def test_one_flush_serves_all_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(tmp_path, credit=10**6)
    licence = pair.sync(terms(prepaid=10**6))
    flushes: list[int] = []
    write = Journal._write

    def slow(self: Journal, block: bytes) -> None:
        flushes.append(len(block))
        threading.Event().wait(0.01)
        write(self, block)

    monkeypatch.setattr(Journal, "_write", slow)

    def client(first: int) -> None:
        for number in range(first, first + 20):
            pair.custodian.count(licence, number)
            pair.custodian.commit()

    threads = [threading.Thread(target=client, args=(1 + 20 * n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pair.custodian.counted(licence) == 200
    assert len(flushes) < 100
    pair.custodian._journal.close()
    pair.custodian = pair._custodian()
    assert pair.custodian.counted(licence) == 200


def test_a_call_out_of_its_number_is_no_way_around(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    licence = pair.sync(terms())
    pair.call(licence)
    pair.acknowledge(licence)
    pair.crash()
    with pytest.raises(MeterRefused, match="settled already"):
        pair.custodian.count(licence, 1)
