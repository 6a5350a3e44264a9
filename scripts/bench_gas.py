#!/usr/bin/env python3
"""Gas of the suite's operations, from receipts of real transactions through the proxies.

Starts a private Anvil, deploys the suite with the real plan, carries out each operation in the state
that it usually meets (storage of the parties not empty, but the objects themselves new) and writes
``{operation: {gas, bound, target, peer, peer_gas}}``. Gas is per item where the name says ``each``.
``bound`` is what the EVM alone costs (21,000, calldata, storage, log) and ``target`` is ours;
``peer_gas`` are figures of an earlier measurement on the same Anvil release, not of this run.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

from eth_utils import to_checksum_address

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medtoken.chain.contracts import (
    Draft,
    LicenceRef,
    Order,
    Scores,
    SignedVoucher,
    Suite,
    study_id,
)
from medtoken.chain.desks import Item, Undertaking
from medtoken.chain.devnet import anvil
from medtoken.chain.node import Receipt, Wallet
from medtoken.demo.people import Cast, deploy_devnet
from medtoken.home import Home
from medtoken.merkle import Tree, draft_leaf
from medtoken.messages import DUT, Consent, Voucher, Withdrawal
from medtoken.parties import Licensee
from medtoken.parties.auctions import Auctions
from medtoken.parties.baskets import Baskets, Listing
from medtoken.royalty import Roster, join_batches
from medtoken.vocabulary import duo_mask, group_mask, profile_hash, region_code

# operation: (bound, target, peer, the peer's gas). None: there is no such figure.
FIGURES: dict[str, tuple[int | None, int | None, str | None, int | None]] = {
    "buy_licence": (85_000, 110_000, "Ocean buyFromFreAndOrder, no consent", 296_617),
    "use_once": (34_800, 38_000, "0xSplits batchTransfer", 62_306),
    "consent_grant": (None, 80_000, "Ocean access list", 161_506),
    "consent_batch_20_each": (None, 46_000, "Ocean access list", 161_506),
    "record_register": (None, 115_000, "Ocean publish", 1_480_318),
    "attest_and_mint": (None, 150_000, None, None),
    "record_batch_1000_each": (None, 500, None, None),
    "record_prove_from_batch": (None, 120_000, None, None),
    # A bid that outbids another: its money is taken, the other's given back.
    "auction_bid": (None, 180_000, None, None),
    "auction_award": (None, 220_000, None, None),
    # The reservation of 1,000 records, each; what taking one of them costs stands in the rows below.
    "bulk_1000_per_record": (None, 2_000, None, None),
    "bulk_take_one": (None, 220_000, None, None),
    "bulk_take_32_each": (None, 120_000, None, None),
    # 1,000 uses acknowledged by one cumulative voucher, one transaction, each use.
    "voucher_1000_per_use": (36, 60, "Ocean escrow, each", 73_365),
    "voucher_batch_20_licences_each": (None, 60_000, None, None),
    "royalty_pay_in": (43_750, 60_000, "Synthetix notifyRewardAmount", 110_608),
    "royalty_claim": (43_901, 55_000, "Merkle distributor claim", 63_698),
    "royalty_claim_batch_100_each": (None, 20_000, "Synthetix getReward", 76_415),
    # Beside the targets: an allowance that is counted down, one that is used up, first claims, payout.
    "royalty_pay_in_finite_allowance": (None, None, None, None),
    "royalty_pay_in_exact_allowance": (None, None, None, None),
    "royalty_first_claim": (None, None, "Merkle distributor claim", 63_698),
    "royalty_first_claim_batch_50_each": (None, None, None, None),
    "royalty_withdraw": (None, None, None, None),
}


class Bench:
    """One measured run."""

    def __init__(self, suite: Suite, people: Cast) -> None:
        self.suite = suite
        self.people = people
        self.registry = suite.registry
        self.market = suite.market
        self.annotator = suite.registry.number_of(people["annotator"].address)
        self.licensee = Licensee(suite, people["pharma"])

    def run(self) -> dict[str, int]:
        """Operation to gas."""
        gas: dict[str, int] = {}
        # The first of everything warms up what only the first one pays: counters, first checkpoints.
        first = Wallet.create()
        self._attest(self._register(self._draft(first)))
        patient = Wallet.create()
        draft = self._draft(patient)
        receipt = self.registry.register(self.people["hospital"], draft)
        record = self.registry.events(receipt.logs, "RecordRegistered")[0].args["record"]
        gas["record_register"] = receipt.gas
        # In a second of its own: a mint in the same second as the last shares its checkpoint.
        self._wait(self.suite.node.head().timestamp + 2)
        gas["attest_and_mint"] = self._attest(record).gas

        tree_drafts = [self._draft(Wallet(first.account)) for _ in range(1000)]
        tree = Tree([draft_leaf(d) for d in tree_drafts])
        receipt = self.registry.send(
            self.people["hospital"], "register_batch", tree.root, 1000, secrets.token_bytes(32)
        )
        gas["record_batch_1000_each"] = receipt.gas // 1000
        number = self.registry.number_of(self.people["hospital"].address)
        receipt = self.registry.send(
            self.people["hospital"],
            "register_from_batch",
            number,
            tree.root,
            {name: getattr(tree_drafts[500], name) for name in Draft.__dataclass_fields__},
            tree.proof(500),
        )
        gas["record_prove_from_batch"] = receipt.gas

        consent = self._consent(patient, record)
        signature = consent.sign(patient.key, self.market.domain)
        gas["consent_grant"] = self.market.grant(self.people["relay"], consent, signature).gas
        signed = []
        for _ in range(20):
            wallet = Wallet.create()
            other = self._consent(wallet, secrets.token_bytes(32))
            signed.append((other, other.sign(wallet.key, self.market.domain)))
        receipt = self.market.grant_many(self.people["relay"], signed)
        gas["consent_batch_20_each"] = receipt.gas // 20

        self.licensee.deposit(1_000_000 * DUT)
        gas["buy_licence"] = self._buy(record, consent, form=1, units=0)[0].gas
        _, ref = self._buy(record, consent, form=2, units=1000)
        self.market.use(self.people["pharma"], ref, 1)
        gas["use_once"] = self.market.use(self.people["pharma"], ref, 1).gas
        gas |= self._auction(patient, record, consent)
        gas |= self._basket()
        gas |= self._vouchers(record, consent)
        return gas | self._royalties()

    def _royalties(self) -> dict[str, int]:
        """A study of 100,000 lines, whose members were paid before."""
        gas: dict[str, int] = {}
        vault, relay, payer = self.suite.royalties, self.people["relay"], self.people["pharma"]
        member = Wallet.create()
        accounts = [to_checksum_address(secrets.token_bytes(20)) for _ in range(99_999)]
        number = 17
        study = study_id(payer.address, number)
        weights = {a: secrets.randbelow(5 * 10**10) + 1 for a in [member.address, *accounts]}
        roster = Roster(study, weights)
        vault.seal(
            self.people["hospital"],
            payer.address,
            number,
            roster.root,
            roster.total,
            len(roster),
            secrets.token_bytes(32),
        )
        self.suite.node.rpc("evm_increaseTime", vault.settings().window)
        self.suite.node.rpc("evm_mine")
        vault.undertake(payer, number, roster.root)
        self.suite.usage.send(payer, "approve", vault.address, 1_000_000 * DUT)
        amount = 12_345 * DUT

        def bring(period: int) -> Receipt:
            vault.attest_sales(
                self.people["operator"], study, period, 100 * amount, secrets.token_bytes(32)
            )
            return vault.pay(relay, payer.address, number, amount)

        bring(202_501)
        joined = [member.address, *accounts[:149]]
        batches = list(join_batches(roster, joined))
        for batch in batches[:2]:
            vault.join_many(relay, study, batch)
        gas["royalty_first_claim_batch_50_each"] = (
            vault.join_many(relay, study, batches[2]).gas // 50
        )
        line = roster.index(accounts[200])
        assert line is not None  # noqa: S101  it was put there above
        gas["royalty_first_claim"] = vault.join(relay, study, roster.member(line)).gas
        gas["royalty_pay_in_finite_allowance"] = bring(202_502).gas
        self.suite.usage.send(payer, "approve", vault.address, amount + amount // 20)
        gas["royalty_pay_in_exact_allowance"] = bring(202_503).gas
        self.suite.usage.send(payer, "approve", vault.address, 2**256 - 1)
        gas["royalty_pay_in"] = bring(202_504).gas
        gas["royalty_claim"] = vault.claim(relay, study, accounts[200]).gas
        gas["royalty_claim_batch_100_each"] = (
            vault.claim_many(relay, study, joined[:100]).gas // 100
        )
        for _ in range(2):  # the first one admits the account to DUT
            balance = vault.earnings(member.address)
            deadline = self.suite.node.head().timestamp + 3600
            args = (member.address, member.address, balance.earned // 2)
            message = Withdrawal(*args, balance.nonce, deadline)
            signature = message.sign(member.key, vault.domain)
            receipt = vault.withdraw(relay, *args, deadline, signature)
        gas["royalty_withdraw"] = receipt.gas
        return gas

    def _auction(self, patient: Wallet, record: bytes, consent: Consent) -> dict[str, int]:
        auctions, second = Auctions(self.suite), self.people["stranger"]
        self._fund(second)
        offer = auctions.offer(
            record, consent.struct_hash(), reserve=100 * DUT, days=2, term_days=90
        )
        auction = auctions.open(self.people["relay"], offer, auctions.sign(patient, offer))
        self._wait(offer.opens)
        undertaking = Undertaking(duo_mask(["HMB", "NPUNCU"]), bytes(32), self.market.agreement())
        bids = [
            auctions.house.bid(wallet, offer, consent, price * DUT, undertaking).gas
            for wallet, price in (
                (self.people["pharma"], 100),
                (second, 200),
                (self.people["pharma"], 300),
            )
        ]
        self._wait(offer.ends)
        receipt = auctions.house.award(self.people["relay"], offer, consent, [], undertaking)
        if not auctions.house.auction(auction).done:
            raise RuntimeError("the auction was not awarded")
        return {"auction_bid": bids[-1], "auction_award": receipt.gas}

    def _basket(self) -> dict[str, int]:
        """33 real records, and 967 leaves that nobody takes here, in one basket of 1,000."""
        baskets, entries = Baskets(self.suite), []
        for _ in range(34):
            patient = Wallet.create()
            record = self.registry.events(
                self.registry.register(self.people["hospital"], self._draft(patient)).logs,
                "RecordRegistered",
            )[0].args["record"]
            self._attest(record)
            consent = self._consent(patient, record)
            signature = consent.sign(patient.key, self.market.domain)
            self.market.grant(self.people["relay"], consent, signature)
            entries.append((record, consent.struct_hash()))
        others = [(secrets.token_bytes(32), secrets.token_bytes(32)) for _ in range(966)]
        listing = Listing((*entries, *others))
        # The first reservation warms up what only the first one pays.
        for end in (89, 90):
            terms = baskets.reserve(
                self.people["pharma"],
                listing,
                100_000 * DUT,
                form=1,
                purposes=["HMB", "NPUNCU"],
                max_price=1000 * DUT,
                days=end,
                take_days=30,
            )
        reserved = baskets.desk.find("BasketReserved", terms.id())[0][0]
        tree = listing.tree()
        items = [
            Item(record, self.market.consent_terms(consent), tree.proof(n), [])
            for n, (record, consent) in enumerate(entries)
        ]
        relay = self.people["relay"]
        baskets.desk.take(relay, terms, items[0])
        one = baskets.desk.take(relay, terms, items[1])
        many = baskets.desk.take_many(relay, terms, items[2:])
        if baskets.desk.state(terms.id()).taken != len(entries):
            raise RuntimeError("some of the records were passed over")
        return {
            "bulk_1000_per_record": -(-self._gas(reserved.tx) // 1000),
            "bulk_take_one": one.gas,
            "bulk_take_32_each": many.gas // 32,
        }

    def _vouchers(self, record: bytes, consent: Consent) -> dict[str, int]:
        key = Wallet.create()
        signer, market = int(key.address, 16), self.market
        self.licensee.deposit(2_000_000 * DUT)

        def voucher(units: int) -> SignedVoucher:
            _, ref = self._buy(record, consent, form=2, units=1000, signer=signer)
            now = self.suite.node.head().timestamp
            signature = Voucher(ref.id(), units, now).sign(key.key, market.domain)
            return SignedVoucher(ref, units, now, signature)

        one = market.redeem(self.people["hospital"], [voucher(1000)])
        many = market.redeem(self.people["hospital"], [voucher(1000) for _ in range(20)])
        return {
            "voucher_1000_per_use": -(-one.gas // 1000),
            "voucher_batch_20_licences_each": many.gas // 20,
        }

    def _gas(self, tx: bytes) -> int:
        receipt = self.suite.node.rpc("eth_getTransactionReceipt", "0x" + tx.hex())
        return int(receipt["gasUsed"], 16)

    def _fund(self, wallet: Wallet) -> None:
        """Give somebody a credential, and a deposit by the company's grace."""
        operator, pharma = self.people["operator"], self.people["pharma"]
        region, groups = region_code("TW"), group_mask(["pharma"])
        self.market.set_licensee(operator, wallet.address, groups, region)
        self.suite.usage.send(pharma, "approve", self.market.address, 2**256 - 1)
        self.market.send(pharma, "deposit", wallet.address, 10_000 * DUT)

    def _wait(self, until: int) -> None:
        node = self.suite.node
        node.rpc("evm_increaseTime", max(0, until - node.head().timestamp))
        node.rpc("evm_mine")

    def _draft(self, patient: Wallet) -> Draft:
        return Draft(
            owner=patient.address,
            fingerprint=secrets.token_bytes(32),
            tag=secrets.token_bytes(32),
            content=secrets.token_bytes(32),
            codec=0x70,
            size=12_345_678,
            kind=1,
            tier=2,
            region=region_code("TW"),
            codes=secrets.token_bytes(32),
            annotator=self.annotator,
        )

    def _register(self, draft: Draft) -> bytes:
        receipt = self.registry.register(self.people["hospital"], draft)
        record: bytes = self.registry.events(receipt.logs, "RecordRegistered")[0].args["record"]
        return record

    def _attest(self, record: bytes) -> Receipt:
        scores = Scores(1000, 80, 90, 85, secrets.token_bytes(32))
        return self.registry.attest(self.people["laboratory"], record, scores)

    def _consent(self, patient: Wallet, record: bytes) -> Consent:
        now = self.suite.node.head().timestamp
        return Consent(
            patient=patient.address,
            records=record,
            purposes=duo_mask(["HMB", "NPUNCU"]),
            diseases=bytes(32),
            licensees=group_mask(["pharma"]),
            fields=profile_hash("de-identified"),
            region=region_code("TW"),
            tier=2,
            patientShare=7_500,
            floorPrice=50 * DUT,
            expiry=now + 365 * 86_400,
            nonce=secrets.randbits(256),
            deadline=now + 3600,
        )

    def _buy(
        self, record: bytes, consent: Consent, *, form: int, units: int, signer: int = 0
    ) -> tuple[Receipt, LicenceRef]:
        order = Order(
            record=record,
            form=form,
            units=units,
            end=self.suite.node.head().timestamp + 90 * 86_400,
            purposes=duo_mask(["HMB", "NPUNCU"]),
            diseases=bytes(32),
            urgent=False,
            maxPrice=1000 * DUT,
            agreement=self.market.agreement(),
            salt=secrets.randbits(96) << 160 | signer,
        )
        receipt = self.market.buy(self.people["pharma"], order, consent, [])
        ref = LicenceRef(consent.struct_hash(), record, self.people["pharma"].address, order.salt)
        return receipt, ref


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/bench/gas.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, anvil() as node:
        suite, people = deploy_devnet(node, Home(folder), lambda line: None)
        gas = Bench(suite, people).run()
    result: dict[str, Any] = {}
    print(f"{'operation':33} {'gas':>9} {'bound':>9} {'target':>9}  {'':4} {'peer':>9}")
    for name, (bound, target, peer, peer_gas) in FIGURES.items():
        result[name] = {
            "gas": gas[name],
            "bound": bound,
            "target": target,
            "peer": peer,
            "peer_gas": peer_gas,
        }
        met = "" if target is None else "met" if gas[name] <= target else "OVER"
        print(
            f"{name:33} {gas[name]:>9,} {bound or 0:>9,} {target or 0:>9,}  {met:4} "
            f"{peer_gas or 0:>9,}"
        )
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
