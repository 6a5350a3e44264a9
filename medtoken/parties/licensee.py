"""The licensee (a research institute, a company): deposits, buys, uses, opens, settles (R12, R34)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from medtoken import sealing, vocabulary
from medtoken.chain.contracts import Ask, DataMarket, LicenceRef, Order, Suite
from medtoken.chain.node import Receipt, Wallet
from medtoken.chain.passkeys import Passkeys, Request
from medtoken.chain.research import ResearchDesk
from medtoken.chain.trust import DataTrust
from medtoken.chain.words import GRAIN
from medtoken.errors import BadInput, ConsentRefused, NotPermitted
from medtoken.interop import crypt4gh
from medtoken.ipfs import CID, Codec, Opener
from medtoken.keys import (
    EVERY_LICENCE,
    HpkePrivateKey,
    Keeper,
    KeyRequest,
    Rendition,
    release_key,
    sign_with,
)
from medtoken.messages import Consent, CopyDestruction
from medtoken.sealing import written_whole

DAY = 86_400
_PERMIT_TIME = 3600
# How long a key request may be answered, seconds.
_REQUEST_TIME = 600


@dataclass(frozen=True)
class Bought:
    """A licence, and what was paid for it: base units, the levy and a trustee's fee on top."""

    licence: bytes
    ref: LicenceRef
    paid: int
    levy: int
    end: int
    fee: int = 0  # of the trustee (R21)


