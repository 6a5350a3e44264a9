"""Variant call files (VCF 4.x), plain or gzip, streamed line by line.

A small strict reader of our own: the tests compare it with PyVCF3, which reads more of the format
but has no types, no bounds against hostile input, and needs setuptools at run time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats._io import gunzip, label, lines, open_regular, size_of
from medtoken.formats._types import Format, MedicalFile, RecordKind, count

_LINE_LIMIT = 16 * 1024 * 1024
_HEADER_LIMIT = 32 * 1024 * 1024
_CONTIG_LIMIT = 100_000
_FIXED = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
_POSITION = re.compile(r"[0-9]{1,11}")
_ALLELE = re.compile(r"[ACGTN]+", re.IGNORECASE)
_ALTERNATE = re.compile(
    r"[ACGTN]+|\*|<[^<>\s,]+>"  # bases, an overlapping deletion, a symbolic allele,
    r"|[^,\s]*[\[\]][^,\s]*|\.[ACGTN]+|[ACGTN]+\.",  # or a breakend
    re.IGNORECASE,
)
_GENOTYPE = re.compile(r"[/|]?(?:[0-9]{1,9}|\.)(?:[/|](?:[0-9]{1,9}|\.))*")
_DECLARED = re.compile(r"##(INFO|FORMAT|FILTER|contig)=<.*?\bID=([^,>]+)")
_DATE = re.compile(r"##[A-Za-z_]+=([12][0-9]{3})-?([0-9]{2})-?([0-9]{2})\b")
_ASSEMBLIES = {
    "GRCh38": re.compile(r"GRCh38|hg38|b38", re.I),
    "GRCh37": re.compile(r"GRCh37|hg19|b37|g1k_v37|NCBI37", re.I),
    "NCBI36": re.compile(r"NCBI36|hg18|b36", re.I),
    "T2T-CHM13": re.compile(r"CHM13", re.I),
}


@dataclass(frozen=True)
class VcfFacts:
    """What was measured on a VCF: header and counts, no genotype of anybody."""

    version: str
    """Such as ``4.2``."""
    samples: int
    variants: int
    calls: int
    """Genotype cells: variants times samples."""
    called: int
    """Genotype cells of sound rows in which every allele is known."""
    defective: int
    """Rows out of order or repeated, with impossible alleles, or with a genotype of no listed
    allele; the others are sound."""
    undeclared: int
    """Rows using an INFO, FORMAT or FILTER name that the header does not declare."""
    identified: int
    """Sound rows with an ID (such as a dbSNP number)."""
    filtered: int
    """Sound rows whose FILTER says something (PASS or a reason)."""
    scored: int
    """Sound rows with a QUAL."""
    assembly: str | None
    """The reference genome, when the header names one that is known."""
    file_date: dt.date | None
    """From ``##fileDate``."""
    other_date: dt.date | None
    """The latest date that another header line holds."""
    source: bool
    """Whether ``##source`` names the program that made the file."""
    reference: bool
    """Whether ``##reference`` is there."""
    contigs: int
    """Contigs that the header declares."""


@dataclass
class _Header:
    version: str
    width: int
    samples: list[str]
    declared: dict[str, set[str]]
    assembly: str | None = None
    file_date: dt.date | None = None
    other_date: dt.date | None = None
    source: bool = False
    reference: bool = False


def read(path: Path) -> MedicalFile:
    """Stream a VCF: one pass, memory bounded by its header and its longest line (16 MiB)."""
    name = label(path)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open_regular(path))
        size = size_of(stream)
        zipped = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        text = lines(gunzip(stream, name) if zipped else stream, name, _LINE_LIMIT)
        header = _read_header(name, text)
        facts = _read_rows(name, text, header)
    codes = [f"VCF:{facts.version}"]
    days = [day for day in (facts.file_date, facts.other_date) if day]
    if facts.assembly:
        codes.append(f"ASSEMBLY:{facts.assembly}")
    people = count(facts.samples, "sample") if facts.samples else "no sample (sites only)"
    return MedicalFile(
        format=Format.VCF,
        kind=RecordKind.GENOMIC,
        size=size,
        units=Fraction(1 if facts.samples else 0),
        entries=facts.variants,
        subjects=facts.samples,
        codes=tuple(sorted(codes)),
        start=min(days, default=None),
        end=max(days, default=None),
        summary=f"VCF {facts.version} of {count(facts.variants, 'variant')} and {people}",
        facts=facts,
    )


def _read_header(name: str, text: Iterator[str]) -> _Header:
    first = next(text, "")
    match = re.fullmatch(r"##fileformat=VCFv([0-9]{1,2}\.[0-9]{1,2})\s*", first)
    if not match:
        raise MalformedFile(f"{name}: does not begin with ##fileformat=VCFv4")
    if not match[1].startswith("4."):
        raise UnsupportedFile(f"{name}: is VCF version {match[1]}, and medtoken reads version 4")
    kinds = ("INFO", "FORMAT", "FILTER", "contig")
    header = _Header(match[1], 8, [], {kind: set() for kind in kinds})
    read_so_far = 0
    for line in text:
        read_so_far += len(line)
        if read_so_far > _HEADER_LIMIT:
            raise MalformedFile(f"{name}: its header is longer than {_HEADER_LIMIT:,} bytes")
        if line.startswith("##"):
            _meta(header, line)
        elif line.startswith("#CHROM"):
            header.samples = _sample_names(name, line)
            header.width = len(line.split("\t"))
            return header
        else:
            break
    raise MalformedFile(f"{name}: has no #CHROM header line above its rows")


