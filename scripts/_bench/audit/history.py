"""A long history that keeps every rule, made up: metered licences on top of a real deployment.

Each licence has its own record, patient and consent: registered, attested, consented to, paid, bought, used
thirty times, settled four times, and the patient withdraws. Prices, splits, levies and burns come from
``medtoken.audit.rules`` with the parameters that the deployment's own events set. One settlement lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from eth_utils import keccak

from medtoken.audit import rules
from medtoken.audit.tables import Point, Store, Tables, arrays, fresh, load
from medtoken.audit.tables.store import SEGMENT
from medtoken.chain.words import FactorsWord, KindWord, RatesWord
from medtoken.vocabulary import Capability, Form, Tier, duo_mask

USES, SETTLEMENTS = 30, 4
# Events of one licence: 3 of the record and its tokens, consent, 2 of the deposit, 2 of the purchase, uses,
# 4 of each settlement (with the burn), 3 of the withdrawal, and the record's own registration.
EACH = 1 + 3 + 1 + 2 + 2 + USES + 4 * SETTLEMENTS + 3
HOUR, YEAR = 3_600, 365 * 86_400
_KIND = 1  # health record
_POINTS = (60, 70, 85, 95)  # every score of a record, and so its DVI and Q
_PURPOSES = ("HMB", "NCU")
_ZERO = b"\0" * 20

Columns = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What a deployment's own events say that the economy needs."""

    contracts: dict[str, bytes]
    custodian: dict[str, Any]
    annotator: dict[str, Any]
    attester: dict[str, Any]
    licensee: dict[str, Any]
    exchange: bytes
    platform: bytes
    agreement: bytes
    epoch: int
    rates: RatesWord
    prices: tuple[int, ...]  # base units a unit, for each of _POINTS
    minted: tuple[int, ...]
    ceiling: int
    burn_share: int

    @classmethod
    def by(cls, found: Tables) -> Told:
        """Read it from the tables of a deployment whose people are admitted."""

        def every(name: str) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = found[name].read().to_pylist()
            return rows

        institutions = every("record_registry_institution_changed")
        by = {
            who: next(i for i in institutions if int(i["capabilities"]) & int(who))
            for who in (Capability.CUSTODIAN, Capability.ANNOTATOR, Capability.ATTESTER)
        }
        rates = every("data_market_rates_changed")[-1]
        licensee = every("data_market_licensee_changed")[-1]
        parameters = {
            p["name_hash"]: int(p["current"])
            for contract in ("record_registry", "treasury")
            for p in every(f"{contract}_parameter_changed")
        }
        changed = every("tariff_reference_changed"), every("tariff_scarcity_changed")
        reference, scarcity = (
            next((int(c["current"]) for c in reversed(rows) if c["kind"] == _KIND), rules.BPS)
            for rows in changed
        )
        names = [name for name, _ in FactorsWord.layout]
        factors = {names[f["factor"]]: int(f["current"]) for f in every("tariff_factor_changed")}
        scene = rules.Scene(
            purposes=duo_mask(_PURPOSES),
            urgent=False,
            tier=int(Tier.SENSITIVE),
            in_region=True,
            certified=False,
            form=int(Form.METERED),
        )
        kind = KindWord(reference=reference, scarcity=scarcity)
        word = FactorsWord(**factors)
        coefficient = parameters[keccak(text=f"coefficient {_KIND}")]
        least = parameters[keccak(text="min_quality")]
        return cls(
            {name: bytes.fromhex(a[2:]) for name, a in found.manifest.contracts.items()},
            by[Capability.CUSTODIAN],
            by[Capability.ANNOTATOR],
            by[Capability.ATTESTER],
            licensee,
            every("usage_token_issued")[-1]["exchange"],
            every("data_market_platform_changed")[-1]["current"],
            every("data_market_agreement_changed")[-1]["current"],
            rates["epoch"],
            RatesWord(
                provider=rates["current_provider"],
                annotator=rates["current_annotator"],
                platform=rates["current_platform"],
                levy=rates["current_levy"],
            ),
            tuple(rules.unit_price(kind, word, dvi, scene, 0) for dvi in _POINTS),
            tuple(rules.minted(1_000, coefficient, 2 * dvi, least) for dvi in _POINTS),
            parameters[keccak(text="ceiling")],
            parameters[keccak(text="burn_share")],
        )


