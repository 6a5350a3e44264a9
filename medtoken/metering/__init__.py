"""Counting calls off the chain and paying for them on it (R14), for both sides of a metered licence.

The custodian keeps a ``CustodianMeter``, the licensee a ``LicenseeMeter``. A call has a number; each
side writes it to its journal before it leaves its hands; the licensee acknowledges what it received
by cumulative vouchers; any number of calls settles by one of them. ``docs/metering.md`` says what
each side must trust, and what it risks.
"""

from medtoken.metering._signing import VoucherKey
from medtoken.metering.chain import close, read_terms, redeem
from medtoken.metering.custodian import Claim, CustodianMeter
from medtoken.metering.licensee import LicenseeMeter, OpenCall
from medtoken.metering.terms import Acknowledgement, Terms, request_tag

__all__ = [
    "Acknowledgement",
    "Claim",
    "CustodianMeter",
    "LicenseeMeter",
    "OpenCall",
    "Terms",
    "VoucherKey",
    "close",
    "read_terms",
    "redeem",
    "request_tag",
]
