"""Real files and their masked copies, made once a session."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from medtoken.demo.fixtures import real_files
from medtoken.masking import load_profile, mask_file

SECRET = bytes(range(32))
FILES = ("record.json", "ct.dcm", "mr.dcm", "glucose.csv")
PROFILES = ("de-identified", "measurements")


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths of the real files by name."""
    folder = tmp_path_factory.mktemp("real")
    found = {one.path.name: one.path for one in real_files(folder)}
    shutil.copyfile(str(get_testdata_file("SC_rgb_small_odd.dcm")), folder / "capture.dcm")
    return {**found, "capture.dcm": folder / "capture.dcm"}


@pytest.fixture(scope="session")
def masked(
    real: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    """Masked copies by profile and file name."""
    folder = tmp_path_factory.mktemp("masked")
    copies = {}
    for profile in PROFILES:
        for name in FILES:
            copy = folder / f"{profile}-{name}"
            mask_file(real[name], copy, load_profile(profile), SECRET, inspected=True)
            copies[profile, name] = copy
    return copies
