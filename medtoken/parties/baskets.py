"""Bulk licences (R12): a licensee reserves a set of records, anybody takes their licences out of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medtoken import vocabulary
from medtoken.chain.contracts import Suite
from medtoken.chain.desks import Basket, BasketDesk, BasketState, Item, leaf
from medtoken.chain.node import Wallet
from medtoken.errors import BadInput
from medtoken.merkle import Tree
from medtoken.vocabulary import Form

DAY = 86_400
# Items that one transaction takes.
BATCH = 32


@dataclass(frozen=True)
class Listing:
    """The records of a basket, each under its consent, in the order of the tree's leaves."""

    entries: tuple[tuple[bytes, bytes], ...]  # record, consent

    @classmethod
    def load(cls, path: str | Path) -> Listing:
        """From a JSON file: a list of ``{"record": "0x…", "consent": "0x…"}``. Raises BadInput."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            entries = tuple((_word(one["record"]), _word(one["consent"])) for one in data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadInput(f"{path} is not a list of records and consents in JSON.") from None
        if not entries:
            raise BadInput(f"{path} lists no record.")
        return cls(entries)

    def tree(self) -> Tree:
        """The Merkle tree of the basket."""
        return Tree([leaf(record, consent) for record, consent in self.entries])


@dataclass(frozen=True)
class Taken:
    """What one transaction or several took out of a basket."""

    licences: tuple[bytes, ...]
    passed_over: int
    left: int  # base units


class Baskets:
    """The basket desk of one deployment."""

    def __init__(self, suite: Suite) -> None:
        """Nothing is sent yet."""
        self._suite = suite
        self.desk = BasketDesk(suite.node, suite.deployment)

    def reserve(
        self,
        licensee: Wallet,
        listing: Listing,
        amount: int,
        *,
        form: int,
        purposes: Sequence[str],
        max_price: int,
        days: int,
        take_days: int,
        units: int = 0,
        diseases: Sequence[str] = (),
        urgent: bool = False,
        signer: str | None = None,
        key: str | None = None,
    ) -> Basket:
        """Reserve ``amount`` base units, levies included, for the records of a listing.

        The licences last ``days`` from now and are taken within ``take_days``; ``max_price`` is base
        units per unit. Reserving signs the data-use commitment in force.
        """
        if form not in (Form.FIXED_TERM, Form.METERED):
            raise BadInput("Records are bought in bulk for a fixed term or metered.")
        now = self._suite.node.head().timestamp
        terms = Basket(
            licensee=licensee.address,
            root=listing.tree().root,
            count=len(listing.entries),
            form=int(form),
            units=units,
            end=now + days * DAY,
            until=now + min(take_days, days) * DAY,
            purposes=vocabulary.duo_mask(purposes),
            diseases=vocabulary.disease_commitment(diseases),
            urgent=urgent,
            maxPrice=max_price,
            agreement=self._suite.market.agreement(),
            salt=(secrets.randbits(96) << 160) | (int(signer, 16) if signer else 0),
        )
        receipt = self.desk.reserve(licensee, terms, amount, key=key)
        return Basket(**self.desk.events(receipt.logs, "BasketReserved")[0].args["terms"])

    def take(
        self,
        wallet: Wallet,
        basket: bytes,
        listing: Listing,
        chosen: Sequence[int] | None = None,
        *,
        record_proofs: Mapping[bytes, list[bytes]] | None = None,
        key: str | None = None,
    ) -> Taken:
        """Take licences out of a basket, up to 32 in a transaction; ``chosen`` None takes all.

        One alone tells why it is refused; of several those that cannot be licensed now are passed
        over. ``record_proofs`` are needed where a consent names a set. Raises BadInput when the listing
        is not the basket's.
        """
        terms = self.desk.terms(basket)
        tree = listing.tree()
        if tree.root != terms.root:
            raise BadInput("The list is not the one that the basket was reserved for.")
        numbers = list(range(len(listing.entries))) if chosen is None else list(chosen)
        if any(not 0 <= n < len(listing.entries) for n in numbers):
            raise BadInput("The list has no such entry.")
        items = [self._item(listing, tree, n, record_proofs or {}) for n in numbers]
        licences: list[bytes] = []
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            name = f"{key}:{start}" if key else None
            if len(items) == 1:
                receipt = self.desk.take(wallet, terms, items[0], key=name)
            else:
                receipt = self.desk.take_many(wallet, terms, batch, key=name)
            events = self.desk.events(receipt.logs, "BasketTaken")
            licences += [log.args["licence"] for log in events]
        left = self.desk.state(basket).left
        return Taken(tuple(licences), len(items) - len(licences), left)

    def top_up(
        self, licensee: Wallet, basket: bytes, amount: int, *, key: str | None = None
    ) -> int:
        """Reserve more; what is left then, base units."""
        self.desk.top_up(licensee, self.desk.terms(basket), amount, key=key)
        return self.desk.state(basket).left

    def close(self, wallet: Wallet, basket: bytes, *, key: str | None = None) -> int:
        """Return what is left to the licensee's deposit; how much."""
        receipt = self.desk.close(wallet, self.desk.terms(basket), key=key)
        return int(self.desk.events(receipt.logs, "BasketClosed")[0].args["returned"])

    def show(self, basket: bytes) -> tuple[Basket, BasketState]:
        """A basket's terms and state."""
        return self.desk.terms(basket), self.desk.state(basket)

    def _item(
        self, listing: Listing, tree: Tree, number: int, proofs: Mapping[bytes, list[bytes]]
    ) -> Item:
        record, consent = listing.entries[number]
        terms = self._suite.market.consent_terms(consent)
        return Item(record, terms, tree.proof(number), proofs.get(record, []))


def _word(text: str) -> bytes:
    word = bytes.fromhex(text.removeprefix("0x"))
    if len(word) != 32:
        raise ValueError
    return word
