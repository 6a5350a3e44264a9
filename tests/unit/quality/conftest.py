"""Real files, made once a session; a test that changes one works on a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtoken.demo.fixtures import real_files


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths of the real files by name."""
    return {found.path.name: found.path for found in real_files(tmp_path_factory.mktemp("real"))}
