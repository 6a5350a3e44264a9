"""R19: royalties are the rate of attested sales, and reach the members by their weights, to the
base unit.

Events: StudySealed, SalesAttested, RoyaltyWaived, RoyaltyPaid, OptionVested, MemberJoined,
RoyaltyClaimed, Withdrawn, ParameterChanged of the royalty vault. A royalty is sales x rate rounded
up to 10^9 base units; no more is paid or waived than is due; the levy on top is the vault's; a
member has claimed its weight's part of all that came in; nobody withdraws more than was credited. A
violation shows base units.
"""

import ibis.expr.types as ir
from eth_utils import keccak

from medtoken.audit.checks import _base as b

RULE = "R19"
INVARIANT = 2
TITLE = "Royalties reach the members of a study"


def violations(history: b.History) -> ir.Table:
    """Royalties, payments and claims that are not what the rules give."""
    return b.stack(*_royalties(history), *_claims(history), _credits(history))


def _royalties(history: b.History) -> list[ir.Table]:
    vault, study = "royalty_vault", {"study": "study"}
    sealed, sales, paid, waived = (
        history(vault, e)
        for e in ("study_sealed", "sales_attested", "royalty_paid", "royalty_waived")
    )
    sales = b.as_of(sales, sealed, study, rate="rate", payer="payer")
    unit = b.BPS * b.GRAIN
    grains = b.quotient(b.dec(sales.sales) * b.dec(sales.rate) + b.dec(unit - 1), unit)
    sales = sales.mutate(due=b.dec(grains * b.dec(b.GRAIN)))
    keep = ["block_number", "tx_hash", "log_index", "at", "study"]
    flows = b.stack(
        sales.select(*keep, amount=b.dec(sales.royalty)),
        paid.select(*keep, amount=b.dec(0) - b.dec(paid.amount)),
        waived.select(*keep, amount=b.dec(0) - b.dec(waived.amount)),
    )
    flows = flows.mutate(rest=b.running(flows, flows.amount, flows.study))
    changes = history(vault, "parameter_changed")
    levies = changes.filter(changes.name_hash == b.raw("0x" + keccak(text="levy").hex()))
    paid = b.as_of(paid, levies, levy_rate="current")
    paid = paid.mutate(on_top=b.share(paid.amount, paid.levy_rate))
    return [
        b.unequal(
            sales,
            "the royalty on attested sales",
            sales.due,
            sales.royalty,
            subject=sales.study,
            parties=[sales.payer],
        ),
        b.broken(
            flows,
            flows.rest >= 0,
            "paid or waived of a study beyond what is due",
            subject=flows.study,
            expected="at least 0 left",
            found=flows.rest,
        ),
        b.unequal(paid, "the levy on a royalty", paid.on_top, paid.levy, subject=paid.study),
    ]


def _claims(history: b.History) -> list[ir.Table]:
    vault, study = "royalty_vault", {"study": "study"}
    sealed, paid, vested, joined, rows = (
        history(vault, e)
        for e in (
            "study_sealed",
            "royalty_paid",
            "option_vested",
            "member_joined",
            "royalty_claimed",
        )
    )
    keep = ["at", "study"]
    pots = paid.select(*keep, amount=b.dec(paid.amount)).union(
        vested.select(*keep, amount=b.dec(vested.amount))
    )
    pots = pots.mutate(pot=b.running(pots, pots.amount, pots.study))
    rows = b.as_of(rows, sealed, study, total="total")
    rows = b.as_of(rows, pots, study, pot="pot")
    rows = b.matched(
        rows, joined, {"study": "study", "account": "account"}, weight="weight", joined_at="at"
    )
    rows = rows.mutate(
        due=b.product_quotient(rows.pot, rows.weight, rows.total),
        sum=b.running(rows, rows.amount, [rows.study, rows.account]),
        taken=b.running(rows, rows.amount, rows.study),
    )
    joined = b.as_of(joined, sealed, study, total="total")
    joined = joined.mutate(sum=b.running(joined, joined.weight, joined.study))
    shown = {"subject": rows.study, "parties": [rows.account]}
    return [
        b.unequal(rows, "claimed by a member in all", rows.due, rows.sum, **shown),
        b.broken(
            rows,
            rows.taken <= rows.pot,
            "claimed of a study in all, against its pot",
            expected=rows.pot,
            found=rows.taken,
            **shown,
        ),
        b.broken(
            joined,
            joined.sum <= joined.total,
            "the weights of a study's members, against its total",
            subject=joined.study,
            parties=[joined.account],
            expected=joined.total,
            found=joined.sum,
        ),
    ]


def _credits(history: b.History) -> ir.Table:
    vault = "royalty_vault"
    claimed, back, out = (
        history(vault, event) for event in ("royalty_claimed", "option_returned", "withdrawn")
    )
    keep = b.PLACE
    legs = b.stack(
        claimed.select(*keep, account="account", amount=b.dec(claimed.amount)),
        back.select(*keep, account="funder", amount=b.dec(back.amount)),
        out.select(*keep, account="account", amount=b.dec(0) - b.dec(out.amount)),
    )
    return b.overdrawn(legs, "credit of an account in the royalty vault")
