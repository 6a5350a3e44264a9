"""What the same operations cost with Ocean Protocol's contracts, deployed from their Python package.

The contracts are wired as Ocean's own deployment does it: router, fee collector, fixed-rate exchange,
factory with templates 1 and 2, escrow, access lists. Only what is measured is deployed. Every flow
is carried out once before it is measured, and balances are checked after it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import keccak, to_bytes

from _bench.gas.table import Cost, cost
from medtoken.chain.abi import Abi, Log
from medtoken.chain.node import Node, RawLog, Receipt, Wallet
from medtoken.demo.people import Cast
from medtoken.errors import ToolMissing
from medtoken.messages import DUT as TOKEN

PACKAGE, VERSION = "ocean-contracts", "3.1.0"
_NOBODY = "0x" + "00" * 20
_DEAD = "0x000000000000000000000000000000000000dEaD"
_WITHOUT_LIMIT = 2**256 - 1
_ONE = 10**18  # exchange rates and fees are fractions of this
_DAY = 86_400
# Template 2 buys and orders in one call; number 1 is the plain one.
_TEMPLATE = 2
# A price of 100 as Ocean splits it: the provider's 70 is the rate, the others are fees on top.
_RATE = 70 * TOKEN
_ANNOTATOR_FEE = 20 * _ONE // 70
_PLATFORM_FEE = 10 * _ONE // 70
_USES = 1_000


def package() -> Distribution:
    """The installed package. Raises ToolMissing when it is not there, or is another version."""
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError:
        raise ToolMissing(
            f"The Python package {PACKAGE} {VERSION} is not installed; `make setup-dev` installs it."
        ) from None
    if found.version != VERSION:
        raise ToolMissing(
            f"The Python package {PACKAGE} is {found.version}, not {VERSION}; "
            "`make setup-dev` installs what the lock file names."
        )
    return found


@dataclass(frozen=True)
class Peer:
    """One of Ocean's contracts at an address."""

    node: Node
    address: str
    abi: Abi

    def send(self, wallet: Wallet, function: str, *args: Any) -> Receipt:
        """Send a transaction and wait until it is mined."""
        return self.node.send(wallet, self.address, self.abi.call(function, *args))

    def read(self, function: str, *args: Any) -> Any:
        """Call a view."""
        data = self.node.call(self.address, self.abi.call(function, *args))
        return self.abi.result(function, data)

    def event(self, logs: tuple[RawLog, ...], name: str) -> dict[str, Any]:
        """The arguments of this contract's first event of this name."""
        own = [self.abi.log(log.topics, log.data) for log in logs if log.address == self.address]
        found: list[Log] = [log for log in own if log is not None and log.event == name]
        return found[0].args


@dataclass(frozen=True)
class Offer:
    """A published dataset: its datatoken, and the exchange that sells it."""

    datatoken: Peer
    exchange: bytes


