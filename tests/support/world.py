"""The deployed suite with people in it, and short ways to say what they do.

An ``Actor`` is an address with a key, so it goes wherever an address goes. A ``World`` is the suite as
the real plan deploys it; ``World.settle_in`` adds what every story starts from: accredited
institutions, a licensee with a credential and a deposit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from eth_abi import encode
from eth_account import Account
from eth_utils import keccak

from medtoken import vocabulary
from medtoken.chain.abi import abi
from medtoken.deploy.plan import PEOPLE, Create, agreement_hash, build_plan, load_params
from medtoken.deploy.roles import Role
from medtoken.messages import (
    Consent,
    Domain,
    LicenceApproval,
    PasskeyChange,
    Revocation,
    Voucher,
    Withdrawal,
)
from support.authenticator import Authenticator
from support.evm import CHAIN_ID, PROXY, Contract, Evm, Reverted, deploy_suite

DUT = 10**18
DAY = 86_400
YEAR = 365 * DAY
ZERO = "0x" + "00" * 20
NONE = bytes(32)
_ANYBODY = "0x" + "99" * 20
_PLAN = build_plan(
    load_params(
        "devnet",
        operator=_ANYBODY,
        platform=_ANYBODY,
        people=dict.fromkeys(PEOPLE, _ANYBODY),
    ),
    _ANYBODY,
)
# The contracts that stand behind a proxy.
PROXIED = frozenset(step.name for step in _PLAN if isinstance(step, Create) and step.proxied)
TAIWAN, JAPAN = 158, 392
FIXED, METERED, RENTAL = 1, 2, 3
# The low bits of a licence's salt name the key that signs its vouchers (R14).
KEY_BITS = 160
MILLION = 10**6

# Fields of packed words: name → (lowest bit, width).
CONSENT_FIELDS = {
    "patient": (0, 160),
    "expiry": (160, 40),
    "revoked": (200, 40),
    "share": (240, 16),
}
LICENSEE_FIELDS = {
    "deposit": (0, 128),
    "groups": (128, 96),
    "region": (224, 16),
    "flags": (240, 16),
}
EARNINGS_FIELDS = {"earned": (0, 128), "nonce": (128, 64), "rest": (192, 64)}
TERM_FIELDS = {
    "price": (0, 64),
    "end": (64, 40),
    "epoch": (104, 16),
    "flags": (120, 16),
    "start": (136, 40),
    "settled": (176, 40),
    "rest": (216, 40),
}
METER_FIELDS = {
    "price": (0, 64),
    "end": (64, 40),
    "epoch": (104, 16),
    "flags": (120, 16),
    "units": (136, 40),
    "used": (176, 40),
    "settled": (216, 40),
}
KIND_FIELDS = {
    "reference": (0, 96),
    "scarcity": (96, 32),
    "week": (128, 32),
    "rest": (160, 96),
}
RATES_FIELDS = {
    "provider": (0, 16),
    "annotator": (16, 16),
    "platform": (32, 16),
    "levy": (48, 16),
    "epoch": (64, 16),
    "paused": (80, 1),
}
RECORD_FIELDS = {
    "owner": (0, 160),
    "custodian": (160, 20),
    "annotator": (180, 20),
    "attester": (200, 20),
    "kind": (220, 4),
    "tier": (224, 2),
    "region": (226, 10),
    "quality": (236, 7),
    "dvi": (243, 7),
    "attested": (250, 1),
    "minted": (251, 1),
    "superseded": (252, 1),
    "destroyed": (253, 1),
    "rest": (254, 2),
}


def unpack(word: int, fields: dict[str, tuple[int, int]]) -> dict[str, int]:
    """A packed word field by field."""
    return {name: (word >> at) & ((1 << width) - 1) for name, (at, width) in fields.items()}


def pack(fields: dict[str, tuple[int, int]], **values: int) -> int:
    """The word with these values; a value that does not fit is the test's mistake."""
    word = 0
    for name, value in values.items():
        at, width = fields[name]
        assert 0 <= value < 1 << width, f"{name} does not fit {width} bits"
        word |= value << at
    return word


