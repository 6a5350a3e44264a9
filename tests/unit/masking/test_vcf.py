"""What of a genome leaves: the variants and genotypes that the profile names, and no word beside them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtoken import formats
from medtoken.errors import BadInput, MalformedFile, UnsupportedFile
from medtoken.masking import Keyed, Profile, load_profile, mask_file, narrower, select

from .conftest import SECRET

GENOTYPES = load_profile("genotypes")
COMMON = load_profile("common-variants")
SITES = [{"of": ["CHROM", "POS", "REF", "ALT"], "as": "site", "why": "x"}]
HEAD = """##fileformat=VCFv4.2
##fileDate=20200131
##reference=file:///data/roe/GRCh38.fa
##SAMPLE=<ID=Roe,Description="Jane Roe">
##INFO=<ID=AF,Number=A,Type=Float,Description="of Jane Roe">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	Roe	Doe
"""
ROWS = """chr1	100	rs7;ROE-1	A	C	50.5	PASS	AF=0.25;DP=30;NOTE=Roe	GT:DP:ROE	0/1:12:x	0|0
chr1	200	.	A	C,T	.	.	AF=0.5,0.01;AC=1,1	DP:GT	9:1/2	.:./.
chr1	300	rs8	A	C	50	q10	AF=0.5	GT	0/1	0/1
chr1	400	rs9	A	<DEL>	50	PASS	AF=0.5;END=900	GT	0/1	0/1
chr1	500	.	A	C[chr2:5[	50	PASS	AF=0.5	GT	0/1	0/1
chr1_roe_alt	10	.	A	C	50	PASS	AF=0.5	GT	0/1	0/1
chrX	600	.	AT	A,*	Roe	PASS	AF=0.97,0.02	GT	1	Roe
chrM	700	.	G	A	50	PASS	.	GT	1	0
"""
JANE, JOHN = (Keyed(SECRET, "s").pseudonym(name) for name in ("Roe", "Doe"))


def profile(**part: Any) -> Profile:
    document = {
        "format": "medtoken masking profile 1", "name": "own", "version": 1, "line": "x", "within": ["all"],
        "vcf": {"rules": SITES, **part},
    }  # fmt: skip
    return Profile(json.dumps(document).encode(), "own.json")


def masked(folder: Path, by: Profile, text: str = HEAD + ROWS) -> str:
    source, copy = folder / "in.vcf", folder / "out.vcf"
    source.write_text(text, encoding="utf-8")
    mask_file(source, copy, by, SECRET, scope="s")
    return copy.read_text(encoding="utf-8")


def test_genotypes_leave_without_a_word_beside_them(tmp_path: Path) -> None:
    lines = masked(tmp_path, GENOTYPES).splitlines()
    header = [line for line in lines if line.startswith("##")]
    assert header[:2] == ["##fileformat=VCFv4.2", "##reference=GRCh38"]
    assert all(line.startswith(("##INFO=<", "##FORMAT=<")) for line in header[2:])
    assert "Roe" not in "\n".join(lines)
    assert [line.split("\t") for line in lines[len(header) :]] == [
        ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", JANE, JOHN],
        ["chr1", "100", "rs7", "A", "C", "50.5", "PASS", "AF=0.25;DP=30", "GT:DP", "0/1:12", "0|0:."],
        ["chr1", "200", ".", "A", "C,T", ".", ".", "AC=1,1;AF=0.5,0.01", "GT:DP", "1/2:9", "./.:."],
        ["chrX", "600", ".", "AT", "A,*", ".", "PASS", "AF=0.97,0.02", "GT", "1", "."],
        ["chrM", "700", ".", "G", "A", "50", "PASS", ".", "GT", "1", "0"],
    ]  # fmt: skip


def test_common_variants_have_no_rare_allele_be_it_the_references(tmp_path: Path) -> None:
    lines = masked(tmp_path, COMMON).splitlines()
    assert [line.split("\t")[:2] for line in lines if line[0] != "#"] == [["chr1", "100"]]
    assert "DP" not in lines[-1]


def test_a_real_genome_keeps_its_genotypes_and_loses_its_names(
    real: dict[str, Path], tmp_path: Path
) -> None:
    before, copy = real["genome.vcf.gz"], tmp_path / "copy.vcf"
    result = mask_file(before, copy, GENOTYPES, SECRET)
    text = gzip.decompress(before.read_bytes()).decode()
    names = next(line for line in text.splitlines() if line.startswith("#CHROM")).split("\t")[9:]
    masked_text = copy.read_text(encoding="utf-8")
    assert not [name for name in [*names, "Beagle", "Michigan"] if name in masked_text]
    old, new = (formats.read(path).facts for path in (before, copy))
    assert isinstance(old, formats.VcfFacts)
    assert isinstance(new, formats.VcfFacts)
    assert (new.samples, new.variants, new.called) == (old.samples, old.variants, old.called)
    assert (new.defective, new.undeclared) == (0, 0)
    assert result.kept > 0 < result.dropped


def test_only_the_regions_of_the_files_own_reference_leave(tmp_path: Path) -> None:
    rules = [*SITES, {"of": ["SAMPLE"], "as": "pseudonym", "why": "x"},
             {"of": ["FORMAT.GT"], "as": "genotype", "why": "x"}]  # fmt: skip
    regions = ["1:101-200", "X:1-599", "M:700-700"]
    own = profile(rules=rules, regions={"GRCh38": regions})
    lines = masked(tmp_path, own).splitlines()
    assert [line.split("\t")[:2] for line in lines if line[0] != "#"] == [
        ["chr1", "200"],
        ["chrM", "700"],
    ]
    with pytest.raises(UnsupportedFile, match="regions are of GRCh37, and the file is of GRCh38"):
        masked(tmp_path, profile(rules=rules, regions={"GRCh37": regions}))
    with pytest.raises(UnsupportedFile, match="names no reference genome"):
        masked(tmp_path, own, (HEAD + ROWS).replace("##reference=file:///data/roe/GRCh38.fa\n", ""))


def test_a_profile_without_samples_lets_sites_and_frequencies_out(tmp_path: Path) -> None:
    frequency = {"of": ["INFO.AF"], "as": "number", "why": "x"}
    lines = masked(tmp_path, profile(rules=[*SITES, frequency])).splitlines()
    rows = [line.split("\t") for line in lines if line[:2] != "##"]
    assert {len(row) for row in rows} == {8}
    assert rows[1] == ["chr1", "100", ".", "A", "C", ".", ".", "AF=0.25"]


def test_what_a_profile_lets_no_variant_of_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedFile, match="no variant"):
        masked(tmp_path, COMMON, HEAD + ROWS.splitlines()[2] + "\n")
    with pytest.raises(UnsupportedFile, match="no POS"):
        masked(tmp_path, profile(rules=[{"of": ["CHROM"], "as": "site", "why": "x"}]))
    with pytest.raises(MalformedFile, match="3 columns"):
        masked(tmp_path, GENOTYPES, HEAD + ROWS + "1\t2\t3\n")
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


@pytest.mark.parametrize(
    "part",
    [
        {"regions": {"GRCh38": ["10:5-4"]}},
        {"regions": {"GRCh38": ["chr10:4-5"]}},
        {"frequency": 0.6},
        {"frequency": -0.1},
        {"rules": [{"of": ["INFO.NOTE"], "as": "number", "why": "x"}]},
        {"rules": [{"of": ["FORMAT.GT"], "as": "number", "why": "x"}]},
        {"rules": [{"of": ["FILTER"], "as": "code", "values": ["a\tb"], "why": "x"}]},
    ],
)
def test_a_profile_that_means_nothing_to_a_genome_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"^own\.json: "):
        profile(**part)


def test_regions_of_a_table_are_refused() -> None:
    document = json.loads(
        (Path(__file__).parents[3] / "medtoken/masking/profiles/genotypes-1.json").read_bytes()
    )
    document["table"] = {"regions": {"GRCh38": ["1:1-2"]}}
    with pytest.raises(BadInput, match="what is no genome"):
        Profile(json.dumps(document).encode(), "x")


def test_a_query_answers_with_variants(tmp_path: Path) -> None:
    source = tmp_path / "in.vcf"
    source.write_text(HEAD + ROWS, encoding="utf-8")
    (found,) = select(source, GENOTYPES, SECRET, scope="s", where={"ID": "rs7"})
    assert found["SAMPLE"][0] == {"NAME": JANE, "GT": "0/1", "DP": "12"}
    carriers = list(select(source, GENOTYPES, SECRET, where={"SAMPLE.GT": "1"}, fields=["POS"]))
    assert carriers == [{"POS": "600"}, {"POS": "700"}]
    assert not list(select(source, GENOTYPES, SECRET, where={"SAMPLE.NAME": "Roe"}))


def test_a_genome_is_read_for_research_only_when_a_consent_names_it() -> None:
    assert narrower(GENOTYPES, "research").name == "genotypes"
    assert narrower(COMMON, "pharma").name == "common-variants"
    assert narrower(GENOTYPES, "clinician").name == "genotypes"
    assert narrower(load_profile("all"), "research").name == "de-identified"
    for role in ("insurer", "public-health"):
        with pytest.raises(BadInput, match="not one within the other"):
            narrower(GENOTYPES, role)


CELL = st.sampled_from(
    ["ROE", "rs1", "1", "X", "A", "AROE", "0/1", "ROE/1", "1,ROE", "PASS", "AF=ROE", "AF=1;ROE", ".",
     "<ROE>", "GT:ROE", "GT", "", "1e5", "DP=1,ROE", "0/1:ROE", "rs1;ROE", "A,<ROE>"]
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELL, min_size=11, max_size=11), min_size=1, max_size=4))
def test_no_text_leaves_whichever_column_it_is_in(tmp_path: Path, rows: list[list[str]]) -> None:
    text = HEAD + ROWS.splitlines()[0] + "\n" + "".join("\t".join(row) + "\n" for row in rows)
    try:
        found = masked(tmp_path, GENOTYPES, text)
    except UnsupportedFile as refusal:
        assert len(str(refusal).splitlines()) == 1
    else:
        assert "ROE" not in found
