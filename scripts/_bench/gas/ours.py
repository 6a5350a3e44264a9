"""What medtoken's operations cost, through the proxies, in the state that they usually meet.

Storage of the parties is not empty, but the objects themselves are new: each kind of operation is
carried out once before it is measured where the first time pays for more.
"""

from __future__ import annotations

import hashlib
import io
import secrets
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_utils import to_checksum_address

from _bench.gas.table import Cost, cost
from medtoken.chain.contracts import (
    Answer,
    Draft,
    LicenceRef,
    Lineage,
    Order,
    PayingContract,
    Scores,
    SignedVoucher,
    Source,
    Suite,
    study_id,
)
from medtoken.chain.desks import Item, Undertaking
from medtoken.chain.node import Receipt, Wallet
from medtoken.chain.passkeys import Passkeys, Request
from medtoken.chain.research import Outcome, ResearchDesk
from medtoken.demo.people import Cast
from medtoken.holding import CHUNK, ChunkTree, Holding, Line
from medtoken.lineage import Roster as SourceRoster
from medtoken.merkle import Tree, draft_leaf
from medtoken.messages import (
    DUT,
    Consent,
    Domain,
    PasskeyChange,
    Revocation,
    StorageWitness,
    Voucher,
    Withdrawal,
)
from medtoken.parties import Licensee
from medtoken.parties.auctions import Auctions
from medtoken.parties.baskets import Baskets, Listing
from medtoken.passkeys import Assertion, Passkey, encoded
from medtoken.royalty import Roster, join_batches
from medtoken.vocabulary import duo_mask, group_mask, profile_hash, region_code


