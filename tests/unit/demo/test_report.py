"""The demo's report: says what the summary says, to anybody, and nothing a summary holds runs."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from medtoken.cli.demo import demo
from medtoken.demo.report import write_report
from medtoken.errors import BadInput, InvariantViolated
from medtoken.messages import DUT

Summary = dict[str, Any]
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&$style${mark}"
VOID = {"meta", "link", "img", "br", "path", "rect"}


@pytest.fixture
def summary() -> Summary:
    return {
        "records": [
            _record("record.json", "fhir-r4", "0xaa", 488),
            _record("ct.dcm", "dicom", "0xbb", 1164),
            _record("glucose.csv", "cgm-csv", "0xcc", 3),
            _record("genome.vcf.gz", "vcf", "0xdd", 1700),
        ],
        "worked_example": {
            "calls": 100_000,
            "price": str(50 * DUT),
            "gross": str(5_000_000 * DUT),
            "provider": str(3_500_000 * DUT),
            "annotator": str(1_000_000 * DUT),
            "platform": str(500_000 * DUT),
            "levy": str(250_000 * DUT),
            "burned": str(125_000 * DUT),
            "patient": str(2_625_000 * DUT),
            "custodian": str(875_000 * DUT),
            "transactions": 5,
        },
        "uses": 100_004,
        "withdrawn": {
            "patient": str(2_625_000 * DUT),
            "dut_balance": str(2_625_000 * DUT),
            "eth_balance": "0",
        },
        "supply": {
            "minted": str(20_000_000 * DUT),
            "burned": str(125_000 * DUT),
            "total": str(19_875_000 * DUT),
        },
        "after_revoke": {
            "use": "consent: it was revoked",
            "key": "the key was not released: keeper 1: the consent was revoked",
            "purchase": "consent: it was revoked, so no sale",
        },
        "keepers": {"processes": 3, "releases": 8, "unjustified": 0},
        "audit": {
            "events": 1480,
            "from_block": 1,
            "to_block": 94,
            "invariants": [
                {"id": number, "holds": True, "detail": f"finding number {number}"}
                for number in range(1, 8)
            ],
            "ledger": {
                "registry": {"records": {"0xcc": {"owner": "0x1"}, "0xbb": {"owner": "0x2"}}},
                "market": {"earnings": {"0x1": {"patient": str(2_625_000 * DUT)}}},
            },
        },
        "seconds": 12.1,
    }


def _record(file: str, kind: str, record: str, dct: int) -> Summary:
    return {
        "file": file,
        "source": "samples 1.0",
        "kind": kind,
        "description": f"A file named {file}.",
        "bytes": 1_067_636,
        "sealed_bytes": 1_068_180,
        "quality": 97,
        "dvi": 94,
        "dct": str(dct * DUT),
        "record": record,
        "cid": "bafyexample",
        "fingerprint": "0xfingerprint",
        "opened_as_consented": True,
    }


def render(summary: Summary, folder: Path) -> str:
    path = folder / "report.html"
    write_report(summary, path)
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """What the tests ask of a page: its tags with attributes, its text, and that tags balance."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.stack: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.stack == []
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] != ["style"]:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [a[attribute] for _, a in self.tags if attribute in a]


def heading(page: str) -> str:
    return re.sub("<[^>]*>", "", re.findall("<h1>(.*?)</h1>", page)[0])


# ---------------------------------------------------------------------- what it says


def test_the_verdict_is_that_every_rule_held(summary: Summary, tmp_path: Path) -> None:
    assert heading(render(summary, tmp_path)) == "Every rule held."


def test_the_verdict_names_a_rule_of_the_audit_that_did_not_hold(
    summary: Summary, tmp_path: Path
) -> None:
    summary["audit"]["invariants"][1]["holds"] = False
    page = render(summary, tmp_path)
    assert heading(page) == "One rule did not hold: “Every payment adds up”."
    assert page.count("Does not hold") == 1
    assert "<details open>" in page
    assert "Every rule held" not in page


