"""Institution assets (R3): what derived datasets and models earned, and what of it their sources got."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, amounts, hexed
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.books.usage import FROZEN, Announced, UsageBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import AssetBooks, AssetWord, EarningsWord, LineWord
from medtoken.formats import RecordKind
from medtoken.lineage import FORBIDDING, may_derive
from medtoken.vocabulary import Capability

_PARAMETERS = {keccak(text=name): name for name in ("share", "window")}
_BOUNDS = {"share": rules.LINEAGE_SHARES, "window": rules.LINEAGE_WINDOWS}
_DERIVED = int(RecordKind.DERIVED)


@dataclass
class Asset:
    """One asset: its words, its lineage, and what it offered. Amounts in base units."""

    word: AssetWord
    account: str
    root: bytes = bytes(32)
    total: int = 0
    books: AssetBooks = field(default_factory=AssetBooks)
    sold: int = 0  # of what was earned, what came from the market
    lines: dict[bytes, LineWord] = field(default_factory=dict)  # by licence
    sources: dict[bytes, bytes] = field(default_factory=dict)  # licence → record
    offers: set[bytes] = field(default_factory=set)  # consents
    withdrawn: set[bytes] = field(default_factory=set)

    @property
    def pot(self) -> int:
        """What of all earnings is the lineage's."""
        return rules.lineage(self.books.earned, self.word.share)


class InstitutionTokenBook(Book):
    """Who holds which asset."""

    def __init__(self, journal: Journal) -> None:
        """Start before the deployment."""
        super().__init__(journal)
        self.owners: dict[bytes, str] = {}
        self.balances: dict[str, int] = defaultdict(int)
        self.minter = ZERO_ADDRESS
        self.authority = ZERO_ADDRESS
        self.desk: AssetBook | None = None
        # Assets that were made in the transaction at hand, and who gets their tokens.
        self._due: dict[bytes, str] = {}

    def announce(self, asset: bytes, holder: str) -> None:
        """Say that the token of a new asset must now be minted to its creator."""
        self._due[asset] = holder

    def end_transaction(self) -> None:
        """Every asset that was made has its token."""
        for asset in self._due:
            self.journal.require(False, 7, "R3", f"the asset {hexed(asset)} has no token")
        self._due.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {hexed(asset): owner for asset, owner in sorted(self.owners.items())}

    def _transfer(self, event: Event) -> None:
        asset = event.args["tokenId"].to_bytes(32)
        sender, to = event.args["from"], event.args["to"]
        before = self.owners.get(asset, ZERO_ADDRESS)
        self.journal.expect(7, "R3", f"who held the asset {hexed(asset)}", before, sender)
        if sender == ZERO_ADDRESS:
            self.journal.expect(
                7, "R3", f"who made the asset {hexed(asset)}", self._due.pop(asset, None), to
            )
        else:
            self.balances[before] -= 1
            uncollected = self.desk.uncollected(asset) if self.desk else 0
            self.journal.expect(
                6,
                "R3",
                f"earnings of the asset {hexed(asset)} not booked before it was sold",
                0,
                uncollected,
            )
        self.owners[asset] = to
        self.balances[to] += 1

    def _bound(self, event: Event) -> None:
        self.journal.expect(7, "R3", "the minter of assets that was", ZERO_ADDRESS, self.minter)
        self.minter = event.args["minter"]

    def _authority(self, event: Event) -> None:
        self.authority = event.args["authority"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "Transfer": _transfer,
        "MinterBound": _bound,
        "AuthorityUpdated": _authority,
    }
    # Approvals grant nothing that a transfer does not show.
    silent = frozenset({"Approval", "ApprovalForAll"})