class Bench:
    """One measured run."""

    def __init__(self, suite: Suite, people: Cast) -> None:
        self.suite = suite
        self.people = people
        self.registry = suite.registry
        self.market = suite.market
        self.annotator = suite.registry.number_of(people["annotator"].address)
        self.licensee = Licensee(suite, people["pharma"])

    def run(self) -> dict[str, Cost]:
        """Cost by row."""
        gas: dict[str, Cost] = {}
        # The first of everything warms up what only the first one pays: counters, first checkpoints.
        first = Wallet.create()
        self._attest(self._register(self._draft(first)))
        patient = Wallet.create()
        draft = self._draft(patient)
        receipt = self.registry.register(self.people["hospital"], draft)
        record = self.registry.events(receipt.logs, "RecordRegistered")[0].args["record"]
        gas["record_register"] = self._cost(receipt)
        # In a second of its own: a mint in the same second as the last shares its checkpoint.
        self._wait(self.suite.node.head().timestamp + 2)
        gas["attest_and_mint"] = self._cost(self._attest(record))

        tree_drafts = [self._draft(Wallet(first.account)) for _ in range(1000)]
        tree = Tree([draft_leaf(d) for d in tree_drafts])
        receipt = self.registry.send(
            self.people["hospital"], "register_batch", tree.root, 1000, secrets.token_bytes(32)
        )
        gas["record_batch_1000_each"] = self._cost(receipt).each(1000)
        number = self.registry.number_of(self.people["hospital"].address)
        receipt = self.registry.send(
            self.people["hospital"],
            "register_from_batch",
            number,
            tree.root,
            {name: getattr(tree_drafts[500], name) for name in Draft.__dataclass_fields__},
            tree.proof(500),
        )
        gas["record_prove_from_batch"] = self._cost(receipt)

        consent = self._consent(patient, record)
        signature = consent.sign(patient.key, self.market.domain)
        gas["consent_grant"] = self._cost(
            self.market.grant(self.people["relay"], consent, signature)
        )
        signed = []
        for _ in range(20):
            wallet = Wallet.create()
            other = self._consent(wallet, secrets.token_bytes(32))
            signed.append((other, other.sign(wallet.key, self.market.domain)))
        receipt = self.market.grant_many(self.people["relay"], signed)
        gas["consent_batch_20_each"] = self._cost(receipt).each(20)
        revocation = Revocation(other.struct_hash())
        signature = revocation.sign(wallet.key, self.market.domain)
        receipt = self.market.revoke(self.people["relay"], revocation.consent, signature)
        gas["consent_revoke"] = self._cost(receipt)

        self.licensee.deposit(1_000_000 * DUT)
        gas["buy_licence"] = self._cost(self._buy(record, consent, form=1, units=0)[0])
        _, ref = self._buy(record, consent, form=2, units=1000)
        self.market.use(self.people["pharma"], ref, 1)
        gas["use_once"] = self._cost(self.market.use(self.people["pharma"], ref, 1))
        gas |= self.passkeys()
        gas |= self._auction(patient, record, consent)
        gas |= self._basket()
        gas |= self._vouchers(patient, record, consent)
        gas |= self._sales(patient, record, consent)
        gas |= self._research(patient, record)
        gas |= self._assets(patient)
        return gas | self._royalties() | self._storage(patient)

    def passkeys(self) -> dict[str, Cost]:
        """A passkey, two approvals (the first one pays for what was empty), and what is bought by them."""
        gas: dict[str, Cost] = {}
        patient, relay, pharma = Wallet.create(), self.people["relay"], self.people["pharma"]
        contract = Passkeys(self.suite.node, self.suite.deployment)
        record = self._register(self._draft(patient))
        self._attest(record)
        consent = replace(self._consent(patient, record), tier=3)
        self.market.grant(relay, consent, consent.sign(patient.key, self.market.domain))
        self.licensee.deposit(10_000 * DUT)
        secret = ec.generate_private_key(ec.SECP256R1())
        public = secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        passkey = Passkey.of(public, "records.example")
        deadline = self.suite.node.head().timestamp + 3600
        change = PasskeyChange(patient.address, **vars(passkey), nonce=0, deadline=deadline)
        signature = change.sign(patient.key, contract.domain)
        gas["passkey_enrol"] = self._cost(contract.change(relay, change, signature))
        for _ in range(2):
            order = self._order(record, form=1, units=0)
            asked = Request(consent.struct_hash(), pharma.address, order, 0)
            approval = asked.approval(patient.address, deadline)
            client = (
                b'{"type":"webauthn.get","challenge":"'
                + encoded(approval.digest(contract.domain)).encode()
                + b'","origin":"https://records.example","crossOrigin":false}'
            )
            # Present and verified; a phone's passkey does not count.
            data = passkey.relyingParty + b"\x05" + bytes(4)
            signed = secret.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
            receipt = contract.approve(relay, approval, Assertion.of(data, client, signed))
            gas["passkey_approve"] = self._cost(receipt)
            gas["buy_approved"] = self._cost(self.market.buy(pharma, order, consent, []))
        return gas

    def _research(self, patient: Wallet, record: bytes) -> dict[str, Cost]:
        """An outcome, and licences with its help: one used in part, one that is revoked."""
        gas: dict[str, Cost] = {}
        desk = ResearchDesk(self.suite.node, self.suite.deployment)
        pharma, relay, seat = (self.people[name] for name in ("pharma", "relay", "operator"))
        for _ in range(2):
            consent = self._consent(patient, record)
            signature = consent.sign(patient.key, self.market.domain)
            self.market.grant(relay, consent, signature)
            _, ref = self._buy(record, consent, form=2, units=1)
            outcome = Outcome(ref.id(), pharma.address, 1, secrets.token_bytes(32))
            gas["research_verify"] = self._cost(desk.verify(seat, outcome, ref))
            order = self._order(record, form=2, units=10)
            receipt = desk.buy(pharma, order, consent, [], 10 * DUT)
            gas["research_buy"] = self._cost(receipt)
            ref = LicenceRef(consent.struct_hash(), record, pharma.address, order.salt)
            self.market.use(pharma, ref, 5)
            self.market.settle(relay, [ref])
            gas["research_release"] = self._cost(desk.release(relay, ref))
            revocation = Revocation(consent.struct_hash())
            signature = revocation.sign(patient.key, self.market.domain)
            self.market.revoke(relay, revocation.consent, signature)
            self.market.settle(relay, [ref])
            gas["research_return"] = self._cost(desk.release(relay, ref))
        return gas

    def _assets(self, patient: Wallet) -> dict[str, Cost]:
        """A dataset that the hospital derived from ten records it licensed, sold twice."""
        desk, market = self.suite.assets, self.market
        hospital, relay = self.people["hospital"], self.people["relay"]
        self._fund(hospital)
        sources = []
        for _ in range(10):
            record = self._register(self._draft(patient))
            self._attest(record)
            consent = replace(self._consent(patient, record), purposes=duo_mask(["HMB"]))
            market.grant(relay, consent, consent.sign(patient.key, market.domain))
            order = replace(self._order(record, form=1, units=0), purposes=consent.purposes)
            market.buy(hospital, order, consent, [])
            ref = LicenceRef(consent.struct_hash(), record, hospital.address, order.salt)
            sources.append(Source(ref, consent))
        number, tag = self.registry.number_of(hospital.address), secrets.token_bytes(32)
        asset = bytes(self.registry.read("record_id", number, tag))
        owner = desk.account_of(asset)
        draft = replace(self._draft(patient), owner=owner, tag=tag, kind=7, annotator=0)
        self._attest(self._register(draft))
        roster = SourceRoster(asset, [(source.ref.id(), 1) for source in sources])
        stated = Lineage(roster.root, roster.total, len(roster), secrets.token_bytes(32))
        desk.create(hospital, asset, stated)
        self._wait(self.suite.node.head().timestamp + desk.terms()[1])
        by_licence = {source.ref.id(): source for source in sources}
        lines = [roster.line(at) for at in range(len(roster))]
        desk.join(
            relay, asset, [line.values() for line in lines], [by_licence[x.licence] for x in lines]
        )
        terms = replace(self._consent(patient, asset), patient=owner, patientShare=8_000)
        desk.offer(hospital, asset, terms)
        gas: dict[str, Cost] = {}
        refs = [source.ref for source in sources]
        for _ in range(2):  # the first one pays for what was empty
            bought, sold = self._buy(asset, terms, form=2, units=10)
            market.use(self.people["pharma"], sold, 10)
            swept = market.settle(relay, [sold])
            gas["asset_sold"] = self._cost(bought, swept)
            gas["asset_collect"] = self._cost(desk.collect(relay, asset))
            gas["asset_claim"] = self._cost(desk.claim(relay, asset, refs[:1]))
            gas["asset_claim_9_each"] = self._cost(desk.claim(relay, asset, refs[1:])).each(9)
        earned = desk.earnings(patient.address).earned
        # 20 units at 50 DUT, less the platform's tenth; the lineage's fifth; of that, three quarters.
        if earned != 1_000 * DUT * 9 // 10 // 5 * 3 // 4:
            raise RuntimeError(f"the sources' patient was credited with {earned} base units")
        paid = self._withdraw(desk, patient, earned)
        gas["asset_share_paid_out"] = gas["asset_claim"] + self._cost(paid)
        return gas

    def _storage(self, patient: Wallet) -> dict[str, Cost]:
        """A challenge to 16 records of 1 MiB: 44 samples in batches of 16, the last of one."""
        storage, node, laboratory = self.suite.storage, self.suite.node, self.people["laboratory"]
        hospital = self.people["hospital"]
        attester = self.registry.number_of(laboratory.address)
        number = self.registry.number_of(hospital.address)
        domain = Domain(node.chain_id, storage.address)
        files: dict[Line, bytes] = {}
        for _ in range(16):
            record = self._register(self._draft(patient))
            self._attest(record)
            sealed = secrets.token_bytes(2**20)
            files[Line(ChunkTree(io.BytesIO(sealed)).root, record, len(sealed))] = sealed
        holding = Holding(list(files))

        def answer(sample: int) -> Answer:
            place = holding.place(storage.sample(number, sample))
            line, sealed = place.line, files[place.line]
            witness = StorageWitness(line.record, line.root, line.size)
            return Answer(
                line=line,
                right=place.right,
                steps=place.steps,
                attester=attester,
                signature=witness.sign(laboratory.key, domain),
                chunk=sealed[place.chunk * CHUNK : (place.chunk + 1) * CHUNK],
                path=tuple(ChunkTree(io.BytesIO(sealed)).path(place.chunk)),
            )

        gas = {"holding_commit": self._cost(storage.commit(hospital, holding.root, holding.size))}
        self._wait(node.head().timestamp + 30 * 86_400)
        gas["storage_challenge"] = self._cost(storage.challenge(self.people["relay"], number))
        for _ in range(2):
            node.rpc("evm_mine")
        last = storage.holding(number).samples - 1
        batches = [range(n, min(n + 16, last)) for n in range(0, last, 16)]
        receipts = [storage.answer(hospital, number, [answer(n) for n in b]) for b in batches]
        gas["storage_answer_each"] = self._cost(receipts[0]).each(16)
        gas["storage_proven"] = self._cost(storage.answer(hospital, number, [answer(last)]))
        return gas

    def _royalties(self) -> dict[str, Cost]:
        """A study of 100,000 lines, whose members were paid before."""
        gas: dict[str, Cost] = {}
        vault, relay, payer = self.suite.royalties, self.people["relay"], self.people["pharma"]
        member, *others = [Wallet.create() for _ in range(21)]
        accounts: list[str | bytes] = [
            *(other.address for other in others),
            *(secrets.token_bytes(20) for _ in range(99_979)),
        ]
        number = 17
        study = study_id(payer.address, number)
        lines = [(a, secrets.randbelow(5 * 10**10) + 1) for a in (member.address, *accounts)]
        roster = Roster(study, lines)
        *joined, single = [member.address, *(to_checksum_address(a) for a in accounts[:150])]
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
        batches = list(join_batches(roster, joined))
        for batch in batches[:2]:
            vault.join_many(relay, study, batch)
        receipt = vault.join_many(relay, study, batches[2])
        gas["royalty_first_claim_batch_50_each"] = self._cost(receipt).each(50)
        line = roster.index(single)
        assert line is not None  # noqa: S101  it was put there above
        gas["royalty_first_claim"] = self._cost(vault.join(relay, study, roster.member(line)))
        gas["royalty_pay_in_finite_allowance"] = self._cost(bring(202_502))
        self.suite.usage.send(payer, "approve", vault.address, amount + amount // 20)
        gas["royalty_pay_in_exact_allowance"] = self._cost(bring(202_503))
        self.suite.usage.send(payer, "approve", vault.address, 2**256 - 1)
        gas["royalty_pay_in"] = self._cost(bring(202_504))
        gas["royalty_claim"] = self._cost(vault.claim(relay, study, single))
        receipt = vault.claim_many(relay, study, joined[:100])
        gas["royalty_claim_batch_100_each"] = self._cost(receipt).each(100)
        for _ in range(2):  # the first one admits the account to DUT
            receipt = self._withdraw(vault, member, vault.earnings(member.address).earned // 2)
        gas["royalty_withdraw"] = self._cost(receipt)
        for _ in range(2):
            signed = [self._signed(vault, w, vault.earnings(w.address).earned // 2) for w in others]
            receipt = self.suite.payouts.withdraw_many(relay, vault, signed)
            if len(vault.events(receipt.logs, "Withdrawn")) != len(others):
                raise RuntimeError("somebody was not paid out")
        paid = self._cost(receipt).each(len(others))
        gas["royalty_paid_out_each"] = gas["royalty_claim_batch_100_each"] + paid
        return gas

    def _auction(self, patient: Wallet, record: bytes, consent: Consent) -> dict[str, Cost]:
        auctions, second = Auctions(self.suite), self.people["stranger"]
        self._fund(second)
        offer = auctions.offer(
            record, consent.struct_hash(), reserve=100 * DUT, days=2, term_days=90
        )
        auction = auctions.open(self.people["relay"], offer, auctions.sign(patient, offer))
        self._wait(offer.opens)
        undertaking = Undertaking(duo_mask(["HMB", "NPUNCU"]), bytes(32), self.market.agreement())
        bids = [
            auctions.house.bid(wallet, offer, consent, price * DUT, undertaking)
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
        return {"auction_bid": self._cost(bids[-1]), "auction_award": self._cost(receipt)}

    def _basket(self) -> dict[str, Cost]:
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
            "bulk_1000_per_record": self._cost(reserved.tx).each(1000),
            "bulk_take_one": self._cost(one),
            "bulk_take_32_each": self._cost(many).each(32),
        }

    def _vouchers(self, patient: Wallet, record: bytes, consent: Consent) -> dict[str, Cost]:
        key = Wallet.create()
        signer, market, relay = int(key.address, 16), self.market, self.people["relay"]
        self.licensee.deposit(2_000_000 * DUT)

        def voucher(units: int) -> SignedVoucher:
            _, ref = self._buy(record, consent, form=2, units=1000, signer=signer)
            now = self.suite.node.head().timestamp
            signature = Voucher(ref.id(), units, now).sign(key.key, market.domain)
            return SignedVoucher(ref, units, now, signature)

        for _ in range(2):  # the first one admits the parties to DUT
            acknowledged = voucher(1000)
            one = self._cost(market.redeem(self.people["hospital"], [acknowledged]))
            swept = self._cost(market.settle(relay, [acknowledged.ref]))
            paid, _ = self._pay_out(patient)
        many = market.redeem(self.people["hospital"], [voucher(1000) for _ in range(20)])
        return {
            "voucher_1000_per_use": one.each(1000),
            "voucher_1000_paid_out_per_use": (one + swept + paid).each(1000),
            "voucher_batch_20_licences_each": self._cost(many).each(20),
        }

    def _sales(self, patient: Wallet, record: bytes, consent: Consent) -> dict[str, Cost]:
        """Fixed terms from purchase to payout. What was credited before is withdrawn already."""
        market, relay = self.market, self.people["relay"]
        brought = self._cost(self.licensee.deposit(1_000 * DUT))
        bought = [self._buy(record, consent, form=1, units=0) for _ in range(22)]
        costs = [self._cost(receipt) for receipt, _ in bought]
        prices = [
            market.events(receipt.logs, "LicenceBought")[0].args["paid"] for receipt, _ in bought
        ]
        self._wait(self.suite.node.head().timestamp + 91 * 86_400)

        def sell(chosen: slice) -> tuple[Cost, Cost]:
            """Cost of the purchases and their sweep, and of paying everybody out."""
            refs = [ref for _, ref in bought[chosen]]
            swept = sum(costs[chosen], Cost()) + self._cost(market.settle(relay, refs))
            cost_of_payout, parts = self._pay_out(patient)
            price = sum(prices[chosen])
            wanted = [price * part // 10_000 for part in (5250, 1750, 2000, 1000)]
            if parts != wanted:
                raise RuntimeError(f"of {price} base units {parts} were paid out, not {wanted}")
            return swept, cost_of_payout

        sell(slice(1))  # the week's first sweep; it also admits everybody to DUT
        split, payout = sell(slice(1, 2))
        split_20, payout_20 = sell(slice(2, 22))
        market.settle(relay, [self._sold(record, consent)])
        alone = self._withdraw(market, patient, market.earnings(patient.address).earned // 2)
        return {
            "deposit_and_buy": brought + costs[1],
            "sale_split": split,
            "sale_paid_out": split + payout,
            "sale_paid_out_20_each": (split_20 + payout_20).each(20),
            "pay_out_four": payout,
            "withdraw_alone": self._cost(alone),
        }

    def _sold(self, record: bytes, consent: Consent) -> LicenceRef:
        """A metered licence of one unit that was used."""
        _, ref = self._buy(record, consent, form=2, units=1)
        self.market.use(self.people["pharma"], ref, 1)
        return ref

    def _pay_out(self, patient: Wallet) -> tuple[Cost, list[int]]:
        """Everything that patient, custodian, annotator and platform have earned, in one transaction."""
        names = ("hospital", "annotator", "platform")
        wallets = (patient, *(self.people[name] for name in names))
        held = [self._held(wallet) for wallet in wallets]
        earned = [self.market.earnings(wallet.address).earned for wallet in wallets]
        signed = [
            self._signed(self.market, wallet, amount)
            for wallet, amount in zip(wallets, earned, strict=True)
        ]
        receipt = self.suite.payouts.withdraw_many(self.people["relay"], self.market, signed)
        parts = [self._held(wallet) - had for wallet, had in zip(wallets, held, strict=True)]
        if parts != earned or any(self.market.earnings(w.address).earned for w in wallets):
            raise RuntimeError("somebody was not paid out")
        return self._cost(receipt), parts

    def _signed(
        self, purse: PayingContract, wallet: Wallet, amount: int
    ) -> tuple[Withdrawal, bytes]:
        deadline = self.suite.node.head().timestamp + 3600
        nonce = purse.earnings(wallet.address).nonce
        message = Withdrawal(wallet.address, wallet.address, amount, nonce, deadline)
        return message, message.sign(wallet.key, purse.domain)

    def _withdraw(self, purse: PayingContract, wallet: Wallet, amount: int) -> Receipt:
        """By signature through the relay, for patients hold no ether."""
        message, signature = self._signed(purse, wallet, amount)
        relay, who = self.people["relay"], wallet.address
        return purse.withdraw(relay, who, who, amount, message.deadline, signature)

    def _held(self, wallet: Wallet) -> int:
        return self.suite.usage.balance(wallet.address)

    def _cost(self, *mined: Receipt | bytes) -> Cost:
        return cost(self.suite.node, *mined)

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
        scores = Scores(
            units=1000,
            volume=70,
            completeness=80,
            timeliness=90,
            accuracy=100,
            annotation=90,
            traceability=75,
            dvi=85,
            asOf=20_000,
            method=secrets.token_bytes(32),
        )
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
        order = self._order(record, form=form, units=units, signer=signer)
        receipt = self.market.buy(self.people["pharma"], order, consent, [])
        ref = LicenceRef(consent.struct_hash(), record, self.people["pharma"].address, order.salt)
        return receipt, ref

    def _order(self, record: bytes, *, form: int, units: int, signer: int = 0) -> Order:
        return Order(
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
