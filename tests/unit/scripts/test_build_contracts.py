"""A build stands only as long as everything that it read and everything that it wrote is unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import build_contracts as builder
import pytest

JOB = builder.Job("contracts/Till.vy", ["contracts/Till.vy"], "vyper 0")
Change = Callable[[Path], object]


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one contract, compiled; no compiler is needed to ask whether it stands."""
    monkeypatch.setattr(builder, "ROOT", tmp_path)
    monkeypatch.setattr(builder, "ARTIFACTS", tmp_path / "artifacts")
    monkeypatch.setattr(builder, "STATE", tmp_path / "state.json")
    for name in ("contracts", "artifacts"):
        (tmp_path / name).mkdir()
    source = tmp_path / JOB.key
    source.write_text("x: uint256\n")
    result = builder.Result([{"name": "Till", "bytecode": "0x00"}])
    result.inputs = {JOB.key: builder.sha256_file(source)}
    jobs: dict[str, Any] = {}
    builder.save(JOB, result, jobs)
    write_state(jobs, builder.STATE_VERSION)
    return tmp_path


def write_state(jobs: dict[str, Any], version: int) -> None:
    builder.STATE.write_text(json.dumps({"version": version, "jobs": jobs}))


def stands(job: builder.Job = JOB) -> bool:
    return builder.fresh(job, builder.load_state().get(job.key, {}))


def test_a_build_that_nobody_touched_stands(built: Path) -> None:
    assert stands()


CHANGES: dict[str, Change] = {
    "its source": lambda root: (root / JOB.key).write_text("y: uint256\n"),
    "its source is gone": lambda root: (root / JOB.key).unlink(),
    "its artifact": lambda root: (root / "artifacts/Till.json").write_text('{"bytecode": "0x01"}'),
    "its artifact is gone": lambda root: (root / "artifacts/Till.json").unlink(),
    "the record of the build": lambda root: (root / "state.json").write_text("{"),
    "the way artifacts are written": lambda root: write_state(
        builder.load_state(), builder.STATE_VERSION + 1
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changed_is_compiled_again(built: Path, change: Change) -> None:
    change(built)
    assert not stands()


def test_another_compiler_compiles_again(built: Path) -> None:
    assert not stands(builder.Job(JOB.key, JOB.sources, "vyper 1"))


def test_an_older_record_without_hashes_is_taken_over_once(built: Path) -> None:
    jobs = builder.load_state()
    jobs[JOB.key]["artifacts"] = ["Till"]
    write_state(jobs, 1)
    assert stands()
    (built / "artifacts/Till.json").unlink()
    assert not stands()
