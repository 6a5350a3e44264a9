"""Amounts, shares and ids on the command line: exact, or refused."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtoken.cli._context import AMOUNT, PERCENT, WORD, dut, hexed
from medtoken.messages import DUT


def parsed(kind: click.ParamType, text: str) -> object:
    return kind.convert(text, None, None)


@given(st.integers(0, 2**256 - 1))
def test_an_amount_comes_back_to_the_base_unit(amount: int) -> None:
    text = dut(amount).removesuffix(" DUT").replace(",", "")
    assert parsed(AMOUNT, text) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1", DUT),
        ("12.5", 12 * DUT + DUT // 2),
        ("1e3", 1000 * DUT),
        ("0.000000000000000001", 1),
        ("12345678901.123456789012345678", 12345678901123456789012345678),
        ("9" * 59, (10**59 - 1) * DUT),
    ],
)  # fmt: skip
def test_an_amount_is_exact(text: str, amount: int) -> None:
    assert parsed(AMOUNT, text) == amount


@pytest.mark.parametrize(
    "text",
    ["", "x", "-1", "1,5", "nan", "sNaN", "inf", "-inf", "0.0000000000000000001", "1e-19",
     "1e999999999", "1e60", "12345678901.1234567890123456789", "0x10"],
)  # fmt: skip
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not an amount"):
        parsed(AMOUNT, text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 DUT"), (1, "0.000000000000000001 DUT"), (1500 * DUT, "1,500 DUT"),
     (10**40 + 1, "10,000,000,000,000,000,000,000.000000000000000001 DUT")],
)  # fmt: skip
def test_an_amount_is_shown_exactly(amount: int, text: str) -> None:
    assert dut(amount) == text


@pytest.mark.parametrize(
    ("text", "points"), [("75", 7500), ("72.5", 7250), ("70.01", 7001), ("0", 0), ("100", 10_000)]
)
def test_a_share_is_exact(text: str, points: int) -> None:
    assert parsed(PERCENT, text) == points


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-1", "101", "70.001"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a share"):
        parsed(PERCENT, text)


@given(st.binary(min_size=32, max_size=32))
def test_an_id_comes_back(word: bytes) -> None:
    assert parsed(WORD, hexed(word)) == word
    assert parsed(WORD, word.hex().upper()) == word


@pytest.mark.parametrize(
    "text", ["", "0x", "0x12", "zz" * 32, "00" * 31, "00" * 33, "0x0x" + "00" * 32]
)
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not an id"):
        parsed(WORD, text)
