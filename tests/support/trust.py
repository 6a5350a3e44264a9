"""The suite with people in it, as stories of records need it that a trustee manages (R21)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medtoken import vocabulary
from medtoken.chain.words import OfferWord, SaleWord
from medtoken.messages import Consent
from support.desks import Desks
from support.world import FIXED, NONE, World


def mandate(w: World, records: bytes | None = None, **changes: Any) -> Consent:
    """A granted consent that mandates the trustee, or another one by ``trustee``."""
    trustee = changes.pop("trustee", w.people.trustee)
    values: dict[str, Any] = {
        "licensees": vocabulary.group_mask(["pharma"]) | vocabulary.AUCTION_ONLY,
        "patientShare": vocabulary.TRUST_SHARE,
        "nonce": int.from_bytes(w.fresh("nonce")) >> 160 << 160 | int(trustee, 16),
    }
    return w.granted(records, **(values | changes))


def offer(
    w: World, consent: Consent, price: int = 0, *, record: bytes = NONE, open_: bool = True
) -> None:
    """Have the trustee offer what it is mandated with, or hold it back."""
    args = (consent.values(), record, price, open_)
    w.trust.set_offer(*args, sender=w.people.trustee)


def buy(
    w: World,
    consent: Consent,
    *,
    sender: str | None = None,
    proof: Sequence[bytes] = (),
    **changes: Any,
) -> dict[str, Any]:
    """Buy a licence of the trustee: a year's term unless it says otherwise; its ref."""
    sender = sender or w.people.licensee
    given = {"salt": int.from_bytes(w.fresh("salt")) >> 160 << 160, "form": FIXED, "units": 0}
    order = w.order(consent, **(given | changes))
    w.trust.buy(order, consent.values(), list(proof), sender=sender)
    return {
        "consent": consent.struct_hash(),
        "record": order["record"],
        "licensee": str(sender),
        "salt": order["salt"],
    }


class Trust(Desks):
    """A ``World`` with an accredited trustee, and short ways to say what happens at its desk."""

    def settle_in(self) -> Trust:
        super().settle_in()
        self.name_trustee(self.people.trustee)
        self.admit(self.people.trustee)
        return self

    def name_trustee(self, who: str, accredited: bool = True) -> None:
        self.trust.set_trustee(who, accredited, sender=self.people.accreditation)

    def pay(self, *refs: dict[str, Any]) -> None:
        """Have anybody settle."""
        self.trust.settle(list(refs), sender=self.people.stranger)

    def offered(self, consent: Consent, record: bytes = NONE) -> OfferWord:
        return OfferWord.unpack(self.trust.offer_word(consent.struct_hash(), record))

    def sale(self, ref: dict[str, Any]) -> SaleWord:
        return SaleWord.unpack(self.trust.sale_word(self.licence_id(ref)))
