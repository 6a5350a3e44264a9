"""R29: an upgrade leaves every variable where deployments have it, or CI says no."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from medtoken.deploy.layout import Variable, faults

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "layouts.py"
TOOL: dict[str, Any] = runpy.run_path(str(SCRIPT))
NEW = TOOL["compiled"]()
KEPT = TOOL["kept"]()
MARKET = KEPT["DataMarket"]


def test_what_is_compiled_is_what_deployments_have() -> None:
    assert TOOL["problems"](KEPT, NEW) == []
    assert TOOL["text_of"](NEW) == TOOL["FILE"].read_text(encoding="utf-8")
    assert TOOL["main"](["--check"]) == 0


def test_structs_are_kept_with_their_members() -> None:
    kind = NEW["QualityDisputes"]["_disputes"].type
    assert kind.startswith("HashMap[bytes32, Dispute(challenger: address, attester: uint256")
    assert NEW["StorageRewards"]["_rules"].type.startswith("Rules(threshold: uint256")


def changed(name: str, **changes: Any) -> dict[str, Variable]:
    one = MARKET[name]
    return {**MARKET, name: Variable(**{**vars(one), **changes})}


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        (
            changed("accounts._earnings", slot=23),
            "accounts._earnings was HashMap[address, uint256] at slot 22 (1) and would be "
            "HashMap[address, uint256] at slot 23 (1).",
        ),
        (
            changed("rates._platform", type="uint256"),
            "rates._platform was address at slot 12 (1) and would be uint256 at slot 12 (1).",
        ),
        (
            {name: one for name, one in MARKET.items() if name != "consents._consents"},
            "consents._consents is gone: its slots keep what it wrote.",
        ),
        (
            {**MARKET, "licences._new": Variable(40, 1, "uint256")},
            "licences._new would read what licences._licences wrote.",
        ),
    ],
    ids=["moved", "another type", "gone", "over another"],
)
def test_a_bad_upgrade_is_blocked(layout: dict[str, Variable], sentence: str) -> None:
    assert faults(MARKET, layout) == [sentence]
    assert TOOL["problems"](KEPT, {**NEW, "DataMarket": layout}) == [f"DataMarket: {sentence}"]


def test_one_variable_inserted_moves_all_behind_it() -> None:
    """What a module without a gap of its own would do."""
    at = MARKET["rates._current"].slot
    pushed = {
        name: Variable(one.slot + (one.slot >= at), one.size, one.type)
        for name, one in MARKET.items()
    }
    found = faults(MARKET, {**pushed, "rates._first": Variable(at, 1, "uint256")})
    assert len(found) == 1 + sum(
        one.slot >= at and not name.endswith("__gap") for name, one in MARKET.items()
    )


def test_a_gap_and_the_end_are_free() -> None:
    gap, last = MARKET["accounts.__gap"], max(one.slots.stop for one in MARKET.values())
    added = {
        **MARKET,
        "accounts._more": Variable(gap.slot, 1, "uint256"),
        "accounts.__gap": Variable(gap.slot + 1, gap.size - 1, "uint256[7]"),
        "later._one": Variable(last, 1, "uint256"),
    }
    assert faults(MARKET, added) == []


def test_the_script_refuses_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a file in which another layout was kept."""
    bad = {**KEPT, "DataMarket": changed("licences._window", slot=60)}
    file = tmp_path / "layouts.json"
    file.write_text(TOOL["text_of"](bad))
    tool = runpy.run_path(str(SCRIPT))
    main = tool["main"]
    main.__globals__["FILE"] = file
    main.__globals__["kept"].__defaults__ = (file,)
    before = file.read_bytes()
    for options in ([], ["--check"]):
        assert main(options) == 1
        assert "error: DataMarket: licences._window was" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert main(["--reset"]) == 0
    assert file.read_text() == TOOL["FILE"].read_text()
