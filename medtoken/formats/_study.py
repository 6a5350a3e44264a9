"""An imaging study as one file: a tar of its DICOM images, because R1 counts studies.

The tar is deterministic: the same images give the same bytes, whatever their files' names and order
were. It is written and read without compression; what any other tar has (folders, links, long
names, other files) is refused.
"""

from __future__ import annotations

import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

from medtoken.errors import BadInput, MalformedFile, UnsupportedFile
from medtoken.formats._dicom import DicomFacts, Identity, measure
from medtoken.formats._io import label, open_regular, size_of
from medtoken.formats._types import Format, MedicalFile, RecordKind, count

_IMAGES_MOST = 20_000
_MAGIC_AT, _MAGIC = 257, b"ustar\x0000"
_CHUNK = 1 << 20


def looks_like(head: bytes) -> bool:
    """Whether a file that begins so is a tar, as ``pack_study`` writes them."""
    return head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def images(path: Path) -> Iterator[tuple[str, BinaryIO, int]]:
    """The images of a study file: name, a stream that is good until the next, bytes."""
    name = label(path)
    with open_regular(path) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:", format=tarfile.USTAR_FORMAT) as archive:
                for number, member in enumerate(archive):
                    expected = f"{number:05}.dcm"
                    inside = archive.extractfile(member) if member.isreg() else None
                    if inside is None or member.name != expected or number >= _IMAGES_MOST:
                        raise UnsupportedFile(f"{name}: is a tar, but not of the images of a study")
                    if member.offset_data + member.size > size_of(stream):
                        raise MalformedFile(f"{name}: is truncated within image {expected}")
                    yield f"{name}/{expected}", cast(BinaryIO, inside), member.size
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            raise MalformedFile(f"{name}: is a tar, but damaged ({type(error).__name__})") from None


def read(path: Path) -> MedicalFile:
    """Read a study: each of its images as ``_dicom.read`` does, one after the other."""
    name = label(path)
    files: list[MedicalFile] = []
    seen: set[Identity] = set()
    for inside, stream, size in images(path):
        file, identity = measure(inside, stream, size)
        if identity in seen or any(_whose(identity) != _whose(one) for one in seen):
            raise MalformedFile(f"{name}: holds images of several studies, or an image twice")
        seen.add(identity)
        files.append(file)
    if not files:
        raise MalformedFile(f"{name}: is a tar without images")
    facts = _together([cast(DicomFacts, file.facts) for file in files])
    with open_regular(path) as whole:
        size = size_of(whole)
    return MedicalFile(
        format=Format.STUDY,
        kind=RecordKind.IMAGING,
        size=size,
        units=Fraction(1),
        entries=facts.frames,
        subjects=1,
        codes=tuple(sorted({code for file in files for code in file.codes})),
        start=min((file.start for file in files if file.start), default=None),
        end=max((file.end for file in files if file.end), default=None),
        summary=(
            f"DICOM {facts.modality or 'imaging'} study of {count(len(files), 'image')} and "
            f"{count(facts.frames, 'frame')}"
        ),
        facts=facts,
    )


def pack_study(paths: Sequence[Path], destination: Path) -> None:
    """Write the study file of DICOM images; raises BadInput unless they are of one study.

    The order follows from the images' own identifiers alone.
    """
    found = sorted((_identity(path), path) for path in paths)
    if not found or len(found) > _IMAGES_MOST:
        raise BadInput(f"A study has from 1 to {_IMAGES_MOST:,} images.")
    if len({_whose(identity) for identity, _ in found}) != 1:
        raise BadInput("The images are of several studies or patients.")
    if len({identity for identity, _ in found}) != len(found):
        raise BadInput("An image of the study is there twice.")
    with tarfile.open(destination, "x:", format=tarfile.USTAR_FORMAT) as archive:
        for number, (_, path) in enumerate(found):
            with open_regular(path) as stream:
                member = tarfile.TarInfo(f"{number:05}.dcm")
                member.size, member.mode = size_of(stream), 0o600
                archive.addfile(member, stream)


def by_study(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Files to register, one for each record: images of one study become one file in ``folder``.

    A study of one image stays that image, and whatever is no DICOM image stays as it is; the order
    is that of the first file of each.
    """
    from medtoken.formats._identify import identify

    groups: dict[tuple[str, str] | Path, list[Path]] = defaultdict(list)
    for path in paths:
        if identify(path) is not Format.DICOM:
            groups[path].append(path)
            continue
        identity = _identity(path)
        if not identity.study:
            raise MalformedFile(f"{label(path)}: is a DICOM image that names no study")
        groups[_whose(identity)].append(path)
    folder.mkdir(exist_ok=True)
    found = []
    for number, together in enumerate(groups.values()):
        if len(together) == 1:
            found += together
        else:
            found.append(folder / f"study-{number}.tar")
            pack_study(together, found[-1])
    return found


def _identity(path: Path) -> Identity:
    with open_regular(path) as stream:
        return measure(label(path), stream, size_of(stream))[1]


def _whose(identity: Identity) -> tuple[str, str]:
    return identity.study, identity.patient


def _together(every: Sequence[DicomFacts]) -> DicomFacts:
    """What holds for each image of a study: see the method, dvi-1."""
    modalities = Counter(sorted(facts.modality for facts in every if facts.modality))
    smallest = min(every, key=lambda facts: facts.rows * facts.columns)
    present = set(every[0].present).intersection(*(facts.present for facts in every))
    held = [dict(facts.checks) for facts in every]
    return DicomFacts(
        modality=modalities.most_common(1)[0][0] if modalities else None,
        transfer_syntax=every[0].transfer_syntax,
        frames=sum(facts.frames for facts in every),
        rows=smallest.rows,
        columns=smallest.columns,
        present=tuple(sorted(present)),
        valid_dates=min(facts.valid_dates for facts in every),
        valid_times=min(facts.valid_times for facts in every),
        checks=tuple((name, all(one[name] for one in held)) for name, _ in every[0].checks),
        coded_regions=min(facts.coded_regions for facts in every),
        registered_class=all(facts.registered_class for facts in every),
    )
