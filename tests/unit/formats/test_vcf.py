"""VCF: compared with PyVCF3 on real files, and every way of not being one."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from pathlib import Path

import pytest
import vcf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats import MedicalFile, VcfFacts, _io, read

HEADER = """##fileformat=VCFv4.2
##fileDate=20200229
##source=test
##reference=GRCh38.fa
##contig=<ID=1,length=9>
##INFO=<ID=DP,Number=1,Type=Integer,Description="depth, total">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
##FILTER=<ID=q10,Description="low">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb
"""
ROW = "1\t5\trs1\tA\tC\t9\tPASS\tDP=3\tGT\t0/1\t1|1\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x"


def facts(file: MedicalFile) -> VcfFacts:
    assert isinstance(file.facts, VcfFacts)
    return file.facts


def read_text(path: Path, text: str) -> MedicalFile:
    path.write_text(text, encoding="utf-8")
    return read(path)


@pytest.mark.parametrize(
    "name",
    ["1kg.vcf.gz", "example-4.0.vcf", "example-4.1.vcf", "freebayes.vcf", "gatk.vcf", "tb.vcf.gz",
     "uncalled_genotypes.vcf", "walk_left.vcf", "strelka.vcf", "bcftools.vcf", "samtools.vcf"],
)  # fmt: skip
def test_counts_agree_with_pyvcf3(name: str) -> None:
    path = Path(vcf.__file__).parent / "test" / name
    data = path.read_bytes()
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
    reader = vcf.Reader(io.StringIO(text))
    records = list(reader)
    found = facts(read(path))
    assert found.samples == len(reader.samples)
    assert found.variants == len(records)
    assert found.identified == sum(record.ID is not None for record in records)
    repeated = 1 if name == "bcftools.vcf" else 0  # the same row twice, with a QUAL
    assert found.scored == sum(record.QUAL is not None for record in records) - repeated
    assert found.called == sum(
        bool(call.called) and None not in call.gt_alleles
        for record in records
        for call in record.samples
    )
    assert found.defective == repeated


def test_the_real_genome_is_one_sample_of_value_and_tells_of_629_people(
    real: dict[str, Path],
) -> None:
    file = read(real["genome.vcf.gz"])
    assert file.milliunits == 1000
    assert (file.subjects, file.entries) == (629, 381)
    assert facts(file).called == 133_392


def test_a_small_file_is_measured_exactly(path: Path) -> None:
    file = read_text(
        path,
        HEADER
        + ROW
        + "1\t4\t.\tA\tC\t.\t.\t.\tGT\t./.\t0/.\n"  # out of order
        + "1\t6\t.\tA\tA\t.\tq10\tDP=1;XX\tGT\t0/0\t0\n"  # ALT is REF; XX undeclared
        + "2\t1\t.\tA\tC,<DEL>,*\t.\t.\t.\tGT\t0/3\t0/4\n"  # the row lists no fourth allele
        + "2\t2\t.\tAT\tG[2:9[\t.\tPASS\t.\tGT\t1\t.\n"
        + "1\t9\t.\tA\tC\t.\t.\t.\tGT\t0/0\t0/0\n",  # contig 1 again
    )
    assert facts(file) == VcfFacts(
        version="4.2",
        samples=2,
        variants=6,
        calls=12,
        called=3,
        defective=4,
        undeclared=1,
        identified=1,
        filtered=2,
        scored=1,
        assembly="GRCh38",
        file_date=dt.date(2020, 2, 29),
        other_date=None,
        source=True,
        reference=True,
        contigs=1,
    )
    assert file.codes == ("ASSEMBLY:GRCh38", "VCF:4.2")
    assert file.start == file.end == dt.date(2020, 2, 29)


def test_sites_without_samples_are_no_whole_sample(path: Path) -> None:
    header = HEADER.replace("\tFORMAT\ta\tb", "")
    file = read_text(path, header + "1\t5\t.\tA\tC\t.\tPASS\tDP=1\n")
    assert (file.milliunits, file.subjects) == (1, 0)


def test_gzip_and_plain_measure_the_same(path: Path) -> None:
    plain = read_text(path, HEADER + ROW)
    path.write_bytes(gzip.compress(HEADER.encode()) + gzip.compress(ROW.encode()))  # as bgzip does
    assert facts(read(path)) == facts(plain)


REFUSED = {
    "no variants": (HEADER, "x: has a header but no variants"),
    "ragged row": (HEADER + ROW[:-5], "x: variant 1 has 10 columns where the header has 11"),
    "no position": (
        HEADER + ROW.replace("\t5\t", "\tfive\t"),
        "x: variant 1 has no contig and whole position",
    ),
    "no column line": (
        HEADER.partition("#CHROM")[0] + ROW,
        "x: has no #CHROM header line above its rows",
    ),
    "header alone": ("##fileformat=VCFv4.2\n", "x: has no #CHROM header line above its rows"),
    "blanks for tabs": (
        HEADER.replace("\t", " ") + ROW,
        "x: its #CHROM line does not name the eight VCF columns, FORMAT and the samples, "
        "separated by tabs",
    ),
    "sample twice": (
        HEADER.replace("\ta\tb", "\ta\ta") + ROW,
        "x: its #CHROM line has an empty or repeated sample name",
    ),
    "version": (
        HEADER.replace("v4.2", "v?"),
        "x: does not begin with ##fileformat=VCFv4",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_refused_in_one_sentence(case: str, path: Path) -> None:
    text, sentence = REFUSED[case]
    with pytest.raises(MalformedFile) as refusal:
        read_text(path, text)
    assert str(refusal.value) == sentence


def test_another_version_is_named(path: Path) -> None:
    with pytest.raises(UnsupportedFile) as refusal:
        read_text(path, HEADER.replace("v4.2", "v3.3") + ROW)
    assert str(refusal.value) == "x: is VCF version 3.3, and medtoken reads version 4"


def test_truncated_and_corrupt_gzip_are_told_apart(path: Path) -> None:
    whole = bytearray(gzip.compress((HEADER + ROW * 2000).encode()))
    path.write_bytes(whole[:-9])
    with pytest.raises(MalformedFile, match="^x: the gzip data are truncated$"):
        read(path)
    whole[-6] ^= 1  # the checksum at the end
    path.write_bytes(whole)
    with pytest.raises(MalformedFile, match="^x: the gzip data are corrupt$"):
        read(path)


def test_a_gzip_bomb_is_stopped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_io, "_EXPANSION_FREE", 0)
    path.write_bytes(gzip.compress(HEADER.encode() + b"\n" * 10_000_000, 9))
    with pytest.raises(MalformedFile) as refusal:
        read(path)
    assert str(refusal.value) == "x: expands to more than 250 times its size, so it is refused"


def test_a_line_without_end_is_stopped(path: Path) -> None:
    path.write_bytes(gzip.compress(HEADER.encode() + b"A" * 17_000_000, 9))
    with pytest.raises(MalformedFile) as refusal:
        read(path)
    assert str(refusal.value) == "x: line 10 is longer than 16,777,216 bytes"


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text("\t.,:/|0123ACGT<>[]=;é\n", max_size=30), max_size=12))
def test_any_row_is_read_or_refused(path: Path, cells: list[str]) -> None:
    try:
        file = read_text(path, HEADER + ROW + "\t".join(cells))
    except UnsupportedFile as refusal:
        assert str(refusal).startswith("x: ")
    else:
        assert file.entries >= 1


def test_a_row_counts_once_wherever_it_is_repeated(path: Path) -> None:
    other, late = ROW.replace("\tA\tC\t", "\tA\tG\t"), ROW.replace("1\t5", "1\t8")
    lower = ROW.replace("\tA\tC\t", "\ta\tc\t")
    found = facts(read_text(path, HEADER + ROW + other + lower + late + ROW + other + late))
    assert (found.variants, found.defective, found.called) == (7, 4, 6)
    second = ROW.replace("1\t5", "2\t5")
    found = facts(read_text(path, HEADER + ROW + second + ROW + late))
    assert (found.variants, found.defective) == (4, 2), "a contig that comes back is out of order"
