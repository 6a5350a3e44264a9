"""The relay: brings what patients signed to the chain and pays the gas. It can change nothing in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medtoken.chain.contracts import PayingContract, Suite
from medtoken.chain.node import Receipt, Wallet
from medtoken.chain.passkeys import Passkeys
from medtoken.errors import InvalidSignature
from medtoken.messages import (
    Consent,
    LicenceApproval,
    PasskeyCancellation,
    PasskeyChange,
    Revocation,
    Withdrawal,
)
from medtoken.passkeys import Assertion


class Relay:
    """One relay's wallet on one deployment. Everything is checked before gas is spent."""

    def __init__(self, suite: Suite, wallet: Wallet) -> None:
        """The wallet pays for gas."""
        self._suite = suite
        self._wallet = wallet
        self._passkeys = Passkeys(suite.node, suite.deployment)

    def grant(self, consent: Consent, signature: bytes, *, key: str | None = None) -> bytes:
        """Bring a consent; returns its id. Bringing one that is live already changes nothing.

        Where ``key`` names a run that was killed, the consent that it brought counts.
        """
        now = self._suite.node.head().timestamp
        identity = consent.struct_hash()
        known = self._suite.market.consent(identity)
        if known.expiry > now and not known.revoked_at:
            return identity
        if not known.expiry:
            consent.check(now)
        receipt = self._suite.market.grant(self._wallet, consent, signature, key=key)
        return bytes(self._suite.market.events(receipt.logs, "ConsentGranted")[0].args["consent"])

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
        self,
        withdrawal: Withdrawal,
        signature: bytes,
        *,
        purse: PayingContract | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Bring a withdrawal from the market, or from another ``purse``: the royalty vault.

        Returns the event's ``account``, ``to`` and ``amount``. Bringing one again that was carried
        out changes nothing.
        """
        purse = purse or self._suite.market
        nonce = purse.earnings(withdrawal.account).nonce
        if nonce > withdrawal.nonce:
            paid = self._paid_before(withdrawal, purse)
            if paid is not None:
                return paid
            raise InvalidSignature("The withdrawal was signed for a nonce that has passed.")
        receipt = purse.withdraw(
            self._wallet,
            withdrawal.account,
            withdrawal.to,
            withdrawal.amount,
            withdrawal.deadline,
            signature,
            key=key,
        )
        return purse.events(receipt.logs, "Withdrawn")[0].args

    def change_passkey(
        self, message: PasskeyChange, signature: bytes, *, key: str | None = None
    ) -> None:
        """Bring a change of a patient's passkey (R10)."""
        self._passkeys.change(self._wallet, message, signature, key=key)

    def cancel_passkey(
        self, message: PasskeyCancellation, signature: bytes, *, key: str | None = None
    ) -> None:
        """Bring the cancellation of such a change."""
        self._passkeys.cancel(self._wallet, message.patient, signature, key=key)

    def approve(
        self, message: LicenceApproval, assertion: Assertion, *, key: str | None = None
    ) -> None:
        """Bring what a patient's passkey approved."""
        self._passkeys.approve(self._wallet, message, assertion, key=key)

    def withdraw_many(
        self,
        signed: Sequence[tuple[Withdrawal, bytes]],
        *,
        purse: PayingContract | None = None,
        key: str | None = None,
    ) -> list[dict[str, Any]]:
        """Bring up to 20 withdrawals from one purse in one transaction.

        Returns the event's ``account``, ``to`` and ``amount`` of each that was paid. One that the
        purse refuses now is passed over, so bringing the same ones again pays nobody twice.
        """
        purse = purse or self._suite.market
        receipt = self._suite.payouts.withdraw_many(self._wallet, purse, signed, key=key)
        return [event.args for event in purse.events(receipt.logs, "Withdrawn")]

    def _paid_before(self, withdrawal: Withdrawal, purse: PayingContract) -> dict[str, Any] | None:
        """The n-th withdrawal of the account, if it is this one."""
        topic = bytes(12) + bytes.fromhex(withdrawal.account.removeprefix("0x"))
        paid = purse.find("Withdrawn", topic)
        if len(paid) <= withdrawal.nonce:
            return None
        args = paid[withdrawal.nonce][1].args
        same = str(args["to"]).lower() == withdrawal.to.lower()
        return args if same and args["amount"] == withdrawal.amount else None