class Actor(str):
    """An account: its address as text, with its key and the name that it has in the tests."""

    name: str
    key: bytes

    def __new__(cls, name: str) -> Actor:
        key = keccak(text=f"medtoken test account {name}")
        actor = super().__new__(cls, Account.from_key(key).address)
        actor.name, actor.key = name, key
        return actor

    def __repr__(self) -> str:
        return f"{self.name}({self!s})"


@dataclass(frozen=True)
class People:
    """Every account that the tests know, by role."""

    # holders of roles, as the deployment names them
    deployer: Actor
    operator: Actor  # proposes to the timelock
    platform: Actor  # earns the platform's part
    compliance: Actor
    exchange: Actor
    admission: Actor
    sanctions: Actor
    accreditation: Actor
    credentials: Actor
    supervisor: Actor
    guardian: Actor
    regulator: Actor
    products: Actor
    council: Actor
    arbitrator: Actor
    technical: Actor
    # participants
    patient: Actor
    other_patient: Actor
    licensee: Actor
    meter: Actor  # signs the licensee's vouchers
    other_licensee: Actor
    custodian: Actor
    other_custodian: Actor
    annotator: Actor
    attester: Actor
    trustee: Actor
    # nobody in particular
    relay: Actor
    stranger: Actor


def people() -> People:
    """The same accounts in every test."""
    return People(**{name: Actor(name) for name in People.__dataclass_fields__})


@contextmanager
def reverts(sentence: str) -> Iterator[None]:
    """The call inside reverts with exactly this sentence."""
    with pytest.raises(Reverted) as caught:
        yield
    assert str(caught.value) == sentence


