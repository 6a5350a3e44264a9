"""Masking variant calls (VCF): variant by variant, only the fields that the profile names."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats import _vcf as vcf
from medtoken.formats._io import gunzip, label, lines, open_regular
from medtoken.masking._file import Masked
from medtoken.masking._keyed import Keyed
from medtoken.masking._profile import FIELDS, Part, Profile, Rule

_CHROMOSOME = re.compile(r"(?:chr)?([1-9]|1[0-9]|2[0-2]|X|Y|MT?)")
_POSITION = re.compile(r"[0-9]{1,11}")
_ALLELE = re.compile(r"[ACGTN]+", re.IGNORECASE)
_ALTERNATES = re.compile(r"(?:[ACGTN]+|\*)(?:,(?:[ACGTN]+|\*))*|\.", re.IGNORECASE)
_RS = re.compile(r"rs[0-9]{1,12}")
_GENOTYPE = re.compile(r"[/|]?(?:[0-9]{1,4}|\.)(?:[/|](?:[0-9]{1,4}|\.))*")
_NUMBER = r"(?:[+-]?[0-9]{1,12}(?:\.[0-9]{1,12})?(?:[eE][+-]?[0-9]{1,3})?|\.)"
_NUMBERS = re.compile(f"{_NUMBER}(?:,{_NUMBER})*")
_HEADER = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")


def write(
    path: Path, target: Path, part: Part, keyed: Keyed, result: Masked, profile: Profile
) -> None:
    """Write the masked calls as plain VCF; a variant that the profile does not let out is absent."""
    with _Masking.of(path, part, keyed) as masking, open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(masking.header()) + "\n")
        for call in masking.calls():
            result.kept += call.kept
            file.write("\t".join(call.row()) + "\n")
    if not masking.left:
        raise MalformedFile(f"{label(path)}: the profile lets no variant of it out")
    result.dropped = masking.values - result.kept
    if masking.stayed:
        result.notes.append(f"{masking.stayed:,} of {masking.seen:,} variants stayed behind.")
    if masking.samples:
        result.notes.append(
            "Genotypes tell whose they are to anybody who has others of the person or of a relative."
        )


def calls(path: Path, part: Part, keyed: Keyed) -> Iterator[dict[str, Any]]:
    """The masked variants: VCF's columns by name, INFO and each sample's genotype by key."""
    with _Masking.of(path, part, keyed) as masking:
        for call in masking.calls():
            yield call.by_name()


@dataclass(frozen=True)
class _Call:
    """One variant as it leaves."""

    fixed: tuple[str, ...]
    """CHROM to FILTER."""
    info: dict[str, str]
    keys: list[str]
    samples: dict[str, list[str]]

    @property
    def kept(self) -> int:
        """Values that left, those missing not counted."""
        values = [*self.fixed, *self.info.values(), *(v for s in self.samples.values() for v in s)]
        return sum(value != "." for value in values)

    def row(self) -> list[str]:
        info = ";".join(f"{key}={value}" for key, value in self.info.items()) or "."
        row = [*self.fixed, info]
        if self.samples:
            row += [":".join(self.keys), *(":".join(cell) for cell in self.samples.values())]
        return row

    def by_name(self) -> dict[str, Any]:
        found: dict[str, Any] = dict(zip(FIELDS["fixed"], self.fixed, strict=True))
        found["INFO"] = self.info
        found["SAMPLE"] = [
            {"NAME": name, **dict(zip(self.keys, cell, strict=True))}
            for name, cell in self.samples.items()
        ]
        return found


class _Masking:
    """One pass over a file."""

    def __init__(self, name: str, text: Iterator[str], part: Part, keyed: Keyed) -> None:
        self._name, self._text, self._part = name, text, part
        self._head = vcf._read_header(name, text)
        self._rules: dict[str, Rule] = {one: rule for rule in part.rules for one in rule.of}
        for element in FIELDS["site"]:
            if element not in self._rules:
                raise UnsupportedFile(f"{name}: the profile lets no {element} of a variant out")
        self._info = [one[5:] for one in self._rules if one.startswith("INFO.")]
        self._format = [one[7:] for one in self._rules if one.startswith("FORMAT.")]
        names = self._head.samples if "SAMPLE" in self._rules and self._format else []
        self.samples = [keyed.pseudonym(one) for one in names]
        self._regions = self._here()
        self.seen = self.left = self.stayed = self.values = 0

    @classmethod
    @contextlib.contextmanager
    def of(cls, path: Path, part: Part, keyed: Keyed) -> Iterator[_Masking]:
        """The masking of a file, plain or gzip, while it is open."""
        name = label(path)
        with open_regular(path) as stream:
            zipped = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            data = gunzip(stream, name) if zipped else stream
            yield cls(name, lines(data, name, vcf._LINE_LIMIT), part, keyed)

    def _here(self) -> dict[str, list[tuple[int, int]]] | None:
        """The regions that may leave, by chromosome, on this file's reference genome."""
        if not self._part.regions:
            return None
        assembly = self._head.assembly
        if assembly not in self._part.regions:
            raise UnsupportedFile(
                f"{self._name}: the profile's regions are of {', '.join(self._part.regions)}, and "
                f"the file {f'is of {assembly}' if assembly else 'names no reference genome'}"
            )
        found: dict[str, list[tuple[int, int]]] = {}
        for chromosome, first, last in self._part.regions_on(assembly):
            found.setdefault(chromosome, []).append((first, last))
        return found

    def header(self) -> Iterator[str]:
        """Written anew: what others wrote there is free text."""
        yield f"##fileformat=VCFv{self._head.version}"
        if self._head.assembly:
            yield f"##reference={self._head.assembly}"
        for column, names in (("INFO", self._info), ("FORMAT", self._format)):
            for name in names if column == "INFO" or self.samples else []:
                number, kind, words = FIELDS[column][name]
                yield f'##{column}=<ID={name},Number={number},Type={kind},Description="{words}">'
        yield "\t".join([*_HEADER, *(["FORMAT", *self.samples] if self.samples else [])])

    def calls(self) -> Iterator[_Call]:
        """The variants that may leave, as they leave."""
        width = self._head.width
        for line in self._text:
            if not line:
                continue
            self.seen += 1
            row = line.split("\t")
            if len(row) != width:
                raise MalformedFile(
                    f"{self._name}: variant {self.seen:,} has {len(row)} columns where the header "
                    f"has {width}"
                )
            info = dict(item.partition("=")[::2] for item in row[7].split(";") if item != ".")
            self.values += sum(value != "." for value in row[:7]) + len(info)
            self.values += sum(value != "." for cell in row[9:] for value in cell.split(":"))
            call = self._call(row, info)
            if call is None:
                self.stayed += 1
            else:
                self.left += 1
                yield call

    def _call(self, row: list[str], info: dict[str, str]) -> _Call | None:
        chromosome, position, ids, reference, alternates, quality, filters = row[:7]
        known = _CHROMOSOME.fullmatch(chromosome)
        if not (
            known
            and _POSITION.fullmatch(position)
            and _ALLELE.fullmatch(reference)
            and _ALTERNATES.fullmatch(alternates)
            and self._within(known[1], int(position))
            and self._common(alternates, info.get("AF", ""))
        ):
            return None
        passed = [one for one in filters.split(";") if one in self._values("FILTER")]
        if "FILTER" in self._rules and self._rules["FILTER"].must and not passed:
            return None
        numbers = (
            [one for one in ids.split(";") if _RS.fullmatch(one)] if "ID" in self._rules else []
        )
        fixed = (
            chromosome,
            position,
            ";".join(numbers) or ".",
            reference,
            alternates,
            _number(quality) if "QUAL" in self._rules else ".",
            ";".join(passed) or ".",
        )
        kept = {name: _number(info[name]) for name in self._info if name in info}
        kept = {name: value for name, value in kept.items() if value != "."}
        keys = row[8].split(":") if self.samples else []
        places = [keys.index(key) for key in self._format if key in keys]
        if self.samples and not places:
            return None
        samples = {
            name: [_sample(keys[at], cell, at) for at in places]
            for name, cell in zip(self.samples, (c.split(":") for c in row[9:]), strict=False)
        }
        return _Call(fixed, kept, [keys[at] for at in places], samples)

    def _values(self, element: str) -> list[str]:
        return self._rules[element].values if element in self._rules else []

    def _within(self, chromosome: str, position: int) -> bool:
        if self._regions is None:
            return True
        found = self._regions.get(chromosome.replace("MT", "M"), ())
        return any(first <= position <= last for first, last in found)

    def _common(self, alternates: str, given: str) -> bool:
        """Whether each allele, the reference's too, is as frequent as the profile wants."""
        if not self._part.frequency:
            return True
        try:
            frequencies = [float(one) for one in given.split(",")]
        except ValueError:
            return False
        if len(frequencies) != len(alternates.split(",")) or not all(
            map(math.isfinite, frequencies)
        ):
            return False
        return min(*frequencies, 1 - sum(frequencies)) >= self._part.frequency


def _number(text: str) -> str:
    return text if _NUMBERS.fullmatch(text) else "."


def _sample(key: str, cell: list[str], at: int) -> str:
    """One value of a sample; VCF leaves out those at the end that are missing."""
    value = cell[at] if at < len(cell) else "."
    if key == "GT":
        return value if _GENOTYPE.fullmatch(value) else "."
    return _number(value)
