"""``medtoken store`` over the store in a folder: what it prints, its exit codes, what it changes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.gateway import gateway, lies

from medtoken.cli import main
from medtoken.home import Home
from medtoken.ipfs import CID, EmbeddedStore, check, repair

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run ``medtoken store …`` on the folder ``home``: exit code, JSON, standard error."""

    def call(*words: str | Path, folder: str = "home") -> tuple[int, Any, str]:
        argv = ["medtoken", "store", *map(str, words), "--home", str(tmp_path / folder), "--json"]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out else None, err

    return call


@pytest.fixture
def here(tmp_path: Path, full: EmbeddedStore, cid: CID) -> EmbeddedStore:
    """The store of ``home``, which has the file."""
    store = EmbeddedStore(tmp_path / "home" / "blocks", durable=False)
    repair(store, cid, full)
    return store


def test_a_sound_store_passes(run: Run, here: EmbeddedStore, cid: CID) -> None:
    code, report, err = run("check")
    assert (code, err) == (0, "")
    assert report == {
        "records": [
            {
                "cid": str(cid),
                "record": None,
                "pinned": True,
                "blocks": 5,
                "bytes": check(here, cid).size,
                "missing": [],
                "altered": [],
                "repaired": [],
            }
        ],
        "faults": {},
    }
    assert run("check", cid)[0] == 0
    assert run("check", folder="empty")[:2] == (0, {"records": [], "faults": {}})


def test_missing_altered_and_unpinned_have_their_exit_codes(
    run: Run, here: EmbeddedStore, cid: CID
) -> None:
    end = CID.of(b"the end")
    here._path(end).unlink()
    code, report, err = run("check")
    assert (code, report["records"][0]["missing"]) == (6, [str(end)])
    assert err.count("\n") == 1
    here._path(end).write_bytes(b"The end")
    code, report, err = run("check")
    assert (code, report["records"][0]["altered"]) == (5, [str(end)])
    assert err.count("\n") == 1
    here._path(end).write_bytes(b"the end")
    here._pin(cid).unlink()
    code, report, err = run("check", cid)
    assert (code, report["records"][0]["pinned"]) == (6, False)
    assert "not pinned" in err


def test_registered_records_are_checked_by_their_id_and_without_a_pin(
    run: Run, here: EmbeddedStore, cid: CID, tmp_path: Path
) -> None:
    record = "ab" * 32
    Home(tmp_path / "home").write_journal(f"record-{record}", {"record": record, "cid": str(cid)})
    code, report, _ = run("check", f"0x{record}")
    assert (code, report["records"][0]["record"]) == (0, f"0x{record}")
    here.delete(cid)
    code, report, _ = run("check")
    assert (code, report["records"][0]["missing"]) == (6, [str(cid)])
    code, _, err = run("check", "0x" + "cd" * 32)
    assert code == 2
    assert "was not sealed" in err


def test_repair_goes_from_source_to_source(
    run: Run, here: EmbeddedStore, full: EmbeddedStore, cid: CID, content: bytes
) -> None:
    for leaf in (content[: 1 << 20], b"the end"):
        here._path(CID.of(leaf)).write_bytes(b"rot")
    code, _, err = run("repair")
    assert code == 2
    assert "--from" in err
    with gateway(full, lies) as liar, gateway(full) as honest:
        code, report, err = run("repair", "--from", liar.url)
        assert code == 5
        assert liar.url in err
        assert len(report["records"][0]["altered"]) == 2
        code, report, err = run("repair", "--from", liar.url, "--from", honest.url)
        assert (code, err.count("Error")) == (0, 0)
        assert len(report["records"][0]["repaired"]) == 2
        assert list(report["faults"]) == [f"the gateway {liar.url}"]
    assert check(here, cid).sound


def test_repair_gets_a_whole_record_by_its_cid(
    run: Run, full: EmbeddedStore, cid: CID, tmp_path: Path
) -> None:
    code, report, _ = run("repair", cid, "--from", tmp_path / "full", folder="new")
    assert (code, len(report["records"][0]["repaired"])) == (0, 5)
    assert run("check", folder="new")[0] == 0


def test_a_record_leaves_as_a_car_and_comes_in_elsewhere(
    run: Run, here: EmbeddedStore, cid: CID, tmp_path: Path
) -> None:
    car = tmp_path / "record.car"
    code, report, _ = run("export", cid, "--car", car)
    assert code == 0
    assert report == {
        "cid": str(cid),
        "file": str(car),
        "blocks": 5,
        "bytes": car.stat().st_size,
    }
    code, report, _ = run("import", car, folder="other")
    assert (code, report["records"][0]["cid"]) == (0, str(cid))
    assert run("check", folder="other")[:2] == run("check")[:2]


def test_an_export_that_fails_leaves_nothing(
    run: Run, here: EmbeddedStore, cid: CID, tmp_path: Path
) -> None:
    car = tmp_path / "out" / "record.car"
    car.parent.mkdir()
    car.write_bytes(b"from before")
    here._path(CID.of(b"the end")).unlink()
    assert run("export", cid, "--car", car)[0] == 6
    assert [path.name for path in car.parent.iterdir()] == ["record.car"]
    assert car.read_bytes() == b"from before"
    assert run("export", cid, "--car", tmp_path / "none" / "a.car")[0] == 2
    assert run("export", "bafy", "--car", car)[0] == 2


def test_a_bad_car_is_refused_and_nothing_is_stored(
    run: Run, here: EmbeddedStore, cid: CID, tmp_path: Path
) -> None:
    car = tmp_path / "record.car"
    run("export", cid, "--car", car)
    good = car.read_bytes()
    for bad in (b"", b"junk", good[:-1], good[:-1] + b"x", good[:59], good[:59] + good[200:]):
        car.write_bytes(bad)
        code, report, err = run("import", car, folder="other")
        assert (code, report, err.count("\n")) == (4, None, 1)
    assert run("import", tmp_path / "none.car", folder="other")[0] == 2
    assert not list((tmp_path / "other").rglob("bafk*"))


def test_a_daemon_that_is_not_there_is_one_sentence(run: Run) -> None:
    for words in (["check"], ["check", str(CID.of(b""))]):
        code, report, err = run(*words, "--store", "kubo", "--ipfs-api", "/ip4/127.0.0.1/tcp/1")
        assert (code, report) == (6, None)
        assert err.count("\n") == 1
        assert "/ip4/127.0.0.1/tcp/1" in err
    assert run("check", "--store", "kubo", "--ipfs-api", "here")[0] == 2
    assert run("check", "--store", "s3")[0] == 2


def test_the_environment_names_the_store(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTOKEN_STORE", "kubo")
    monkeypatch.setenv("MEDTOKEN_IPFS_API", "/ip4/127.0.0.1/tcp/2")
    assert "/ip4/127.0.0.1/tcp/2" in run("check")[2]
