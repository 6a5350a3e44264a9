# ruff: noqa: S608  table and column names are this file's own, values are bound
"""What a report tells: sums and lists out of the tables, as plain values. Amounts are base units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from medtoken.audit.checks import Outcome
from medtoken.audit.tables import Tables
from medtoken.deploy.roles import Role

_POINTS = 240  # of a curve
_BARS = 14  # consents on the time line
_NAMED = 5  # payers in the flow, the rest together
_ROWS = 300  # of changes that are spelt out
_PATIENCE = 30 * 86_400  # seconds after a licence's end until its destruction is overdue (R35)
_PARTS = ("patient", "custodian", "annotator", "platform")

Figures = dict[str, Any]


@dataclass(frozen=True)
class _Query:
    """SQL over the tables of a folder; ``{name}`` stands for a table."""

    found: Tables
    connection: duckdb.DuckDBPyConnection

    def __call__(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        for name in sorted(self.found.by_name, key=len, reverse=True):
            if f"{{{name}}}" in text:
                text = text.replace(f"{{{name}}}", self.found[name].sql)
        rows: list[tuple[Any, ...]] = self.connection.execute(text, list(values)).fetchall()
        return rows


def figures(found: Tables, outcomes: Sequence[Outcome]) -> Figures:
    """Everything that the report of a whole suite tells."""
    with duckdb.connect() as connection:
        query = _Query(found, connection)
        return _head(found, outcomes) | {
            "totals": _totals(query),
            "supply": _supply(query),
            "payers": _payers(query),
            "consents": _consents(query),
            "changes": _changes(query),
        }


def party_figures(found: Tables, outcomes: Sequence[Outcome], party: str) -> Figures:
    """What the report on one account tells: as a licensee, as an institution, and what broke."""
    account = bytes.fromhex(party[2:])
    with duckdb.connect() as connection:
        query = _Query(found, connection)
        named = [
            violation
            for outcome in outcomes
            for violation in outcome.as_dict()["violations"]
            if party.lower() in violation["parties"]
        ]
        return _head(found, outcomes) | {
            "party": party,
            "licensee": _as_licensee(query, account),
            "institution": _as_institution(query, account),
            "named": named,
        }


def _head(found: Tables, outcomes: Sequence[Outcome]) -> Figures:
    manifest = found.manifest
    last = manifest.last
    return {
        "chain_id": manifest.chain_id,
        "market": manifest.market,
        "contracts": dict(sorted(manifest.contracts.items())),
        "schema": manifest.schema,
        "read_from": manifest.how,
        "anchor": manifest.anchor,
        "first_block": manifest.first_block,
        "last_block": {"number": last.number, "hash": last.hash, "time": last.time}
        if last
        else {"number": manifest.first_block, "hash": "0x" + "00" * 32, "time": 0},
        "events": manifest.rows,
        "holds": not any(outcome.violations for outcome in outcomes),
        "checks": [outcome.as_dict() for outcome in outcomes],
    }


def _totals(query: _Query) -> Figures:
    sums = ", ".join(f"sum({part}_amount)" for part in _PARTS)
    settled = query(f"SELECT count(*), sum(gross), {sums} FROM {{data_market_licence_settled}}")[0]
    # What royalties and options bring the treasury besides is not of these settlements.
    levies = query(
        "SELECT sum(amount), sum(burned) FROM {treasury_levy_received} WHERE payer = ?",
        bytes.fromhex(query.found.manifest.market[2:]),
    )[0]
    counts = {
        name: query(f"SELECT count(*) FROM {{{table}}}")[0][0]
        for name, table in (
            ("records", "record_registry_record_registered"),
            ("consents", "data_market_consent_granted"),
            ("revocations", "data_market_consent_revoked"),
            ("licences", "data_market_licence_bought"),
            ("uses", "data_market_licence_used"),
            ("vouchers", "data_market_voucher_redeemed"),
        )
    }
    levy, burned = int(levies[0] or 0), int(levies[1] or 0)
    return {
        **counts,
        "settlements": settled[0],
        "gross": str(int(settled[1] or 0)),
        **{part: str(int(amount or 0)) for part, amount in zip(_PARTS, settled[2:], strict=True)},
        "levy": str(levy),
        "burned": str(burned),
        "reserve": str(levy - burned),
    }


def _supply(query: _Query) -> dict[str, list[list[Any]]]:
    """Time and supply of DUT, DCT and GT, thinned out evenly; the last value is always there."""
    found = {}
    for name, table in (
        ("DUT", "usage_token_transfer"),
        ("DCT", "contribution_token_transfer"),
        ("GT", "governance_token_transfer"),
    ):
        rows = query(
            f"""SELECT block_time, sum(change) OVER (ORDER BY block_number, log_index)::DECIMAL(38, 0)
            FROM (SELECT block_time, block_number, log_index,
            CASE WHEN hex(from_) = repeat('0', 40) THEN value ELSE -value END AS change
            FROM {{{table}}} WHERE (hex(from_) = repeat('0', 40)) <> (hex(to_) = repeat('0', 40)))
            ORDER BY block_number, log_index"""
        )
        step = max(1, len(rows) // _POINTS)
        kept = rows[::step] + (rows[-1:] if rows and (len(rows) - 1) % step else [])
        found[name] = [[time, str(int(supply))] for time, supply in kept]
    return found


def _payers(query: _Query) -> list[Figures]:
    """Who paid what was settled, levies included: the largest by name, the others together."""
    rows = query(
        """SELECT '0x' || lower(hex(b.licensee)), sum(s.gross + s.levy)::DECIMAL(38, 0) AS paid
        FROM {data_market_licence_settled} s
        JOIN (SELECT DISTINCT licence, licensee FROM {data_market_licence_bought}) b USING (licence)
        GROUP BY ALL HAVING paid > 0 ORDER BY paid DESC, 1"""
    )
    named = [{"account": who, "paid": str(int(paid))} for who, paid in rows[:_NAMED]]
    rest = sum(int(paid) for _, paid in rows[_NAMED:])
    more = [{"account": f"{len(rows) - _NAMED} others", "paid": str(rest)}] if rest else []
    return named + more


def _consents(query: _Query) -> Figures:
    """The consents with the most licences: when they lived, and when their licences did."""
    total = query("SELECT count(*) FROM {data_market_consent_granted}")[0][0]
    rows = query(
        f"""WITH bought AS (SELECT consent, licence, min(block_time) AS since, min(end_) AS until
        FROM {{data_market_licence_bought}} GROUP BY ALL),
        revoked AS (SELECT consent, min(block_time) AS revoked
        FROM {{data_market_consent_revoked}} GROUP BY ALL)
        SELECT '0x' || lower(hex(g.consent)), min(g.block_time), min(g.terms_expiry), min(r.revoked),
        list(struct_pack(licence := '0x' || lower(hex(b.licence)), since := b.since, until := b.until)
        ORDER BY b.since, b.licence) FILTER (b.licence IS NOT NULL)
        FROM {{data_market_consent_granted}} g LEFT JOIN bought b USING (consent)
        LEFT JOIN revoked r USING (consent) GROUP BY g.consent
        ORDER BY count(b.licence) DESC, min(g.block_time), 1 LIMIT {_BARS}"""
    )
    shown = [
        {
            "consent": consent,
            "granted": granted,
            "expiry": expiry,
            "revoked": revoked,
            "licences": licences or [],
        }
        for consent, granted, expiry, revoked, licences in rows
    ]
    return {"total": total, "shown": sorted(shown, key=lambda c: (c["granted"], c["consent"]))}


def _changes(query: _Query) -> Figures:
    """Roles, logic and parameters that changed, in the chain's order."""
    parts = [
        """SELECT block_number, log_index, block_time, 'role' AS kind, role_id::VARCHAR AS what,
        'granted to 0x' || lower(hex(account)) AS how FROM {access_manager_role_granted}""",
        """SELECT block_number, log_index, block_time, 'role', role_id::VARCHAR,
        'taken from 0x' || lower(hex(account)) FROM {access_manager_role_revoked}""",
        """SELECT block_number, log_index, block_time, 'logic', '0x' || lower(hex(address)),
        '0x' || lower(hex(implementation)) FROM {transparent_upgradeable_proxy_upgraded}""",
        """SELECT block_number, log_index, block_time, 'rates', 'epoch ' || epoch,
        'annotator ' || current_annotator || ', platform ' || current_platform || ', levy '
        || current_levy || ' bps' FROM {data_market_rates_changed}""",
    ]
    for table, name in (
        ("usage_token_cap_changed", "cap of a day"),
        ("data_market_window_changed", "window of vouchers"),
        ("timelock_controller_min_delay_change", "least delay"),
    ):
        old, new = (
            ("previous", "current") if "delay" not in table else ("old_duration", "new_duration")
        )
        parts.append(
            f"""SELECT block_number, log_index, block_time, 'parameter', '{name}',
            {old}::VARCHAR || ' → ' || {new}::VARCHAR FROM {{{table}}}"""
        )
    for table, key in (
        ("tariff_reference_changed", "kind"),
        ("tariff_scarcity_changed", "kind"),
        ("tariff_factor_changed", "factor"),
    ):
        name = table.split("_")[1]
        parts.append(
            f"""SELECT block_number, log_index, block_time, 'parameter', '{name} ' || {key},
            previous::VARCHAR || ' → ' || current::VARCHAR FROM {{{table}}}"""
        )
    for contract in ("treasury", "record_registry", "royalty_vault", "rewards", "asset_desk"):
        parts.append(
            f"""SELECT block_number, log_index, block_time, 'parameter',
            '{contract.replace("_", " ")} 0x' || lower(left(hex(name_hash), 8)),
            previous::VARCHAR || ' → ' || current::VARCHAR FROM {{{contract}_parameter_changed}}"""
        )
    rows = query(" UNION ALL ".join(parts) + " ORDER BY 1, 2")
    names = {str(int(role)): role.name.lower().replace("_", " ") for role in Role}
    shown = [
        {
            "block": block,
            "time": time,
            "kind": kind,
            "what": names.get(what, what) if kind == "role" else what,
            "how": how,
        }
        for block, _, time, kind, what, how in rows[-_ROWS:]
    ]
    return {"total": len(rows), "shown": shown}