class AssetBook(Book):
    """Assets, lineages, and the money of both. Amounts in base units.

    What came in is always a holder's or a source's credit, still in a lineage's pot, or withdrawn.
    """

    def __init__(
        self,
        journal: Journal,
        addresses: Mapping[str, str],
        usage: UsageBook,
        registry: RegistryBook,
        market: MarketBook,
        tokens: InstitutionTokenBook,
    ) -> None:
        """Records are in ``registry``, licences in ``market``; money moves in ``usage``."""
        super().__init__(journal)
        self.desk = addresses["AssetDesk"]
        self._account = addresses["AssetAccount"]
        self.usage = usage
        self.registry = registry
        self.market = market
        self.tokens = tokens
        tokens.desk = self
        self.assets: dict[bytes, Asset] = {}
        self.balances: dict[str, EarningsWord] = {}
        self.parameters = dict.fromkeys(_PARAMETERS.values(), 0)

    @property
    def held(self) -> int:
        """All that the desk must hold: what is credited, and what is left in the pots."""
        pots = sum(asset.pot - asset.books.claimed for asset in self.assets.values())
        return pots + sum(word.earned for word in self.balances.values())

    @property
    def accounts(self) -> set[str]:
        """The assets' own accounts, holders, and everybody who was credited."""
        own = {asset.account for asset in self.assets.values()}
        return {*own, *self.tokens.balances, *self.balances}

    @property
    def sold(self) -> tuple[int, int]:
        """What the assets' accounts withdrew from the market, and what was booked of it."""
        flows = self.market.flows
        out = sum(flows[a.account].withdrawn for a in self.assets.values() if a.account in flows)
        return out, sum(asset.sold for asset in self.assets.values())

    @property
    def granted(self) -> tuple[set[bytes], set[bytes]]:
        """The consents of the assets' accounts, and those of them that are revoked."""
        own = {asset.account for asset in self.assets.values()}
        found = {k: v for k, v in self.market.consents.items() if v.word.patient in own}
        return set(found), {k for k, v in found.items() if v.word.revoked_at}

    def uncollected(self, asset: bytes) -> int:
        """What an asset's account has earned that is not booked."""
        found = self.assets.get(asset)
        if found is None:
            return 0
        earned = self.market.earnings.get(found.account, EarningsWord()).earned
        return earned + self._balance(found.account).earned

    def counts(self, found: Asset, licence: bytes) -> bool:
        """Whether a line with this licence counts: bought by the creator, its consent allows it."""
        bought = self.market.licences.get(licence)
        if bought is None or bought.ref.licensee != found.word.creator:
            return False
        consent = self.market.consents.get(bought.ref.consent)
        terms = consent.terms if consent else None
        return terms is not None and terms.patient != found.account and may_derive(terms.purposes)

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "assets": {
                hexed(asset): {
                    "account": found.account,
                    "creator": found.word.creator,
                    "holder": self.tokens.owners.get(asset),
                    "opens": found.word.opens,
                    "share": found.word.share,
                    "root": hexed(found.root),
                    "total": str(found.total),
                    "earned": str(found.books.earned),
                    "pot": str(found.pot),
                    "claimed": str(found.books.claimed),
                    "lines": {
                        hexed(licence): {
                            "record": hexed(found.sources[licence]),
                            "weight": str(line.weight),
                            # No contract can see it: what the licensee itself undertook.
                            "undertook_otherwise": self._undertook_otherwise(licence),
                        }
                        for licence, line in sorted(found.lines.items())
                    },
                    "offers": sorted(hexed(k) for k in found.offers - found.withdrawn),
                }
                for asset, found in sorted(self.assets.items())
            },
            "credits": amounts({k: v.earned for k, v in self.balances.items()}),
            "share": self.parameters["share"],
            "window": self.parameters["window"],
        }

    # -------------------------------------------------------------- assets and lineages

    def _created(self, event: Event) -> None:
        args, journal = event.args, self.journal
        asset, account, creator = args["asset"], args["account"], args["creator"]
        name = f"the asset {hexed(asset)}"
        record = self.registry.records.get(asset)
        facts = record.facts if record else None
        found = self.registry.institutions.get(args["custodian"])
        journal.require(
            facts is not None
            and facts.kind == _DERIVED
            and facts.owner == account
            and facts.custodian == args["custodian"]
            and asset not in self.assets,
            7,
            "R3",
            f"{name} is no derived record of that custodian's and its own account's, or was made before",
        )
        journal.require(
            found is not None
            and found.account == creator
            and bool(found.capabilities & Capability.CUSTODIAN),
            7,
            "R3",
            f"{name} was made by {creator}, which is not its accredited custodian",
        )
        expected = rules.minimal_proxy(self.desk, self._account, asset)
        journal.expect(7, "R3", f"account of {name}", expected, account)
        journal.expect(7, "R3", f"lineage share of {name}", self.parameters["share"], args["share"])
        self.assets[asset] = Asset(AssetWord(creator, 0, self.parameters["share"]), account)
        self.tokens.announce(asset, creator)

    def _stated(self, event: Event) -> None:
        found = self._known(event)
        if found is None:
            return
        lineage = event.args["lineage"]
        name = f"the lineage of {hexed(event.args['asset'])}"
        opens = self.journal.now + self.parameters["window"]
        self.journal.expect(7, "R3", f"when {name} opens", opens, event.args["opens"])
        self.journal.require(
            not any(found.root)
            and any(lineage["root"])
            and any(lineage["manifest"])
            and 0 < lineage["count"] < 2**32
            and lineage["count"] <= lineage["total"] < 2**96,
            7,
            "R3",
            f"{name} is empty, out of range, or stated while another stands",
        )
        found.word = replace(found.word, opens=opens)
        found.root, found.total = lineage["root"], lineage["total"]

    def _refuted(self, event: Event) -> None:
        found = self._taken_back(event)
        if found is not None:
            licence = event.args["licence"]
            self.journal.require(
                not self.counts(found, licence),
                7,
                "R3",
                f"the lineage of {hexed(event.args['asset'])} was refuted by a line that counts",
            )

    def _cancelled(self, event: Event) -> None:
        self._taken_back(event)

    def _taken_back(self, event: Event) -> Asset | None:
        found = self._known(event)
        if found is None:
            return None
        self.journal.require(
            any(found.root) and self.journal.before(found.word.opens),
            7,
            "R3",
            f"the lineage of {hexed(event.args['asset'])} was taken back when it was final, or none",
        )
        found.root, found.total = bytes(32), 0
        return found

    def _joined(self, event: Event) -> None:
        found, args, journal = self._known(event), event.args, self.journal
        if found is None:
            return
        licence = args["licence"]
        name = f"line {args['index']} of the lineage of {hexed(args['asset'])}"
        journal.require(
            self._open(found)
            and 0 < args["weight"] <= found.total
            and licence not in found.lines
            and self.counts(found, licence),
            7,
            "R3",
            f"{name} joined, but does not count, is out of range, or had joined before",
        )
        bought = self.market.licences.get(licence)
        consent = self.market.consents.get(bought.ref.consent) if bought else None
        expected = (bought.ref.record, consent.word.patient_share) if bought and consent else None
        journal.expect(
            7,
            "R8",
            f"record and patient's share of {name}",
            expected,
            (args["record"], args["patientShare"]),
        )
        share = consent.word.patient_share if consent else args["patientShare"]
        found.lines[licence] = LineWord(args["weight"], 0, share)
        found.sources[licence] = args["record"]

    # -------------------------------------------------------------- offers

    def _offered(self, event: Event) -> None:
        found = self._of_holder(event)
        if found is None:
            return
        consent = self.market.consents.get(event.args["consent"])
        terms = consent.terms if consent else None
        record = self.registry.records.get(terms.records) if terms else None
        self.journal.require(
            self._open(found)
            and terms is not None
            and terms.patient == found.account
            and terms.patientShare == rules.OWNER_SHARE
            and record is not None
            and record.facts.owner == found.account
            and record.facts.kind == _DERIVED
            and event.args["consent"] not in found.offers,
            7,
            "R3",
            f"the offer {hexed(event.args['consent'])} is not the asset's, or its lineage was not open",
        )
        found.offers.add(event.args["consent"])

    def _offer_withdrawn(self, event: Event) -> None:
        found = self._of_holder(event)
        if found is None:
            return
        consent = event.args["consent"]
        granted = self.market.consents.get(consent)
        self.journal.require(
            granted is not None
            and granted.word.patient == found.account
            and granted.word.revoked_at != 0
            and consent not in found.withdrawn,
            4,
            "R9",
            f"the offer {hexed(consent)} was withdrawn, but is not the asset's, or still stands",
        )
        found.withdrawn.add(consent)

    def _of_holder(self, event: Event) -> Asset | None:
        asset = event.args["asset"]
        self.journal.expect(
            7,
            "R3",
            f"who holds the asset {hexed(asset)}",
            self.tokens.owners.get(asset),
            event.args["holder"],
        )
        return self._known(event)

    # -------------------------------------------------------------- money

    def _earned(self, event: Event) -> None:
        found, args = self._known(event), event.args
        if found is None:
            return
        name = f"the asset {hexed(args['asset'])}"
        flow = self.market.flows.get(found.account)
        sold = (flow.withdrawn if flow else 0) - found.sold
        inherited = self._balance(found.account).earned
        before = found.pot
        found.sold += sold
        found.books = replace(found.books, earned=found.books.earned + sold + inherited)
        lineage = found.pot - before
        holder = self.tokens.owners.get(args["asset"], ZERO_ADDRESS)
        self.journal.expect(
            2,
            "R3",
            f"holder, income, lineage and rest of {name}",
            (holder, sold, inherited, lineage, sold + inherited - lineage),
            tuple(args[k] for k in ("holder", "sold", "inherited", "lineage", "kept")),
        )
        self.journal.require(sold + inherited > 0, 2, "R3", f"{name} told of earnings of nothing")
        # What the account withdrew to the desk has its reason now.
        self.usage.gifts[self.desk] -= sold
        self._credit(found.account, -inherited)
        self._credit(holder, sold + inherited - lineage)

    def _claimed(self, event: Event) -> None:
        found, args = self._known(event), event.args
        if found is None:
            return
        licence, journal = args["licence"], self.journal
        name = f"the part of licence {hexed(licence)} in the asset {hexed(args['asset'])}"
        line = found.lines.get(licence, LineWord())
        amount = rules.royalty_share(found.pot, line.weight, found.total) - rules.royalty_share(
            line.mark, line.weight, found.total
        )
        parties = self.registry.parties(found.sources.get(licence, bytes(32)))
        custodian = amount * (rules.BPS - line.patient_share) // rules.BPS
        journal.expect(
            2,
            "R8",
            f"patient, custodian and their parts of {name}",
            (
                parties.owner if parties else None,
                amount - custodian,
                parties.custodian if parties else None,
                custodian,
            ),
            tuple(args[k] for k in ("patient", "patientAmount", "custodian", "custodianAmount")),
        )
        found.books = replace(found.books, claimed=found.books.claimed + amount)
        journal.require(
            amount > 0 and found.books.claimed <= found.pot,
            6,
            "R3",
            f"{name} is nothing, or more than the pot holds",
        )
        if licence in found.lines:
            found.lines[licence] = replace(line, mark=found.pot)
        if parties is not None:
            self._credit(parties.owner, amount - custodian)
            self._credit(parties.custodian, custodian)

    def _paid_out(self, event: Event) -> None:
        account, to, amount = (event.args[k] for k in ("account", "to", "amount"))
        word = self._balance(account)
        self.journal.require(
            0 < amount <= word.earned,
            6,
            "R3",
            f"{account} withdrew more than the asset desk had credited it with",
        )
        self.journal.require(
            not self.usage.standings.get(account, 0) & FROZEN,
            7,
            "R2",
            f"{account} withdrew from the asset desk while it was frozen",
        )
        self.balances[account] = EarningsWord(word.earned - amount, word.nonce + 1)
        self.usage.paid_out(Announced(self.desk, to, amount, 6, "R3", "a withdrawal"))

    def _parameter(self, event: Event) -> None:
        name = _PARAMETERS.get(event.args["name"])
        if name is None:
            self.journal.require(False, 7, "R3", "the asset desk changed an unknown parameter")
            return
        previous, current = event.args["previous"], event.args["current"]
        self.journal.expect(7, "R3", f"{name} as it was", self.parameters[name], previous)
        self.journal.require(
            rules.within(current, _BOUNDS[name]), 7, "R3", f"{name} of assets is out of bounds"
        )
        self.parameters[name] = current

    # -------------------------------------------------------------- what several need

    def _known(self, event: Event) -> Asset | None:
        found = self.assets.get(event.args["asset"])
        self.journal.require(
            found is not None,
            7,
            "R3",
            f"{event.event} of the unknown asset {hexed(event.args['asset'])}",
        )
        return found

    def _open(self, found: Asset) -> bool:
        return any(found.root) and not self.journal.before(found.word.opens)

    def _balance(self, account: str) -> EarningsWord:
        return self.balances.get(account, EarningsWord())

    def _credit(self, account: str, amount: int) -> None:
        if amount:
            word = self._balance(account)
            self.balances[account] = replace(word, earned=word.earned + amount)

    def _undertook_otherwise(self, licence: bytes) -> bool:
        bought = self.market.licences.get(licence)
        return bought is not None and bool(bought.purposes & FORBIDDING)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "AssetCreated": _created,
        "LineageStated": _stated,
        "LineageRefuted": _refuted,
        "LineageCancelled": _cancelled,
        "SourceJoined": _joined,
        "AssetOffered": _offered,
        "OfferWithdrawn": _offer_withdrawn,
        "AssetEarned": _earned,
        "LineageClaimed": _claimed,
        "Withdrawn": _paid_out,
        "ParameterChanged": _parameter,
    }
