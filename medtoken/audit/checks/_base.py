"""What the checks are written with: the tables of a history, exact arithmetic, and violations as rows.

Everything here is an Ibis expression that DuckDB and Spark evaluate alike. Amounts are decimals of 38
digits; a product that could need more is written so that it does not, and an engine raises rather
than rounds. A comparison with something missing counts as broken: zero denies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

DECIMAL = ibis.dtype("decimal(38, 0)")
BPS = 10_000
GRAIN = 10**9
ZERO = "0x" + "00" * 20
NOTHING = "0x" + "00" * 32
_BINARY = ibis.dtype("binary")
_SHIFT = 20  # of a block's number, so that a place has room for 2**20 logs
_LAST = 1 << 62

# Where an event stands, in the relations of the checks.
PLACE = ("block_number", "tx_hash", "log_index", "at")
# The columns of every check's rows.
COLUMNS = (
    "block",
    "transaction",
    "log",
    "what",
    "subject",
    "parties",
    "expected",
    "found",
)


class History:
    """The events of a suite, a relation each; rows have their place in the chain's order as ``at``."""

    def __init__(self, read: Callable[[str, str], ir.Table], contracts: Mapping[str, str]) -> None:
        """``read`` gives the table of a contract's event; ``contracts`` are addresses by name."""
        self._read = read
        self._found: dict[tuple[str, str], ir.Table] = {}
        self._contracts = contracts

    def __call__(self, contract: str, event: str) -> ir.Table:
        """The rows of one event, both names in snake case."""
        key = (contract, event)
        if key not in self._found:
            rows = self._read(contract, event)
            place = rows.block_number * (1 << _SHIFT) + rows.log_index.cast("int64")
            self._found[key] = rows.mutate(at=place).drop("block_hash", "tx_index")
        return self._found[key]

    def has(self, contract: str) -> bool:
        """Whether the suite has a contract."""
        return contract in self._contracts

    def address(self, contract: str) -> str:
        """Where a contract of the suite is, 0x and lower case."""
        return self._contracts[contract].lower()


# ------------------------------------------------------------------ arithmetic


@ibis.udf.scalar.builtin(name="medtoken_floor_div")  # type: ignore[untyped-decorator]
def _floor_div(a: DECIMAL, b: DECIMAL) -> DECIMAL:  # type: ignore[valid-type]
    """Integer division; each engine is given its own exact one."""


@ibis.udf.scalar.builtin(name="hex")  # type: ignore[untyped-decorator]
def _hex(value: _BINARY) -> str:  # type: ignore[empty-body, valid-type]
    """Hexadecimal digits in capitals."""


def dec(value: Any) -> Any:
    """An exact integer of 38 digits."""
    if isinstance(value, int):
        return ibis.literal(Decimal(value), type=DECIMAL)
    return value.cast(DECIMAL)


def quotient(a: Any, b: Any, told: Any = None) -> Any:
    """``a // b`` of amounts that are not negative, exactly; missing where ``b`` is zero.

    ``told``: what an event says that it is. Engines multiply much sooner than they divide such
    numbers, and so divide only where that is not it.
    """
    a, b = dec(a), dec(b)
    found = _floor_div(a, b.nullif(dec(0)))
    if told is None:
        return found
    told = dec(told)
    rest = dec(a - dec(told * b))
    return dec(ibis.ifelse((rest >= 0) & (rest < b), told, found))


def share(amount: Any, bps: Any, told: Any = None) -> Any:
    """So many basis points of an amount, rounded down; ``told`` as for ``quotient``."""
    return quotient(dec(amount) * dec(bps), BPS, told)


def product_quotient(a: Any, b: Any, c: Any) -> Any:
    """``a * b // c``, exactly, where the product may need more than 38 digits.

    ``a`` has up to 36 digits, ``b`` is at most ``c``, and ``c`` has up to 28: long division by parts of
    nine digits.
    """
    base, a, b, c = dec(10**9), dec(a), dec(b), dec(c)
    found: Any = dec(0)
    rest: Any = dec(0)
    for place in (27, 18, 9, 0):
        digits = remainder(quotient(a, 10**place), 10**9)
        dividend = dec(rest * base) + dec(digits * b)
        found = dec(found * base) + quotient(dividend, c)
        rest = remainder(dividend, c)
    return dec(found)


def remainder(a: Any, b: Any) -> Any:
    """``a % b`` of amounts that are not negative, exactly; missing where ``b`` is zero."""
    return dec(dec(a) % dec(b).nullif(dec(0)))


def bits(value: Any) -> Any:
    """The lowest 60 bits of a number, as an int64 that ``&`` takes."""
    return remainder(value, 1 << 60).cast("int64")


def low_bits(word: Any) -> Any:
    """The lowest 60 bits of 32 bytes, as an int64 that ``&`` takes."""
    digits = hexed(word)
    total: Any = ibis.literal(0, type="int64")
    for place in range(15):
        digit = ibis.literal("0123456789abcdef").find(digits.substr(65 - place, 1))
        total = total + digit.cast("int64") * (1 << 4 * place)
    return total


