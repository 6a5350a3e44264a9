"""R29: what governance sets is set by the timelock, and nothing that was set changes without an
event.

Events: every event that tells of a governed change, CallExecuted of the timelock,
TargetFunctionRoleUpdated. Once the timelock is the only admin, a change by a function that belongs
to the admin role comes in a transaction in which the timelock called that contract, its proxy's
administrator or the manager; and each value that an event calls the previous one is what the event
before it set. A violation shows both values.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _governed as g
from medtoken.chain.abi import abi

RULE = "R29"
INVARIANT = 7
TITLE = "Parameters change by the timelock, one value after the other"

# The event of each governed change: the function that causes it.
_SET = {
    ("AssetDesk", "ParameterChanged"): "set_share",
    ("AuctionHouse", "TermsChanged"): "set_terms",
    ("BasketDesk", "StepsChanged"): "set_steps",
    ("BreachCover", "ParameterChanged"): "set_term",
    ("CompensationFund", "Compensated"): "compensate",
    ("DataMarket", "AgreementChanged"): "set_agreement",
    ("DataMarket", "PlatformChanged"): "set_platform",
    ("DataMarket", "RatesChanged"): "set_rates",
    ("DataMarket", "WindowChanged"): "set_window",
    ("Passkeys", "ParameterChanged"): "set_delay",
    ("QualityDisputes", "ParameterChanged"): "set_bond",
    ("RecordRegistry", "ParameterChanged"): "set_coefficient",
    ("Rewards", "ParameterChanged"): "set_parameter",
    ("Rewards", "BeneficiaryChanged"): "set_beneficiary",
    ("Rewards", "ServiceChanged"): "set_service",
    ("ResearchDesk", "RewardChanged"): "set_reward",
    ("ResearchDesk", "SeatsChanged"): "set_seats",
    ("ResearchDesk", "ShareChanged"): "set_share",
    ("StorageRewards", "BonusesChanged"): "set_bonuses",
    ("StorageRewards", "RulesChanged"): "set_rules",
    ("Tariff", "FactorChanged"): "set_factor",
    ("Tariff", "ReferenceChanged"): "set_reference",
    ("Treasury", "BudgetApproved"): "approve_budget",
    ("Treasury", "ParameterChanged"): "set_ceiling",
    ("Treasury", "ReserveBurned"): "burn_reserve",
    ("UsageToken", "CapChanged"): "setCap",
}
# What tells the value before: contract and event, what it is of, and the names of both values.
_TOLD: tuple[tuple[str, str, tuple[str, ...], tuple[str, str]], ...] = (
    *(
        (contract, "parameter_changed", ("name_hash",), ("previous", "current"))
        for contract in (
            "asset_desk",
            "breach_cover",
            "passkeys",
            "quality_disputes",
            "record_registry",
            "rewards",
            "royalty_vault",
            "treasury",
        )
    ),
    ("data_market", "agreement_changed", (), ("previous", "current")),
    ("data_market", "platform_changed", (), ("previous", "current")),
    ("data_market", "window_changed", (), ("previous", "current")),
    *(
        ("data_market", "rates_changed", (), (f"previous_{name}", f"current_{name}"))
        for name in ("provider", "annotator", "platform", "levy")
    ),
    ("research_desk", "reward_changed", ("kind",), ("previous", "current")),
    ("research_desk", "seats_changed", (), ("previous", "current")),
    ("research_desk", "share_changed", (), ("previous", "current")),
    ("tariff", "factor_changed", ("factor",), ("previous", "current")),
    ("tariff", "reference_changed", ("kind",), ("previous", "current")),
    ("tariff", "scarcity_changed", ("kind",), ("previous", "current")),
    ("timelock_controller", "min_delay_change", (), ("old_duration", "new_duration")),
    ("treasury", "budget_approved", ("spender",), ("previous_limit", "current_limit")),
    ("usage_token", "cap_changed", (), ("previous", "current")),
    ("usage_token", "standing_changed", ("account",), ("previous", "current")),
)


def violations(history: b.History) -> ir.Table:
    """Changes without the timelock, and values that are not those before."""
    return b.stack(_by_timelock(history), _in_turn(history))


def _by_timelock(history: b.History) -> ir.Table:
    from medtoken.audit.tables.schema import snake

    keep = ["block_number", "tx_hash", "log_index", "at", "address"]
    parts = []
    for (contract, event), function in _SET.items():
        rows = history(snake(contract), snake(event))
        selector = "0x" + abi(contract).selector(function).hex()
        parts.append(
            rows.select(
                *keep, what=ibis.literal(f"{contract}.{event}"), selector=ibis.literal(selector)
            )
        )
    rows = b.stack(*parts)
    roles = history("access_manager", "target_function_role_updated")
    roles = roles.mutate(function=b.hexed(roles.selector))
    keys = {"address": "target", "selector": "function"}
    rows = b.as_of(rows, roles, keys, role="role_id")
    rows = rows.filter(b.dec(rows.role.fill_null(b.dec(0))) == 0)
    rows = g.handed_over(history, rows)
    rows = b.matched(
        rows.filter(rows.ruled),
        g.admins(history),
        {"address": "proxy"},
        born="born",
        over="proxy_admin",
    )
    rows = rows.mutate(
        itself=b.hexed(rows.address), manager=ibis.literal(history.address("AccessManager"))
    )
    rows = g.called(history, rows, "itself", "manager", "over")
    return b.broken(
        rows,
        rows.ordered | (rows.born == rows.tx_hash).fill_null(False),
        "a parameter changed without the timelock",
        subject=rows.address,
        expected="a call by the timelock",
        found=rows.what,
    )


def _in_turn(history: b.History) -> ir.Table:
    keep = ["block_number", "tx_hash", "log_index", "at"]
    parts = []
    for contract, event, keys, (old, new) in _TOLD:
        rows = history(contract, event)
        of: ir.Value = ibis.literal("")
        for key in keys:
            of = of + b.text(rows[key])
        # Zero of any type before the first event.
        told, now = b.text(rows[old]), b.text(rows[new])
        parts.append(
            rows.select(
                *keep,
                what=ibis.literal(f"{contract}.{event}".replace("_", " ")),
                name=ibis.literal(new) + of,
                told=ibis.ifelse(told.replace("0", "").isin(["", "x"]), "0", told),
                now=ibis.ifelse(now.replace("0", "").isin(["", "x"]), "0", now),
            )
        )
    rows = b.stack(*parts)
    before = b.previous(rows, rows.now, [rows.what, rows.name])
    rows = rows.mutate(before=before.fill_null("0"))
    return b.unequal(
        rows, "the previous value of a parameter", rows.before, rows.told, subject=rows.what
    )
