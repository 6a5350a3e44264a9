"""I7: for random histories, the ledger from logs alone = the model = the state of the chain.

The histories are those of ``test_market``, which audits each when everybody was paid. Here they are
broken off in the middle, with licences open, money owed and consents running.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test
from stateful.test_market import FAST, MarketMachine

SOON = settings(FAST, max_examples=6, stateful_step_count=40)
SEEN: Counter[str] = Counter()


class LedgerMachine(MarketMachine):
    """A history that ends anywhere, and is then audited."""

    def teardown(self) -> None:
        try:
            if self.pair.sound and self.audited:
                # The replay holds its ledger against the chain's state, this one against the model.
                self.audit()
                SEEN["histories"] += 1
                SEEN["licences"] += len(self.model.market.licences)
                SEEN["open"] += any(x.held for x in self.model.market.licences.values())
        finally:
            self._anchor.__exit__(None, None, None)


def test_the_ledger_from_logs_is_the_model_and_the_chain() -> None:
    SEEN.clear()
    run_state_machine_as_test(seed(41)(LedgerMachine), settings=SOON)
    # It must really have happened.
    assert SEEN["histories"] >= 5
    assert SEEN["licences"] > 5
    assert SEEN["open"] > 0
