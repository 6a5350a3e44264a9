"""Masking a study: image by image under one scope, so that they stay one study."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medtoken.formats import _study as study
from medtoken.formats import pack_study
from medtoken.masking import _dicom
from medtoken.masking._file import Masked
from medtoken.masking._keyed import Keyed
from medtoken.masking._profile import Part, Profile


def write(
    path: Path, target: Path, part: Part, keyed: Keyed, result: Masked, profile: Profile
) -> None:
    """Write the study of the masked images; one image that may not leave keeps all from leaving."""
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        masked = []
        for image in _unpacked(path, Path(name)):
            masked.append(image.with_suffix(".masked"))
            _dicom.write(image, masked[-1], part, keyed, result, profile)
            image.unlink()
        packed = Path(name) / "packed"
        pack_study(masked, packed)
        shutil.copyfile(packed, target)


def attributes(path: Path, part: Part, keyed: Keyed) -> Iterator[dict[str, Any]]:
    """The masked attributes of each image in turn, without pixels."""
    with tempfile.TemporaryDirectory() as name:
        for image in _unpacked(path, Path(name)):
            yield from _dicom.attributes(image, part, keyed)
            image.unlink()


def _unpacked(path: Path, folder: Path) -> Iterator[Path]:
    for number, (_, stream, _) in enumerate(study.images(path)):
        image = folder / f"{number:05}.dcm"
        with open(image, "xb") as file:
            shutil.copyfileobj(stream, file)
        yield image
