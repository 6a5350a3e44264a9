"""R23: a premium covers 40 times as much, and a claim pays what cover and pool have left, once.

Events: PremiumPaid, ClaimMade, ClaimDecided, Withdrawn, ParameterChanged of the breach cover,
InstitutionChanged, Transfer of DUT. A premium comes from the account that its custodian has then,
and a claim is credited to the one that it has when it is decided. The breach lies in the policy's
term; of what was granted, at most what was claimed, a claim is paid what is left of 40 premiums and
of the pool, to the base unit; the pool is all premiums less all payments; nobody withdraws more
than was credited; and DUT comes and goes as these say. A violation shows base units, unix seconds,
or accounts.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _payouts as p

RULE = "R23"
INVARIANT = 6
TITLE = "Claims pay up to the cover and the pool"


def violations(history: b.History) -> ir.Table:
    """Policies, claims and a pool that are not what the rule gives."""
    cover = "breach_cover"
    premiums, made, decided, out = (
        history(cover, event)
        for event in ("premium_paid", "claim_made", "claim_decided", "withdrawn")
    )
    premiums = b.as_of(premiums, history(cover, "parameter_changed"), term="current")
    institutions = history("record_registry", "institution_changed")
    premiums = b.as_of(premiums, institutions, {"custodian": "number"}, own="account")
    premiums = premiums.mutate(
        most=b.dec(b.dec(premiums.premium) * rules.COVER),
        due=premiums.block_time + premiums.term.cast("int64"),
    )
    made = b.as_of(
        made,
        premiums,
        {"policy": "policy"},
        since="block_time",
        until="until",
        covered="most",
        custodian="custodian",
    )
    decided = b.as_of(
        decided,
        made,
        {"claim": "claim"},
        asked="given_amount",
        of="policy",
        covered="covered",
        custodian="custodian",
    )
    decided = b.as_of(decided, institutions, {"custodian": "number"}, own="account")
    decided = decided.mutate(again=b.number(decided, decided.claim))
    keep = b.PLACE
    moves = b.stack(
        premiums.select(*keep, pool="pool", change=b.dec(premiums.premium)),
        decided.select(*keep, pool="pool", change=b.dec(0) - b.dec(decided.paid)),
    )
    moves = moves.mutate(after=b.running(moves, moves.change))
    before = b.dec(decided.pool) + b.dec(decided.paid)
    decided = decided.mutate(
        left_=b.dec(
            decided.covered - b.running(decided, decided.paid, decided.policy) + b.dec(decided.paid)
        ),
        had=b.dec(before),
    )
    decided = decided.mutate(
        due=ibis.least(b.dec(decided.granted), decided.left_, decided.had),
    )
    shown = {"subject": decided.claim, "parties": [decided.account]}
    return b.stack(
        b.unequal(
            premiums,
            "the cover of a premium",
            premiums.most,
            b.dec(premiums.cover),
            **_of(premiums),
        ),
        b.unequal(premiums, "the end of a policy", premiums.due, premiums.until, **_of(premiums)),
        b.broken(
            made,
            (made.given_occurred >= made.since)
            & (made.given_occurred < made.until)
            & (made.given_occurred <= made.block_time),
            "a breach outside the policy's term",
            subject=made.claim,
            expected=made.until,
            found=made.given_occurred,
        ),
        b.broken(
            decided,
            (decided.again == 1) & (decided.of == decided.policy),
            "a decision twice, or of another policy's claim",
            expected=1,
            found=decided.again,
            **shown,
        ),
        b.broken(
            decided,
            b.dec(decided.granted) <= b.dec(decided.asked),
            "granted of a claim, against what was claimed",
            expected=decided.asked,
            found=decided.granted,
            **shown,
        ),
        b.unequal(premiums, "who pays a premium", premiums.own, premiums.payer, **_of(premiums)),
        b.unequal(decided, "whom a claim is credited to", decided.own, decided.account, **shown),
        b.unequal(decided, "paid of a claim", decided.due, b.dec(decided.paid), **shown),
        b.unequal(moves, "the pool", moves.after, b.dec(moves.pool)),
        p.covered(
            decided.select(*keep, account="account", amount=b.dec(decided.paid)),
            out,
            "the breach cover",
        ),
        p.moved(
            history,
            "BreachCover",
            premiums.select(*keep, account="payer", amount=b.dec(premiums.premium)),
            out,
        ),
    )


def _of(rows: ir.Table) -> dict[str, object]:
    return {"subject": b.text(rows.policy), "parties": [rows.payer]}