def _meta(header: _Header, line: str) -> None:
    if match := _DECLARED.match(line):
        header.declared[match[1]].add(match[2])
    key = line[2:].partition("=")[0].lower()
    header.source = header.source or key == "source"
    header.reference = header.reference or key == "reference"
    if key in ("reference", "contig", "assembly") and header.assembly is None:
        for assembly, form in _ASSEMBLIES.items():
            if form.search(line):
                header.assembly = assembly
                break
    if match := _DATE.match(line):
        with contextlib.suppress(ValueError):
            day = dt.date(int(match[1]), int(match[2]), int(match[3]))
            if key == "filedate":
                header.file_date = day
            else:
                header.other_date = max(day, header.other_date or day)


def _sample_names(name: str, line: str) -> list[str]:
    columns = line.split("\t")
    if columns[:8] != _FIXED or columns[8:9] not in ([], ["FORMAT"]):
        raise MalformedFile(
            f"{name}: its #CHROM line does not name the eight VCF columns, FORMAT and the samples, "
            "separated by tabs"
        )
    samples = columns[9:]
    if len(set(samples)) != len(samples) or "" in samples:
        raise MalformedFile(f"{name}: its #CHROM line has an empty or repeated sample name")
    return samples


def _read_rows(name: str, text: Iterator[str], header: _Header) -> VcfFacts:
    names = {(kind, key) for kind, keys in header.declared.items() for key in keys}
    names |= {("FILTER", "PASS"), ("FILTER", "."), ("FILTER", "0"), ("INFO", ".")}
    contigs: set[str] = set()
    contig, position, returned = "", -1, False
    alleles: set[tuple[str, str]] = set()  # of the variants at this position
    variants = called = defective = undeclared = identified = filtered = scored = 0
    for line in text:
        if not line:
            continue
        variants += 1
        row = line.split("\t")
        if len(row) != header.width:
            raise MalformedFile(
                f"{name}: variant {variants:,} has {count(len(row), 'column')} "
                f"where the header has {header.width}"
            )
        chrom, pos, identifier, ref, alt, qual, filters, info = row[:8]
        if not chrom or not _POSITION.fullmatch(pos):
            raise MalformedFile(f"{name}: variant {variants:,} has no contig and whole position")
        if chrom != contig:
            returned = chrom in contigs
            contig, position = chrom, -1
            if len(contigs) == _CONTIG_LIMIT:
                raise MalformedFile(f"{name}: names more than {_CONTIG_LIMIT:,} contigs")
            contigs.add(chrom)
        if int(pos) > position:
            position = int(pos)
            alleles.clear()
        sound = int(pos) == position and not returned and (ref.upper(), alt.upper()) not in alleles
        alleles.add((ref.upper(), alt.upper()))
        alternates = [] if alt == "." else alt.split(",")
        sound = sound and bool(_ALLELE.fullmatch(ref)) and ref not in alternates
        sound = sound and all(map(_ALTERNATE.fullmatch, alternates))
        used = {("FILTER", key) for key in filters.split(";")}
        used |= {("INFO", item.partition("=")[0]) for item in info.split(";") if item}
        if header.samples:
            keys = row[8].split(":")
            used |= {("FORMAT", key) for key in keys if key != "."}
            if keys[0] == "GT":
                known, possible = _genotypes(row, len(alternates))
                sound = sound and possible
                called += known if sound else 0
        identified += sound and identifier not in ("", ".")
        filtered += sound and filters not in ("", ".")
        scored += sound and qual not in ("", ".")
        undeclared += not used <= names
        defective += not sound
    if not variants:
        raise MalformedFile(f"{name}: has a header but no variants")
    return VcfFacts(
        version=header.version,
        samples=len(header.samples),
        variants=variants,
        calls=variants * len(header.samples),
        called=called,
        defective=defective,
        undeclared=undeclared,
        identified=identified,
        filtered=filtered,
        scored=scored,
        assembly=header.assembly,
        file_date=header.file_date,
        other_date=header.other_date,
        source=header.source,
        reference=header.reference,
        contigs=len(header.declared["contig"]),
    )


def _genotypes(row: list[str], alternates: int) -> tuple[int, bool]:
    """Of one row: how many genotypes are fully known, and whether all name listed alleles."""
    tally: dict[str, int] = {}
    for cell in row[9:]:
        genotype = cell.partition(":")[0]
        tally[genotype] = tally.get(genotype, 0) + 1
    known, possible = 0, True
    for genotype, times in tally.items():
        if not _GENOTYPE.fullmatch(genotype):
            possible = False
            continue
        alleles = re.split(r"[/|]", genotype.lstrip("/|"))
        if any(allele != "." and int(allele) > alternates for allele in alleles):
            possible = False
        elif "." not in alleles:
            known += times
    return known, possible
