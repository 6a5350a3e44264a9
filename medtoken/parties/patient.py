"""The patient: signs what others bring to the chain. A patient's wallet needs no ether."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from medtoken import vocabulary
from medtoken.chain.contracts import PayingContract, Suite
from medtoken.chain.node import Wallet
from medtoken.errors import BadInput, InsufficientFunds
from medtoken.messages import Consent, Revocation, Withdrawal

if TYPE_CHECKING:
    from medtoken.interop.consent import Terms

# How long a signature may take to reach the chain, seconds.
_DEADLINE = 3600
DAY = 86_400


class Patient:
    """One wallet, which owns records under its pseudonym and signs for them."""

    def __init__(self, suite: Suite, wallet: Wallet) -> None:
        """The wallet signs; it sends nothing."""
        self._suite = suite
        self._wallet = wallet

    @property
    def address(self) -> str:
        """The pseudonym."""
        return self._wallet.address

    def consent(
        self,
        records: bytes,
        *,
        purposes: Iterable[str],
        licensees: Iterable[str],
        region: str,
        floor_price: int,
        days: int,
        fields: str = "de-identified",
        tier: int = vocabulary.Tier.SENSITIVE,
        patient_share: int = 7_500,
        diseases: Iterable[str] = (),
        nonce: int | None = None,
        trustee: str | None = None,
    ) -> Consent:
        """Draw up a consent; nothing is signed yet, so that it can be read first (``render``).

        ``records`` is a record's id or the Merkle root of several, ``purposes`` DUO codes,
        ``floor_price`` base units per unit, ``patient_share`` bps. With a ``trustee`` the consent mandates
        it (R21): it alone sells, the patient has 60 % of the whole price, and ``patient_share`` and
        the low bits of ``nonce`` say so. Raises BadInput on anything that the market would refuse.
        """
        now = self._suite.node.head().timestamp
        groups = vocabulary.group_mask(licensees)
        nonce = secrets.randbits(256) if nonce is None else nonce
        if trustee is not None:
            groups |= vocabulary.AUCTION_ONLY
            patient_share = vocabulary.TRUST_SHARE
            nonce = nonce >> 160 << 160 | int(trustee, 16)
        consent = Consent(
            patient=self.address,
            records=records,
            purposes=vocabulary.duo_mask(purposes),
            diseases=vocabulary.disease_commitment(diseases),
            licensees=groups,
            fields=vocabulary.profile_hash(fields),
            region=vocabulary.region_code(region),
            tier=int(tier),
            patientShare=patient_share,
            floorPrice=floor_price,
            expiry=now + days * DAY,
            nonce=nonce,
            deadline=now + _DEADLINE,
        )
        consent.check(now)
        return consent

    def fresh(self, found: Terms) -> Consent:
        """The consent to sign for what a FHIR Consent says, whenever that was drawn up.

        Raises BadInput naming what it leaves open, or what the market would refuse.
        """
        now = self._suite.node.head().timestamp
        again = replace(found, nonce=secrets.randbits(256), deadline=now + _DEADLINE)
        consent = again.consent()
        consent.check(now)
        return consent

    def sign(
        self, message: Consent | Revocation | Withdrawal, purse: PayingContract | None = None
    ) -> bytes:
        """Sign a message for this deployment's market, or for another purse; 65 bytes."""
        return message.sign(self._wallet.key, (purse or self._suite.market).domain)

    def withdrawal(
        self, amount: int | None = None, to: str | None = None, purse: PayingContract | None = None
    ) -> Withdrawal:
        """Draw up a withdrawal of ``amount`` base units (None: everything) to ``to`` (None: oneself).

        From the market, or from another ``purse``: the royalty vault. Raises InsufficientFunds when
        it is more than was earned and settled.
        """
        earned = (purse or self._suite.market).earnings(self.address)
        wanted = earned.earned if amount is None else amount
        if wanted < 0:
            raise BadInput("An amount cannot be negative.")
        if wanted == 0 or wanted > earned.earned:
            raise InsufficientFunds(
                f"{self.address} has earned {earned.earned} base units and not withdrawn them, "
                f"so {wanted} cannot be paid."
            )
        return Withdrawal(
            account=self.address,
            to=to or self.address,
            amount=wanted,
            nonce=earned.nonce,
            deadline=self._suite.node.head().timestamp + _DEADLINE,
        )