class World:
    """The suite on one in-process chain, and its people."""

    def __init__(self) -> None:
        self.evm = Evm()
        self.people = people()
        self.params = load_params(
            "devnet",
            operator=self.people.operator,
            platform=self.people.platform,
            people={name: getattr(self.people, name) for name in PEOPLE},
        )
        self.suite = deploy_suite(self.evm, self.params, self.people.deployer)
        self.market = self.suite["DataMarket"]
        self.registry = self.suite["RecordRegistry"]
        self.treasury = self.suite["Treasury"]
        self.tariff = self.suite["Tariff"]
        self.view = self.suite["LicenceView"]
        self.token = self.suite["LicenceToken"]
        self.dut = self.suite["UsageToken"]
        self.dct = self.suite["ContributionToken"]
        self.gt = self.suite["GovernanceToken"]
        self.storage = self.suite["StorageRewards"]
        self.disputes = self.suite["QualityDisputes"]
        self.assets = self.suite["AssetDesk"]
        self.cover = self.suite["BreachCover"]
        self.compensation = self.suite["CompensationFund"]
        self.passkeys = self.suite["Passkeys"]
        self.trust = self.suite["DataTrust"]
        self.it = self.suite["InstitutionToken"]
        self.rt = self.suite["ResearchToken"]
        self.research = self.suite["ResearchDesk"]
        self.manager = self.suite["AccessManager"]
        self.timelock = self.suite["TimelockController"]
        self.domain = Domain(CHAIN_ID, self.market.address)
        self._fresh = count(1)

    @property
    def now(self) -> int:
        return self.evm.time

    def fresh(self, what: str = "value") -> bytes:
        """32 bytes that no other call returned, the same in every run."""
        return hashlib.sha256(f"{what} {next(self._fresh)}".encode()).digest()

    def new_actor(self) -> Actor:
        """A plain account that nobody has seen."""
        return Actor(f"fresh {next(self._fresh)}")

    # ------------------------------------------------------------- setting the scene

    def settle_in(self) -> World:
        """Accredit the institutions, admit who holds DUT, give the licensees credentials and money."""
        p = self.people
        for who, capability in (
            (p.custodian, vocabulary.Capability.CUSTODIAN),
            (p.annotator, vocabulary.Capability.ANNOTATOR),
            (p.attester, vocabulary.Capability.ATTESTER),
            (p.other_custodian, vocabulary.Capability.CUSTODIAN),
        ):
            self.accredit(who, int(capability))
        for who in (p.exchange, p.licensee, p.other_licensee, p.platform, p.custodian, p.annotator):
            self.admit(who)
        for who in (p.licensee, p.other_licensee):
            self.license(who)
            self.fund(who, MILLION * DUT)
            self.dut.approve(self.market.address, 2**256 - 1, sender=who)
            self.market.deposit(who, MILLION * DUT // 2, sender=who)
        return self

    def accredit(self, who: str, capabilities: int) -> int:
        return int(self.registry.accredit(who, capabilities, sender=self.people.accreditation))

    def number(self, who: str) -> int:
        """The number of the institution at an account, or zero."""
        return int(self.registry.number_of(who))

    def admit(self, who: str) -> None:
        self.dut.admit(who, sender=self.people.admission)

    def fund(self, who: str, amount: int) -> None:
        """Issue DUT to an account that may hold it."""
        self.dut.issue(who, amount, self.fresh("payment"), sender=self.people.exchange)

    def license(
        self, who: str, groups: Sequence[str] = ("pharma",), region: int = TAIWAN, flags: int = 0
    ) -> None:
        """State the credential groups of a licensee."""
        bits = vocabulary.group_mask(groups)
        self.market.set_licensee(who, bits, region, flags, sender=self.people.credentials)

    def as_timelock(self, contract: Contract, function: str, *args: Any) -> None:
        """Have the operator propose a call and the timelock make it."""
        data = contract.abi.call(function, *args)
        self.timelock_call(contract.address, data)

    def timelock_call(self, to: str, data: bytes) -> None:
        salt = self.fresh("salt")
        delay = self.params.timelock_delay
        self.timelock.schedule(to, 0, data, NONE, salt, delay, sender=self.people.operator)
        self.evm.warp(delay)
        self.timelock.execute(to, 0, data, NONE, salt, sender=self.people.stranger)

    def breach(self, policy: int, amount: int, **changes: Any) -> dict[str, Any]:
        """A claim of damage by a breach that has just happened."""
        return {
            "policy": policy,
            "amount": amount,
            "occurred": self.now,
            "evidence": self.fresh("evidence"),
        } | changes

    # ------------------------------------------------------------- records

    def draft(self, **changes: Any) -> dict[str, Any]:
        """A well-formed draft of the patient's health record, annotated.

        It lives in Japan and is used in Taiwan, where its price is the reference itself (R13).
        """
        return {
            "owner": self.people.patient,
            "fingerprint": self.fresh("fingerprint"),
            "tag": self.fresh("tag"),
            "content": self.fresh("content"),
            "codec": 85,
            "size": 123_456,
            "kind": 1,
            "tier": 2,
            "region": JAPAN,
            "codes": self.fresh("codes"),
            "annotator": self.number(self.people.annotator),
            "previous": NONE,
        } | changes

    def scores(self, **changes: Any) -> dict[str, Any]:
        """One unit at a quality of 85 and a DVI at which reference prices hold."""
        base = {
            "units": 1000,
            "volume": 70,
            "completeness": 80,
            "timeliness": 90,
            "accuracy": 100,
            "annotation": 90,
            "traceability": 75,
            "dvi": 85,
            "asOf": self.now // DAY,
            "method": b"\1" * 32,
        }
        return base | changes

    def register(self, sender: str | None = None, **changes: Any) -> bytes:
        """Register a record; what is not said is as in ``draft``."""
        sender = sender or self.people.custodian
        return bytes(self.registry.register(self.draft(**changes), sender=sender))

    def attest(self, record: bytes, **changes: Any) -> int:
        scores = self.scores(**changes)
        return int(self.registry.attest(record, scores, sender=self.people.attester))

    def record(self, *, dvi: int = 85, **changes: Any) -> bytes:
        """A registered and attested record."""
        record = self.register(**changes)
        self.attest(record, dvi=dvi)
        return record

    # ------------------------------------------------------------- disputes (R7)

    def challenge(
        self, record: bytes, *, sender: str | None = None, **changes: Any
    ) -> dict[str, Any]:
        """Challenge a record's attestation, by default with a DVI of 40; returns the claim."""
        challenger = sender or self.people.licensee
        claim = self.scores(**({"dvi": 40} | changes))
        bond = self.disputes.terms()[0]
        self.dut.approve(self.disputes.address, bond, sender=challenger)
        self.disputes.challenge(record, claim, self.fresh("evidence"), sender=challenger)
        return claim

    def resolve(self, record: bytes, claim: dict[str, Any], upheld: bool) -> None:
        """Decide a challenge as the arbitrator."""
        reason = self.fresh("reason")
        self.disputes.resolve(record, claim, upheld, reason, sender=self.people.arbitrator)

    def stake(self, amount: int, who: str | None = None) -> None:
        """Back an institution's attestations with DUT that it gets for that."""
        who = who or self.people.attester
        self.admit(who)
        self.fund(who, amount)
        self.dut.approve(self.disputes.address, amount, sender=who)
        self.disputes.stake(amount, sender=who)

    # ------------------------------------------------------------- consents

    def consent(self, records: bytes, **changes: Any) -> Consent:
        """A consent of the patient to research by pharma in Taiwan, not commercial, for a year."""
        values = {
            "patient": str(self.people.patient),
            "records": records,
            "purposes": vocabulary.duo_mask(["HMB", "NCU"]),
            "diseases": NONE,
            "licensees": vocabulary.group_mask(["research", "pharma"]),
            "fields": vocabulary.profile_hash("de-identified"),
            "region": TAIWAN,
            "tier": 2,
            "patientShare": 7500,
            "floorPrice": 50 * DUT,
            "expiry": self.now + YEAR,
            "nonce": int.from_bytes(self.fresh("nonce")),
            "deadline": self.now + 3600,
        }
        return Consent(**(values | changes))

    def grant(self, consent: Consent, signer: Actor | None = None) -> bytes:
        """Sign a consent as the patient and relay it; returns its id."""
        signature = consent.sign((signer or self.people.patient).key, self.domain)
        relay = self.people.relay
        return bytes(self.market.grant_consent(consent.values(), signature, sender=relay))

    def granted(self, records: bytes | None = None, **changes: Any) -> Consent:
        """A consent that is on the chain, by default over a new record."""
        consent = self.consent(records or self.record(), **changes)
        self.grant(consent)
        return consent

    def revoke(self, consent: Consent, signer: Actor | None = None) -> None:
        """Sign a revocation as the patient and relay it."""
        consent_id = consent.struct_hash()
        signature = Revocation(consent_id).sign((signer or self.people.patient).key, self.domain)
        self.market.revoke_consent(consent_id, signature, sender=self.people.relay)

    # ------------------------------------------------------------- passkeys (R10)

    @property
    def passkey_domain(self) -> Domain:
        return Domain(CHAIN_ID, self.passkeys.address)

    def change_passkey(self, passkey: dict[str, bytes], patient: Actor | None = None) -> int:
        """Sign a change of a patient's passkey and relay it; returns since when it counts."""
        who = patient or self.people.patient
        nonce = self.passkeys.state_word(who) >> 72
        message = PasskeyChange(str(who), **passkey, nonce=nonce, deadline=self.now + 3600)
        signature = message.sign(who.key, self.passkey_domain)
        args = (who, passkey, message.deadline, signature)
        return int(self.passkeys.change_passkey(*args, sender=self.people.relay))

    def approval(
        self, consent: Consent, order: dict[str, Any], licensee: str | None = None, **changes: Any
    ) -> LicenceApproval:
        """What the consent's patient approves: this order of the licensee, for a day."""
        values = {
            "patient": consent.patient,
            "consent": consent.struct_hash(),
            "licensee": str(licensee or self.people.licensee),
            "deadline": self.now + DAY,
            **order,
        }
        return LicenceApproval(**(values | changes))

    def approve(self, message: LicenceApproval, authenticator: Authenticator, **wrong: Any) -> None:
        """Have a passkey approve, and relay it."""
        answer = authenticator.answer(message.digest(self.passkey_domain), **wrong)
        self.bring(message, answer)

    def bring(self, message: LicenceApproval, answer: dict[str, bytes]) -> None:
        """Relay an approval with an assertion."""
        order = message.values()
        outer = {k: order.pop(k) for k in ("patient", "consent", "licensee", "deadline")}
        self.passkeys.approve({**outer, "order": order}, answer, sender=self.people.relay)

    # ------------------------------------------------------------- licences

    def order(self, consent: Consent, **changes: Any) -> dict[str, Any]:
        """An order for ten units that fits the consent; another form makes it one of 90 days."""
        fixed = changes.get("form") in (FIXED, RENTAL)
        return {
            "record": consent.records,
            "form": METERED,
            "units": 0 if fixed else 10,
            "end": self.now + 90 * DAY,
            "purposes": vocabulary.duo_mask(["HMB", "NCU"]),
            "diseases": NONE,
            "urgent": False,
            "maxPrice": 2**256 - 1,
            "agreement": agreement_hash(),
            "salt": 0,
        } | changes

    def buy(
        self,
        consent: Consent,
        *,
        sender: str | None = None,
        proof: Sequence[bytes] = (),
        **changes: Any,
    ) -> dict[str, Any]:
        """Buy what ``order`` says; returns the reference that names the licence."""
        buyer = sender or self.people.licensee
        order = self.order(consent, **changes)
        self.market.buy_licence(order, consent.values(), list(proof), sender=buyer)
        return {
            "consent": consent.struct_hash(),
            "record": order["record"],
            "licensee": str(buyer),
            "salt": order["salt"],
        }

    def use(self, ref: dict[str, Any], units: int = 1, sender: str | None = None) -> None:
        self.market.use_licence(
            ref["consent"], ref["record"], ref["salt"], units, sender=sender or ref["licensee"]
        )

    def settle(self, *refs: dict[str, Any]) -> None:
        self.market.settle(list(refs), sender=self.people.relay)

    def licence_id(self, ref: dict[str, Any]) -> bytes:
        """The hash of what names a licence."""
        kinds = ["bytes32", "bytes32", "address", "uint256"]
        return keccak(encode(kinds, [ref["consent"], ref["record"], ref["licensee"], ref["salt"]]))

    def licence(self, ref: dict[str, Any]) -> int:
        """The stored word of a licence."""
        return int(self.market.licence_word(self.licence_id(ref)))

    def meter(self, ref: dict[str, Any]) -> dict[str, int]:
        return unpack(self.licence(ref), METER_FIELDS)

    def term(self, ref: dict[str, Any]) -> dict[str, int]:
        return unpack(self.licence(ref), TERM_FIELDS)

    # ------------------------------------------------------------- prices (R13)

    def quote(self, record: bytes, **changes: Any) -> dict[str, Any]:
        """What a metered unit for research in Taiwan costs, and every factor."""
        ask = {
            "record": record,
            "form": METERED,
            "purposes": vocabulary.duo_mask(["HMB", "NCU"]),
            "urgent": False,
            "floorPrice": 0,
            "region": TAIWAN,
            "certified": False,
        }
        return dict(self.tariff.quote(ask | changes))

    def reference(self, kind: int) -> int:
        return unpack(self.tariff.kind_word(kind), KIND_FIELDS)["reference"]

    def scarcity(self, kind: int) -> int:
        return unpack(self.tariff.kind_word(kind), KIND_FIELDS)["scarcity"]

    def declare(self, region: int = JAPAN, seconds: int = 30 * DAY) -> None:
        """Declare a public-health emergency where records live."""
        regulator = self.people.regulator
        self.tariff.declare_emergency(region, self.now + seconds, sender=regulator)

    # ------------------------------------------------------------- vouchers (R14)

    def keyed(self, number: int = 0, key: str | None = None) -> int:
        """The salt of a licence that takes vouchers of ``key``, the licensee's meter by default."""
        return int(key or self.people.meter, 16) | number << KEY_BITS

    def voucher(
        self,
        ref: dict[str, Any],
        units: int,
        time: int | None = None,
        signer: Actor | None = None,
        domain: Domain | None = None,
    ) -> dict[str, Any]:
        """What the licensee's meter acknowledges: units used in all until a time, now by default."""
        message = Voucher(self.licence_id(ref), units, self.now if time is None else time)
        signature = message.sign((signer or self.people.meter).key, domain or self.domain)
        return {"ref": ref, "units": units, "time": message.time, "signature": signature}

    def redeem(self, *vouchers: dict[str, Any], sender: str | None = None) -> None:
        self.market.redeem_vouchers(list(vouchers), sender=sender or self.people.relay)

    # ------------------------------------------------------------- desks

    def desk(self, deposit: int = 0) -> Actor:
        """A contract that sells in another form, as an account: it holds the desk role and a deposit."""
        desk = self.new_actor()
        self.as_timelock(self.manager, "grantRole", int(Role.DESK), desk, 0)
        if deposit:
            self.market.deposit(desk, deposit, sender=self.people.licensee)
        return desk

    # ------------------------------------------------------------- money

    def deposit_of(self, who: str) -> int:
        return unpack(self.market.licensee_word(who), LICENSEE_FIELDS)["deposit"]

    def earned(self, who: str) -> int:
        return unpack(self.market.earnings_word(who), EARNINGS_FIELDS)["earned"]

    def nonce(self, who: str) -> int:
        return unpack(self.market.earnings_word(who), EARNINGS_FIELDS)["nonce"]

    def earn(self, *, uses: int = 10, **changes: Any) -> Consent:
        """Have the patient and the others earn from metered uses of a new record."""
        consent = self.granted(**changes)
        ref = self.buy(consent, units=uses)
        self.use(ref, uses)
        self.settle(ref)
        return consent

    def withdrawal(self, account: Actor, amount: int, **changes: Any) -> Withdrawal:
        values = {
            "account": str(account),
            "to": str(account),
            "amount": amount,
            "nonce": self.nonce(account),
            "deadline": self.now + 3600,
        }
        return Withdrawal(**(values | changes))

    def withdraw(self, message: Withdrawal, signer: Actor, sender: str | None = None) -> None:
        """Sign a withdrawal and relay it."""
        self.market.withdraw(
            message.account,
            message.to,
            message.amount,
            message.deadline,
            message.sign(signer.key, self.domain),
            sender=sender or self.people.relay,
        )

    # ------------------------------------------------------------- deployments of single pieces

    def proxied(
        self, name: str, args: Sequence[Any], initialize: Sequence[Any], **who: str
    ) -> Contract:
        """Deploy logic and a proxy that initialises it; ``sender`` creates the proxy."""
        deployer = self.people.deployer
        made = self.evm.deploy(name, *args, sender=who.get("logic_sender", deployer))
        data = abi(name).call("initialize", *initialize)
        sender = who.get("sender", deployer)
        proxy = self.evm.deploy(PROXY, made.address, self.timelock.address, data, sender=sender)
        return self.evm.contract(name, proxy.address)
