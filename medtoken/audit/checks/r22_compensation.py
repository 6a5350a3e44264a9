"""R22: of each contribution 40 % go to the custodian, 30 % to the patient; the rest is kept for the
harmed.

Events: ContributionPaid, Compensated, Withdrawn of the compensation fund, LicenceBought,
RecordRegistered, InstitutionChanged, Transfer of DUT. The parts of a contribution are floor(amount
x rate), and what is left is kept; they are credited to the owner of the record and to the account
that its custodian had then; it is paid for a licence that was bought, by its licensee; what is kept
is the sum of that less what compensated somebody, never negative; nobody withdraws more than was
credited; and DUT comes and goes as these say. A violation shows base units, or accounts.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m
from medtoken.audit.checks import _payouts as p

RULE = "R22"
INVARIANT = 6
TITLE = "The compensation fund pays by its rule"


def violations(history: b.History) -> ir.Table:
    """Parts that are split otherwise, money that is kept or leaves otherwise."""
    fund = "compensation_fund"
    paid, compensated, out = (
        history(fund, event) for event in ("contribution_paid", "compensated", "withdrawn")
    )
    paid = b.matched(
        paid, m.licences(history), {"licence": "licence"}, buyer="licensee", of="record"
    )
    paid = paid.mutate(
        curation=b.share(paid.amount, rules.CURATION), harmed=b.share(paid.amount, rules.HARMED)
    )
    paid = b.matched(
        paid,
        history("record_registry", "record_registered"),
        {"record": "record"},
        owner="owner",
        custodian_number="custodian",
    )
    institutions = history("record_registry", "institution_changed")
    paid = b.as_of(paid, institutions, {"custodian_number": "number"}, custodian_account="account")
    keep = b.PLACE
    moves = b.stack(
        paid.select(*keep, left_=b.dec(ibis.null("int64")), change=b.dec(paid.kept)),
        compensated.select(
            *keep, left_=b.dec(compensated.left_), change=b.dec(0) - b.dec(compensated.amount)
        ),
    )
    moves = moves.mutate(due=b.running(moves, moves.change))
    told = moves.filter(moves.left_.notnull())
    legs = b.stack(
        paid.select(*keep, account="patient", amount=b.dec(paid.patient_amount)),
        paid.select(*keep, account="custodian", amount=b.dec(paid.custodian_amount)),
        compensated.select(*keep, account="account", amount=b.dec(compensated.amount)),
    )
    shown = {"subject": paid.licence, "parties": [paid.licensee]}
    return b.stack(
        b.unequal(
            paid, "the custodian's part", paid.curation, b.dec(paid.custodian_amount), **shown
        ),
        b.unequal(paid, "the patient's part", paid.harmed, b.dec(paid.patient_amount), **shown),
        b.unequal(
            paid,
            "what is kept of a contribution",
            b.dec(b.dec(paid.amount) - paid.curation - paid.harmed),
            b.dec(paid.kept),
            **shown,
        ),
        b.broken(
            paid,
            (paid.buyer == paid.licensee) & (paid.of == paid.record),
            "who contributes for which licence",
            expected=paid.buyer,
            found=paid.licensee,
            **shown,
        ),
        b.unequal(
            paid, "whom a contribution credits as patient", paid.owner, paid.patient, **shown
        ),
        b.unequal(
            paid,
            "whom a contribution credits as custodian",
            paid.custodian_account,
            paid.custodian,
            **shown,
        ),
        b.unequal(told, "what the fund keeps", told.due, told.left_),
        b.broken(
            moves,
            moves.due >= 0,
            "what the fund keeps, below zero",
            expected="at least 0",
            found=moves.due,
        ),
        p.covered(legs, out, "the compensation fund"),
        p.moved(
            history,
            "CompensationFund",
            paid.select(*keep, account="licensee", amount=b.dec(paid.amount)),
            out,
        ),
    )
