"""What the pages decide before anybody signs or pays: run as it is, in Node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medtoken import vocabulary
from medtoken.vocabulary import AUCTION_ONLY

ROOT = Path(__file__).resolve().parents[3]
TAIWAN = "158"
EXPIRY = 2_000_000_000
GROUP_7 = 1 << 40
OWN = "0x" + "ab" * 32  # a masking profile of somebody's own
LIST = "0x" + "cd" * 32  # a list of diseases
BEFORE: dict[str, str] = {
    "patient": "0x4fE63778E7162489E1fbE170E9E7A3e9E27e887c",
    "records": "0x" + "01" * 32,
    "purposes": str(vocabulary.duo_mask(["HMB", "NCU"])),
    "diseases": "0x" + "00" * 32,
    "licensees": str(vocabulary.group_mask(["pharma"])),
    "fields": "0x" + vocabulary.profile_hash("de-identified").hex(),
    "region": TAIWAN,
    "tier": "2",
    "expiry": str(EXPIRY),
}
CHOICE: dict[str, Any] = {
    "who": ["pharma"],
    "purposes": ["HMB"],
    "conditions": ["NCU"],
    "fields": "de-identified",
    "region": "TW",
}
SCOPE = ("purposes", "diseases", "licensees", "fields", "region", "tier")


def change(choice: dict[str, Any], **before: str) -> dict[str, Any]:
    return {"before": BEFORE | before, "choice": CHOICE | choice, "tier": 2}


UNCHANGED = {
    "plain": change({}),
    "auction only": change({}, licensees=str(vocabulary.group_mask(["pharma"]) | AUCTION_ONLY)),
    "a group without a name": change(
        {}, licensees=str(vocabulary.group_mask(["pharma"]) | GROUP_7)
    ),
    "only such a group": change({"who": []}, licensees=str(GROUP_7)),
    "a region without a name": change({"region": "999"}, region="999"),
    "a profile of one's own": change({"fields": OWN}, fields=OWN),
    "diseases": change(
        {"purposes": [], "conditions": ["NCU"]},
        purposes=str(vocabulary.duo_mask(["DS", "NCU"])),
        diseases=LIST,
    ),
    "any use": change(
        {"purposes": [], "conditions": []}, purposes=str(vocabulary.duo_mask(["NRES"]))
    ),
    "codes without a name": change({}, purposes=str(vocabulary.duo_mask(["HMB", "NCU"]) | 1 << 90)),
    "public data only": change({}, tier="1"),
}
NEW = {"before": None, "choice": CHOICE, "tier": 1}
EMPTY = change({"who": [], "purposes": [], "conditions": []}, licensees=str(2 | AUCTION_ONLY))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    script = ROOT / "scripts" / "build_page.py"
    subprocess.run([sys.executable, str(script), "--no-types"], check=True, capture_output=True)
    bundle = tmp_path_factory.mktemp("page") / "decisions.mjs"
    subprocess.run(
        [
            str(ROOT / "node_modules" / ".bin" / "esbuild"),
            str(ROOT / "page" / "test" / "decisions.ts"),
            *("--bundle", "--platform=node", "--format=esm", "--log-level=error"),
            f"--alias:#built={ROOT / '.build' / 'page'}",
            f"--outfile={bundle}",
        ],
        check=True,
    )
    body = json.dumps({"changes": [*UNCHANGED.values(), NEW, EMPTY]})
    done = subprocess.run(
        ["node", str(bundle)], input=body, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", UNCHANGED)
def test_a_change_of_terms_widens_nothing_that_the_form_does_not_show(
    told: dict[str, Any], name: str
) -> None:
    """A form sent off as it was shown gives the scope that was there."""
    before = UNCHANGED[name]["before"]
    found = told["consents"][list(UNCHANGED).index(name)]
    assert found["scope"] == {field: before[field] for field in SCOPE}
    assert (found["nobody"], found["noPurpose"]) == (False, False)
    assert found["days"] == 20  # never longer than was left


def test_what_is_kept_is_named(told: dict[str, Any]) -> None:
    names = {name: told["consents"][n]["names"] for n, name in enumerate(UNCHANGED)}
    nothing = {"purposes": [], "groups": [], "auction": False}
    assert names["plain"] == nothing
    assert names["auction only"] == nothing | {"auction": True}
    assert names["a group without a name"] == nothing | {"groups": ["group 40"]}
    assert names["diseases"] == nothing | {"purposes": ["DS"]}
    assert names["any use"] == nothing | {"purposes": ["NRES"]}
    assert names["codes without a name"] == nothing | {"purposes": ["DUO:0000090"]}


def test_a_new_consent_is_what_was_chosen(told: dict[str, Any]) -> None:
    found = told["consents"][len(UNCHANGED)]
    assert found["scope"] == {field: BEFORE[field] for field in SCOPE}
    assert found["names"] == {"purposes": [], "groups": [], "auction": False}
    empty = told["consents"][len(UNCHANGED) + 1]
    assert (empty["nobody"], empty["noPurpose"]) == (True, True)


def test_only_the_market_says_that_something_is_done(told: dict[str, Any]) -> None:
    found = told["chain"]
    assert (found["late"], found["asked"]) == (1_900_000_000, 3)
    assert found["never"] == "Unconfirmed consents.not-revoked"
    assert found["unknown"] == "Unconfirmed grant.not-known"
    assert found["paid"] is True
    assert found["unpaid"] == "Unconfirmed earnings.not-withdrawn"


def test_lists_are_loaded_to_their_end(told: dict[str, Any]) -> None:
    lists = told["lists"]
    assert lists["empty"] == {"asked": 1, "loaded": 0, "keys": ["block", "consents", "total"]}
    assert (lists["short"]["asked"], lists["short"]["loaded"]) == (1, 3)
    assert (lists["long"]["asked"], lists["long"]["loaded"]) == (3, 1203)
    assert lists["long"]["last"] == lists["grows"]["last"] == "c0"
    assert lists["grows"]["loaded"] == 1203  # what came meanwhile is there in the next block
    assert (lists["some"]["asked"], lists["some"]["loaded"]) == (2, 600)


def test_a_term_costs_no_more_years_than_the_page_shows(told: dict[str, Any]) -> None:
    for term in told["licences"]["terms"]:
        years = -(-term["days"] // 365)
        assert term["shown"] == years
        assert term["charged"] == [years] * 3
    assert told["licences"]["expiry"] == 1_900_000_009
    assert told["licences"]["meter"] == "12"


def test_the_total_is_the_orders_own_whatever_the_service_says(told: dict[str, Any]) -> None:
    right, price, levy, split, unit = told["licences"]["told"]
    assert right == ["100", "5", True]
    for lie in (price, levy, split):
        assert lie == ["100", "5", False]
    assert unit == ["1000", "50", False]


def test_a_withdrawal_is_from_and_to_whoever_is_connected(told: dict[str, Any]) -> None:
    connected = "0x" + "11" * 20
    found = told["withdrawal"]
    assert (found["account"], found["to"]) == (connected, connected)
    assert (found["amount"], found["nonce"]) == ("7", "3")
