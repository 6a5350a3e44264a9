"""Models of the contracts around the market, from the rules: what each call moves, and what is owed.

``Everything`` is ``model.Model`` with auctions, baskets, research, royalties, assets, disputes, rewards and
storage beside it. It is told calls that went through (``told``), so nothing here refuses: a call that the
chain took and the rules do not cover shows as a balance that the two do not agree on. Signatures and
proofs are taken as good, for the chain has looked at them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from eth_abi import encode
from eth_utils import keccak, to_checksum_address
from stateful.model import (
    BPS,
    DAY,
    FIXED,
    GRAIN,
    METERED,
    TOKEN,
    UNLIMITED,
    YEAR,
    Access,
    Book,
    Contribution,
    Model,
    Proof,
    Ref,
    Registry,
    Signature,
    State,
    Treasury,
    pack,
    whole,
)

from medtoken.deploy.roles import CONTRACT_ROLES, Role
from medtoken.messages import AuctionOffer, Consent

MONTH = 30 * DAY
TERABYTE = 10**12


class Good(Signature):
    """A signature that the chain has checked."""

    def __init__(self) -> None:
        super().__init__(None, None, b"")

    def counts(self, sender: str, owner: str, message: Any) -> bool:
        return True


class Shown(Proof):
    """A Merkle proof that the chain has checked."""

    def leads(self, root: bytes, leaf: bytes) -> bool:
        return True


GOOD, SHOWN = Good(), Shown()


def part(amount: int, share: int, of: int) -> int:
    """The whole base units of a share: what is left over stays where it is."""
    return int(Fraction(amount * share, of))


def years(seconds: int) -> int:
    """Years that start."""
    return -(-seconds // YEAR)


class Satellite(Book):
    """A contract with money of its own."""

    def __init__(self, model: Everything, address: str) -> None:
        super().__init__(model)
        self.address = address

    @property
    def owes(self) -> int:
        """All DUT that it holds for somebody, beside its deposit in the market."""
        return 0

    @property
    def held(self) -> int:
        """Its deposit in the market, which it holds for others."""
        return 0

    def _take(self, payer: str, amount: int) -> None:
        """By the payer's allowance."""
        self.model.dut.spend(payer, self.address, self.address, amount)

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield from ()


class Payouts(Satellite):
    """One that credits accounts, which withdraw by signature."""

    name: str

    def __init__(self, model: Everything, address: str) -> None:
        super().__init__(model, address)
        self.credits: dict[str, int] = defaultdict(int)
        self.nonces: dict[str, int] = defaultdict(int)

    def withdraw(
        self, sender: str, account: str, to: str, amount: int, deadline: int, signature: Any
    ) -> None:
        self.credits[account] -= amount
        self.nonces[account] += 1
        dut = self.model.dut
        if to == account and not dut.standing[to] & (dut.ADMITTED | dut.PROTOCOL):
            dut.standing[to] |= dut.ADMITTED
        dut.move(self.address, to, amount)

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        for who in accounts:
            yield (
                (self.name, "balance_word", who),
                pack((self.credits[who], 128), (self.nonces[who], 64)),
            )


# -------------------------------------------------------------------------------- tokens, reserve


class Roles(Access):
    """Whoever was given a role."""

    def grantRole(self, sender: str, role: int, account: str, delay: int) -> None:  # noqa: N802
        self.roles.setdefault(Role(role).name, set()).add(account)

    def revokeRole(self, sender: str, role: int, account: str) -> None:  # noqa: N802
        self.roles[Role(role).name].discard(account)