def _as_licensee(query: _Query, account: bytes) -> Figures | None:
    bought = query(
        "SELECT count(*), sum(paid + levy) FROM {data_market_licence_bought} WHERE licensee = ?",
        account,
    )[0]
    if not bought[0]:
        return None
    own = "(SELECT licence FROM {data_market_licence_bought} WHERE licensee = ?)"

    def count(table: str, more: str = "") -> int:
        text = f"SELECT count(DISTINCT licence) FROM {{{table}}} WHERE licence IN {own}{more}"
        return int(query(text, account)[0][0])

    end = query("SELECT max(block_time) FROM {data_market_licence_bought}")[0][0]
    over = query(
        f"""SELECT count(*) FROM {{data_market_licence_bought}} WHERE licensee = ?
        AND end_ + {_PATIENCE} <= ?
        AND licence NOT IN (SELECT licence FROM {{licence_view_destruction_attested}})""",
        account,
        end,
    )[0][0]
    uses = query(
        f"SELECT count(*) FROM {{data_market_licence_used}} WHERE licence IN {own}", account
    )
    return {
        "licences": bought[0],
        "paid": str(int(bought[1] or 0)),
        "uses": uses[0][0],
        "suspended": count("data_market_licence_suspended", " AND suspended"),
        "destructions": count("licence_view_destruction_attested"),
        "overdue": over,
        "outcomes": query(
            "SELECT count(*) FROM {rewards_outcome_reported} WHERE licensee = ?", account
        )[0][0],
    }