class Bench:
    """One measured run of Ocean's side."""

    def __init__(self, node: Node, package: Distribution, people: Cast) -> None:
        """Deploy what is measured; ``people`` pay the gas."""
        self.node = node
        self._package = package
        self._owner, self._buyer = people["deployer"], people["pharma"]
        self._provider = people["hospital"]
        # Those who are only paid need no ether.
        self._patient, self._custodian = Wallet.create().address, Wallet.create().address
        self._annotator, self._platform = Wallet.create().address, Wallet.create().address
        owner = self._owner.address
        self.token = self._deploy("OceanToken", owner)
        self._collector = self._deploy("OPFCommunityFeeCollector", owner, owner)
        self.router = self._deploy(
            "FactoryRouter", owner, self.token.address, _DEAD, self._collector.address, []
        )
        router = self.router.address
        self.exchange = self._deploy("FixedRateExchange", router)
        plain, self._template = (
            self._deploy(name) for name in ("ERC20Template", "ERC20TemplateEnterprise")
        )
        nft = self._deploy("ERC721Template")
        self.factory = self._deploy("ERC721Factory", nft.address, plain.address, router)
        self.factory.send(self._owner, "addTokenTemplate", self._template.address)
        self.router.send(self._owner, "addFactory", self.factory.address)
        self.router.send(self._owner, "addFixedRateContract", self.exchange.address)
        self.escrow = self._deploy("Escrow", router, _NOBODY)
        self.lists = self._deploy("AccessListFactory", self._deploy("AccessList").address)
        self.token.send(self._owner, "mint", self._buyer.address, 10_000_000 * TOKEN)

    def run(self) -> dict[str, Cost]:
        """Cost by the row that it stands beside."""
        return self._lists() | self._purchases() | self._sales() | self._jobs() | self._splitters()

    # ------------------------------------------------------------------ what is measured

    def _lists(self) -> dict[str, Cost]:
        args = ("Readers", "READ", False, self._owner.address, [self._owner.address], [""])
        made = self.lists.send(self._owner, "deployAccessListContract", *args)
        address = self.lists.event(made.logs, "NewAccessList")["contractAddress"]
        entries = Peer(self.node, address, self._abi("AccessList"))
        granted = entries.send(self._owner, "mint", Wallet.create().address, "")
        many = [Wallet.create().address for _ in range(20)]
        batch = entries.send(self._owner, "batchMint", many, [""] * 20)
        number = entries.event(granted.logs, "AddressAdded")["tokenId"]
        revoked = entries.send(self._owner, "burn", number)
        _require(entries.read("balanceOf", many[-1]), 1, "an access list entry")
        return {
            "consent_grant": cost(self.node, granted),
            "consent_batch_20_each": cost(self.node, batch).each(20),
            "consent_revoke": cost(self.node, revoked),
        }

    def _purchases(self) -> dict[str, Cost]:
        """A dataset whose provider takes everything, and no market asks a fee."""
        self._publish(self._custodian)  # the first one fills the factory's and the router's lists
        offer, published = self._publish(self._custodian)
        approved = self._approve(offer)
        self._buy(offer)
        before = self._held(self._custodian)
        bought = self._buy(offer)
        _require(self._held(self._custodian) - before, _RATE, "the provider")
        purchase = cost(self.node, bought)
        return {
            "record_register": cost(self.node, published),
            "buy_licence": purchase,
            "deposit_and_buy": cost(self.node, approved) + purchase,
        }

    def _sales(self) -> dict[str, Cost]:
        """70/20/10, and the provider's 70 between patient and custodian by a Splitter."""
        splitter, _ = self._splitter([self._patient, self._custodian], [75, 25])
        offer, _ = self._publish(splitter.address, self._platform)
        self._approve(offer)
        self._buy(offer, self._annotator)
        self._pay_out(offer, splitter)
        parties = (self._patient, self._custodian, self._annotator, self._platform)
        result: dict[str, Cost] = {}
        for number in (1, 20):
            before = [self._held(account) for account in parties]
            sold = cost(self.node, *(self._buy(offer, self._annotator) for _ in range(number)))
            paid = sold + self._pay_out(offer, splitter)
            wanted = [part * TOKEN * number // 10 for part in (525, 175, 200, 100)]
            for account, held, part in zip(parties, before, wanted, strict=True):
                _require(self._held(account) - held, part, "one of the four", dust=100 * number)
            if number == 1:
                result |= {"sale_split": sold, "sale_paid_out": paid}
            else:
                result["sale_paid_out_20_each"] = paid.each(number)
        return result

    def _jobs(self) -> dict[str, Cost]:
        """Jobs of one payer and one payee, who always has another job in the escrow."""
        escrow, token = self.escrow, self.token.address
        amount = _USES * TOKEN
        self.token.send(self._buyer, "approve", escrow.address, _WITHOUT_LIMIT)
        escrow.send(self._buyer, "deposit", token, 1_000 * amount)
        limits = (1_000 * amount, _DAY, 1_000)
        escrow.send(self._buyer, "authorize", token, self._provider.address, *limits)
        payer = self._buyer.address
        numbers = iter(range(1, 10_000))

        def lock() -> tuple[int, Receipt]:
            job = next(numbers)
            args = (job, token, payer, amount, _DAY)
            return job, escrow.send(self._provider, "createLock", *args)

        def claim(function: str) -> Cost:
            job, locked = lock()
            claimed = escrow.send(self._provider, function, job, token, payer, amount, b"", 0, [])
            return cost(self.node, locked, claimed)

        def bundle(claims: range) -> tuple[range, Receipt]:
            locks = range(claims.stop, claims.stop + 10)
            return locks, escrow.send(
                self._provider,
                "bundleJobs",
                [(job, token, payer, amount, b"", 0, []) for job in claims],
                [],
                [(job, token, payer, amount, _DAY) for job in locks],
                [],
            )

        def available() -> int:
            return int(escrow.read("getUserFunds", self._provider.address, token)["available"])

        lock()
        claim("claimLock")
        before = available()
        single = claim("claimLock")
        net = amount - amount // 1_000  # less Ocean's 0.1 %
        _require(available() - before, net, "the payee")
        first = 100
        open_jobs, _ = bundle(range(first, first))
        open_jobs, _ = bundle(open_jobs)
        before = available()
        _, ten = bundle(open_jobs)
        _require(available() - before, 10 * net, "the payee of ten jobs")

        parties = (self._patient, self._custodian, self._annotator, self._platform)
        splitter, _ = self._splitter(list(parties), [5250, 1750, 2000, 1000])
        for _ in range(2):  # the second time everybody holds tokens
            held = self._held(self._provider.address)
            paid = claim("claimLockAndWithdraw")
            gained = self._held(self._provider.address) - held
            sent = self.token.send(self._provider, "transfer", splitter.address, gained)
            before = self._held(self._patient)
            released = splitter.send(self._provider, "release", token)
        _require(self._held(self._patient) - before, gained * 5250 // 10_000, "the patient", dust=2)
        return {
            "use_once": single,
            "voucher_1000_per_use": single.each(_USES),
            "voucher_batch_20_licences_each": cost(self.node, ten).each(10),
            "voucher_1000_paid_out_per_use": (paid + cost(self.node, sent, released)).each(_USES),
            "pay_out_four": cost(self.node, released),
        }

    def _splitters(self) -> dict[str, Cost]:
        pair = [Wallet.create().address for _ in range(2)]
        _, two = self._splitter(pair, [75, 25])
        payees = [Wallet.create().address for _ in range(100)]
        splitter, hundred = self._splitter(payees, [100 + n for n in range(100)])
        for _ in range(2):
            args = (splitter.address, 1_000 * TOKEN)
            paid_in = self.token.send(self._buyer, "transfer", *args)
            released = splitter.send(self._buyer, "release", self.token.address)
        total = sum(self._held(payee) for payee in payees)
        _require(total, 2_000 * TOKEN, "the hundred", dust=2)
        return {
            "split_agreed": cost(self.node, two),
            "royalty_pay_in": cost(self.node, paid_in),
            "royalty_paid_out_each": cost(self.node, released).each(100),
            "royalty_first_claim_batch_50_each": cost(self.node, hundred).each(100),
        }

    # ------------------------------------------------------------------ how it is done

    def _publish(self, collector: str, market: str = _NOBODY) -> tuple[Offer, Receipt]:
        """A dataset at the fixed rate; ``market`` gets the platform's fee when it is named."""
        seller = self._provider.address
        nft = ("Record", "REC", 1, "", False, seller)
        cap, fee = 1_000_000 * TOKEN, _PLATFORM_FEE if market != _NOBODY else 0
        names, minters = ["Access", "ACC"], [seller, collector, market, self.token.address]
        datatoken: tuple[Any, ...] = (_TEMPLATE, names, minters, [cap, 0], [])
        parties = [self.token.address, seller, market, _NOBODY]
        rate = (self.exchange.address, parties, [18, 18, _RATE, fee, 1])
        receipt = self.factory.send(
            self._provider, "createNftWithErc20WithFixedRate", nft, datatoken, rate
        )
        address = self.factory.event(receipt.logs, "TokenCreated")["newTokenAddress"]
        exchange = self.exchange.event(receipt.logs, "ExchangeCreated")["exchangeId"]
        return Offer(Peer(self.node, address, self._template.abi), exchange), receipt

    def _approve(self, offer: Offer) -> Receipt:
        args = (offer.datatoken.address, _WITHOUT_LIMIT)
        return self.token.send(self._buyer, "approve", *args)

    def _buy(self, offer: Offer, market: str = _NOBODY) -> Receipt:
        """Buy and order; ``market`` is the consuming market that gets the annotator's part."""
        valid = self.node.head().timestamp + _DAY
        # The service provider signs its fee, as it has to for every order; here it asks for none.
        packed = to_bytes(hexstr=self._provider.address) + to_bytes(hexstr=self.token.address)
        packed += (0).to_bytes(32, "big") + valid.to_bytes(32, "big")
        signed = Account.sign_message(encode_defunct(keccak(packed)), self._provider.key)
        r, s = (part.to_bytes(32, "big") for part in (signed.r, signed.s))
        fee = (self._provider.address, self.token.address, 0, signed.v, r, s, valid, b"")
        order = (self._buyer.address, 0, fee, (_NOBODY, _NOBODY, 0))
        share = _ANNOTATOR_FEE if market != _NOBODY else 0
        terms = (self.exchange.address, offer.exchange, 101 * TOKEN, share, market)
        return offer.datatoken.send(self._buyer, "buyFromFreAndOrder", order, terms)

    def _pay_out(self, offer: Offer, splitter: Peer) -> Cost:
        return cost(
            self.node,
            splitter.send(self._provider, "release", self.token.address),
            self.exchange.send(self._provider, "collectMarketFee", offer.exchange),
            self.exchange.send(self._provider, "collectOceanFee", offer.exchange),
        )

    def _splitter(self, payees: list[str], shares: list[int]) -> tuple[Peer, Receipt]:
        return self._create("Splitter", payees, shares)

    def _held(self, account: str) -> int:
        return int(self.token.read("balanceOf", account))

    def _deploy(self, name: str, *args: Any) -> Peer:
        return self._create(name, *args)[0]

    def _create(self, name: str, *args: Any) -> tuple[Peer, Receipt]:
        abi = self._abi(name)
        code = to_bytes(hexstr=self._artifact(name)["bytecode"])
        receipt = self.node.send(self._owner, None, code + abi.construct(*args))
        if receipt.contract is None:
            raise RuntimeError(f"{name} was not created")
        return Peer(self.node, receipt.contract, abi), receipt

    def _abi(self, name: str) -> Abi:
        return Abi(name, self._artifact(name)["abi"])

    def _artifact(self, name: str) -> dict[str, Any]:
        path = self._package.locate_file(f"artifacts/{name}.json")
        loaded: dict[str, Any] = json.loads(Path(str(path)).read_text(encoding="utf-8"))
        return loaded


def _require(found: int, wanted: int, who: str, dust: int = 0) -> None:
    """A figure counts only when the money went where it says: within ``dust`` base units."""
    if not wanted - dust <= found <= wanted:
        raise RuntimeError(f"{who} should have got {wanted} and got {found}")