class Licensee:
    """One licensee's wallet on one deployment."""

    def __init__(self, suite: Suite, wallet: Wallet) -> None:
        """The wallet pays, for gas too."""
        self._suite = suite
        self._wallet = wallet

    @property
    def address(self) -> str:
        """The licensee's account."""
        return self._wallet.address

    def deposit(self, amount: int, *, key: str | None = None) -> Receipt:
        """Prepay ``amount`` base units, permit and deposit in one transaction."""
        if amount <= 0:
            raise BadInput("The amount to deposit must be positive.")
        deadline = self._suite.node.head().timestamp + _PERMIT_TIME
        permit = self._suite.usage.permit(
            self._wallet, self._suite.market.address, amount, deadline
        )
        return self._suite.market.deposit_with_permit(
            self._wallet, amount, deadline, permit, key=key
        )

    def buy(
        self,
        record: bytes,
        consent: bytes,
        *,
        form: int,
        purposes: Sequence[str],
        days: int,
        units: int = 0,
        diseases: Sequence[str] = (),
        urgent: bool = False,
        signer: str | None = None,
        max_price: int | None = None,
        proof: Sequence[bytes] = (),
        research: int = 0,
        key: str | None = None,
    ) -> Bought:
        """Buy a licence under a consent, for ``days`` or until the consent ends if that is sooner.

        Highly sensitive data are asked for first (``request``), and bought by ``buy_requested``.

        ``units`` are the calls or MB that a metered licence prepays; ``max_price`` base units per
        unit, today's quote when it is not given; ``signer`` the key whose
        vouchers count (R14). Buying signs the data-use commitment in force. With ``research``, so many
        base units of RT pay their part of the price (R4): the deposit pays all of it first, and has
        that part back as the licence is earned. What a trustee manages is bought of it, and its fee is
        paid on top (R21).
        """
        order, terms = self._order(
            record,
            consent,
            form=form,
            purposes=purposes,
            days=days,
            units=units,
            diseases=diseases,
            urgent=urgent,
            signer=signer,
            max_price=max_price,
        )
        if research:
            if terms.trustee is not None:
                raise BadInput("What a trustee manages is not paid with research tokens.")
            desk = ResearchDesk(self._suite.node, self._suite.deployment)
            receipt = desk.buy(self._wallet, order, terms, list(proof), research, key=key)
        else:
            receipt = self._seller(terms).buy(self._wallet, order, terms, list(proof), key=key)
        return self._bought(receipt)

    def request(
        self, record: bytes, consent: bytes, *, key: str | None = None, **asked: Any
    ) -> Order:
        """Ask the patient to approve an order by passkey (R10); ``asked`` is as in ``buy``.

        The request stays on the chain, and is bought with ``buy_requested`` once it is approved.
        """
        order, _ = self._order(record, consent, **asked)
        passkeys = Passkeys(self._suite.node, self._suite.deployment)
        receipt = passkeys.request(self._wallet, consent, order, key=key)
        return Order(**passkeys.events(receipt.logs, "LicenceRequested")[0].args["order"])

    def buy_requested(
        self, request: Request, *, proof: Sequence[bytes] = (), key: str | None = None
    ) -> Bought:
        """Buy what this licensee requested and the patient approved.

        Raises NotPermitted for somebody else's request, ConsentRefused while it is not approved.
        """
        if request.licensee.lower() != self.address.lower():
            raise NotPermitted("The request is somebody else's.")
        terms = self._suite.market.consent_terms(request.consent)
        seller = self._seller(terms)
        receipt = seller.buy(self._wallet, request.order, terms, list(proof), key=key)
        return self._bought(receipt)

    @property
    def _trust(self) -> DataTrust:
        return DataTrust(self._suite.node, self._suite.deployment)

    def _seller(self, terms: Consent) -> DataMarket | DataTrust:
        """Who sells under a consent: a trustee's desk where it mandates one (R21)."""
        return self._suite.market if terms.trustee is None else self._trust

    def _bought(self, receipt: Receipt) -> Bought:
        args = self._suite.market.events(receipt.logs, "LicenceBought")[0].args
        ref = LicenceRef(args["consent"], args["record"], args["licensee"], args["salt"])
        fee = sum(log.args["fee"] for log in self._trust.events(receipt.logs, "LicenceTrusted"))
        return Bought(args["licence"], ref, args["paid"], args["levy"], args["end"], fee)

    def _order(
        self,
        record: bytes,
        consent: bytes,
        *,
        form: int,
        purposes: Sequence[str],
        days: int,
        units: int = 0,
        diseases: Sequence[str] = (),
        urgent: bool = False,
        signer: str | None = None,
        max_price: int | None = None,
    ) -> tuple[Order, Consent]:
        """What is ordered under a consent, and the consent's terms."""
        market = self._suite.market
        word = market.consent(consent)
        now = self._suite.node.head().timestamp
        if days <= 0:
            raise BadInput("A licence must last at least a day.")
        terms = market.consent_terms(consent)
        if word.expiry <= now:
            raise ConsentRefused("consent: it has expired")
        floor = terms.floorPrice
        if terms.trustee is not None:
            floor = max(floor, self._trust.offer(consent, record).price * GRAIN)
        account = market.licensee(self.address)
        quote = self._suite.tariff.quote(
            Ask(
                record=record,
                form=int(form),
                purposes=vocabulary.duo_mask(purposes),
                urgent=urgent,
                floorPrice=floor,
                region=account.region,
                certified=account.certified,
            )
        )
        order = Order(
            record=record,
            form=int(form),
            units=units,
            end=min(now + days * DAY, word.expiry),
            purposes=vocabulary.duo_mask(purposes),
            diseases=vocabulary.disease_commitment(diseases),
            urgent=urgent,
            maxPrice=quote.price if max_price is None else max_price,
            agreement=market.agreement(),
            salt=licence_salt(signer),
        )
        return order, terms

    def use(self, licence: bytes, units: int = 1, *, key: str | None = None) -> dict[str, Any]:
        """Use a licence on the chain; returns the event's ``units`` and ``used``.

        Raises NotPermitted for a destroyed record: the market would count what nothing serves.
        """
        market = self._suite.market
        ref = market.licence_ref(licence)
        if self._suite.registry.facts(ref.record).destroyed:
            raise NotPermitted("The record was destroyed: what is unused is returned at the end.")
        receipt = market.use(self._wallet, ref, units, key=key)
        return market.events(receipt.logs, "LicenceUsed")[0].args

    def open_record(
        self,
        licence: bytes,
        destination: str | PathLike[str],
        *,
        store: Opener,
        keepers: Sequence[Keeper],
    ) -> sealing.Manifest:
        """Get the key from any two keepers, fetch, verify everything, and write the plaintext.

        What comes is the copy that the patient's consent lets out, by its masking profile; the one
        made for this licence alone, with its mark, if the custodian made one (R9, R35).

        Raises KeyRefused when fewer than two keepers release, IntegrityError when anything does
        not match the chain's CID and fingerprint, StoreError when blocks are missing.
        """
        source, dek, fingerprint = self._key_of(licence, store, keepers)
        return sealing.open_sealed(source, dek, destination, fingerprint=fingerprint)

    def export_record(
        self,
        licence: bytes,
        destination: str | PathLike[str],
        recipients: Sequence[bytes],
        *,
        store: Opener,
        keepers: Sequence[Keeper],
        sender: crypt4gh.SecretKey | None = None,
    ) -> sealing.Manifest:
        """As ``open_record``, but write Crypt4GH for ``recipients`` (public keys) instead of plaintext.

        The plaintext never reaches a disk, and ``destination`` appears once all of it was verified.
        """
        source, dek, fingerprint = self._key_of(licence, store, keepers)
        reader = sealing.SealedReader(source, dek, fingerprint=fingerprint)
        with written_whole(destination) as file:
            crypt4gh.encrypt(reader.chunks(), file, recipients, sender=sender)
        return reader.manifest

    def attest_destruction(
        self, licence: bytes, statement: bytes, *, key: str | None = None
    ) -> Receipt | None:
        """Attest on the chain that every copy under a licence that is over was destroyed (R35).

        ``statement`` is the SHA-256 of what the licensee states of it. None when this very statement
        is on the chain already. Raises NotPermitted for somebody else's licence, ContractRefused
        while it is not over or when another statement was made.
        """
        _, ref, _ = self._suite.market.licence_bought(licence)
        if ref.licensee.lower() != self.address.lower():
            raise NotPermitted(f"{self.address} is not the licensee of 0x{licence.hex()}.")
        if self._suite.view.destruction(licence) == statement != bytes(32):
            return None
        message = CopyDestruction(licence, statement)
        signature = message.sign(self._wallet.key, self._suite.view.domain)
        return self._suite.view.attest_destruction(self._wallet, ref, statement, signature, key=key)

    def _key_of(
        self, licence: bytes, store: Opener, keepers: Sequence[Keeper]
    ) -> tuple[sealing.Source, bytes, bytes]:
        """The sealed copy that a licence opens, its key, and the fingerprint that the registry holds."""
        _, ref, block = self._suite.market.licence_bought(licence)
        fields = self._suite.market.consent_terms(ref.consent).fields
        copies = {(c.fields, c.licence): c for c in self._suite.registry.renditions(ref.record)}
        own, common = (Rendition(ref.record, fields, one) for one in (licence, EVERY_LICENCE))
        rendition = own if (fields, licence) in copies else common
        # A file that keeps to the profile as it was registered has no copy beside it.
        draft = copies.get((fields, rendition.licence)) or self._suite.registry.draft(ref.record)
        source = store.open(CID(Codec(draft.codec), draft.content))
        trailer = sealing.read_trailer(source)
        private = HpkePrivateKey.generate()
        request = KeyRequest(
            chain_id=self._suite.node.chain_id,
            market=self._suite.market.address,
            licence=licence,
            record=ref.record,
            requester=self.address,
            public_key_hash=private.public_key.fingerprint,
            block=block,
            expiry=self._suite.node.head().timestamp + _REQUEST_TIME,
        )
        dek = release_key(
            keepers,
            request,
            private,
            rendition=rendition,
            sign=sign_with(self._wallet.account),
            commits_to=trailer.commits_to,
        )
        return source, dek, draft.fingerprint


def licence_salt(signer: str | None) -> int:
    """A fresh salt of a licence: its voucher key in the low 160 bits (None: no vouchers)."""
    return (secrets.randbits(96) << 160) | (int(signer, 16) if signer else 0)


def earned_now(suite: Suite, ref: LicenceRef) -> int:
    """What a licence has earned and nobody has settled yet, before the split; base units."""
    word = suite.market.licence(ref.id())
    if word.form == 0 or word.closed:
        return 0
    revoked = suite.market.consent(ref.consent).revoked_at
    stop = word.stop(suite.node.head().timestamp, revoked)
    return word.earned(stop) - word.earned(word.settled)
