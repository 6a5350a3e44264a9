"""Who pays into the breach cover (R23) and the compensation fund (R22)."""

from __future__ import annotations

from typing import Any

from medtoken.chain.contracts import Suite
from medtoken.chain.node import Wallet
from medtoken.chain.protection import BreachCover, CompensationFund


def pay_premium(
    suite: Suite, wallet: Wallet, amount: int, *, key: str | None = None
) -> dict[str, Any]:
    """Pay a premium of ``amount`` base units as a custodian; returns the event's arguments.

    Raises ContractRefused when the contract or DUT refuses.
    """
    cover = BreachCover(suite.node, suite.deployment)
    suite.usage.approve(wallet, cover.address, amount, key=key and f"{key}:approve")
    receipt = cover.pay_premium(wallet, amount, key=key)
    return dict(cover.events(receipt.logs, "PremiumPaid")[0].args)


def contribute(
    suite: Suite, wallet: Wallet, licence: bytes, amount: int, *, key: str | None = None
) -> dict[str, Any]:
    """Pay ``amount`` base units for the use of a licence as its licensee; returns the event's arguments.

    Raises ContractRefused when the licence is unknown, or the contract or DUT refuses.
    """
    fund = CompensationFund(suite.node, suite.deployment)
    ref = suite.market.licence_ref(licence)
    suite.usage.approve(wallet, fund.address, amount, key=key and f"{key}:approve")
    receipt = fund.pay(wallet, ref, amount, key=key)
    return dict(fund.events(receipt.logs, "ContributionPaid")[0].args)
