"""The relay: brings what patients signed to the chain and pays the gas. It can change nothing in it."""

from __future__ import annotations

from medtoken.chain.contracts import Suite
from medtoken.chain.node import Receipt, Wallet
from medtoken.errors import InvalidSignature
from medtoken.messages import Consent, Revocation, Withdrawal


class Relay:
    """One relay's wallet on one deployment. Everything is checked before gas is spent."""

    def __init__(self, suite: Suite, wallet: Wallet) -> None:
        """The wallet pays for gas."""
        self._suite = suite
        self._wallet = wallet

    def grant(self, consent: Consent, signature: bytes, *, key: str | None = None) -> bytes:
        """Bring a consent; returns its id. Bringing one that is live already changes nothing."""
        consent.check(self._suite.node.head().timestamp)
        identity = consent.struct_hash()
        known = self._suite.market.consent(identity)
        if known.patient.lower() == consent.patient.lower() and not known.revoked_at:
            return identity
        self._suite.market.grant(self._wallet, consent, signature, key=key)
        return identity

    def grant_many(self, signed: list[tuple[Consent, bytes]], *, key: str | None = None) -> Receipt:
        """Bring up to 50 consents in one transaction, all or none."""
        now = self._suite.node.head().timestamp
        for consent, _ in signed:
            consent.check(now)
        return self._suite.market.grant_many(self._wallet, signed, key=key)

    def revoke(self, revocation: Revocation, signature: bytes, *, key: str | None = None) -> None:
        """Bring a revocation. Bringing it again changes nothing."""
        if not self._suite.market.consent(revocation.consent).revoked_at:
            self._suite.market.revoke(self._wallet, revocation.consent, signature, key=key)

    def cancel(self, consent: Consent, signature: bytes, *, key: str | None = None) -> None:
        """Bring a revocation of a consent that never reached the chain, so that it never can."""
        self._suite.market.cancel(self._wallet, consent, signature, key=key)

    def withdraw(
        self, withdrawal: Withdrawal, signature: bytes, *, key: str | None = None
    ) -> Receipt | None:
        """Bring a withdrawal; None when this very one was carried out before."""
        nonce = self._suite.market.earnings(withdrawal.account).nonce
        if nonce > withdrawal.nonce:
            if self._was_paid(withdrawal):
                return None
            raise InvalidSignature("The withdrawal was signed for a nonce that has passed.")
        return self._suite.market.withdraw(
            self._wallet,
            withdrawal.account,
            withdrawal.to,
            withdrawal.amount,
            withdrawal.deadline,
            signature,
            key=key,
        )

    def _was_paid(self, withdrawal: Withdrawal) -> bool:
        """Whether the n-th withdrawal of the account is this one."""
        topic = bytes(12) + bytes.fromhex(withdrawal.account.removeprefix("0x"))
        paid = self._suite.market.find("Withdrawn", topic)
        if len(paid) <= withdrawal.nonce:
            return False
        args = paid[withdrawal.nonce][1].args
        return bool(args["to"] == withdrawal.to and args["amount"] == withdrawal.amount)
