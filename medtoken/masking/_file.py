"""Masking a file, whichever format it has: a copy, or an answer to a query."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from medtoken.errors import BadInput, MalformedFile, StateError, UnsupportedFile
from medtoken.masking._keyed import Keyed
from medtoken.masking._profile import Part, Profile

_CHUNK = 1 << 20


@dataclass
class Masked:
    """What masking a file came to."""

    profile: str
    digest: bytes
    """Of the profile: what the consent has to name."""
    format: str
    inspected: bool = False
    """Whether somebody said that they looked at the pixels."""
    kept: int = 0
    """Elements that left, changed or not."""
    dropped: int = 0
    """Elements that stayed behind."""
    notes: list[str] = field(default_factory=list)
    """What a person should know before the copy leaves."""


def mask_file(
    path: str | PathLike[str],
    destination: str | PathLike[str],
    profile: Profile,
    secret: bytes,
    *,
    scope: str | None = None,
    inspected: bool = False,
) -> Masked:
    """Write the copy of a medical file that ``profile`` lets out.

    ``scope`` names the files that keep common references; None is the file alone. ``inspected``
    says that somebody looked at an image's pixels and found no text in them. Raises
    UnsupportedFile when the profile refuses the file (or its format: whatever a profile does not
    speak of is refused), MalformedFile when nothing usable would be left; then nothing is written.
    """
    path, destination = Path(path), Path(destination)
    kind, part = _part(path, profile)
    result = Masked(profile.name, profile.digest, kind, inspected)
    with _replacing(destination) as temporary:
        if part.whole:
            _copy(path, temporary)
            result.notes.append("The profile lets everything out: this is a plain copy.")
            return result
        keyed = Keyed(secret, scope if scope is not None else _own_scope(path))
        _writer(kind)(path, temporary, part, keyed, result, profile)
        if kind != "table":
            _still_reads(temporary)
    return result


def select(
    path: str | PathLike[str],
    profile: Profile,
    secret: bytes,
    *,
    scope: str | None = None,
    kind: str = "",
    fields: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Masked rows of a table, resources of a bundle, attributes of an image, or variants of a genome.

    No copy is written.

    ``kind`` is a type of resource, ``fields`` the names to answer with (none: all), ``where`` names
    and the text that each must have *after* masking, so that a query asks nothing which the profile
    hides; a name may be a path such as ``code.coding.code``. Values are those that
    :func:`mask_file` writes.
    """
    path = Path(path)
    if limit is not None and limit < 0:
        raise BadInput("A limit cannot be negative.")
    format_, part = _part(path, profile)
    if part.whole:
        raise BadInput(f"The profile {profile.name} hides nothing: read the file itself.")
    keyed = Keyed(secret, scope if scope is not None else _own_scope(path))
    return _matching(_reader(format_)(path, part, keyed), kind, fields, where or {}, limit)


def _matching(
    found: Iterator[dict[str, Any]],
    kind: str,
    fields: Sequence[str],
    where: Mapping[str, str],
    limit: int | None,
) -> Iterator[dict[str, Any]]:
    for item in found:
        if limit == 0:
            return
        if kind and item.get("resourceType") != kind:
            continue
        if all(text in _at(item, name.split(".")) for name, text in where.items()):
            limit = None if limit is None else limit - 1
            yield {key: item[key] for key in fields if key in item} if fields else item


def _at(node: Any, path: Sequence[str]) -> set[str]:
    """The texts at a path; a list stands for each of its members."""
    if isinstance(node, list):
        return {text for one in node for text in _at(one, path)}
    if not path:
        return set() if isinstance(node, dict) or node is None else {str(node)}
    return _at(node.get(path[0]), path[1:]) if isinstance(node, dict) else set()


def _part(path: Path, profile: Profile) -> tuple[str, Part]:
    """The format of a file and what the profile says of it."""
    from medtoken.formats import Format, identify
    from medtoken.masking import _table

    try:
        format_ = identify(path)
        kind = {
            Format.FHIR: "fhir",
            Format.DICOM: "dicom",
            Format.STUDY: "study",
            Format.CGM: "table",
            Format.VCF: "vcf",
        }[format_]
    except UnsupportedFile:
        # A table need not be a glucose series: it is one when the profile knows a column of it.
        if not profile.table.rules or not _table.has_columns(path, profile.table):
            raise
        kind = "table"
    part: Part = getattr(profile, "dicom" if kind == "study" else kind)
    if part.refuse or not (part.rules or part.whole):
        reason = part.refuse or "the profile says nothing of this format"
        raise UnsupportedFile(
            f"{path.name}: the profile {profile.name} lets no such file out: {reason}"
        )
    return kind, part


def _writer(kind: str) -> Callable[..., None]:
    from medtoken.masking import _dicom, _fhir, _study, _table, _vcf

    return {
        "fhir": _fhir.write,
        "dicom": _dicom.write,
        "study": _study.write,
        "table": _table.write,
        "vcf": _vcf.write,
    }[kind]


def _reader(kind: str) -> Callable[..., Iterator[dict[str, Any]]]:
    from medtoken.masking import _dicom, _fhir, _study, _table, _vcf

    return {
        "fhir": _fhir.resources,
        "dicom": _dicom.attributes,
        "study": _study.attributes,
        "table": _table.rows,
        "vcf": _vcf.calls,
    }[kind]


def _still_reads(path: Path) -> None:
    from medtoken import formats

    try:
        formats.read(path)
    except UnsupportedFile:
        raise MalformedFile(
            "The profile leaves too little of the file for a copy that can be read."
        ) from None


def _own_scope(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return "file " + digest.hexdigest()


def _copy(path: Path, destination: Path) -> None:
    with open(path, "rb") as source, open(destination, "wb") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)


class _replacing:  # noqa: N801  # used as a function
    """A temporary file beside ``destination`` that takes its place when all went well."""

    def __init__(self, destination: Path) -> None:
        self._destination = destination
        self._temporary = destination.with_name(f".{destination.name[:100]}.{secrets.token_hex(8)}")

    def __enter__(self) -> Path:
        if self._destination.is_dir():
            raise BadInput(f"{self._destination} is a folder.")
        try:
            descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its path is not valid"
            raise StateError(f"{self._destination} cannot be written: {reason}.") from None
        os.close(descriptor)
        return self._temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            os.replace(self._temporary, self._destination)
        else:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary)
