"""Every storage slot of our own contracts follows from the logs alone, to the last bit."""

from __future__ import annotations

from typing import Any

import pytest

from medtoken.audit.slots import CONTRACTS, storage


def test_every_contract_of_ours_is_rebuilt(honest: Any) -> None:
    """All that is behind a proxy, and what keeps something without one."""
    ledger = honest.fold(honest.events)
    assert set(CONTRACTS) == {*ledger.suite.proxies.values(), "LicenceView", "MedGovernor"}


@pytest.mark.parametrize("contract", sorted(CONTRACTS))
def test_the_storage_is_what_the_logs_give(honest: Any, contract: str) -> None:
    ledger = honest.fold(honest.events)
    kept = honest.chain.evm.storage_of(ledger.suite.addresses[contract])
    assert kept
    assert storage(ledger, contract)[0] == kept


def test_a_log_that_is_left_out_leaves_another_storage(honest: Any) -> None:
    """Of each event that changes a contract's storage, the last one is dropped."""
    last = {(e.contract, e.event): at for at, e in enumerate(honest.events)}
    blind = set()
    for (contract, event), at in last.items():
        if contract in CONTRACTS:
            rest = [e for number, e in enumerate(honest.events) if number != at]
            ledger = honest.fold(rest)
            kept = honest.chain.evm.storage_of(ledger.suite.addresses[contract])
            if _rebuilt(ledger, contract) == kept:
                blind.add(f"{contract}.{event}")
    assert blind == BLIND


def _rebuilt(ledger: Any, contract: str) -> dict[int, int] | None:
    try:
        return storage(ledger, contract)[0]
    except Exception:  # a ledger that lacks an event may hold what fits no word
        return None


# Of these the rules or another event of the same transaction tell the same, or they change nothing
# that the contract itself keeps: the books come to the same without them (and miss them).
BLIND = {
    "AssetDesk.AssetOffered",
    "AssetDesk.LineageCancelled",
    "AssetDesk.LineageRefuted",
    "AssetDesk.OfferWithdrawn",
    "BasketDesk.BasketDrawn",
    "BasketDesk.BasketToppedUp",
    "MedGovernor.TimelockChange",
    "Passkeys.LicenceRequested",
    "StorageRewards.ChallengeFailed",
    "StorageRewards.StorageProven",
}
