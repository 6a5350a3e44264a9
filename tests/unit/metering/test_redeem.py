"""What ``redeem`` reports is what the chain counted, whoever else brought vouchers in the meantime."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.meters import START, Pair, terms

from medtoken.metering import Terms, chain


class Market:
    """A market that counts what its log says, after somebody was here first."""

    def __init__(self, before: dict[bytes, int]) -> None:
        self.used = before
        self.settled: list[Any] = []

    def redeem(self, wallet: Any, vouchers: list[Any], key: str | None = None) -> Any:
        logs = []
        for voucher in vouchers:
            licence = voucher.ref.id()
            new = voucher.units - self.used.get(licence, 0)
            if new > 0:
                self.used[licence] = voucher.units
                logs.append(SimpleNamespace(args={"licence": licence, "units": new}))
        return SimpleNamespace(logs=tuple(logs))

    def events(self, logs: tuple[Any, ...], event: str) -> list[Any]:
        assert event == "VoucherRedeemed"
        return list(logs)

    def settle(self, wallet: Any, refs: list[Any], key: str | None = None) -> Any:
        self.settled += refs
        return SimpleNamespace(logs=())


@pytest.mark.parametrize(
    ("before", "licences", "units"),
    [((0, 0), 2, 8), ((3, 0), 1, 5), ((2, 0), 2, 6), ((3, 5), 0, 0)],
    ids=["nobody else", "one is counted", "a part is counted", "all are counted"],
)
def test_what_somebody_else_brought_is_not_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[int, int],
    licences: int,
    units: int,
) -> None:
    """R14: the market passes over a voucher that brings nothing new, without a word."""
    pair = Pair(tmp_path)
    known = [terms(1), terms(2)]
    for one, calls in zip(known, (3, 5), strict=True):
        licence = pair.sync(one)
        for _ in range(calls):
            pair.call(licence)
        pair.acknowledge(licence)
    market = Market(dict(zip((one.ref.id() for one in known), before, strict=True)))
    node = SimpleNamespace(head=lambda: SimpleNamespace(timestamp=START))

    def unchanged(suite: Any, licence: bytes) -> Terms:
        """The node's view from before the other's transaction."""
        return next(one for one in known if one.ref.id() == licence)

    monkeypatch.setattr(chain, "read_terms", unchanged)
    suite: Any = SimpleNamespace(market=market, node=node)
    wallet: Any = None
    done = chain.redeem(suite, wallet, pair.custodian)
    assert (done.licences, done.units, done.amount) == (licences, units, units * 10**19)
    assert market.settled == [one.ref for one in known]
