"""Each check passes the honest history, and names what was planted in one row, with place and numbers."""

from __future__ import annotations

import ast
import json
import runpy
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.tables import write

from medtoken.audit.checks import Outcome, all_checks, chosen, opened, run
from medtoken.audit.checks._base import COLUMNS
from medtoken.audit.tables import Tables, load
from medtoken.cli.audit import audit
from medtoken.errors import BadInput, InvariantViolated

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OTHER = bytes.fromhex("0e" * 20)
WORD = bytes.fromhex("0e" * 32)
ALL = {check.name: check for check in all_checks()}
Row = dict[str, Any]


class Bench:
    """The honest history on one engine; a plant stands in for one table of it."""

    def __init__(self, found: Tables, history: Any, backend: Any, scratch: Path) -> None:
        self.found = found
        self._history, self._backend, self._scratch = history, backend, scratch
        self._queries: dict[str, str] = {}
        self._planted = 0

    def rows(self, table: str) -> list[Row]:
        return self.found[table].read().to_pylist()

    def run(self, name: str) -> list[Row]:
        if name not in self._queries:
            rows = ALL[name].rows(self._history).select(*COLUMNS).order_by(list(COLUMNS))
            self._queries[name] = str(self._backend.compile(rows))
        found = self._backend.con.execute(self._queries[name]).fetchall()
        return [dict(zip(COLUMNS, row, strict=True)) for row in found]

    def planted(self, name: str, table: str, rows: list[Row]) -> list[Row]:
        self.run(name)  # so that the table is known to the engine
        # A file of its own each time: the engine keeps what it knows of one it has read.
        self._planted += 1
        path = self._scratch / f"{table}-{self._planted}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=self.found[table].schema), path)
        view = f'CREATE OR REPLACE TEMP VIEW "{table}" AS SELECT * FROM {{}}'  # noqa: S608
        self._backend.con.execute(view.format(f"read_parquet('{path}')"))
        try:
            return self.run(name)
        finally:
            self._backend.con.execute(view.format(self.found[table].sql))


