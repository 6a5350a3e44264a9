"""The service, and a key keeper, as their OpenAPI documents describe them: fuzzed from these alone.

Schemathesis sends what the document allows and what it does not: headers, methods and bodies too. An
answer fits the document, and nothing makes them fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.keeper_fixtures import chain, clock, identities, keepers, vaults  # noqa: F401  fixtures
from support.keepers import serving
from support.pages import ServiceProcess
from support.stage import Stage

from medtoken.keeper.service import KeyKeeper, Limits
from medtoken.vocabulary import Form

pytestmark = pytest.mark.page
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)


def fuzzed(url: str, folder: Path) -> None:
    report = folder / "report.json"
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "schemathesis"), "--no-color"),
            *("run", f"{url}/openapi.json", "--checks", ",".join(CHECKS), "--warnings", "off"),
            *("--max-examples", "25", "--seed", "1", "--generation-database", "none"),
            *("--phases", "coverage,fuzzing", "--report-json-path", str(report)),
        ],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        cwd=folder,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_service(service: ServiceProcess, stage: Stage, tmp_path: Path) -> None:
    record = stage.record()
    consent = stage.consent(record)
    stage.licensee.deposit(10**21)
    bought = stage.buy(record, consent, Form.METERED, 4)
    stage.licensee.use(bought.licence, 3)
    fuzzed(service.url, tmp_path)


def test_a_key_keeper(keepers: list[KeyKeeper], tmp_path: Path) -> None:  # noqa: F811
    with serving(keepers[0], Limits(rate=10_000, burst=10_000)) as client:
        fuzzed(client.url, tmp_path)
