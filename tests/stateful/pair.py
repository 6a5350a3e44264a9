"""The chain and the model side by side, the people of the tests, and what they start from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

from eth_utils import keccak
from hypothesis import note
from hypothesis.control import currently_in_test_context
from stateful.chain import Chain, cast
from stateful.invariants import Witness
from stateful.model import (
    DAY,
    HMB,
    NONE,
    TOKEN,
    UNLIMITED,
    YEAR,
    ZERO,
    Model,
    Proof,
    Ref,
    Refused,
    Signature,
)
from support.evm import Reverted

from medtoken.deploy.plan import PEOPLE, agreement_hash
from medtoken.merkle import Tree
from medtoken.messages import Consent

MILLION = 10**6
TAIWAN, JAPAN, EVERYWHERE = 158, 392, 1
NCU, IRB, UNKNOWN_CODE = 1 << 46, 1 << 21, 1 << 200
RESEARCH, PHARMA = 1, 2
AGREEMENT = agreement_hash()
UNSIGNED = Signature(None, None, b"")

# Who there is. Roles coincide on purpose: `clinic` is a custodian, an attester and a patient, `bob` a
# patient and a licensee, `lab` an annotator and a custodian, `platform` earns and licenses.
PATIENTS = [cast(n) for n in ("alice", "bob", "clinic")]
INSTITUTIONS = [cast(n) for n in ("hospital", "clinic", "lab", "imaging lab", "assessor")]
LICENSEES = [cast(n) for n in ("pharma", "university", "bob", "platform")]
SPARE = [cast(n) for n in ("new wallet", "other wallet")]
OFFICES = [cast(n) for n in (*PEOPLE, "recovery office", "redemption office")]
EARNERS = [*PATIENTS, *INSTITUTIONS[:1], *INSTITUTIONS[2:4], cast("platform"), cast("pharma")]
OTHERS = [cast(n) for n in ("relay", "desk", "meter")]  # the meter signs licensees' vouchers
PEOPLE_ALL = list(dict.fromkeys([*PATIENTS, *INSTITUTIONS, *LICENSEES, *SPARE, *OTHERS]))
HOLDERS = list(dict.fromkeys([*LICENSEES, *PATIENTS, cast("hospital"), cast("exchange")]))
EVERYBODY = list(dict.fromkeys([*PEOPLE_ALL, *OFFICES]))
BY_ADDRESS = {str(actor): actor for actor in EVERYBODY}


def value(what: str, number: int) -> bytes:
    """32 bytes that stand for something, always the same."""
    return keccak(text=f"{what} {number}")


class Told:
    """A call in words; they are made only when somebody reads them."""

    def __init__(
        self, now: int, sender: str, contract: str, function: str, args: tuple[Any, ...]
    ) -> None:
        self.now, self.sender = now, sender
        self.contract, self.function, self.args = contract, function, args

    def __repr__(self) -> str:
        args = ", ".join(short(arg) for arg in self.args)
        sender = short(self.sender) if self.sender in BY_ADDRESS else "timelock"
        return f"at {self.now} {sender}: {self.contract}.{self.function}({args})"


class Refusal:
    """What ``Pair.do`` returns when both refused."""

    def __repr__(self) -> str:
        return "refused"


REFUSED = Refusal()
# How often each function went through, and how often each sentence was met, in this process.
DONE: Counter[str] = Counter()
MET: Counter[str] = Counter()


class Pair:
    """The chain and the model, which do everything together."""

    def __init__(self) -> None:
        self.chain = Chain()
        roles = {role.name: {str(cast(name))} for name, role in PEOPLE.items()}
        roles["ADMISSION"].add(self.chain.addresses["DataMarket"])
        roles["RECOVERY"] = {cast("recovery office")}
        roles["REDEMPTION"] = {cast("redemption office")}
        params, addresses = self.chain.params, self.chain.addresses
        self.model = Model(params, AGREEMENT, addresses, roles, self.chain.now)
        roles["DESK"] = {cast("desk")}
        for role, office in ((10, "recovery office"), (11, "redemption office"), (13, "desk")):
            grant = ("AccessManager", "grantRole", role, cast(office), 0)
            self.chain.call(self.chain.timelock, *grant)
        market, treasury = addresses["DataMarket"], addresses["Treasury"]
        self.sound = True  # nothing was found so far
        self.accounts = [*PEOPLE_ALL, cast("exchange"), market, treasury, ZERO]
        self.witness = Witness(addresses, self.chain.state(self.model.state(self.accounts)))
        self.facts = SimpleNamespace(records=[], consents=[], sets={}, batches=[], salt=0)

    @property
    def now(self) -> int:
        return self.model.now

    def do(self, sender: str, contract: str, function: str, *args: Any) -> Any:
        """Have both do it; returns what the chain returned, or REFUSED."""
        what = Told(self.now, sender, contract, function, args)
        refused: Refused | None = None
        expected = None
        try:
            expected = getattr(self.model.of[contract], function)(sender, *args)
        except Refused as error:
            refused = error
        self.tell(what)
        self.sound = False
        try:
            result = self.chain.call(sender, contract, function, *args)
        except Reverted as error:
            assert refused is not None, f"{what}: the chain refuses: {error}"
            sentence = str(error)
            MET[sentence] += 1
            known = any(sentence.startswith(reason) for reason in refused.reasons)
            assert known, f"{what}: the chain says {sentence!r}, the model {refused}"
            self.check("refused", refused=True)
            return REFUSED
        assert refused is None, f"{what}: the chain does it, the model refuses: {refused}"
        DONE[function] += 1
        if expected is not None:
            assert result == expected, f"{what} returned {result}, not {expected}"
        self.check(function)
        return result

    def check(self, function: str, *, refused: bool = False) -> None:
        """The chain is what the model is, and the invariants hold."""
        expected = self.model.state(self.accounts)
        state = self.chain.state(expected)
        if state != expected:
            wrong = [f"{k}: {state[k]}, not {v}" for k, v in expected.items() if state[k] != v]
            raise AssertionError(f"I7: after {function} the chain says " + "; ".join(wrong))
        if refused:
            self.witness.refused(state)
        else:
            logs = [] if function == "warp" else self.chain.logs()
            self.witness.step(function, logs, state, self.now, self.model.dut.gifts)
        self.sound = True

    def warp(self, seconds: int) -> None:
        """Let time pass for both."""
        self.chain.warp(seconds)
        self.model.now += seconds
        self.check("warp")

    def tell(self, what: Told) -> None:
        """Into the report, should this run fail."""
        if currently_in_test_context():
            note(what)

    def sign(self, signer: str, message: Any) -> Signature:
        return self.chain.sign(BY_ADDRESS[str(signer)], message)

    # ---------------------------------------------------------------- short ways to say things

    def office(self, name: str, contract: str, function: str, *args: Any) -> Any:
        return self.do(cast(name), contract, function, *args)

    def decide(self, contract: str, function: str, *args: Any) -> Any:
        return self.do(self.chain.timelock, contract, function, *args)

    def market(self, sender: str, function: str, *args: Any) -> Any:
        return self.do(sender, "DataMarket", function, *args)

    def draft(self, number: int, **changes: Any) -> dict[str, Any]:
        return {
            "owner": str(cast("alice")),
            "fingerprint": value("fingerprint", number),
            "tag": value("tag", number),
            "content": value("content", number),
            "codec": 0x55,
            "size": 1234,
            "kind": 1,
            "tier": 2,
            "region": TAIWAN,
            "codes": value("codes", number),
            "annotator": 0,
            "previous": NONE,
        } | changes

    def scores(self, **changes: Any) -> dict[str, Any]:
        base = {
            "units": 1000,
            "volume": 70,
            "completeness": 80,
            "timeliness": 90,
            "accuracy": 100,
            "annotation": 90,
            "traceability": 75,
            "dvi": 85,
            "asOf": 1,
        }
        return base | {"method": value("method", 1)} | changes

    def terms(self, patient: str, records: bytes, changes: dict[str, Any]) -> Consent:
        self.facts.salt += 1
        values = {
            "patient": str(patient),
            "records": records,
            "purposes": HMB | NCU,
            "diseases": NONE,
            "licensees": RESEARCH | PHARMA,
            "fields": value("fields", 1),
            "region": EVERYWHERE,
            "tier": 2,
            "patientShare": 7500,
            "floorPrice": 0,
            "expiry": self.now + 20 * YEAR,
            "nonce": self.facts.salt,
            "deadline": self.now + DAY,
        }
        return Consent(**(values | changes))

    def order(self, record: bytes, form: int, units: int, end: int) -> dict[str, Any]:
        self.facts.salt += 1
        return {
            "record": record,
            "form": form,
            "units": units,
            "end": end,
            "purposes": HMB | NCU,
            "diseases": NONE,
            "urgent": False,
            "maxPrice": UNLIMITED,
            "agreement": self.model.market.agreement,
            "salt": self.facts.salt << 160,
        }

    def add_record(self, sender: str, attester: str, **changes: Any) -> bytes:
        number = len(self.facts.records)
        draft = self.draft(number, **changes)
        record = self.do(sender, "RecordRegistry", "register", draft)
        self.do(attester, "RecordRegistry", "attest", record, self.scores())
        self.facts.records.append(record)
        return record

    def make_set(self, records: list[bytes]) -> bytes:
        root = Tree(records).root
        self.facts.sets[root] = records
        return root

    def grant(self, terms: Consent) -> Any:
        self.facts.consents.append(terms)
        return self.market(cast("relay"), "grant_consent", terms, self.sign(terms.patient, terms))

    def settle_in(self) -> None:
        """What every run starts from: records, consents, and licensees with money."""
        abilities = {"hospital": 1, "clinic": 5, "lab": 3, "imaging lab": 2, "assessor": 4}
        for name, capabilities in abilities.items():
            office = ("RecordRegistry", "accredit", cast(name), capabilities)
            self.office("accreditation", *office)
        hospital, clinic = cast("hospital"), cast("clinic")
        lab, assessor = cast("lab"), cast("assessor")
        annotator = self.model.registry.numbers[lab]
        alice, bob = cast("alice"), cast("bob")
        one = self.add_record(hospital, assessor, owner=alice, annotator=annotator)
        two = self.add_record(clinic, assessor, owner=alice, kind=3)
        three = self.add_record(hospital, clinic, owner=bob, kind=4, annotator=annotator)
        four = self.add_record(lab, assessor, owner=clinic, kind=2, annotator=4)
        self.grant(self.terms(alice, self.make_set([one, two]), {}))
        self.grant(self.terms(bob, three, {"floorPrice": 21 * TOKEN, "patientShare": 7000}))
        self.grant(self.terms(clinic, four, {"patientShare": 8000}))
        for name, groups in (("pharma", PHARMA), ("university", RESEARCH), ("bob", RESEARCH)):
            self.office("credentials", "DataMarket", "set_licensee", cast(name), groups, TAIWAN, 0)
        for name in ("pharma", "university", "bob", "hospital", "exchange", "desk"):
            self.office("admission", "UsageToken", "admit", cast(name))
        market = self.chain.addresses["DataMarket"]
        for name in ("pharma", "university", "bob"):
            who = cast(name)
            issue = ("UsageToken", "issue", who, 2 * MILLION * TOKEN, value("payment", 1))
            self.office("exchange", *issue)
            self.do(who, "UsageToken", "approve", market, UNLIMITED)
            self.market(who, "deposit", who, MILLION * TOKEN)
        self.market(cast("pharma"), "deposit", cast("desk"), 100_000 * TOKEN)


def short(arg: Any) -> str:
    """An argument as a report shows it."""
    if isinstance(arg, dict):
        return "{" + ", ".join(f"{k}: {short(v)}" for k, v in arg.items()) + "}"
    if isinstance(arg, list):
        return "[" + ", ".join(short(v) for v in arg) + "]"
    for kind, words in SHORT.items():
        if isinstance(arg, kind):
            return words(arg)
    return repr(arg)


SHORT: dict[type, Callable[[Any], str]] = {
    str: lambda arg: BY_ADDRESS[str(arg)].name if arg in BY_ADDRESS else repr(str(arg)),
    Signature: lambda arg: f"signed by {short(arg.by) if arg.by else 'nobody'}",
    Proof: lambda arg: f"{len(arg.raw)} hashes",
    bytes: lambda arg: "0x" + arg.hex()[:8],
    Ref: lambda arg: f"licence 0x{arg.id.hex()[:8]}",
    Consent: lambda arg: f"consent 0x{arg.struct_hash().hex()[:8]} {short(arg.values())}",
}


@cache
def scene() -> Pair:
    """The start of every run, built once per process. Runs work on copies and undo their calls."""
    pair = Pair()
    pair.settle_in()
    return pair