def hexed(value: Any) -> Any:
    """Bytes as people read them: 0x and lower case."""
    return ibis.literal("0x") + _hex(value).lower()


def raw(digits: str) -> Any:
    """The bytes that 0x and digits stand for: to compare a column with, faster than its digits."""
    return ibis.literal(bytes.fromhex(digits[2:]), type=_BINARY)


def empty(value: Any) -> Any:
    """Whether all bytes of an address or a word are zero."""
    return value.isin([raw(ZERO), raw(NOTHING)])


def text(value: Any) -> Any:
    """A value as a report prints it."""
    if isinstance(value, (int, str)):
        return ibis.literal(str(value))
    kind = value.type()
    if kind.is_binary():
        return hexed(value)
    if kind.is_boolean():
        return value.ifelse("yes", "no")
    return value if kind.is_string() else value.cast("string")


def same(a: Any, b: Any) -> Any:
    """Whether two values are there and equal."""
    return (a == b).fill_null(False)


# ------------------------------------------------------------------ order and time


def before(rows: ir.Table, by: Any, of: Any = None) -> Any:
    """The window of all earlier rows, of the same ``by``."""
    return ibis.window(group_by=by, order_by=rows.at if of is None else of, rows=(None, -1))


def up_to(rows: ir.Table, by: Any) -> Any:
    """The window of all earlier rows and this, of the same ``by``."""
    return ibis.window(group_by=by, order_by=rows.at, rows=(None, 0))


def running(rows: ir.Table, amount: Any, by: Any = None) -> Any:
    """The sum of an amount up to and with each row."""
    return dec(amount.sum().over(up_to(rows, by)))


def previous(rows: ir.Table, value: Any, by: Any = None) -> Any:
    """A value in the row before."""
    return value.lag().over(ibis.window(group_by=by, order_by=rows.at))


def number(rows: ir.Table, by: Any = None) -> Any:
    """Which row of its kind each is, from 1."""
    return ibis.row_number().over(ibis.window(group_by=by, order_by=rows.at)) + 1


def stack(*parts: ir.Table) -> ir.Table:
    """Rows of several relations with the same columns in one."""
    found = parts[0]
    for part in parts[1:]:
        found = found.union(part)
    return found


def as_of(
    rows: ir.Table,
    changes: ir.Table,
    keys: Mapping[str, str] | None = None,
    /,
    **taken: Any,
) -> ir.Table:
    """``rows`` with what the last of ``changes`` before each said; missing where there was none.

    ``keys`` name a column of ``rows`` and the one of ``changes`` that it must equal. ``taken`` are
    the new columns, as columns of ``changes``.
    """
    keys = keys or {}
    wanted = {
        name: changes[value] if isinstance(value, str) else value for name, value in taken.items()
    }
    own = {f"_key{i}": changes[name] for i, name in enumerate(keys.values())}
    spans = changes.select(_since=changes.at, **own, **wanted)
    window = ibis.window(group_by=list(own) or None, order_by="_since")
    spans = spans.mutate(_until=spans._since.lead().over(window).fill_null(_LAST))
    conditions = [rows[name] == spans[f"_key{i}"] for i, name in enumerate(keys)]
    conditions += [rows.at > spans._since, rows.at < spans._until]
    joined = rows.left_join(spans, conditions)
    return joined.select(*rows.columns, *wanted)


def matched(rows: ir.Table, others: ir.Table, keys: Mapping[str, str], **taken: Any) -> ir.Table:
    """``rows`` with columns of the one row of ``others`` with the same keys; missing where none is."""
    wanted = {
        name: others[value] if isinstance(value, str) else value for name, value in taken.items()
    }
    own = {f"_key{i}": others[name] for i, name in enumerate(keys.values())}
    right = others.select(**own, **wanted)
    conditions = [rows[name] == right[f"_key{i}"] for i, name in enumerate(keys)]
    return rows.left_join(right, conditions).select(*rows.columns, *wanted)


def standing_sum(rows: ir.Table, changes: ir.Table, amount: Any, name: str) -> ir.Table:
    """``rows`` with the sum of all ``changes`` before each: ``amount`` is a column of ``changes``."""
    marks = rows.select("at", _own=ibis.literal(True), _amount=dec(0))
    steps = changes.select("at", _own=ibis.literal(False), _amount=dec(amount))
    every = marks.union(steps)
    every = every.mutate(_block=_block(every))
    # Block by block, and then inside each: engines sort many short parts sooner than a long one.
    blocks = every.group_by("_block").aggregate(_net=dec(every._amount.sum()))
    earlier = ibis.window(order_by=blocks._block, rows=(None, -1))
    blocks = blocks.mutate(_start=dec(blocks._net.sum().over(earlier).fill_null(dec(0))))
    # Where both stand at one place, the change is the row itself, and does not come before it.
    window = ibis.window(
        group_by=every._block, order_by=[every.at, ibis.desc(every._own)], rows=(None, 0)
    )
    every = every.mutate(_inside=dec(every._amount.sum().over(window)))
    every = matched(every.filter(every._own), blocks, {"_block": "_block"}, _start="_start")
    sums = every.select("at", _sum=dec(every._start + every._inside)).distinct()
    return matched(rows, sums, {"at": "at"}, **{name: "_sum"})


