"""How one key keeper says no: a stable code, a sentence, and whether asking again soon may help."""

from __future__ import annotations

from enum import StrEnum

from medtoken.errors import KeyRefused


class Code(StrEnum):
    """Why a keeper refuses. The codes are part of its interface and do not change."""

    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    NOT_FOUND = "not-found"
    TOO_MANY = "too-many-requests"
    WRONG_CHAIN = "wrong-chain"
    WRONG_MARKET = "wrong-market"
    WRONG_KEEPER = "wrong-keeper"
    WRONG_PUBLIC_KEY = "wrong-public-key"
    WRONG_RECORD = "wrong-record"
    WRONG_VERSION = "wrong-version"
    BAD_SIGNATURE = "bad-signature"
    EXPIRED = "expired"
    VALID_TOO_LONG = "valid-too-long"
    NOT_LICENSEE = "not-licensee"
    NOT_CUSTODIAN = "not-custodian"
    NOT_PATIENT = "not-patient"
    NOT_LIVE = "licence-not-live"
    REVOKED = "consent-revoked"
    NONCE_USED = "nonce-used"
    NO_SHARE = "no-share"
    SHREDDED = "share-shredded"
    NOT_FINAL = "not-final-yet"
    UNKNOWN_CONSENT = "consent-unknown"
    CHAIN_UNREACHABLE = "chain-unreachable"
    CHAIN_LAGS = "chain-lags"
    CHAIN_REORGANISED = "chain-reorganised"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    BROKEN = "internal-error"


_PASSING = frozenset(
    {
        Code.TOO_MANY,
        Code.NOT_FINAL,
        Code.UNKNOWN_CONSENT,
        Code.CHAIN_UNREACHABLE,
        Code.CHAIN_LAGS,
        Code.CHAIN_REORGANISED,
        Code.BUSY,
        Code.UNREACHABLE,
        Code.BROKEN,
    }
)


class Refused(KeyRefused):
    """One keeper's refusal; nothing was changed."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code

    @property
    def passing(self) -> bool:
        """Whether the same request may be answered soon: the reason lies not in the request."""
        return self.code in _PASSING