def _as_institution(query: _Query, account: bytes) -> Figures | None:
    numbers = query(
        "SELECT DISTINCT number FROM {record_registry_institution_changed} WHERE account = ?",
        account,
    )
    if not numbers:
        return None
    number = numbers[0][0]

    def one(text: str, value: Any = number) -> int:
        return int(query(text, value)[0][0] or 0)

    return {
        "number": number,
        "records": one(
            "SELECT count(*) FROM {record_registry_record_registered} WHERE custodian = ?"
        ),
        "mean_dvi": one(
            """SELECT round(avg(a.scores_dvi)) FROM {record_registry_record_attested} a
            JOIN {record_registry_record_registered} r USING (record) WHERE r.custodian = ?"""
        ),
        "destroyed": one(
            "SELECT count(*) FROM {record_registry_record_destroyed} WHERE custodian = ?"
        ),
        "attested": one(
            "SELECT count(*) FROM {record_registry_record_attested} WHERE attester = ?"
        ),
        "challenged": one(
            "SELECT count(*) FROM {quality_disputes_challenge_opened} WHERE attester = ?"
        ),
        "upheld": one(
            """SELECT count(*) FROM {quality_disputes_challenge_opened} o
            JOIN {quality_disputes_challenge_resolved} d USING (record)
            WHERE d.upheld AND o.attester = ?"""
        ),
        "storage_proven": one(
            "SELECT count(*) FROM {storage_rewards_storage_proven} WHERE custodian = ?"
        ),
        "storage_failed": one(
            "SELECT count(*) FROM {storage_rewards_challenge_failed} WHERE custodian = ?"
        ),
        "earned": str(
            one(
                """SELECT sum(custodian_amount) FROM {data_market_licence_settled} WHERE custodian = ?""",
                account,
            )
        ),
    }
