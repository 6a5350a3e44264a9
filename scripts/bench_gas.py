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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medtoken.chain.contracts import Draft, LicenceRef, Order, Scores, Suite
from medtoken.chain.devnet import anvil
from medtoken.chain.node import Receipt, Wallet
from medtoken.demo.people import Cast, deploy_devnet
from medtoken.home import Home
from medtoken.merkle import Tree, draft_leaf
from medtoken.messages import DUT, Consent
from medtoken.parties import Licensee
from medtoken.vocabulary import duo_mask, group_mask, profile_hash, region_code

# operation: (bound, target, peer, the peer's gas). None: there is no such figure.
FIGURES: dict[str, tuple[int | None, int, str | None, int | None]] = {
    "buy_licence": (85_000, 110_000, "Ocean buyFromFreAndOrder, no consent", 296_617),
    "use_once": (34_800, 38_000, "0xSplits batchTransfer", 62_306),
    "consent_grant": (None, 80_000, "Ocean access list", 161_506),
    "consent_batch_20_each": (None, 46_000, "Ocean access list", 161_506),
    "record_register": (None, 115_000, "Ocean publish", 1_480_318),
    "attest_and_mint": (None, 150_000, None, None),
    "record_batch_1000_each": (None, 500, None, None),
    "record_prove_from_batch": (None, 120_000, None, None),
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
        return gas

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
        self, record: bytes, consent: Consent, *, form: int, units: int
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
            salt=secrets.randbits(96) << 160,
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
    print(f"{'operation':26} {'gas':>9} {'bound':>9} {'target':>9}  {'':4} {'peer':>9}")
    for name, (bound, target, peer, peer_gas) in FIGURES.items():
        result[name] = {
            "gas": gas[name],
            "bound": bound,
            "target": target,
            "peer": peer,
            "peer_gas": peer_gas,
        }
        met = "met" if gas[name] <= target else "OVER"
        print(
            f"{name:26} {gas[name]:>9,} {bound or 0:>9,} {target:>9,}  {met:4} {peer_gas or 0:>9,}"
        )
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
