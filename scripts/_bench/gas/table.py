"""The rows of the gas benchmark: what is measured, what each figure includes, and how it is shown.

A row compares like with like: both texts say what has been checked and who has been paid when the
measured transactions are mined. ``bound`` is what the EVM alone costs (21,000, calldata, storage,
log), ``target`` is ours. A row without a peer has none in Ocean's contracts; a row without a figure
of ours needs no transaction here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medtoken.chain.node import Node, Receipt

Result = dict[str, Any]


@dataclass(frozen=True)
class Cost:
    """Gas by the receipt, and bytes of calldata: what a layer-2 chain bills to its layer 1."""

    gas: int = 0
    calldata: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Of both together."""
        return Cost(self.gas + other.gas, self.calldata + other.calldata)

    def each(self, number: int) -> Cost:
        """Of one among ``number``, rounded up."""
        return Cost(-(-self.gas // number), -(-self.calldata // number))


def cost(node: Node, *mined: Receipt | bytes) -> Cost:
    """What some mined transactions (receipts or hashes) cost together."""
    total = Cost()
    for one in mined:
        tx = "0x" + (one if isinstance(one, bytes) else one.tx).hex()
        receipt = node.rpc("eth_getTransactionReceipt", tx)
        if int(receipt["status"], 16) != 1:
            raise RuntimeError(f"transaction {tx} reverted")
        sent = node.rpc("eth_getTransactionByHash", tx)["input"]
        total += Cost(int(receipt["gasUsed"], 16), (len(sent) - 2) // 2)
    return total


@dataclass(frozen=True)
class Row:
    """One operation: what our figure and the peer's include. None: there is no such figure."""

    includes: str
    sent: bool = True  # whether it takes a transaction of ours at all
    bound: int | None = None
    target: int | None = None
    peer: str | None = None
    peer_includes: str | None = None


_FOUR = (
    "patient, custodian, annotator and platform hold their parts as tokens, the reserve its levy"
)
_OCEAN_FOUR = (
    "the same four hold their parts as tokens, Ocean's collector its fee: also collectMarketFee, "
    "collectOceanFee, Splitter.release"
)
_JOB = "no consent; the payee states what was used, and gets it inside the escrow less a fee"

ROWS: dict[str, Row] = {
    # --- records and consents
    "record_register": Row(
        "custodian's accreditation checked; fingerprint, duplicate tag, CID and parties stored",
        target=115_000,
        peer="ERC721Factory.createNftWithErc20WithFixedRate",
        peer_includes="NFT, datatoken and exchange created; no metadata (setMetaData is one more)",
    ),
    "attest_and_mint": Row(
        "quality attested by another than the custodian, DCT minted", target=150_000
    ),
    "record_batch_1000_each": Row("1,000 records under one root, each", target=500),
    "record_prove_from_batch": Row("one of the 1,000 proven and registered later", target=120_000),
    "consent_grant": Row(
        "the patient's signature checked, brought by a relay: the patient holds no ether",
        target=80_000,
        peer="AccessList.mint",
        peer_includes="an address put on a list by its owner, who pays the gas; no terms, no "
        "signature",
    ),
    "consent_batch_20_each": Row(
        "as consent_grant, 20 patients' in one transaction, each",
        target=46_000,
        peer="AccessList.batchMint of 20, each",
        peer_includes="20 addresses put on one list by one owner",
    ),
    "consent_revoke": Row(
        "the patient's signature checked, brought by a relay; stops every later use",
        peer="AccessList.burn",
        peer_includes="an address taken off the list by its owner, who pays the gas",
    ),
    # --- licences bought outright
    "buy_licence": Row(
        "consent, credential and purpose checked, priced by DVI, taken from the deposit, refundable; "
        "nobody is paid yet",
        bound=85_000,
        target=110_000,
        peer="template 2: buyFromFreAndOrder",
        peer_includes="no consent, fixed price, approved before, not refundable; the seller "
        "holds the tokens",
    ),
    "deposit_and_buy": Row(
        "as buy_licence, and the money brought in: permit, deposit (good for every record), purchase",
        peer="approve, buyFromFreAndOrder",
        peer_includes="as above, and the approval (each datatoken needs its own)",
    ),
    "sale_split": Row(
        "buy_licence, and the sweep after its term: all four parts credited, the reserve holds the levy",
        peer="buyFromFreAndOrder with fees 70/20/10",
        peer_includes="the provider's Splitter and the annotator hold tokens; the platform's part "
        "and Ocean's fee wait in the exchange; patient and custodian have not got theirs yet",
    ),
    "sale_paid_out": Row(
        f"sale_split, and everybody's signed withdrawal in one transaction: {_FOUR}",
        peer="the same purchase, everybody paid out",
        peer_includes=_OCEAN_FOUR,
    ),
    "sale_paid_out_20_each": Row(
        f"20 purchases of one record, one sweep, one transaction that pays out, each: {_FOUR}",
        peer="20 purchases of one datatoken, everybody paid out, each",
        peer_includes=_OCEAN_FOUR,
    ),
    "pay_out_four": Row(
        "PayoutRelay.withdraw_many: one transaction pays all four, each of whom signed for it; "
        "who wants to wait signs nothing",
        peer="Splitter.release to four",
        peer_includes="one transaction pays all four; anybody may, none can decline or wait",
    ),
    "withdraw_alone": Row("one party's withdrawal by signature, through a relay"),
    "split_agreed": Row(
        "no transaction: patient and custodian agree on the share in the signed consent",
        sent=False,
        peer="Splitter deployed for two",
        peer_includes="a contract for each pair of patient and custodian; its owner can change "
        "the shares",
    ),
    # --- highly sensitive data
    "passkey_enrol": Row("a patient's first passkey stored, signed by the wallet, through a relay"),
    "passkey_approve": Row(
        "a passkey's assertion over one order checked by the chain's precompile of P-256, and kept"
    ),
    "passkey_approve_without_precompile": Row(
        "the same on a chain that has no such precompile: the curve is computed in Solidity"
    ),
    "buy_approved": Row("as buy_licence, for an order that the patient's passkey approved"),
    # --- metered use
    "use_once": Row(
        "one unit used by the licensee, consent and licence checked; swept later",
        bound=34_800,
        target=38_000,
        peer="Escrow.createLock, claimLock",
        peer_includes=_JOB,
    ),
    "voucher_1000_per_use": Row(
        "1,000 uses that the licensee signed for, in one transaction, each",
        bound=36,
        target=60,
        peer="Escrow.createLock, claimLock: one job for 1,000 uses, each",
        peer_includes=f"{_JOB}: the payer signs for no number",
    ),
    "voucher_1000_paid_out_per_use": Row(
        f"as above, with the sweep and one transaction that pays out, each: {_FOUR}",
        peer="Escrow.createLock, claimLockAndWithdraw, transfer, Splitter.release, each",
        peer_includes="the same four hold their parts as tokens, Ocean's collector its fee",
    ),
    "voucher_batch_20_licences_each": Row(
        "vouchers for 20 licences in one transaction, each",
        target=60_000,
        peer="Escrow.bundleJobs of 10, each",
        peer_includes=f"ten jobs claimed and ten locked in one transaction; {_JOB}",
    ),
    # --- other forms
    "auction_bid": Row(
        "outbids another: one's money taken, the other's given back", target=180_000
    ),
    "auction_award": Row("highest bid becomes a licence, consent checked again", target=220_000),
    "bulk_1000_per_record": Row("a basket of 1,000 records reserved, each", target=2_000),
    "bulk_take_one": Row(
        "one record of a basket licensed, proof and consent checked", target=220_000
    ),
    "bulk_take_32_each": Row("as bulk_take_one, 32 in one transaction, each", target=120_000),
    # --- royalties, in a study of 100,000 contributors
    "royalty_pay_in": Row(
        "royalty and levy pulled, shared among 100,000 at once",
        bound=43_750,
        target=60_000,
        peer="token sent to a Splitter",
        peer_includes="a transfer; release then pays all payees in one transaction, which bounds "
        "their number",
    ),
    "royalty_claim": Row(
        "one contributor credited, brought by a relay", bound=43_901, target=55_000
    ),
    "royalty_claim_batch_100_each": Row(
        "100 contributors credited in one transaction, each", target=20_000
    ),
    "royalty_paid_out_each": Row(
        "royalty_claim_batch_100_each, and signed withdrawals of 20 in one transaction, each",
        peer="Splitter.release to 100, each",
        peer_includes="tokens sent to each of 100 payees in one transaction",
    ),
    "royalty_first_claim": Row("a contributor's line of the roster proven, and credited"),
    "royalty_first_claim_batch_50_each": Row(
        "50 lines proven in one transaction, each",
        peer="Splitter deployed for 100, each",
        peer_includes="payees and shares stored by its owner",
    ),
    "royalty_pay_in_finite_allowance": Row(
        "as royalty_pay_in, from an allowance that is counted down"
    ),
    "royalty_pay_in_exact_allowance": Row("as royalty_pay_in, from an allowance that it uses up"),
    "royalty_withdraw": Row("a contributor's credit withdrawn by signature, through a relay"),
    # --- storage
    "holding_commit": Row("the root over 16 records and their bytes stored", target=90_000),
    "storage_challenge": Row("a challenge opened; a later block draws", target=60_000),
    "storage_answer_each": Row(
        "a sample's way to the root, its chunk and its witness checked, 16 in one transaction, each",
        target=90_000,
    ),
    "storage_proven": Row("the last sample checked, GT minted", target=300_000),
    # --- research
    "research_verify": Row("an outcome verified by the last seat that is needed, RT minted"),
    "research_buy": Row(
        "as buy_licence, with RT burned, and the budget's money for it set aside", target=330_000
    ),
    "research_release": Row("what was earned of the help moved to the licensee", target=90_000),
    "research_return": Row(
        "a closed licence's help given back to the reserve, its RT to the licensee"
    ),
    # --- institution assets, of ten sources
    "asset_sold": Row("ten units of an asset bought and swept: as buy_licence, and a sweep"),
    "asset_collect": Row(
        "what it earned booked: the lineage share to its pot, the rest its holder's"
    ),
    "asset_claim": Row("one source's part of the pot credited to its patient and its custodian"),
    "asset_claim_9_each": Row("as asset_claim, nine sources in one transaction, each"),
    "asset_share_paid_out": Row("asset_claim and the patient's withdrawal by signature"),
}


def collect(ours: Mapping[str, Cost], theirs: Mapping[str, Cost]) -> dict[str, Result]:
    """Both sides' figures by row. Raises RuntimeError when a row or a figure has no partner."""
    for what, wanted, found in (
        ("medtoken", {name for name, row in ROWS.items() if row.sent}, set(ours)),
        ("Ocean", {name for name, row in ROWS.items() if row.peer}, set(theirs)),
    ):
        if wanted != found:
            raise RuntimeError(f"{what}'s figures do not fit the rows: {sorted(wanted ^ found)}")
    result: dict[str, Result] = {}
    for name, row in ROWS.items():
        own, peer = ours.get(name), theirs.get(name)
        result[name] = {
            "gas": own and own.gas,
            "calldata": own and own.calldata,
            "peer_gas": peer and peer.gas,
            "peer_calldata": peer and peer.calldata,
            **{key: value for key, value in asdict(row).items() if key != "sent"},
        }
    return result


def over_target(operations: Mapping[str, Result]) -> list[str]:
    """The rows whose gas is above our target."""
    return [n for n, r in operations.items() if r["target"] and (r["gas"] or 0) > r["target"]]


def text(operations: Mapping[str, Result]) -> str:
    """The table for a terminal."""
    lines = [
        f"{'operation':33} {'gas':>9} {'bytes':>6} {'bound':>8} {'target':>8}  {'':4} "
        f"{'Ocean':>9} {'bytes':>6}"
    ]
    over = over_target(operations)
    for name, row in operations.items():
        met = "" if row["target"] is None else "OVER" if name in over else "met"
        lines.append(
            f"{name:33} {_number(row['gas']):>9} {_number(row['calldata']):>6} "
            f"{_number(row['bound']):>8} {_number(row['target']):>8}  {met:4} "
            f"{_number(row['peer_gas']):>9} {_number(row['peer_calldata']):>6}"
        )
    return "\n".join(lines)


def markdown(result: Mapping[str, Any]) -> str:
    """``docs/gas.md`` from what the command writes as JSON."""
    operations: Mapping[str, Result] = result["operations"]
    compared = {n: r for n, r in operations.items() if r["peer"]}
    tools = ", ".join(f"{name} {version}" for name, version in result["tools"].items())
    return "\n".join(
        [
            *_INTRODUCTION,
            "",
            f"Measured with {tools}.",
            "",
            "## Beside Ocean Protocol",
            "",
            "| operation | gas | calldata, bytes | Ocean's | gas | calldata, bytes | Ocean's gas / ours |",
            "| --- | ---: | ---: | --- | ---: | ---: | ---: |",
            *(
                f"| `{name}` | {_number(r['gas'])} | {_number(r['calldata'])} | {r['peer']} "
                f"| {_number(r['peer_gas'])} | {_number(r['peer_calldata'])} "
                f"| {_ratio(r['peer_gas'], r['gas'])} |"
                for name, r in compared.items()
            ),
            "",
            "## Against our targets",
            "",
            "| operation | gas | calldata, bytes | least the EVM needs | target |",
            "| --- | ---: | ---: | ---: | ---: |",
            *(
                f"| `{name}` | {_number(r['gas'])} | {_number(r['calldata'])} "
                f"| {_number(r['bound'])} | {_number(r['target'])} |"
                for name, r in operations.items()
                if r["gas"] is not None
            ),
            "",
            "## What each figure includes",
            "",
            "| operation | ours | Ocean's |",
            "| --- | --- | --- |",
            *(
                f"| `{name}` | {r['includes']} | {r['peer_includes'] or _number(None)} |"
                for name, r in operations.items()
            ),
            "",
        ]
    )


_INTRODUCTION = (
    "# What operations cost",
    "",
    '`make bench-gas ARGS="--markdown docs/gas.md"` writes this page: do not edit it. It deploys',
    "medtoken and the contracts of Ocean Protocol (the Python package `ocean-contracts`, Apache-2.0,",
    "unchanged) on one private chain and carries out each operation in the state that it usually",
    "meets: parties who hold tokens already, objects that are new. Gas is by the receipts, ours",
    "through the proxies; calldata is what a layer-2 chain bills to its layer 1, before compression.",
    "Figures move by some dozens from run to run, with the zero bytes of random ids. Nothing here",
    "is copied from another's report.",
    "",
    "Where a choice was open it was made in Ocean's favour: allowances without limit, accounts that",
    "hold tokens, empty token URIs and proofs, no metadata, a single other job in the escrow. Ocean's",
    "fee is the 0.1 % that its router has by default, its token the OceanToken of the package.",
    "Operations without a peer have none in these contracts.",
    "",
    "Ours is dearer where all that is measured is the payout: each of those who are paid has signed",
    "that it wants the money now, and where to, and its signature is carried and checked, in one",
    "transaction by `PayoutRelay`. A Splitter pays everybody, whether they want it or not.",
)


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _ratio(peer: int | None, own: int | None) -> str:
    return "–" if not own or peer is None else f"{peer / own:.2f}"