@dataclass
class Money:
    """What runs on from segment to segment, base units."""

    supply: int
    reserve: int


@dataclass
class Segment:
    """The events of some licences, block after block, in columns for each table."""

    schemas: dict[str, pa.Schema]
    contracts: dict[str, bytes]
    draw: np.random.Generator
    size: int
    number: int  # of the newest block
    time: int
    hash: bytes = b""
    tx: Any = None
    parts: dict[str, list[pa.Table]] = field(default_factory=dict)

    def block(self) -> None:
        """Begin the next block, an hour later, with a transaction for each licence."""
        self.number += 1
        self.time += HOUR
        self.hash = self.draw.bytes(32)
        self.tx = self.words(32)

    def words(self, width: int) -> Any:
        """As many random words as there are licences."""
        return np.frombuffer(self.draw.bytes(width * self.size), np.uint8).reshape(-1, width)

    def add(self, contract: str, name: str, index: int, of: int, /, **columns: Any) -> None:
        """One event in each transaction of the block: the ``index``-th ``of`` so many."""
        self.some(contract, name, np.arange(self.size) * of + index, self.tx, columns)

    def some(self, contract: str, name: str, logs: Any, tx: Any, columns: Columns) -> None:
        """Events at these places of the block."""
        schema = self.schemas[name]
        place = {
            "block_number": self.number,
            "block_hash": self.hash,
            "block_time": self.time,
            "tx_hash": tx,
            "tx_index": np.arange(len(logs)),
            "log_index": logs,
            "address": self.contracts[contract],
        }
        values = place | columns
        made = [_column(values.get(one.name), one.type, len(logs)) for one in schema]
        self.parts.setdefault(name, []).append(pa.Table.from_arrays(made, schema=schema))

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """All rows in the chain's order."""
        for name, parts in self.parts.items():
            yield name, pa.concat_tables(parts)


def _column(value: Any, kind: pa.DataType, size: int) -> pa.Array:
    """A column from what is given: a matrix of bytes, numbers, a list, or one value for all rows."""
    if value is None and pa.types.is_nested(kind):
        return pa.nulls(size, kind)
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return arrays.binary(value)
    if isinstance(value, np.ndarray):
        return arrays.numbers(value.astype(kind.to_pandas_dtype()), kind)
    if isinstance(value, list) or pa.types.is_boolean(kind):
        return arrays.build(value if isinstance(value, list) else [value] * size, kind)
    if value is None:
        value = b"" if pa.types.is_fixed_size_binary(kind) else 0
    one = arrays.build([value], kind).buffers()[1]
    return pa.Array.from_buffers(kind, size, [None, pa.py_buffer(bytes(one) * size)])