def test_nothing_is_vouched_for_without_an_audit(summary: Summary, tmp_path: Path) -> None:
    summary["audit"]["invariants"] = []
    page = render(summary, tmp_path)
    assert heading(page) == "One rule did not hold: “An audit looks at every rule”."
    assert "nothing on this page is proven" in page


def test_the_verdict_counts_what_the_story_itself_broke(summary: Summary, tmp_path: Path) -> None:
    summary["records"][1]["opened_as_consented"] = False
    summary["worked_example"]["platform"] = str(500_000 * DUT - 1)
    summary["after_revoke"]["key"] = ""
    summary["supply"]["total"] = str(19_875_000 * DUT + 1)
    summary["keepers"]["unjustified"] = 1
    page = render(summary, tmp_path)
    assert heading(page).startswith(
        "5 rules did not hold: “ct.dcm opens as the copy that its patient lets out”"
    )
    for sign in (
        "The parts of the payment make up its price",
        "The parts do not add up",
        "After a revocation there is no key",
        "2 of 3 attempts were refused",
        "Not refused",
        "Issued minus burned is what exists",
        "No key is released without a live licence",
    ):
        assert sign in page


def test_a_broken_rule_is_written_down_before_the_command_fails(
    summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The story is replaced: no real one is known that breaks a rule."""
    summary["audit"]["invariants"][4]["holds"] = False
    monkeypatch.setattr("medtoken.demo.story.Story.run", lambda _: summary)
    monkeypatch.setattr("medtoken.cli.demo._node", lambda *_: contextlib.nullcontext())
    with pytest.raises(InvariantViolated, match="Not held: Contributions stay with their patient"):
        demo.main(["--out", str(tmp_path)], standalone_mode=False)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert "One rule did not hold" in (tmp_path / "report.html").read_text()


def test_every_record_is_told(summary: Summary, tmp_path: Path) -> None:
    text = Page(render(summary, tmp_path)).text
    for kind in ("Health record", "Medical image", "Glucose series", "Genome"):
        assert kind in text
    for record in summary["records"]:
        assert record["file"] in text
        assert record["description"] in text
    assert text.count("samples 1.0") == 4
    assert text.count("1.1 MB") == 4
    assert text.count("97 of 100") == 4
    assert "1,164 DCT" in text


def test_what_a_patient_earned_comes_from_the_auditors_ledger(
    summary: Summary, tmp_path: Path
) -> None:
    got = re.findall(r"<dt>The patient got</dt><dd>(.*?)</dd>", render(summary, tmp_path))
    assert got == [
        "<span>488 DCT</span>",
        "<span>1,164 DCT</span><span>0 DUT</span>",
        "<span>3 DCT</span><span>2,625,000 DUT</span>",
        "<span>1,700 DCT</span>",
    ]


def test_an_unknown_kind_of_record_is_shown_by_its_own_name(
    summary: Summary, tmp_path: Path
) -> None:
    summary["records"][0]["kind"] = "hl7-v2"
    assert "<h3>hl7-v2</h3>" in render(summary, tmp_path)


def test_the_refusals_stand_in_their_own_words(summary: Summary, tmp_path: Path) -> None:
    page = render(summary, tmp_path)
    assert re.findall("<blockquote>(.*?)</blockquote>", page) == [
        summary["after_revoke"][what] for what in ("use", "key", "purchase")
    ]


def test_the_audit_names_each_rule_with_its_finding(summary: Summary, tmp_path: Path) -> None:
    summary["audit"]["invariants"].append({"id": 8, "holds": True, "detail": "a new rule"})
    page = render(summary, tmp_path)
    for invariant in summary["audit"]["invariants"]:
        assert invariant["detail"] in page
    assert page.count(">Holds<") == 8
    assert "Rule 8" in page
    assert "1,480 entries in blocks 1 to 94" in page


def test_how_to_check_it_is_told(summary: Summary, tmp_path: Path) -> None:
    assert "medtoken audit replay --rpc" in render(summary, tmp_path)


# ---------------------------------------------------------------------- figures


def test_the_exact_base_units_are_there(summary: Summary, tmp_path: Path) -> None:
    page = render(summary, tmp_path)
    worked = summary["worked_example"]
    for name in ("gross", "provider", "patient", "custodian", "annotator", "platform", "levy"):
        assert f">{worked[name]}<" in page
    assert " − ".join((summary["supply"]["minted"], summary["supply"]["burned"])) in page


def test_no_figure_is_written_into_the_page(summary: Summary, tmp_path: Path) -> None:
    figures = {"gross": 800, "provider": 480, "patient": 369, "custodian": 111}
    figures |= {"annotator": 231, "platform": 89, "levy": 44, "burned": 7}
    summary["worked_example"] |= {k: str(v * DUT) for k, v in figures.items()}
    text = Page(render(summary, tmp_path)).text
    for name, amount in (figures | {"paid": 844, "reserve": 37}).items():
        assert re.search(rf"\b{amount}\b", text), name
    for gone in ("5,000,000", "52.5 %", "875,000", "1,000,000", "250,000"):
        assert not re.search(rf"(?<![\d,]){gone}", text), gone
    assert "46.13 %" in text
    assert "76.88 % of the provider" in text


def test_the_table_says_what_the_picture_shows(summary: Summary, tmp_path: Path) -> None:
    page = render(summary, tmp_path)
    table = page.split("<caption>")[1].split("</table>")[0]
    pictures = re.findall(r'<svg class="flow .*?</svg>', page, re.DOTALL)
    assert len(pictures) == 2
    for amount in ("2,625,000", "875,000", "1,000,000", "500,000", "125,000", "5,250,000"):
        assert amount in table
        assert all(amount in picture for picture in pictures)
    assert all('role="img"' in p and "aria-labelledby" in p for p in pictures)


def test_the_widths_are_in_proportion_and_small_flows_are_seen(
    summary: Summary, tmp_path: Path
) -> None:
    summary["worked_example"]["burned"] = "1"
    picture = render(summary, tmp_path).split('<svg class="flow wide"')[1].split("</svg>")[0]
    height = {
        kind: float(value)
        for kind, value in re.findall(r'<rect class="(\w+)" .*? height="([\d.]+)"', picture)
    }
    assert height["patient"] / height["price"] == pytest.approx(0.525, abs=0.002)
    assert height["hospital"] / height["company"] == pytest.approx(875 / 5250, abs=0.002)
    assert height["levy"] / height["price"] == pytest.approx(0.05, abs=0.002)
    assert height["burned"] == 2
    assert "&lt; 0.01 DUT" in picture


def test_labels_never_meet(summary: Summary, tmp_path: Path) -> None:
    summary["worked_example"] |= {"annotator": "0", "platform": "1", "custodian": "2"}
    for picture in render(summary, tmp_path).split('<svg class="flow ')[1:]:
        lines = re.findall(
            r'<text class="\w+" x="([\d.]+)" y="([\d.]+)"', picture.split("</svg>")[0]
        )
        right = max(float(x) for x, _ in lines)
        heights = [float(y) for x, y in lines if float(x) == right]
        assert len(heights) == 12
        assert all(b - a >= 15 for a, b in itertools.pairwise(heights))


def test_an_example_without_money_still_makes_a_page(summary: Summary, tmp_path: Path) -> None:
    for name in ("gross", "provider", "annotator", "platform", "levy", "burned", "patient"):
        summary["worked_example"][name] = "0"
    summary["worked_example"]["custodian"] = "1"
    assert "did not hold" in heading(render(summary, tmp_path))


@pytest.mark.parametrize("bad", ["many", None, "-1", "1.5", [1]])
def test_an_amount_that_is_none_is_refused_and_writes_nothing(
    summary: Summary, tmp_path: Path, bad: object
) -> None:
    summary["worked_example"]["gross"] = bad
    with pytest.raises(BadInput, match=r"^The summary has "):
        write_report(summary, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- safe, and the same again


def test_the_same_summary_gives_the_same_bytes(summary: Summary, tmp_path: Path) -> None:
    one, two = tmp_path / "one.html", tmp_path / "two.html"
    write_report(summary, one)
    write_report(copy.deepcopy(summary), two)
    assert one.read_bytes() == two.read_bytes()


def test_hostile_text_is_only_text(summary: Summary, tmp_path: Path) -> None:
    honest = Page(render(_worded(summary, "harmless"), tmp_path))
    page = render(_worded(summary, HOSTILE), tmp_path)
    poisoned = Page(page)
    assert HOSTILE not in page
    # The same elements with the same attributes: the words became part of no tag.
    assert poisoned.tags == honest.tags
    assert poisoned.text == honest.text.replace("harmless", HOSTILE)
    assert poisoned.text.count(HOSTILE) > 30


def _worded(summary: Summary, word: str) -> Summary:
    """A summary with this word wherever it holds words."""
    summary = copy.deepcopy(summary)
    summary["seconds"] = word
    for record in summary["records"]:
        for name in ("file", "source", "kind", "description", "cid", "record", "fingerprint"):
            record[name] = word
    for invariant in summary["audit"]["invariants"]:
        invariant |= {"id": word, "detail": word}
    summary["after_revoke"] = dict.fromkeys(summary["after_revoke"], word)
    return summary


@pytest.mark.parametrize("key", ["dct", "bytes", "quality", "sealed_bytes"])
def test_hostile_text_is_no_number(summary: Summary, tmp_path: Path, key: str) -> None:
    summary["records"][0][key] = HOSTILE
    with pytest.raises(BadInput):
        render(summary, tmp_path)


def test_the_verdict_escapes_the_name_of_a_file(summary: Summary, tmp_path: Path) -> None:
    summary["records"][0] |= {"file": HOSTILE, "opened_as_consented": False}
    page = render(summary, tmp_path)
    assert HOSTILE not in page
    assert "&lt;script&gt;" in heading(page)


def test_the_page_runs_nothing_and_loads_nothing(summary: Summary, tmp_path: Path) -> None:
    page = render(summary, tmp_path)
    parsed = Page(page)
    for tag in ("script", "img", "iframe", "object", "embed", "form", "base", "video", "audio"):
        assert not parsed.all(tag)
    assert not parsed.values("src")
    assert not parsed.values("style")
    assert all(h.startswith("#") or h == "data:," for h in parsed.values("href"))
    assert not [a for _, attributes in parsed.tags for a in attributes if a.startswith("on")]
    style = page.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_this_style_sheet_alone(summary: Summary, tmp_path: Path) -> None:
    page = render(summary, tmp_path)
    policy = next(m["content"] for m in Page(page).all("meta") if "http-equiv" in m)
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


# ---------------------------------------------------------------------- for everybody


def test_the_page_is_structured_for_everybody(summary: Summary, tmp_path: Path) -> None:
    page = Page(render(summary, tmp_path))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {h[1:] for h in page.values("href") if h.startswith("#")} <= set(ids)
    for attributes in page.all("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes["role"] == "img"
    assert all(th["scope"] in ("row", "col") for th in page.all("th"))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(summary: Summary, tmp_path: Path, scheme: int) -> None:
    style = render(summary, tmp_path).split("<style>")[1]
    schemes = [dict(re.findall(r"--([\w-]+): (#\w{6});", part)) for part in style.split(":root {")]
    colour = schemes[1 + scheme]
    for back in ("page", "card"):
        for text in ("ink", "soft", "link", "good", "bad"):
            assert contrast(colour[text], colour[back]) >= 4.5, (text, back)
        for flow in ("company", "price", "patient", "hospital", "annotator", "platform", "burned"):
            assert contrast(colour[flow], colour[back]) >= 3, (flow, back)
    for text, back in (("good", "good-back"), ("bad", "bad-back")):
        assert contrast(colour[text], colour[back]) >= 4.5
        assert contrast(colour["ink"], colour[back]) >= 4.5


def contrast(one: str, two: str) -> float:
    """The contrast of two colours as WCAG 2 defines it."""
    dark, light = sorted(luminance(c) for c in (one, two))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