@pytest.fixture(scope="session")
def folder(honest: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tables") / "tables"
    write(out, honest.events, honest.suite.addresses, honest.world.evm.times.__getitem__)
    return out


@pytest.fixture(scope="module")
def bench(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    found = load(folder)
    with opened("duckdb", found) as (history, backend):
        yield Bench(found, history, backend, tmp_path_factory.mktemp("planted"))


def less(by: int) -> Callable[[Any], Any]:
    return lambda value: value - by


def more(by: int) -> Callable[[Any], Any]:
    return lambda value: value + by


# check, table, which row, what to change in it, and what the check then says
Plant = tuple[str, str, int, dict[str, Any], str]
PLANTS: list[Plant] = [
    ("r16_reserve", "treasury_reserve_burned", 0, {"reserve": more(1)}, "the reserve"),
    ("r16_reserve", "treasury_reserve_burned", 0, {"amount": more(2)}, "DUT that left the treas"),
    ("r02_supply", "treasury_reserve_burned", 0, {"amount": more(1)}, "DUT burned in a transac"),
    ("r21_trust", "data_trust_licence_trusted", 0, {"trustee": OTHER}, "the trustee that sold"),
    ("r21_trust", "data_trust_licence_trusted", 0, {"fee": more(1)}, "the trustee's part of a"),
    ("r21_trust", "data_trust_licence_trusted", 0, {"asked": more(1)}, "what a trustee asked for"),
    ("r21_trust", "data_trust_offer_changed", 0, {"open": False}, "by a trustee that was"),
    ("r21_trust", "data_trust_trustee_changed", 0, {"accredited": False}, "by a trustee that was"),
    ("r21_trust", "data_trust_trustee_paid", 0, {"amount": more(1)}, "paid to a trustee in all"),
    ("r21_trust", "data_trust_trustee_paid", 1, {"returned": more(1)}, "returned of a trustee's"),
    ("r21_trust", "data_trust_trustee_paid", 0, {"trustee": OTHER}, "whom the trust pays"),
    (
        "r13_price",
        "data_trust_licence_trusted",
        0,
        {"asked": more(10**18)},
        "the price of a licence",
    ),
    (
        "r22_compensation",
        "compensation_fund_contribution_paid",
        0,
        {"custodian_amount": more(1)},
        "the custodian's part",
    ),
    ("r22_compensation", "compensation_fund_contribution_paid", 1, {"kept": more(1)}, "is kept of"),
    ("r22_compensation", "compensation_fund_contribution_paid", 0, {"licensee": OTHER}, "who cont"),
    (
        "r22_compensation",
        "compensation_fund_contribution_paid",
        0,
        {"patient": OTHER},
        "as patient",
    ),
    (
        "r22_compensation",
        "compensation_fund_contribution_paid",
        0,
        {"custodian": OTHER},
        "as custodian",
    ),
    ("r22_compensation", "compensation_fund_compensated", 0, {"left_": more(1)}, "the fund keeps"),
    ("r22_compensation", "compensation_fund_withdrawn", 0, {"amount": more(10**24)}, "credit of"),
    (
        "r10_tier",
        "passkeys_licence_approved",
        0,
        {"order_units": more(1)},
        "passkey did not approve",
    ),
    ("r10_tier", "passkeys_licence_approved", 1, {"licensee": OTHER}, "passkey did not approve"),
    (
        "r10_tier",
        "passkeys_licence_approved",
        1,
        {"order_max_price": less(10**21)},
        "passkey did not approve",
    ),
    (
        "r10_tier",
        "passkeys_licence_approved",
        3,
        {"deadline": less(10**8)},
        "passkey did not approve",
    ),
    ("r10_tier", "passkeys_licence_approved", 4, {"patient": OTHER}, "passkey did not approve"),
    ("r23_cover", "breach_cover_premium_paid", 0, {"cover": more(1)}, "the cover of"),
    ("r23_cover", "breach_cover_premium_paid", 1, {"until": more(1)}, "the end of a policy"),
    ("r23_cover", "breach_cover_premium_paid", 0, {"payer": OTHER}, "who pays a premium"),
    ("r23_cover", "breach_cover_claim_decided", 1, {"account": OTHER}, "a claim is credited to"),
    ("r23_cover", "breach_cover_claim_made", 0, {"given_occurred": more(10**9)}, "outside the"),
    ("r23_cover", "breach_cover_claim_decided", 1, {"paid": more(1)}, "paid of a claim"),
    ("r23_cover", "breach_cover_claim_decided", 2, {"granted": more(10**20)}, "against what was"),
    ("r23_cover", "breach_cover_withdrawn", 0, {"amount": more(10**24)}, "credit of"),
    ("r01_mint", "record_registry_record_attested", 0, {"minted": more(1)}, "minted for"),
    (
        "r01_mint",
        "record_registry_record_attested",
        2,
        {"scores_annotation": more(1)},
        "minted for",
    ),
    ("r01_mint", "contribution_token_transfer", 0, {"value": more(-5)}, "DCT minted"),
    ("r01_soulbound", "contribution_token_transfer", 1, {"from_": OTHER}, "moved between"),
    ("r01_soulbound", "research_token_transfer", 0, {"from_": OTHER}, "RT moved"),
    ("r02_supply", "usage_token_transfer", 0, {"value": more(1)}, "DUT minted"),
    ("r02_supply", "usage_token_issued", 0, {"amount": more(-1)}, "DUT minted"),
    ("r02_supply", "treasury_levy_received", -1, {"burned": more(3)}, "DUT burned"),
    ("r02_admission", "usage_token_transfer", 3, {"to_": OTHER}, "the standing of"),
    ("r02_admission", "usage_token_issued", 0, {"amount": more(10**30)}, "issued in a day"),
    ("r03_lineage", "asset_desk_asset_earned", 0, {"lineage": more(1)}, "the lineage's part"),
    (
        "r03_lineage",
        "asset_desk_lineage_claimed",
        0,
        {"patient_amount": more(1)},
        "claimed by a source",
    ),
    ("r04_research", "research_desk_outcome_rewarded", 0, {"amount": more(10**9)}, "the reward of"),
    ("r04_research", "research_desk_outcome_verified", 1, {"votes": more(1)}, "votes for an"),
    (
        "r04_research",
        "research_desk_licence_supported",
        0,
        {"amount": more(10**24)},
        "RT in a licence",
    ),
    ("r05_storage", "storage_rewards_storage_proven", 0, {"minted": more(1)}, "GT for proven"),
    ("r05_storage", "storage_rewards_storage_proven", 0, {"size": more(1)}, "bytes of a proof"),
    ("r05_storage", "governance_token_transfer", 0, {"value": more(-1)}, "GT minted"),
    ("r06_records", "record_registry_record_registered", 3, {"custodian": 999}, "capabilities of"),
    ("r06_records", "record_registry_record_superseded", 0, {"record": WORD}, "takes over from"),
    ("r07_quality", "record_registry_record_attested", 0, {"quality": more(1)}, "quality"),
    ("r07_quality", "record_registry_record_attested", 1, {"scores_volume": 101}, "out of range"),
    ("r07_disputes", "quality_disputes_challenge_opened", 0, {"bond": more(1)}, "the bond of"),
    (
        "r07_disputes",
        "quality_disputes_challenge_resolved",
        0,
        {"block_time": more(10**9)},
        "after its deadline",
    ),
    ("r08_parties", "data_market_licence_settled", 0, {"custodian": OTHER}, "as custodian"),
    ("r08_parties", "data_market_licence_settled", 1, {"patient": OTHER}, "as patient"),
    (
        "r08_parties",
        "data_market_consent_granted",
        0,
        {"terms_patient_share": 8001},
        "patient's share",
    ),
    (
        "r09_consent",
        "data_market_licence_used",
        0,
        {"block_time": more(10**10)},
        "used after its end",
    ),
    ("r09_consent", "data_market_licence_bought", 0, {"purposes": Decimal(1 << 11)}, "purpose"),
    ("r09_consent", "data_market_licence_bought", 1, {"end_": more(10**9)}, "outlives"),
    ("r09_refund", "data_market_licence_closed", 0, {"refund": more(1)}, "the refund of"),
    ("r09_refund", "data_market_licence_closed", 1, {"levy": more(1)}, "the levy returned"),
    ("r09_refund", "data_market_licence_closed", 0, {"licensee": OTHER}, "who gets a refund"),
    ("r10_tier", "record_registry_record_registered", 0, {"draft_tier": 3}, "a record's tier"),
    ("r12_auction", "auction_house_auction_bid", 0, {"held": more(1)}, "held for a bid"),
    (
        "r12_auction",
        "auction_house_auction_awarded",
        0,
        {"returned": more(7)},
        "returned of a winning",
    ),
    ("r12_basket", "basket_desk_basket_drawn", 0, {"left_": more(1)}, "left of a basket"),
    ("r12_basket", "basket_desk_basket_taken", 0, {"number": more(1)}, "the number of a record"),
    ("r12_licence", "data_market_licence_bought", 0, {"agreement": WORD}, "the agreement"),
    ("r12_licence", "data_market_licence_used", 2, {"used": more(1)}, "units used in all"),
    ("r12_licence", "data_market_licence_used", 0, {"units": 0}, "units of a use"),
    ("r12_licence", "data_market_licence_used", 0, {"used": 10**9}, "against those prepaid"),
    ("r12_licence", "licence_token_transfer", 0, {"to_": OTHER}, "a licence's token"),
    (
        "r13_price",
        "data_market_licence_bought",
        0,
        {"price": more(10**9)},
        "the price of a licence",
    ),
    (
        "r13_price",
        "tariff_reference_changed",
        0,
        {"current": more(85 * 10**9)},
        "the price of a licence",
    ),
    ("r13_tariff", "tariff_scarcity_changed", 0, {"current": 100_001}, "the scarcity"),
    ("r14_voucher", "data_market_voucher_redeemed", 0, {"time_": more(10**10)}, "the date of"),
    ("r14_voucher", "data_market_voucher_redeemed", 1, {"used": 0}, "units of a voucher"),
    (
        "r14_voucher",
        "data_market_voucher_redeemed",
        0,
        {"block_time": more(10**10)},
        "after its window",
    ),
    (
        "r15_split",
        "data_market_licence_settled",
        0,
        {"patient_amount": more(1)},
        "the patient's part",
    ),
    (
        "r15_split",
        "data_market_licence_settled",
        1,
        {"platform_amount": more(-1)},
        "the platform's",
    ),
    ("r15_split", "data_market_licence_settled", 2, {"gross": more(10**9)}, "the gross amount"),
    ("r15_split", "data_market_licence_settled", 0, {"levy": more(1)}, "the levy"),
    ("r15_split", "data_market_licence_settled", 3, {"settled": more(1)}, "up to where"),
    ("r15_purchase", "data_market_licence_bought", 0, {"levy": more(-1)}, "the levy on"),
    ("r15_purchase", "data_market_licence_bought", 0, {"epoch": more(1)}, "the epoch"),
    ("r15_conservation", "data_market_licence_closed", 0, {"refund": more(1)}, "went out of"),
    ("r15_levy", "treasury_levy_received", 0, {"amount": more(1)}, "levies taken"),
    ("r15_balances", "data_market_withdrawn", 0, {"amount": more(1)}, "DUT that left"),
    ("r15_balances", "data_market_withdrawn", 0, {"amount": more(10**30)}, "earnings of"),
    ("r15_balances", "data_market_deposited", 0, {"amount": more(1)}, "DUT that moved to"),
    ("r16_reserve", "treasury_levy_received", 0, {"reserve": more(1)}, "the reserve"),
    ("r16_reserve", "treasury_budget_spent", 0, {"used": more(1)}, "used of a budget"),
    ("r16_reserve", "treasury_budget_spent", 0, {"amount": more(1)}, "DUT that left"),
    ("r17_burn", "treasury_levy_received", -1, {"burned": more(1)}, "burned of a levy"),
    ("r19_royalty", "royalty_vault_sales_attested", 0, {"royalty": more(10**9)}, "the royalty on"),
    ("r19_royalty", "royalty_vault_royalty_claimed", 0, {"amount": more(1)}, "claimed by a member"),
    ("r19_royalty", "royalty_vault_withdrawn", 0, {"amount": more(10**27)}, "credit of"),
    ("r20_options", "royalty_vault_option_vested", 0, {"amount": more(10**9)}, "vested of"),
    ("r20_options", "royalty_vault_option_returned", 0, {"amount": more(1)}, "returned of"),
    ("r25_credit", "rewards_nominated", 0, {"points": more(1)}, "points of a nomination"),
    ("r25_credit", "rewards_donation_directed", 0, {"amount": more(1)}, "a donation"),
    ("r25_credit", "badge_token_transfer", 0, {"to_": OTHER}, "a badge"),
    ("r26_redemption", "rewards_redeemed", 0, {"price": more(1)}, "the price of a service"),
    ("r26_redemption", "rewards_voucher_served", 0, {"provider": OTHER}, "who serves"),
    ("r27_outcomes", "rewards_record_led", 0, {"record": WORD}, "the record of"),
    ("r27_outcomes", "rewards_outcome_reported", 0, {"outcome": more(1)}, "the number of"),
    (
        "r28_votes",
        "contribution_token_delegate_votes_changed",
        0,
        {"new_votes": more(1)},
        "votes after",
    ),
    ("r29_timelock", "timelock_controller_call_executed", 0, {"block_time": 0}, "before its delay"),
    ("r29_timelock", "timelock_controller_call_executed", 1, {"target": OTHER}, "another call"),
    ("r29_timelock", "timelock_controller_call_scheduled", -1, {"delay": 0}, "the delay of"),
    ("r28_proposals", "med_governor_vote_cast", 0, {"weight": more(1)}, "the weight of a vote"),
    (
        "r28_proposals",
        "med_governor_vote_cast",
        2,
        {"block_time": more(10**9)},
        "at another time than that of its vote",
    ),
    (
        "r28_proposals",
        "med_governor_vote_cast",
        1,
        {"proposal_id": WORD},
        "at another time than that of its vote",
    ),
    ("r28_proposals", "med_governor_vote_cast", 0, {"support": 2}, "without more than 60 %"),
    ("r28_proposals", "med_governor_vote_cast", 0, {"support": 0}, "without a quorum"),
    (
        "r28_proposals",
        "med_governor_proposal_queued",
        1,
        {"block_time": more(-7 * 86_400)},
        "before its vote was over",
    ),
    (
        "r28_proposals",
        "med_governor_proposal_objected",
        1,
        {"weight": more(1)},
        "the weight of objections",
    ),
    (
        "r28_proposals",
        "med_governor_proposal_objected",
        3,
        {"seat": OTHER},
        "nobody who has a seat",
    ),
    (
        "r28_proposals",
        "med_governor_proposal_objected",
        3,
        {"block_time": more(7 * 86_400 + 1)},
        "an objection twice, too late",
    ),
    ("r28_proposals", "med_governor_proposal_canceled", 0, {"tx_hash": WORD}, "was not rejected"),
    (
        "r28_proposals",
        "timelock_controller_call_scheduled",
        -1,
        {"target": OTHER},
        "was not scheduled",
    ),
    (
        "r28_proposals",
        "timelock_controller_call_scheduled",
        -1,
        {"delay": more(1)},
        "for another time",
    ),
    (
        "r28_proposals",
        "timelock_controller_call_scheduled",
        -1,
        {"tx_hash": WORD},
        "that no queued proposal has",
    ),
    (
        "r29_roles",
        "timelock_controller_role_granted",
        -1,
        {"tx_hash": WORD},
        "a change of the timelock that did not come from itself",
    ),
    ("r29_roles", "access_manager_role_granted", -1, {"tx_hash": WORD}, "did not come from"),
    ("r29_roles", "access_manager_role_revoked", -1, {"account": OTHER}, "did not have it"),
    (
        "r29_upgrades",
        "transparent_upgradeable_proxy_upgraded",
        -1,
        {"tx_hash": WORD},
        "without the timelock",
    ),
    ("r29_parameters", "data_market_rates_changed", -1, {"tx_hash": WORD}, "without the timelock"),
    ("r29_parameters", "usage_token_cap_changed", -1, {"previous": more(1)}, "the previous value"),
    (
        "r31_suspension",
        "data_market_licence_suspended",
        1,
        {"suspended": True},
        "suspended licence",
    ),
    ("r35_destruction", "licence_view_destruction_attested", 0, {"licensee": OTHER}, "who attests"),
    ("r35_destruction", "licence_view_destruction_attested", 0, {"block_time": 0}, "was not over"),
    ("r35_destruction", "record_registry_record_destroyed", 0, {"custodian": 99}, "the custodian"),
    (
        "r41_recovery",
        "contribution_token_recovered",
        0,
        {"amount": more(-1)},
        "moved by a recovery",
    ),
]


@pytest.mark.parametrize("name", ALL)
def test_the_honest_history_passes(bench: Bench, name: str) -> None:
    assert bench.run(name) == []


@pytest.mark.parametrize(
    ("name", "table", "at", "changes", "what"),
    PLANTS,
    ids=[f"{name}-{table}-{next(iter(changes))}" for name, table, _, changes, _ in PLANTS],
)
def test_a_planted_row_is_named(
    bench: Bench, name: str, table: str, at: int, changes: dict[str, Any], what: str
) -> None:
    rows = bench.rows(table)
    for column, change in changes.items():
        rows[at][column] = change(rows[at][column]) if callable(change) else change
    found = bench.planted(name, table, rows)
    named = [row for row in found if what in row["what"]]
    assert named, found
    assert all(row["expected"] != row["found"] for row in found)
    if what in _ELSEWHERE:
        return
    here = [row for row in named if row["block"] == rows[at]["block_number"]]
    assert here, named
    assert here[0]["transaction"] == "0x" + rows[at]["tx_hash"].hex()
    value = rows[at][next(iter(changes))]
    if isinstance(value, (int, Decimal)) and what not in _SUMS:
        numbers = [row[side] for row in here for side in ("expected", "found")]
        assert any(str(value) in number for number in numbers), here


# What breaks where the changed thing is used, not where it stands.
_ELSEWHERE = (
    "without more than 60 %",
    "without a quorum",
    "was not rejected",
    "the price of a licence",
    "suspended licence",
    "passkey did not approve",
    "a record's tier",
    "takes over from",
    "by a trustee that was",
)
# What shows a sum of what was changed and something else, or what follows from it.
_SUMS = (
    "issued in a day",
    "claimed by a source",
    "capabilities of",
    "went out of",
    "earnings of",
    "credit of",
    "DUT that",
    "minted for",
    "for another time",
)


def test_every_check_has_a_plant_and_a_test_of_its_own() -> None:
    planted = {name for name, *_ in PLANTS}
    assert set(ALL) - planted == {"r29_pause"}  # below


def test_money_that_came_while_the_market_was_paused(bench: Bench) -> None:
    pauses, buys = bench.rows("data_market_pause_changed"), bench.rows("data_market_licence_bought")
    first = min(buys, key=lambda row: row["block_number"])
    pause = pauses[0] | {"paused": True, "block_number": 0, "log_index": 9}
    found = bench.planted("r29_pause", "data_market_pause_changed", [pause])
    assert found[0]["expected"] == "0"
    hit = next(row for row in found if row["block"] == first["block_number"])
    assert hit["found"] == str(first["paid"])
    assert hit["subject"] == "licence bought"


def test_units_that_a_passkey_did_not_approve(bench: Bench) -> None:
    """R10: what is topped up after an approval was never approved."""
    approvals = bench.rows("passkeys_licence_approved")
    records = {row["order_record"] for row in approvals}
    bought = bench.rows("data_market_licence_bought")
    licence = next(row for row in bought if row["record"] in records)["licence"]
    rows = bench.rows("data_market_licence_topped_up")
    rows[0]["licence"] = licence
    found = bench.planted("r10_tier", "data_market_licence_topped_up", rows)
    assert [row["subject"] for row in found] == ["0x" + licence.hex()]
    assert (found[0]["expected"], found[0]["found"]) == ("2", "3")


def test_a_stake_that_came_while_the_disputes_were_paused(bench: Bench) -> None:
    """R29: what is staked is money in; what is taken back of a stake is not."""
    stakes = bench.rows("quality_disputes_stake_changed")
    grown = next(row for row in stakes if row["current"] > row["previous"])
    pause = {"paused": True, "block_number": 0, "log_index": 9}
    rows = bench.rows("quality_disputes_pause_changed") or bench.rows("data_market_pause_changed")
    found = bench.planted("r29_pause", "quality_disputes_pause_changed", [rows[0] | pause])
    hit = [row for row in found if row["subject"] == "stake changed"]
    assert hit[0]["block"] == grown["block_number"]
    assert hit[0]["found"] == str(grown["current"] - grown["previous"])
    assert len(hit) == sum(row["current"] > row["previous"] for row in stakes)


def test_a_use_after_the_consent_was_revoked(bench: Bench) -> None:
    """R9: the revocation is put before a use of the same consent's licence."""
    revoked = bench.rows("data_market_consent_revoked")
    bought = {row["licence"]: row for row in bench.rows("data_market_licence_bought")}
    uses = bench.rows("data_market_licence_used")
    for row in revoked:
        use = next((u for u in uses if bought[u["licence"]]["consent"] == row["consent"]), None)
        if use is not None:
            row["block_number"] = use["block_number"] - 1
            break
    found = bench.planted("r09_consent", "data_market_consent_revoked", revoked)
    named = [r for r in found if "was used after its consent was revoked" in r["what"]]
    assert named[0]["block"] == use["block_number"]
    assert named[0]["subject"] == "0x" + use["licence"].hex()


def test_an_event_that_is_missing_is_a_violation(bench: Bench) -> None:
    """Zero denies: without the grant, everything under it stands on nothing."""
    granted = bench.rows("data_market_consent_granted")[1:]
    found = bench.planted("r09_consent", "data_market_consent_granted", granted)
    assert any("without a consent" in row["what"] for row in found)
    levies = bench.rows("treasury_levy_received")[1:]
    found = bench.planted("r15_levy", "treasury_levy_received", levies)
    assert [row["found"] for row in found] == ["0"]


def test_amounts_beyond_64_bits_are_exact(bench: Bench) -> None:
    """A price that no double holds is still split to the base unit."""
    rows = bench.rows("data_market_licence_settled")
    big = Decimal(10**27 + 3)
    rows[0] |= {"gross": big, "patient_amount": big}
    found = bench.planted("r15_split", "data_market_licence_settled", rows)
    platform = next(row for row in found if row["what"] == "the platform's part")
    assert platform["expected"] == str((10**27 + 3) * 1_000 // 10_000)


def test_rules_are_chosen_by_number_or_name() -> None:
    assert [c.name for c in chosen(["R13"])] == ["r13_price", "r13_tariff"]
    assert [c.name for c in chosen(["r17_burn"])] == ["r17_burn"]
    assert len(chosen([])) == len(ALL)
    with pytest.raises(BadInput, match="Nothing checks R99"):
        chosen(["R99"])


def test_a_folder_is_checked(folder: Path) -> None:
    found, outcomes = run(folder, rules=["R17"])
    assert found.manifest.contracts["Treasury"]
    assert [o.as_dict()["holds"] for o in outcomes] == [True]
    assert isinstance(outcomes[0], Outcome)


def test_every_check_says_what_it_reads_and_shows() -> None:
    for check in ALL.values():
        assert check.text.startswith(f"{check.rule}"), check.name
        assert "Events: " in check.detail, check.name
        assert "A violation shows" in check.detail, check.name
        assert check.name.startswith(f"r{int(check.rule[1:]):02}_")


def test_no_check_computes_in_floats() -> None:
    """Division by ``/`` and ``//`` of Ibis is in doubles: exact quotients only."""
    for check in ALL.values():
        tree = ast.parse(Path(check.module.__file__ or "").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp):
                assert not isinstance(node.op, (ast.Div, ast.FloorDiv)), check.name


def test_the_command_says_what_holds(folder: Path) -> None:
    runner = CliRunner()
    said = runner.invoke(audit, ["check", "--tables", str(folder), "--rule", "R17", "--json"])
    assert said.exit_code == 0
    body = json.loads(said.output)
    assert body["holds"]
    assert [c["check"] for c in body["checks"]] == ["r17_burn"]


def test_the_command_ends_otherwise_where_a_rule_is_broken(honest: Any, tmp_path: Path) -> None:
    at = honest.find("LevyReceived", -1)
    events = honest.changed(at, burned=honest.events[at].args["burned"] + 1)
    out = tmp_path / "tables"
    write(out, events, honest.suite.addresses, honest.world.evm.times.__getitem__)
    said = CliRunner().invoke(audit, ["check", "--tables", str(out), "--rule", "r17_burn"])
    assert isinstance(said.exception, InvariantViolated)
    assert said.exception.exit_code == 1
    assert f"R17, block {honest.events[at].block}, " in said.output


def test_the_page_of_checks_is_up_to_date() -> None:
    root = Path(__file__).parents[3]
    page = runpy.run_path(str(root / "scripts" / "checks_table.py"))["page"]()
    assert (root / "docs" / "checks.md").read_text() == page