def fill(
    base: Path, out: Path, events: int, *, seed: int = 1, say: Callable[[str], None] = print
) -> tuple[int, str]:
    """Write at least so many events into ``out``, on top of those in ``base``.

    Gives how many there are, and the transaction of the one settlement that lies: it pays the
    patient one base unit more.
    """
    found = load(base)
    told, manifest = Told.by(found), found.manifest
    last = manifest.last
    if last is None:
        raise ValueError("the deployment's tables are empty")
    moves = found["usage_token_transfer"].read().to_pylist()
    supply = sum(int(m["value"]) * ((m["from_"] == _ZERO) - (m["to_"] == _ZERO)) for m in moves)
    levies = found["treasury_levy_received"].read().to_pylist()
    money = Money(supply, int(levies[-1]["reserve"]) if levies else 0)
    draw = np.random.default_rng(seed)
    size = min(SEGMENT, events) // EACH
    count = -(-events // (size * EACH))
    lie = ""
    new = fresh(manifest.chain_id, manifest.contracts, last.number + 1)
    with Store(out, new) as store:
        rows = {name: found[name].read() for name in found.by_name if found[name].rows}
        point, made = last, sum(table.num_rows for table in rows.values())
        store.manifest.first_block = manifest.first_block
        store.commit(rows.items(), last)
        for number in range(count):
            segment = Segment(
                {name: schema for name, (_, schema) in store.schemas.items()},
                told.contracts,
                draw,
                size,
                point.number,
                point.time,
            )
            lies = number == count // 2
            tx = _happen(segment, told, money, lies)
            lie = tx if lies else lie
            point = Point(segment.number, "0x" + segment.hash.hex(), segment.time)
            store.commit(segment.tables(), point, cut=True)
            if number % 50 == 49:
                say(f"{store.manifest.rows:,} events")
        made = store.manifest.rows
    return made, lie


def _happen(s: Segment, told: Told, money: Money, lies: bool) -> str:
    """One life of each licence. Gives the transaction that lies."""
    market, treasury = told.contracts["DataMarket"], told.contracts["Treasury"]
    buyer, kinds = told.licensee["account"], np.arange(s.size) % len(_POINTS)

    def each(values: Any) -> list[int]:
        return [values[kind] for kind in kinds]

    record, patient, consent, licence = s.words(32), s.words(20), s.words(32), s.words(32)
    _records(s, told, record, patient, each)
    region = told.licensee["region"]
    s.block()
    s.add(
        "DataMarket", "data_market_consent_granted", 0, 1,
        consent=consent, patient=patient, terms_patient=patient, terms_records=record,
        terms_purposes=duo_mask(_PURPOSES), terms_licensees=int(told.licensee["groups"]),
        terms_region=region, terms_tier=int(Tier.SENSITIVE), terms_patient_share=7_500,
        terms_expiry=s.time + 2 * YEAR, terms_nonce=consent, terms_deadline=s.time + HOUR,
    )  # fmt: skip
    units = [1 + use % 3 for use in range(USES)]
    paid = [price * sum(units) for price in told.prices]
    levy = [rules.levy(told.rates, amount) for amount in paid]
    due = each([sum(both) for both in zip(paid, levy, strict=True)])
    _money_in(s, told, due)
    money.supply += sum(due)
    s.block()
    s.add(
        "DataMarket", "data_market_licence_bought", 0, 2,
        licence=licence, consent=consent, licensee=buyer, payer=buyer, record=record,
        form=int(Form.METERED), price=each(told.prices), units=sum(units), end_=s.time + YEAR,
        purposes=duo_mask(_PURPOSES), urgent=False, agreement=told.agreement,
        epoch=told.epoch, paid=each(paid), levy=each(levy),
    )  # fmt: skip
    s.add("LicenceToken", "licence_token_transfer", 1, 2, to_=buyer, token_id=licence)
    lie, used, settled = "", 0, 0
    earned = [0] * len(_POINTS)
    for number, more in enumerate(units, 1):
        used += more
        s.block()
        s.add(
            "DataMarket", "data_market_licence_used", 0, 1, licence=licence, units=more, used=used
        )
        if number * SETTLEMENTS // USES > (number - 1) * SETTLEMENTS // USES:
            s.block()
            splits = [
                rules.split(told.rates, price * (used - settled), 7_500, annotated=True)
                for price in told.prices
            ]
            settled = used
            earned = [e + one.patient for e, one in zip(earned, splits, strict=True)]
            patients = each([one.patient for one in splits])
            if lies and not lie:
                patients[s.size // 2] += 1
                lie = "0x" + s.tx[s.size // 2].tobytes().hex()
            levies = each([one.levy for one in splits])
            s.add(
                "DataMarket", "data_market_licence_settled", 0, 4,
                licence=licence, record=record, kind=_KIND, settled=settled,
                gross=each([one.patient + one.custodian + one.annotator + one.platform for one in splits]),
                patient=patient, patient_amount=patients,
                custodian=told.custodian["account"],
                custodian_amount=each([one.custodian for one in splits]),
                annotator=told.annotator["account"],
                annotator_amount=each([one.annotator for one in splits]),
                platform=told.platform, platform_amount=each([one.platform for one in splits]),
                levy=levies,
            )  # fmt: skip
            burned, reserve = [], []
            for amount in levies:
                burned.append(rules.burn(amount, money.supply, told.ceiling, told.burn_share))
                money.supply -= burned[-1]
                money.reserve += amount - burned[-1]
                reserve.append(money.reserve)
            s.add(
                "UsageToken", "usage_token_transfer", 1, 4,
                from_=market, to_=treasury, value=levies,
            )  # fmt: skip
            s.add("UsageToken", "usage_token_transfer", 2, 4, from_=treasury, value=burned)
            s.add(
                "Treasury", "treasury_levy_received", 3, 4,
                payer=market, amount=levies, burned=burned, reserve=reserve,
            )  # fmt: skip
    s.block()
    s.add("UsageToken", "usage_token_standing_changed", 0, 3, account=patient, current=1)
    s.add(
        "DataMarket",
        "data_market_withdrawn",
        1,
        3,
        account=patient,
        to_=patient,
        amount=each(earned),
    )
    s.add("UsageToken", "usage_token_transfer", 2, 3, from_=market, to_=patient, value=each(earned))
    return lie


def _records(s: Segment, told: Told, record: Any, patient: Any, each: Any) -> None:
    """Every record is registered, and attested in the next block."""
    s.block()
    s.add(
        "RecordRegistry", "record_registry_record_registered", 0, 1,
        record=record, owner=patient, custodian=told.custodian["number"], draft_owner=patient,
        draft_fingerprint=s.words(32), draft_tag=s.words(32), draft_content=s.words(32),
        draft_codec=85, draft_size=1 << 20, draft_kind=_KIND, draft_tier=int(Tier.SENSITIVE),
        draft_region=told.licensee["region"], draft_annotator=told.annotator["number"],
    )  # fmt: skip
    s.block()
    points, minted = np.array(each(_POINTS)), each(told.minted)
    names = (
        "volume",
        "completeness",
        "timeliness",
        "accuracy",
        "annotation",
        "traceability",
        "dvi",
    )
    s.add(
        "RecordRegistry", "record_registry_record_attested", 0, 3,
        record=record, owner=patient, attester=told.attester["number"], scores_units=1_000,
        **{f"scores_{name}": points for name in names}, scores_as_of=20_000, quality=points,
        minted=minted,
    )  # fmt: skip
    s.add("ContributionToken", "contribution_token_transfer", 1, 3, to_=patient, value=minted)
    s.add(
        "ContributionToken", "contribution_token_delegate_votes_changed", 2, 3,
        delegate=patient, new_votes=minted,
    )  # fmt: skip


def _money_in(s: Segment, told: Told, due: list[int]) -> None:
    """The exchange issues what all licences cost, in one transaction; then each is deposited for."""
    market, buyer = told.contracts["DataMarket"], told.licensee["account"]
    s.block()
    issued: Columns = {"exchange": told.exchange, "to_": buyer, "amount": [sum(due)]}
    s.some(
        "UsageToken",
        "usage_token_transfer",
        np.array([0]),
        s.tx[:1],
        {"to_": buyer, "value": [sum(due)]},
    )
    s.some("UsageToken", "usage_token_issued", np.array([1]), s.tx[:1], issued)
    s.block()
    s.add("DataMarket", "data_market_deposited", 0, 2, account=buyer, payer=buyer, amount=due)
    s.add("UsageToken", "usage_token_transfer", 1, 2, from_=buyer, to_=market, value=due)
