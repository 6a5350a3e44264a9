"""The gas table: its page, its arithmetic, and what it says when it cannot be measured."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import bench_gas
import pytest
from _bench.gas import ocean
from _bench.gas.table import ROWS, Cost, collect, markdown, over_target, text

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gas.md"
OURS = {name: Cost(30_000, 100) for name, row in ROWS.items() if row.sent}
THEIRS = {name: Cost(75_000, 1_234) for name, row in ROWS.items() if row.peer}


def tables(page: str) -> dict[str, dict[str, list[str]]]:
    """Heading → operation → the cells after its name."""
    found: dict[str, dict[str, list[str]]] = {}
    for section in page.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        lines = [
            re.split(r" \| ", line.strip("| ")) for line in body.splitlines() if line[:3] == "| `"
        ]
        found[heading] = {line[0].strip("`"): line[1:] for line in lines}
    return found


def rendered(ours: dict[str, Cost] = OURS, theirs: dict[str, Cost] = THEIRS) -> str:
    return markdown({"tools": {"anvil": "1.2.3"}, "operations": collect(ours, theirs)})


def without_figures(page: str) -> str:
    """Numbers become one sign, and so do the versions that they were measured with."""
    page = re.sub(r"\nMeasured with .*\n", "\n", page)
    return re.sub(r"(?<=\| )[\d.,]+(?= \|)", "#", page)


def test_the_page_in_the_docs_is_what_the_command_would_write_but_for_the_figures() -> None:
    assert without_figures(PAGE.read_text(encoding="utf-8")) == without_figures(rendered())


def test_every_operation_stands_in_the_tables_that_it_belongs_to() -> None:
    found = tables(rendered())
    assert list(found["What each figure includes"]) == list(ROWS)
    assert set(found["Beside Ocean Protocol"]) == {n for n, r in ROWS.items() if r.peer}
    assert set(found["Against our targets"]) == {n for n, r in ROWS.items() if r.sent}


def test_both_sides_and_their_ratio_are_shown() -> None:
    beside = tables(rendered())["Beside Ocean Protocol"]
    peer = ROWS["consent_grant"].peer
    assert beside["consent_grant"] == ["30,000", "100", peer, "75,000", "1,234", "2.50"]
    assert beside["split_agreed"] == ["–", "–", ROWS["split_agreed"].peer, "75,000", "1,234", "–"]


def test_a_peer_is_never_shown_without_what_it_includes() -> None:
    assert all(bool(row.peer) == bool(row.peer_includes) for row in ROWS.values())


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_figure_that_was_not_measured_is_refused(side: str) -> None:
    ours, theirs = dict(OURS), dict(THEIRS)
    del {"ours": ours, "theirs": theirs}[side]["consent_grant"]
    with pytest.raises(RuntimeError, match=r"do not fit the rows: \['consent_grant'\]"):
        collect(ours, theirs)


def test_a_figure_without_a_row_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"\['unheard_of'\]"):
        collect(OURS | {"unheard_of": Cost(1, 1)}, THEIRS)


def test_one_gas_over_the_target_is_over() -> None:
    target = ROWS["use_once"].target
    assert target is not None
    at = collect(OURS | {"use_once": Cost(target, 1)}, THEIRS)
    above = collect(OURS | {"use_once": Cost(target + 1, 1)}, THEIRS)
    # 30,000 is over the targets of what is counted per item.
    assert set(over_target(above)) - set(over_target(at)) == {"use_once"}
    [line] = [line for line in text(above).splitlines() if line.startswith("use_once")]
    assert "OVER" in line


def test_cost_of_one_among_several_is_rounded_up() -> None:
    assert (Cost(10, 2) + Cost(11, 0)).each(10) == Cost(3, 1)


def test_without_oceans_package_the_command_says_so_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(ocean, "distribution", missing)
    monkeypatch.setattr("sys.argv", ["bench_gas.py", "--out", str(tmp_path / "gas.json")])
    assert bench_gas.main() == 16
    said = capsys.readouterr()
    assert said.err == (
        "error: The Python package ocean-contracts 3.1.0 is not installed; "
        "`make setup-dev` installs it.\n"
    )
    assert said.out == ""
    assert not list(tmp_path.iterdir())


def test_another_version_of_oceans_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocean, "distribution", lambda name: SimpleNamespace(version="2.0.0"))
    with pytest.raises(ocean.ToolMissing, match=r"is 2\.0\.0, not 3\.1\.0"):
        ocean.package()
