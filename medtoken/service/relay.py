"""The service's relay: brings what patients signed to the chain, and pays the gas from its own key.

Only what is well formed, meant for this market and signed by whom it names is brought, and not too
much of it for one patient. It can change nothing in what was signed, and brings nothing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from medtoken import bodies
from medtoken.errors import (
    BadInput,
    InsufficientFunds,
    InvalidSignature,
    MedtokenError,
    NotPermitted,
)
from medtoken.messages import (
    Consent,
    Domain,
    LicenceApproval,
    Message,
    PasskeyCancellation,
    PasskeyChange,
    Revocation,
    Withdrawal,
)
from medtoken.passkeys import Assertion
from medtoken.service import wire
from medtoken.service.answers import Answers
from medtoken.serving import Bucket

_HOUR = 3_600
# Messages of all accounts together, as many times what one may bring: gas has an end.
_ALL = 50


class TooMany(MedtokenError):
    """Somebody asks for more than is carried for them."""


class Carrier(Protocol):
    """Whoever sends the transactions; ``medtoken.parties.Relay`` is one."""

    def grant(self, consent: Consent, signature: bytes) -> bytes: ...  # noqa: D102
    def revoke(self, revocation: Revocation, signature: bytes) -> None: ...  # noqa: D102
    def withdraw(self, withdrawal: Withdrawal, signature: bytes) -> dict[str, Any]: ...  # noqa: D102
    def change_passkey(self, message: PasskeyChange, signature: bytes) -> None: ...  # noqa: D102
    def cancel_passkey(self, message: PasskeyCancellation, signature: bytes) -> None: ...  # noqa: D102
    def approve(self, message: LicenceApproval, assertion: Assertion) -> None: ...  # noqa: D102


class Relaying:
    """Checks, and then has a carrier send. One transaction at a time, so that nonces stay in order."""

    def __init__(
        self,
        carrier: Carrier,
        domain: Domain,
        *,
        passkeys: Domain,
        is_contract: Callable[[str], bool],
        an_hour: int = 20,
    ) -> None:
        """``passkeys`` is the domain of patients' passkeys.

        ``is_contract`` tells smart wallets, whose signature only the chain can check (ERC-1271).

        ``an_hour`` messages are carried for one account in an hour, as many at once, and as many
        revocations besides: who has brought much can still take back. All accounts together have 50
        times as many.
        """
        self._carrier = carrier
        self._domain = domain
        self._passkeys = passkeys
        self._is_contract = is_contract
        self._bucket = Bucket(an_hour / _HOUR, an_hour)
        self._revocations = Bucket(an_hour / _HOUR, an_hour)
        self._all = Bucket(_ALL * an_hour / _HOUR, _ALL * an_hour)
        self._lock = threading.Lock()

    def grant(self, signed: wire.SignedConsent, answers: Answers) -> Callable[[], bytes]:
        """Check a consent; returns what brings it and gives its id.

        One that is on the chain already is brought no second time.
        """
        consent = wire.consent_of(signed.message)
        identity = consent.struct_hash()
        known = answers.granted_at(identity) is not None
        if not known:
            consent.check(answers.now)
        owner = answers.owner_of(consent.records)
        if owner is None and not answers.owns_any(consent.patient):
            raise NotPermitted("Consents are brought for patients of this market only.")
        if owner is not None and owner != consent.patient:
            raise NotPermitted("The record belongs to somebody else.")

        def bring() -> bytes:
            signature = self._signature(signed.signature, consent, consent.patient)
            if not known:
                self._carry(consent.patient, lambda: self._carrier.grant(consent, signature))
            return identity

        return bring

    def revoke(self, signed: wire.SignedRevocation, answers: Answers) -> Callable[[], bytes]:
        """Check a revocation; returns what brings it and gives the consent's id.

        One that took effect already is not brought.
        """
        revocation = wire.revocation_of(signed.consent)
        patient = answers.patient_of(revocation.consent)
        if patient is None:
            raise BadInput("The market knows no such consent.")
        known = answers.revoked_at(revocation.consent) is not None
        owns = answers.owns_any(patient)

        def bring() -> bytes:
            # The chain asks a smart wallet, at our cost, and anybody may make one and grant consents.
            if not owns and self._is_contract(patient):
                raise NotPermitted("Smart wallets without a record here send their own messages.")
            signature = self._signature(signed.signature, revocation, patient)
            if not known:
                send = lambda: self._carrier.revoke(revocation, signature)  # noqa: E731
                self._carry(patient, send, self._revocations)
            return revocation.consent

        return bring

    def withdraw(
        self, signed: wire.SignedWithdrawal, answers: Answers
    ) -> Callable[[], dict[str, Any]]:
        """Check a withdrawal; returns what brings it and gives ``account``, ``to``, ``amount``."""
        withdrawal = wire.withdrawal_of(signed.message)
        if withdrawal.deadline < answers.now:
            raise InvalidSignature("The deadline for bringing the signature has passed.")
        if not answers.has_earned(withdrawal.account):
            raise InsufficientFunds("This account has earned nothing here.")

        def bring() -> dict[str, Any]:
            signature = self._signature(signed.signature, withdrawal, withdrawal.account)
            paid = self._carry(
                withdrawal.account, lambda: self._carrier.withdraw(withdrawal, signature)
            )
            return dict(paid)

        return bring

    def change_passkey(self, signed: wire.SignedPasskey, answers: Answers) -> Callable[[], str]:
        """Check a change of a passkey; returns what brings it and gives the patient."""
        message = wire.change_of(signed.message)
        if message.deadline < answers.now:
            raise InvalidSignature("The deadline for bringing the signature has passed.")
        send = lambda s: self._carrier.change_passkey(message, s)  # noqa: E731
        return self._of_passkey(signed, message, message.nonce, answers, send)

    def cancel_passkey(self, signed: wire.SignedPasskey, answers: Answers) -> Callable[[], str]:
        """Check the cancellation of a change; returns what brings it and gives the patient."""
        message = wire.cancellation_of(signed.message)
        send = lambda s: self._carrier.cancel_passkey(message, s)  # noqa: E731
        return self._of_passkey(signed, message, message.nonce, answers, send)

    def _of_passkey(
        self,
        signed: wire.SignedPasskey,
        message: PasskeyChange | PasskeyCancellation,
        nonce: int,
        answers: Answers,
        send: Callable[[bytes], None],
    ) -> Callable[[], str]:
        patient = message.patient
        if not answers.owns_any(patient):
            raise NotPermitted("Passkeys are brought for patients of this market only.")
        if nonce != answers.passkeys(patient).nonce:
            raise InvalidSignature("This was signed for another state of the passkey.")

        def bring() -> str:
            signature = self._signature(signed.signature, message, patient, self._passkeys)
            self._carry(patient, lambda: send(signature))
            return patient

        return bring

    def approve(self, signed: wire.ApprovedLicence, answers: Answers) -> Callable[[], str]:
        """Check an approval by passkey; returns what brings it and gives the patient.

        Only what a licensee asked for on the chain is brought.
        """
        message = wire.approval_of(signed.message)
        assertion = Assertion.of_json(msgspec.to_builtins(signed.assertion))
        passkey = answers.passkey_of(message.patient)
        if passkey is None:
            raise NotPermitted("There is no passkey that could approve.")
        if not answers.was_asked(message):
            raise NotPermitted("Nobody who could buy it asked for this.")
        if message.deadline < answers.now:
            raise InvalidSignature("The deadline for bringing the approval has passed.")
        assertion.check(passkey, message.digest(self._passkeys))

        def bring() -> str:
            self._carry(message.patient, lambda: self._carrier.approve(message, assertion))
            return message.patient

        return bring

    def _signature(
        self, text: str, message: Message, signer: str, domain: Domain | None = None
    ) -> bytes:
        signature = bodies.unhexed(text)
        if len(signature) > 4096:
            raise InvalidSignature("The signature is longer than any that is taken.")
        if self._is_contract(signer):
            return signature  # the market asks the wallet's contract, before gas is spent
        if message.signer(signature, domain or self._domain) != signer:
            raise InvalidSignature(
                "The signature is not by the account that the message names, or not for this market."
            )
        return signature

    def _carry(self, account: str, send: Callable[[], Any], bucket: Bucket | None = None) -> Any:
        if not (bucket or self._bucket).take(account):
            raise TooMany("Too much was brought for this account in the last hour: try later.")
        if not self._all.take(""):
            raise TooMany("Too much was brought in the last hour: send it from your wallet.")
        with self._lock:
            return send()
