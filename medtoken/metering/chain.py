"""What the meters take from the chain and bring to it: terms, vouchers, the end of a licence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medtoken.chain.contracts import LicenceRef, Suite
from medtoken.chain.node import Receipt, Wallet
from medtoken.errors import BadInput
from medtoken.metering.custodian import CustodianMeter
from medtoken.metering.terms import Terms

# Vouchers that one transaction takes.
BATCH = 100


@dataclass(frozen=True)
class Redeemed:
    """What became of vouchers: licences, units and base units that the chain newly counted."""

    licences: int
    units: int
    amount: int
    receipts: tuple[Receipt, ...]


def read_terms(suite: Suite, licence: bytes) -> Terms:
    """What the chain says of a metered licence now. Raises BadInput when it is not metered."""
    market = suite.market
    ref = market.licence_ref(licence)
    word = market.licence(licence)
    if not word.metered:
        raise BadInput("Only a metered licence is counted.")
    return Terms(
        ref=ref,
        price=word.price,
        prepaid=word.units,
        used=word.used,
        end=word.end,
        revoked=market.consent(ref.consent).revoked_at,
        suspended=word.suspended,
        closed=word.closed,
        window=market.window(),
    )


def refresh(suite: Suite, meter: CustodianMeter, licences: Sequence[bytes] | None = None) -> None:
    """Take in what the chain says now of all licences, or of some."""
    known = [terms.ref.id() for terms in meter.licences()] if licences is None else licences
    for licence in known:
        meter.sync(read_terms(suite, licence))


def redeem(
    suite: Suite,
    wallet: Wallet,
    meter: CustodianMeter,
    licences: Sequence[bytes] | None = None,
    *,
    settle: bool = True,
    key: str | None = None,
) -> Redeemed:
    """Bring the best voucher of each licence to the chain, up to 100 in one transaction.

    With ``settle`` the parties are credited too. Run again after a crash, or by two at once, nothing is
    counted twice: vouchers are cumulative, the market passes over one that brings nothing new, and
    what is reported is what its log says.
    """
    refresh(suite, meter, licences)
    # The chain's clock decides what is dated in the future.
    now = suite.node.head().timestamp
    claims = [c for c in meter.claims(licences) if c.voucher.time <= now]
    prices = {terms.ref.id(): terms.price for terms in meter.licences()}
    receipts: list[Receipt] = []
    counted: dict[bytes, int] = {}
    for start in range(0, len(claims), BATCH):
        batch = claims[start : start + BATCH]
        name = f"{key}:{start}" if key else None
        vouchers = [claim.voucher for claim in batch]
        receipts.append(suite.market.redeem(wallet, vouchers, key=name))
        for log in suite.market.events(receipts[-1].logs, "VoucherRedeemed"):
            counted[log.args["licence"]] = log.args["units"]
        if settle:
            refs = [claim.voucher.ref for claim in batch]
            name = f"{key}:{start}:settle" if key else None
            receipts.append(suite.market.settle(wallet, refs, key=name))
    refresh(suite, meter, [claim.voucher.ref.id() for claim in claims])
    amount = sum(units * prices[licence] for licence, units in counted.items())
    return Redeemed(len(counted), sum(counted.values()), amount, tuple(receipts))


def close(
    suite: Suite, wallet: Wallet, refs: Sequence[LicenceRef], *, key: str | None = None
) -> Receipt:
    """Settle licences for the last time: after the window each closes and its rest is refunded."""
    return suite.market.settle(wallet, list(refs), key=key)