def overdrawn(legs: ir.Table, what: str) -> ir.Table:
    """Where the amounts that accounts got so far come to less than zero, as violations.

    ``legs`` have place, ``account`` and ``amount``; several at one place count together. An account
    that had more before a block than leaves it there is solvent all through it: only the others
    are added up event by event.
    """
    legs = legs.mutate(_block=_block(legs))
    blocks = legs.group_by(["account", "_block"]).aggregate(
        _net=dec(legs.amount.sum()), _out=dec(ibis.least(legs.amount, dec(0)).sum())
    )
    earlier = ibis.window(group_by=blocks.account, order_by=blocks._block, rows=(None, -1))
    blocks = blocks.mutate(_start=dec(blocks._net.sum().over(earlier).fill_null(dec(0))))
    thin = blocks.filter(blocks._start + blocks._out < 0)
    rows = legs.join(thin.select("account", "_block", "_start"), ["account", "_block"])
    sums = rows.group_by([*PLACE, "account", "_block", "_start"]).aggregate(
        amount=dec(rows.amount.sum())
    )
    inside = running(sums, sums.amount, [sums.account, sums._block])
    sums = sums.mutate(balance=dec(sums._start + inside))
    return broken(
        sums,
        sums.balance >= ibis.literal(0),
        what,
        parties=[sums.account],
        expected="at least 0",
        found=sums.balance,
    )


def _block(rows: ir.Table) -> Any:
    """The number of the block, of the place."""
    return rows.at >> _SHIFT


def first_of(rows: ir.Table, by: str | Sequence[str]) -> ir.Table:
    """The earliest row of each ``by``."""
    window = ibis.window(group_by=by, order_by=rows.at)
    found = rows.mutate(_place=ibis.row_number().over(window))
    return found.filter(found._place == 0).drop("_place")


def per_transaction(rows: ir.Table, amount: Any, name: str, *by: str) -> ir.Table:
    """Sums of an amount for each transaction (and ``by``), with the place of its first row."""
    rows = rows.mutate(_amount=dec(amount))
    return rows.group_by(["block_number", "tx_hash", *by]).aggregate(
        **{name: dec(rows._amount.sum())}, at=rows.at.min(), log_index=rows.log_index.min()
    )


# ------------------------------------------------------------------ violations


def broken(
    rows: ir.Table,
    holds: Any,
    what: str,
    *,
    subject: Any = "",
    parties: Sequence[Any] = (),
    expected: Any = "",
    found: Any = "",
) -> ir.Table:
    """The rows for which a condition does not hold, or cannot be told, as violations."""
    rows = rows.mutate(
        _subject=text(subject),
        _parties=_listed(parties),
        _expected=text(expected).fill_null("nothing"),
        _found=text(found).fill_null("nothing"),
        _holds=holds,
    )
    wrong = rows.filter(~rows._holds.fill_null(False))
    return wrong.select(
        block=wrong.block_number,
        transaction=hexed(wrong.tx_hash),
        log=wrong.log_index.cast("int64"),
        what=ibis.literal(what),
        subject=wrong._subject.fill_null(""),
        parties=wrong._parties.fill_null(""),
        expected=wrong._expected,
        found=wrong._found,
    )


def unequal(rows: ir.Table, what: str, expected: Any, found: Any, **shown: Any) -> ir.Table:
    """The rows in which what was found is not what the rules give."""
    return broken(rows, same(expected, found), what, expected=expected, found=found, **shown)


def _listed(parties: Sequence[Any]) -> Any:
    if not parties:
        return ibis.literal("")
    found = text(parties[0])
    for party in parties[1:]:
        found = found + ibis.literal(" ") + text(party)
    return found


def both(told: ir.Table, came: ir.Table, by: str, what: str) -> ir.Table:
    """Sums by transaction that two contracts tell, which must agree: ``told`` against ``came``.

    Both come from ``per_transaction``; missing on one side is zero.
    """
    one = told.select(
        "block_number", "tx_hash", "log_index", by, amount=dec(told.told), other=dec(0)
    )
    two = came.select(
        "block_number", "tx_hash", "log_index", by, amount=dec(0), other=dec(came.came)
    )
    every = one.union(two)
    rows = every.group_by(["block_number", "tx_hash", by]).aggregate(
        amount=dec(every.amount.sum()),
        other=dec(every.other.sum()),
        log_index=every.log_index.min(),
    )
    return unequal(rows, what, rows.amount, rows.other, parties=[rows[by]])
