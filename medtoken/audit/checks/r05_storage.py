"""R5: GT is minted per terabyte and month of storage that was challenged and answered.

Events: HoldingCommitted, ChallengeOpened, SampleAnswered, StorageProven, CallsMarked,
BonusesChanged of the storage rewards, Transfer of GT, InstitutionChanged. For each proof: size is
what was committed, every sample was answered in time, and the reward is floor(size x seconds x 100
GT x (1 + share) / (1 TB x 30 days)); GT is minted for proofs and nothing else. A violation shows
base units, or counts.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b

RULE = "R5"
INVARIANT = None
TITLE = "GT is minted for proven storage"


def violations(history: b.History) -> ir.Table:
    """Proofs that are not whole, and rewards of another amount."""
    rewards, by = "storage_rewards", {"custodian": "custodian"}
    rows = history(rewards, "storage_proven")
    held, opened, answered = (
        history(rewards, e) for e in ("holding_committed", "challenge_opened", "sample_answered")
    )
    rows = b.as_of(rows, held, by, committed="size", held_at="block_time")
    rows = b.as_of(
        rows,
        opened,
        by,
        samples="samples",
        until="deadline",
        challenged="block_time",
        opened_at="at",
    )
    rows = b.as_of(rows, answered, by, number="number", answered_at="at")
    rows = b.as_of(
        rows,
        history("record_registry", "institution_changed"),
        {"custodian": "number"},
        own="account",
    )
    proofs = rows.select("at", "custodian", "challenged")
    rows = b.as_of(rows, proofs, by, proven="challenged")
    # A period begins where the holding was committed, or where the last proven one was challenged.
    begun = ibis.ifelse((rows.proven > rows.held_at).fill_null(False), rows.proven, rows.held_at)
    length = rows.challenged - begun
    seconds = ibis.ifelse(length > rules.MONTH, rules.MONTH, length)
    # 100 GT x 10^18 / (10^12 bytes x 10^4 bps) = 10^4 base units for a byte and a month.
    rate = b.dec(b.dec(rows.size) * b.dec(rows.duration)) * b.dec(rows.share + b.BPS)
    rows = rows.mutate(seconds=seconds, due=b.quotient(b.dec(rate) * b.dec(10_000), rules.MONTH))
    shown = {"subject": rows.custodian, "parties": [rows.account]}
    moves = history("governance_token", "transfer")
    mints = moves.filter(b.empty(moves.from_))
    return b.stack(
        b.unequal(rows, "GT for proven storage", rows.due, rows.minted, **shown),
        b.unequal(
            rows, "bytes of a proof, against those committed", rows.committed, rows.size, **shown
        ),
        b.unequal(rows, "seconds of a proof", rows.seconds, rows.duration, **shown),
        b.unequal(rows, "whom a proof rewards", b.hexed(rows.own), b.hexed(rows.account), **shown),
        b.broken(
            rows,
            (rows.number + 1 == rows.samples)
            & (rows.answered_at > rows.opened_at)
            & (rows.block_time <= rows.until),
            "samples answered in time, against those asked for",
            expected=rows.samples,
            found=ibis.ifelse(rows.answered_at > rows.opened_at, rows.number + 1, 0),
            **shown,
        ),
        b.both(
            b.per_transaction(rows, rows.minted, "told", "account"),
            b.per_transaction(mints.mutate(account=mints.to_), mints.value, "came", "account"),
            "account",
            "GT minted in a transaction, against what was proven",
        ),
    )