class Soulbound(Contribution):
    """GT and RT: what they share with DCT."""

    def __init__(self, model: Everything, name: str) -> None:
        super().__init__(model, "")
        self.name = name

    def take(self, holder: str, amount: int) -> None:
        assert self.balances[holder] >= amount, f"{self.name}: more than there is"
        self.balances[holder] -= amount
        self.burned += amount

    def state(self, accounts: Iterable[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield (self.name, "totalSupply"), self.supply
        for account in accounts:
            yield (self.name, "balanceOf", account), self.balances.get(account, 0)


@dataclass
class Budget:
    limit: int = 0
    period: int = 1
    since: int = 0
    until: int = 0
    used: dict[int, int] = field(default_factory=lambda: defaultdict(int))


class Reserve(Treasury):
    """R16: levies, less what was burned and spent within budgets."""

    spent = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.budgets: dict[str, Budget] = defaultdict(Budget)

    def receive_levy(self, sender: str, amount: int) -> None:
        dut = self.model.dut
        if dut.allowances[sender, self.address] != UNLIMITED:
            dut.allowances[sender, self.address] -= amount
        self.take(sender, amount)

    def approve_budget(
        self, sender: str, spender: str, limit: int, period: int, length: int
    ) -> None:
        self.budgets[spender] = Budget(limit, period, self.now, self.now + length)

    def burn_reserve(self, sender: str, amount: int) -> None:
        self.burned += amount
        assert self.spent <= self.levies - self.burned, "more than the reserve"
        self.model.dut.burn(self.address, amount)

    def spend(self, spender: str, amount: int) -> None:
        budget = self.budgets[spender]
        number = (self.now - budget.since) // budget.period
        budget.used[number] += amount
        assert self.now < budget.until, "the budget has ended"
        assert budget.used[number] <= budget.limit, "over the budget"
        self.spent += amount
        assert self.spent <= self.levies - self.burned, "more than the reserve"
        self.model.dut.move(self.address, spender, amount)

    def give_back(self, spender: str, amount: int) -> None:
        budget = self.budgets[spender]
        number = (self.now - budget.since) // budget.period
        budget.used[number] = max(0, budget.used[number] - amount)
        self.spent -= amount
        self.model.dut.spend(spender, self.address, self.address, amount)

    def state(self) -> Iterator[tuple[tuple[Any, ...], Any]]:
        left = self.levies - self.burned - self.spent
        yield ("Treasury", "books"), (self.levies, self.burned, left)
        yield ("Treasury", "spent"), self.spent
        yield ("Treasury", "burn_rule"), (self.ceiling, self.burn_share)


class Judged(Registry):
    """A registry in which attestations are revised."""

    def revise(self, record: bytes, scores: dict[str, int]) -> None:
        found = self.records[record]
        found.attester, found.dvi = 0, scores["dvi"]
        found.quality = (scores["completeness"] + scores["annotation"]) // 2
        found.attested = bool(scores["dvi"])

    def disqualify(self, number: int) -> None:
        self.institutions[number].capabilities &= ~self.ATTESTER


# -------------------------------------------------------------------------------- desks (R12, R4)


class Auctions(Satellite):
    """R12: each holds its highest bid and a tenth, and gives back what the licence did not take."""

    def __init__(self, model: Everything, address: str, extension: int) -> None:
        super().__init__(model, address)
        self.extension = extension
        self.bids: dict[bytes, tuple[str, int]] = {}
        self.ends: dict[bytes, int] = {}

    @property
    def held(self) -> int:
        return sum(whole(Fraction(price * 11, 10)) for _, price in self.bids.values())

    def open_auction(
        self, sender: str, offer: AuctionOffer, consent: Consent, proof: Any, signature: Any
    ) -> None:
        self.ends[offer.struct_hash()] = offer.ends

    def withdraw_auction(self, sender: str, offer: AuctionOffer, signature: Any) -> None:
        self.ends.pop(offer.struct_hash(), None)

    def bid(
        self, sender: str, offer: AuctionOffer, consent: Consent, price: int, undertaking: Any
    ) -> None:
        auction = offer.struct_hash()
        self._return(auction)
        self.model.market.charge(self.address, sender, whole(Fraction(price * 11, 10)))
        self.bids[auction] = (sender, price)
        late = min(self.now + self.extension, consent.expiry - offer.term)
        self.ends[auction] = max(self.ends[auction], late)

    def award(
        self, sender: str, offer: AuctionOffer, consent: Consent, proof: Any, undertaking: Any
    ) -> None:
        auction = offer.struct_hash()
        winner, price = self.bids.pop(auction)
        end = self.ends[auction] + offer.term
        each = price // GRAIN // years(end - self.now) * GRAIN
        salt = int.from_bytes(keccak(encode(["bytes32", "uint256"], [auction, self.now])))
        order = {
            "record": offer.record,
            "form": FIXED,
            "units": 0,
            "end": end,
            "urgent": False,
            "maxPrice": each,
            "salt": salt >> 160 << 160,
        } | undertaking
        market = self.model.market
        before = market.licensees[self.address].deposit
        market.issue_licence(self.address, winner, order, consent, SHOWN, each)
        spent = before - market.licensees[self.address].deposit
        market.release(self.address, winner, whole(Fraction(price * 11, 10)) - spent)

    def give_back(self, sender: str, offer: AuctionOffer) -> None:
        self._return(offer.struct_hash())

    def _return(self, auction: bytes) -> None:
        if auction in self.bids:
            bidder, price = self.bids.pop(auction)
            self.model.market.release(self.address, bidder, whole(Fraction(price * 11, 10)))


class Baskets(Satellite):
    """R12: what is left of each, after licences at the tariff's price less the discount."""

    def __init__(self, model: Everything, address: str, steps: Sequence[tuple[int, int]]) -> None:
        super().__init__(model, address)
        self.steps = steps
        self.left: dict[bytes, int] = {}
        self.taken: dict[bytes, int] = defaultdict(int)

    @property
    def held(self) -> int:
        return sum(self.left.values())

    def reserve(self, sender: str, terms: dict[str, Any], amount: int) -> None:
        self.model.market.charge(self.address, sender, amount)
        self.left[self._id(terms)] = amount

    def top_up(self, sender: str, terms: dict[str, Any], amount: int) -> None:
        self.model.market.charge(self.address, sender, amount)
        self.left[self._id(terms)] += amount

    def take(self, sender: str, terms: dict[str, Any], item: dict[str, Any]) -> None:
        basket, market, licensee = self._id(terms), self.model.market, terms["licensee"]
        self.taken[basket] += 1
        off = max((d for n, d in self.steps if self.taken[basket] >= n), default=0)
        order = {"record": item["record"]} | {n: terms[n] for n in terms if n in ORDERED}
        consent = item["consent"]
        price = part(market.quote(licensee, order, consent), BPS - off, BPS)
        price = max(price // GRAIN * GRAIN, consent.floorPrice)
        before = market.licensees[self.address].deposit
        market.issue_licence(self.address, licensee, order, consent, SHOWN, price)
        self.left[basket] -= before - market.licensees[self.address].deposit

    def close(self, sender: str, terms: dict[str, Any]) -> None:
        self.model.market.release(self.address, terms["licensee"], self.left.pop(self._id(terms)))

    def _id(self, terms: dict[str, Any]) -> bytes:
        return keccak(repr(sorted(terms.items())).encode())


ORDERED = (
    *("form", "units", "end", "purposes", "diseases", "urgent", "maxPrice", "agreement", "salt"),
)


@dataclass
class Support:
    ref: Ref
    amount: int
    units: int
    released: int = 0
    done: bool = False


class Research(Satellite):
    """R4: RT for verified outcomes, burned for a part of a price that the reserve pays as it is earned."""

    def __init__(self, model: Everything, address: str, seats: int, rewards: Sequence[int]) -> None:
        super().__init__(model, address)
        self.seats, self.rewards = seats, rewards
        self.votes: dict[bytes, int] = defaultdict(int)
        self.supports: dict[Ref, Support] = {}

    @property
    def held(self) -> int:
        return sum(s.amount - s.released for s in self.supports.values() if not s.done)

    def verify_outcome(self, sender: str, outcome: dict[str, Any], ref: Ref) -> None:
        name = keccak(repr(sorted(outcome.items())).encode())
        self.votes[name] += 1
        if self.votes[name] == self.seats:
            self.model.rt.credit(outcome["licensee"], self.rewards[outcome["kind"] - 1])

    def buy(
        self, sender: str, order: dict[str, Any], consent: Consent, proof: Any, amount: int
    ) -> None:
        market = self.model.market
        price = market.quote(sender, order, consent)
        metered = order["form"] == METERED
        units = order["units"] if metered else years(order["end"] - self.now)
        market.charge(self.address, sender, price * units + market.rates.levy_on(price * units))
        market.issue_licence(self.address, sender, order, consent, SHOWN, price)
        self.model.rt.take(sender, amount)
        self.model.treasury.spend(self.address, amount)
        market.deposit(self.address, self.address, amount)
        ref = Ref(consent.struct_hash(), order["record"], sender, order["salt"])
        self.supports[ref] = Support(ref, amount, units)

    def release(self, sender: str, ref: Ref) -> None:
        market, support = self.model.market, self.supports[ref]
        sold = market.licences[ref]
        if sold.form == METERED:
            done = Fraction(min(sold.mark, support.units), support.units)
        else:
            done = Fraction(sold.mark - sold.start, sold.end - sold.start)
        due = int(support.amount // GRAIN * done) * GRAIN
        freed, support.released = due - support.released, due
        if freed:
            market.release(self.address, ref.licensee, freed)
        if sold.closed:
            support.done = True
            rest = support.amount - due
            if rest:
                market.reclaim(self.address, rest)
                self.model.treasury.give_back(self.address, rest)
                self.model.rt.credit(ref.licensee, rest)


# -------------------------------------------------------------------------------- royalties (R18–R20)


@dataclass
class Study:
    payer: str
    total: int
    rate: int
    pot: int = 0
    due: int = 0
    owed: int = 0
    period: int = 0
    weights: dict[str, int] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Royalties(Payouts):
    """Each contributor has been credited with its weight's part of the pot, rounded down, in all."""

    name = "RoyaltyVault"
    LEVY_GRAIN = 10**5

    def __init__(self, model: Everything, address: str, rate: int) -> None:
        super().__init__(model, address)
        self.rate, self.levy = rate, model.market.rates.levy
        self.studies: dict[bytes, Study] = {}
        self.options: dict[tuple[bytes, str, bytes], tuple[int, int]] = {}

    @property
    def owes(self) -> int:
        studies = sum(s.pot + s.owed - sum(s.claimed.values()) for s in self.studies.values())
        escrows = sum(amount + levy for amount, levy in self.options.values())
        return sum(self.credits.values()) + studies + escrows

    def seal(
        self, sender: str, payer: str, number: int, root: Any, total: int, count: int, manifest: Any
    ) -> None:
        study = keccak(encode(["address", "uint256"], [payer, number]))
        self.studies[study] = Study(payer, total, self.rate)

    def undertake(self, sender: str, number: int, root: bytes) -> None:
        """Moves nothing."""

    def attest_sales(
        self, sender: str, study: bytes, period: int, sales: int, evidence: bytes
    ) -> None:
        found = self.studies[study]
        found.due += -(-sales * found.rate // (BPS * GRAIN)) * GRAIN
        found.period = period

    def pay(self, sender: str, payer: str, number: int, amount: int) -> None:
        found = self.studies[keccak(encode(["address", "uint256"], [payer, number]))]
        levy = self._levy(amount)
        self._take(payer, amount + levy)
        found.due -= amount
        found.pot += amount
        found.owed += levy

    def hand_over(self, sender: str, studies: list[bytes]) -> None:
        total = sum(self.studies[study].owed for study in studies)
        for study in studies:
            self.studies[study].owed = 0
        self.model.treasury.receive_levy(self.address, total)

    def join(
        self, sender: str, study: bytes, index: int, account: str, weight: int, proof: Any
    ) -> None:
        self.studies[study].weights[account] = weight
        self.claim(sender, study, account)

    def claim(self, sender: str, study: bytes, account: str) -> None:
        found = self.studies[study]
        due = part(found.pot, found.weights[account], found.total)
        self.credits[account] += due - found.claimed[account]
        found.claimed[account] = due

    def grant_option(
        self, sender: str, study: bytes, milestone: bytes, amount: int, expiry: int
    ) -> None:
        levy = self._levy(amount)
        self._take(sender, amount + levy)
        self.options[study, sender, milestone] = (amount, levy)

    def vest_option(
        self, sender: str, study: bytes, funder: str, milestone: bytes, evidence: bytes
    ) -> None:
        amount, levy = self.options.pop((study, funder, milestone))
        self.studies[study].pot += amount
        self.studies[study].owed += levy

    def return_option(self, sender: str, study: bytes, funder: str, milestone: bytes) -> None:
        self.credits[funder] += sum(self.options.pop((study, funder, milestone)))

    def follow_levy(self, sender: str) -> None:
        self.levy = self.model.market.rates.levy

    def _levy(self, amount: int) -> int:
        return whole(Fraction(amount * self.levy, BPS))

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield from super().state(accounts)
        for study, found in self.studies.items():
            money = ((found.pot // GRAIN, 72), (found.due // GRAIN, 72))
            owed = (whole(Fraction(found.owed, self.LEVY_GRAIN)), 88)
            yield (self.name, "books_word", study), pack(*money, owed, (found.period, 24))


# -------------------------------------------------------------------------------- assets (R3)


@dataclass
class Asset:
    account: str
    holder: str
    share: int
    total: int
    earned: int = 0
    lines: dict[Ref, tuple[int, int]] = field(default_factory=dict)  # weight, patient's share
    claimed: dict[Ref, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def pot(self) -> int:
        """The lineage's share of the provider part, of which the account earns 80 %."""
        return part(self.earned, self.share, 8_000)


class Assets(Payouts):
    """What assets earn: a share of the provider part to the sources, by weight, the rest to the holder."""

    name = "AssetDesk"

    def __init__(self, model: Everything, address: str, share: int) -> None:
        super().__init__(model, address)
        self.share = share
        self.assets: dict[bytes, Asset] = {}

    @property
    def owes(self) -> int:
        pots = sum(a.pot - sum(a.claimed.values()) for a in self.assets.values())
        return sum(self.credits.values()) + pots

    def create(self, sender: str, asset: bytes, lineage: dict[str, Any]) -> None:
        account = self.model.registry.records[asset].owner
        self.assets[asset] = Asset(account, sender, self.share, lineage["total"])

    def offer(self, sender: str, asset: bytes, consent: Consent) -> None:
        self.model.market.grant_consent(self.assets[asset].account, consent, GOOD)

    def collect(self, sender: str, asset: bytes) -> None:
        found, market = self.assets[asset], self.model.market
        sold = market.earners[found.account].earned
        if sold:
            args = (found.account, self.address, sold, self.now, GOOD)
            market.withdraw(found.account, *args)
        inherited, self.credits[found.account] = self.credits[found.account], 0
        before = found.pot
        found.earned += sold + inherited
        self.credits[found.holder] += sold + inherited - (found.pot - before)

    def join(
        self, sender: str, asset: bytes, lines: list[dict[str, Any]], sources: list[dict[str, Any]]
    ) -> None:
        for line, source in zip(lines, sources, strict=True):
            share = source["consent"].patientShare
            self.assets[asset].lines.setdefault(source["ref"], (line["weight"], share))

    def claim(self, sender: str, asset: bytes, refs: list[Ref]) -> None:
        found = self.assets[asset]
        for ref in refs:
            weight, share = found.lines[ref]
            due = part(found.pot, weight, found.total)
            amount, found.claimed[ref] = due - found.claimed[ref], due
            owner, custodian, _ = self.model.registry.parties(ref.record)
            kept = part(amount, BPS - share, BPS)
            self.credits[owner] += amount - kept
            self.credits[custodian] += kept

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield from super().state(accounts)
        for asset, found in self.assets.items():
            claimed = sum(found.claimed.values())
            yield (self.name, "books_word", asset), pack((found.earned, 128), (claimed, 128))


# -------------------------------------------------------------------------------- disputes (R7)


class Disputes(Satellite):
    """Bonds and stakes: the one who is right has both."""

    def __init__(self, model: Everything, address: str, bond: int) -> None:
        super().__init__(model, address)
        self.bond = bond
        self.stakes: dict[int, int] = defaultdict(int)
        self.credits: dict[str, int] = defaultdict(int)
        self.open: dict[bytes, tuple[str, int, int]] = {}  # record → challenger, attester, at risk

    @property
    def owes(self) -> int:
        bonds = sum(self.bond + risk for _, _, risk in self.open.values())
        return bonds + sum(self.stakes.values()) + sum(self.credits.values())

    def stake(self, sender: str, amount: int) -> None:
        self._take(sender, amount)
        self.stakes[self.model.registry.numbers[sender]] += amount

    def unstake(self, sender: str, amount: int) -> None:
        self.stakes[self.model.registry.numbers[sender]] -= amount
        self.model.dut.move(self.address, sender, amount)

    def challenge(self, sender: str, record: bytes, claim: dict[str, int], evidence: bytes) -> None:
        attester = self.model.registry.records[record].attester
        risk = min(self.stakes[attester], self.bond)
        self._take(sender, self.bond)
        self.stakes[attester] -= risk
        self.open[record] = (sender, attester, risk)

    def resolve(
        self, sender: str, record: bytes, claim: dict[str, int], upheld: bool, reason: bytes
    ) -> None:
        challenger, attester, risk = self.open.pop(record)
        if not upheld:
            self.stakes[attester] += self.bond + risk
            return
        self.credits[challenger] += self.bond + risk
        self.model.registry.revise(record, claim)
        if risk < self.bond:
            self.model.registry.disqualify(attester)

    def lapse(self, sender: str, record: bytes) -> None:
        challenger, attester, risk = self.open.pop(record)
        self.credits[challenger] += self.bond
        self.stakes[attester] += risk

    def withdraw(self, sender: str) -> None:
        amount, self.credits[sender] = self.credits[sender], 0
        self.model.dut.move(self.address, sender, amount)

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        for number, amount in self.stakes.items():
            yield ("QualityDisputes", "stake_of", number), amount
        for account in accounts:
            yield ("QualityDisputes", "credit_of", account), self.credits[account]


@dataclass
class Trusted:
    trustee: str
    fee: int
    paid: int = 0
    done: bool = False


class Trust(Satellite):
    """R21: 15 % on top of a price for the trustee, as much of it as the market has settled of the price."""

    QUIET = ("set_trustee",)

    def __init__(self, model: Everything, address: str) -> None:
        super().__init__(model, address)
        self.asked: dict[tuple[bytes, bytes], int] = {}
        self.sales: dict[Ref, Trusted] = {}

    @property
    def held(self) -> int:
        return sum(s.fee - s.paid for s in self.sales.values() if not s.done)

    def set_offer(
        self, sender: str, consent: Consent, record: bytes, price: int, opened: bool
    ) -> None:
        self.asked[consent.struct_hash(), record] = price

    def buy(self, sender: str, order: dict[str, Any], consent: Consent, proof: Any) -> None:
        market, id_ = self.model.market, consent.struct_hash()
        asked = self.asked.get((id_, order["record"]), self.asked.get((id_, bytes(32)), 0))
        dearer = replace(consent, floorPrice=max(consent.floorPrice, asked))
        price = market.quote(sender, order, dearer)
        units = order["units"] if order["form"] == METERED else years(order["end"] - self.now)
        paid = price * units
        fee = whole(Fraction(paid * 15, 100))
        market.charge(self.address, sender, paid + market.rates.levy_on(paid) + fee)
        market.issue_licence(self.address, sender, order, consent, SHOWN, price)
        trustee = f"0x{consent.nonce % 2**160:040x}"
        self.sales[Ref(id_, order["record"], sender, order["salt"])] = Trusted(
            to_checksum_address(trustee), fee
        )

    def settle(self, sender: str, refs: list[Ref]) -> None:
        market = self.model.market
        market.settle(self.address, refs)
        for ref in refs:
            sale, sold = self.sales[ref], market.licences[ref]
            due = whole(Fraction(sold.settled * 15, 100))
            if not sale.done and due > sale.paid:
                market.release(self.address, sale.trustee, due - sale.paid)
                sale.paid = due
            if not sale.done and sold.closed:
                sale.done = True
                if sale.fee > due:
                    market.release(self.address, ref.licensee, sale.fee - due)


# -------------------------------------------------------------------------------- protection (R22, R23)


@dataclass
class Policy:
    custodian: int
    left: int  # of forty premiums


class Cover(Payouts):
    """R23: one pool of premiums; a claim takes what was granted, if its policy and the pool have it."""

    name = "BreachCover"
    QUIET = ("make_claim", "set_term", "pause", "unpause")

    def __init__(self, model: Everything, address: str) -> None:
        super().__init__(model, address)
        self.pool = 0
        self.policies: list[Policy] = []

    @property
    def owes(self) -> int:
        return self.pool + sum(self.credits.values())

    def pay_premium(self, sender: str, amount: int) -> None:
        self._take(sender, amount)
        self.pool += amount
        self.policies.append(Policy(self.model.registry.numbers[sender], 40 * amount))

    def decide_claim(self, sender: str, given: dict[str, Any], granted: int, reason: bytes) -> None:
        policy = self.policies[given["policy"] - 1]
        paid = sorted((granted, policy.left, self.pool))[0]
        policy.left -= paid
        self.pool -= paid
        self.credits[self.model.registry.account(policy.custodian)] += paid

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield from super().state(accounts)
        yield (self.name, "books"), (len(self.policies), self.pool)


class Fund(Payouts):
    """R22: 40 % custodian, 30 % patient, the rest kept until the timelock gives it to who was harmed."""

    name = "CompensationFund"
    QUIET = ("pause", "unpause")

    def __init__(self, model: Everything, address: str) -> None:
        super().__init__(model, address)
        self.kept = 0

    @property
    def owes(self) -> int:
        return self.kept + sum(self.credits.values())

    def pay(self, sender: str, ref: Ref, amount: int) -> None:
        self._take(sender, amount)
        owner, custodian, _ = self.model.registry.parties(ref.record)
        parts = part(amount, 4, 10), part(amount, 3, 10)
        self.credits[custodian] += parts[0]
        self.credits[owner] += parts[1]
        self.kept += amount - sum(parts)

    def compensate(self, sender: str, account: str, amount: int, reason: bytes) -> None:
        self.kept -= amount
        self.credits[account] += amount

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield from super().state(accounts)
        yield (self.name, "kept"), self.kept


# -------------------------------------------------------------------------------- passkeys (R10)


class Passkeys(Satellite):
    """R10: the first passkey counts at once, others after a delay; approvals until their deadline."""

    name = "Passkeys"
    QUIET = ("request",)

    def __init__(self, model: Everything, address: str, delay: int) -> None:
        super().__init__(model, address)
        self.delay = delay
        self.steps: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        self.until: dict[tuple[Any, ...], tuple[dict[str, Any], int]] = {}

    def _now(self, patient: str) -> dict[str, Any]:
        """Of all that was to count, what counts by now."""
        empty = dict.fromkeys(("x", "y", "relyingParty"), bytes(32))
        return ([empty] + [p for since, p in self.steps[patient] if since <= self.model.now])[-1]

    def set_delay(self, sender: str, delay: int) -> None:
        self.delay = delay

    def change_passkey(
        self, sender: str, patient: str, passkey: dict[str, Any], deadline: int, signature: Any
    ) -> None:
        wait = self.delay if any(self._now(patient)["relyingParty"]) else 0
        self.steps[patient].append((self.model.now + wait, passkey))

    def cancel_change(self, sender: str, patient: str, signature: Any) -> None:
        self.steps[patient].pop()

    def cancel_change_by_passkey(self, sender: str, patient: str, assertion: Any) -> None:
        self.steps[patient].pop()

    def approve(self, sender: str, approval: dict[str, Any], assertion: Any) -> None:
        given = [approval[name] for name in ("patient", "consent", "licensee", "order")]
        self.until[*given[:3], *given[3].values()] = given[3], approval["deadline"]

    def allows(self, patient: str, consent: bytes, licensee: str, order: dict[str, Any]) -> bool:
        """Whether an order is approved now."""
        found = self.until.get((patient, consent, licensee, *order.values()))
        return found is not None and found[1] >= self.model.now

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield (self.name, "delay"), self.delay
        for patient in self.steps:
            parts = self._now(patient).values()
            yield (self.name, "passkey_of", patient), tuple(int.from_bytes(p) for p in parts)
        for (patient, consent, licensee, *_), (order, until) in self.until.items():
            args = (patient, consent, licensee, tuple(order.values()))
            yield (self.name, "approved_until", *args), until


# -------------------------------------------------------------------------------- incentives (R5, R25, R26)


class Rewards(Satellite):
    """The budget of donations, and what is burned for services."""

    QUIET = ("count_record", "count_use", "refer", "nominate", "award", "set_beneficiary")

    def __init__(self, model: Everything, address: str, donation: int) -> None:
        super().__init__(model, address)
        self.donation = donation
        self.budget = 0
        self.services: dict[int, dict[str, Any]] = {}

    @property
    def owes(self) -> int:
        return self.budget

    def fund(self, sender: str, amount: int) -> None:
        self._take(sender, amount)
        self.budget += amount

    def direct_donation(self, sender: str, badge: int, to: str, deadline: int, by: Any) -> None:
        self.budget -= self.donation
        self.model.dut.move(self.address, to, self.donation)

    def set_service(self, sender: str, service: int, offer: dict[str, Any]) -> None:
        self.services[service] = offer

    def redeem(
        self, sender: str, account: str, service: int, price: int, deadline: int, by: Any
    ) -> None:
        offer = self.services[service]
        if offer["token"]:
            self.model.gt.take(account, offer["price"])
        else:
            self.model.dct.burn(self.address, account, offer["price"])

    def state(self, accounts: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield ("Rewards", "budget"), self.budget


@dataclass
class Holding:
    size: int
    begun: int
    challenged: int = 0
    answered: int = 0


class Storage(Satellite):
    """R5: 100 GT per TB-month. Nobody here comes near the 10,000 paid calls of the bonus."""

    QUIET = ("mark_calls",)

    def __init__(self, model: Everything, address: str, samples: int) -> None:
        super().__init__(model, address)
        self.samples = samples
        self.holdings: dict[int, Holding] = {}

    def commit(self, sender: str, root: bytes, size: int) -> None:
        self.holdings[self.model.registry.numbers[sender]] = Holding(size, self.now)

    def challenge(self, sender: str, custodian: int) -> None:
        self.holdings[custodian].challenged = self.now

    def answer(self, sender: str, custodian: int, answers: list[Any]) -> None:
        found = self.holdings[custodian]
        found.answered += len(answers)
        if found.answered == self.samples:
            months = Fraction(min(found.challenged - found.begun, MONTH), MONTH)
            earned = int(Fraction(found.size, TERABYTE) * months * 100 * TOKEN)
            self.model.gt.credit(self.model.registry.account(custodian), earned)
            self.holdings[custodian] = Holding(found.size, found.challenged)

    def fail(self, sender: str, custodian: int) -> None:
        del self.holdings[custodian]


# -------------------------------------------------------------------------------- all of it


class Everything(Model):
    """The whole suite, as a deployment with these parameters leaves it."""

    def __init__(
        self,
        params: Any,
        agreement: bytes,
        addresses: dict[str, str],
        people: dict[str, set[str]],
        now: int,
    ) -> None:
        held = {role.name: {addresses[c] for c in names} for role, names in CONTRACT_ROLES.items()}
        roles = {name: people.get(name, set()) | held.get(name, set()) for name in {*people, *held}}
        super().__init__(params, agreement, addresses, roles, now)
        self.addresses = addresses
        self.access = Roles(self.access.timelock, roles)
        self.gt, self.rt = Soulbound(self, "GovernanceToken"), Soulbound(self, "ResearchToken")
        self.registry = Judged(self, params.coefficients, params.min_quality)
        at = addresses.__getitem__
        self.treasury = Reserve(self, at("Treasury"), params.ceiling, params.burn_share)
        for name in (
            *("QualityDisputes", "RoyaltyVault", "AssetDesk", "Rewards", "ResearchDesk"),
            *("BreachCover", "CompensationFund"),
        ):
            self.dut.standing[at(name)] |= self.dut.PROTOCOL
        for owner, spender in (
            ("RoyaltyVault", "Treasury"),
            ("ResearchDesk", "Treasury"),
            ("ResearchDesk", "DataMarket"),
        ):
            self.dut.allowances[at(owner), at(spender)] = UNLIMITED
        seats, _, outcomes = params.research
        self.satellites: dict[str, Satellite] = {
            "AuctionHouse": Auctions(self, at("AuctionHouse"), params.auction[1]),
            "BasketDesk": Baskets(self, at("BasketDesk"), params.discounts),
            "ResearchDesk": Research(self, at("ResearchDesk"), seats, outcomes),
            "RoyaltyVault": Royalties(self, at("RoyaltyVault"), params.royalty_rate),
            "AssetDesk": Assets(self, at("AssetDesk"), params.asset[0]),
            "Passkeys": Passkeys(self, at("Passkeys"), params.passkey_delay),
            "DataTrust": Trust(self, at("DataTrust")),
            "BreachCover": Cover(self, at("BreachCover")),
            "CompensationFund": Fund(self, at("CompensationFund")),
            "QualityDisputes": Disputes(self, at("QualityDisputes"), params.bond),
            "Rewards": Rewards(self, at("Rewards"), params.donation),
            "StorageRewards": Storage(self, at("StorageRewards"), params.storage["samples"]),
        }
        limit, period, length = params.research_budget
        desk = at("ResearchDesk")
        self.treasury.approve_budget(self.access.timelock, desk, limit, period, length)
        self.of |= {
            "AccessManager": self.access,
            "GovernanceToken": self.gt,
            "RecordRegistry": self.registry,
            "Treasury": self.treasury,
            **self.satellites,
        }

    def approves(self, patient: str, consent: bytes, licensee: str, order: dict[str, Any]) -> bool:
        passkeys = self.satellites["Passkeys"]
        assert isinstance(passkeys, Passkeys)
        return passkeys.allows(patient, consent, licensee, order)

    def tell(self, sender: str, contract: str, function: str, args: list[Any]) -> None:
        """A call that went through."""
        book = self.of[contract]
        if function not in getattr(book, "QUIET", ()):
            getattr(book, function)(sender, *args)

    def state(self, accounts: Iterable[str]) -> State:
        accounts = tuple(accounts)
        found = super().state(accounts)
        for token in (self.gt, self.rt):
            found |= dict(token.state(accounts))
        for satellite in self.satellites.values():
            found |= dict(satellite.state(accounts))
        return found
