"""The main job, end to end, and the facts that prove it (``summary.json``).

Each step has a name. Run again over the same chain and folder after a crash, the story goes on:
transactions by their names (the outbox), signed messages from the journal, so that nothing is lost
and nothing is paid twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from medtoken.audit import replay
from medtoken.chain.contracts import LicenceRef, Suite
from medtoken.chain.node import Node, Wallet
from medtoken.chain.rpc import Rpc
from medtoken.demo.fixtures import Fixture, real_files
from medtoken.demo.people import REGION, Cast, deploy_devnet
from medtoken.errors import InvariantViolated, MedtokenError, StateError
from medtoken.formats import Format
from medtoken.home import Home
from medtoken.keeper.audit import releases_without_licence
from medtoken.keeper.client import HttpKeeper
from medtoken.keeper.process import running_keepers
from medtoken.keys import EVERY_LICENCE, verify_log
from medtoken.messages import DUT, Consent, Revocation, Withdrawal
from medtoken.parties import Custodian, Licensee, Patient, RegisteredRecord, Relay, attest_record
from medtoken.parties.attester import Attestation
from medtoken.parties.licensee import Bought
from medtoken.vocabulary import Form, Tier

Progress = Callable[[str], None]
_T = TypeVar("_T")

# R15's worked example: 100,000 calls at 50 DUT, here of the glucose series, in four transactions.
# The patient's floor decides the price: the tariff alone would ask for less of such a record (R13).
CALLS = 100_000
CALL_PRICE = 50 * DUT
CALL_TRANSACTIONS = 4
DEPOSIT = 10_000_000 * DUT
PURPOSES = ("HMB", "NPUNCU")
TERM = 365
LICENCE_DAYS = 90


@dataclass
class Chapter:
    """One record's way through the story."""

    fixture: Fixture
    patient: Wallet
    registered: RegisteredRecord
    attested: Attestation
    copied: bytes = b""
    """SHA-256 of the copy that the consent lets out; empty where that is the file itself."""
    opened: bool = False
    _consent: Consent | None = None
    _bought: Bought | None = None

    @property
    def profile(self) -> str:
        """What the patient lets out: a genome cannot be masked, the rest leaves de-identified."""
        return "all" if self.fixture.format is Format.VCF else "de-identified"

    @property
    def consent(self) -> Consent:
        """The patient's consent, once signed."""
        return _known(self._consent)

    @consent.setter
    def consent(self, consent: Consent) -> None:
        self._consent = consent

    @property
    def bought(self) -> Bought:
        """The company's licence, once bought."""
        return _known(self._bought)

    @bought.setter
    def bought(self, bought: Bought) -> None:
        self._bought = bought


class Story:
    """The whole run over one node and one folder."""

    def __init__(self, node: Node, home: Home, out: Path, progress: Progress) -> None:
        """``out`` takes the files that the licensee opens, and the results."""
        self._node = node
        self._home = home
        self._out = out
        self._say = progress
        self._suite: Suite
        self._cast: Cast
        self._keepers: list[HttpKeeper]

    def run(self) -> dict[str, Any]:
        """Tell the story; returns the summary, also when a rule did not hold (``report.broken_rules``)."""
        started = time.monotonic()
        self._say("Setting up: contracts, hospital, laboratory, company, exchange")
        self._suite, self._cast = deploy_devnet(self._node, self._home, lambda line: None)
        self._say("Three key keepers start, each a service of its own")
        with running_keepers(
            self._home.folder / "keepers",
            self._home.keepers_file,
            rpc=self._node.url,
            deployment=self._home.deployment(self._node.chain_id),
        ) as keepers:
            self._keepers = keepers
            return self._tell(started)

    def _tell(self, started: float) -> dict[str, Any]:
        self._licensee = Licensee(self._suite, self._cast["pharma"])
        self._relay = Relay(self._suite, self._cast["relay"])
        chapters = self._register()
        self._consent(chapters)
        self._license(chapters)
        self._copy(chapters)
        uses = self._use(chapters)
        worked = self._worked_example(chapters)
        self._open(chapters)
        withdrawn = self._withdraw(chapters)
        refusals = self._revoke(chapters)
        self._say("Settling everything that has ended; unearned money goes back to the company")
        self._settle(chapters, "last")
        audit = self._audit()
        return {
            "records": [self._record(c) for c in chapters],
            "worked_example": worked,
            "uses": uses,
            "withdrawn": withdrawn,
            "supply": _supply(audit),
            "after_revoke": refusals,
            "keepers": self._check_keepers(),
            "audit": audit,
            "seconds": round(time.monotonic() - started, 1),
        }

    # ------------------------------------------------------------------ the chapters

    def _register(self) -> list[Chapter]:
        custodian = Custodian(
            self._suite, self._cast["hospital"], self._home, keepers=self._keepers
        )
        chapters = []
        for fixture in real_files(self._out / "files"):
            name = fixture.path.name
            # A pseudonym for each record: nothing on the chain links two of one person.
            patient = self._home.wallet(f"patient-{name}", create=True)
            self._say(f"The hospital seals and registers {name}: {fixture.about}")
            registered = custodian.add_record(
                fixture.path,
                patient.address,
                region=REGION,
                tier=Tier.SENSITIVE,
                annotator=self._cast["annotator"].address,
                key=f"story:register:{name}",
            )
            attested = attest_record(
                self._suite,
                self._cast["laboratory"],
                registered.record,
                fixture.path,
                key=f"story:attest:{name}",
            )
            self._say(
                f"  the laboratory attests quality {attested.quality.q} and index "
                f"{attested.quality.dvi}; the patient gets {attested.minted / DUT:g} DCT"
            )
            chapters.append(Chapter(fixture, patient, registered, attested))
        return chapters

    def _consent(self, chapters: list[Chapter]) -> None:
        for chapter in chapters:
            name = chapter.fixture.path.name
            patient = Patient(self._suite, chapter.patient)
            floor = CALL_PRICE if chapter.fixture.format is Format.CGM else 0
            entry = self._remember(
                f"consent-{name}",
                lambda p=patient, c=chapter, f=floor: _consent_json(  # type: ignore[misc]
                    p.consent(
                        c.registered.record,
                        purposes=PURPOSES,
                        licensees=["pharma", "research"],
                        region=REGION,
                        fields=c.profile,
                        floor_price=f,
                        days=TERM,
                    )
                ),
            )
            chapter.consent = consent = _consent_of(entry)
            self._say(f"The patient of {name}, who holds no ETH, signs:")
            for line in consent.render().splitlines()[:1]:
                self._say(f"  “{line}”")
            self._relay.grant(consent, patient.sign(consent), key=f"story:consent:{name}")

    def _license(self, chapters: list[Chapter]) -> None:
        self._say(f"The company deposits {DEPOSIT // DUT:,} DUT (permit and deposit at once)")
        self._licensee.deposit(DEPOSIT, key="story:deposit")
        for chapter in chapters:
            name = chapter.fixture.path.name
            form, units = _licence_form(chapter)
            chapter.bought = self._licensee.buy(
                chapter.registered.record,
                chapter.consent.struct_hash(),
                form=form,
                purposes=PURPOSES,
                days=LICENCE_DAYS,
                units=units,
                key=f"story:buy:{name}",
            )
            what = f"{units:,} calls or MB" if form is Form.METERED else f"{LICENCE_DAYS} days"
            self._say(
                f"The company licenses {name} for {what}: {chapter.bought.paid / DUT:,.2f} DUT "
                f"and {chapter.bought.levy / DUT:,.2f} DUT levy"
            )

    def _copy(self, chapters: list[Chapter]) -> None:
        custodian = Custodian(
            self._suite, self._cast["hospital"], self._home, keepers=self._keepers
        )
        for chapter in chapters:
            name = chapter.fixture.path.name
            if chapter.profile == "all":
                continue
            # Tables and images take a mark, a health record does not.
            own = chapter.fixture.format is not Format.FHIR
            added = custodian.add_rendition(
                chapter.registered.record,
                chapter.fixture.path,
                licence=chapter.bought.licence if own else EVERY_LICENCE,
                # Both images were looked at before they came into this story: no text, no face.
                inspected=chapter.fixture.format is Format.DICOM,
                key=f"story:copy:{name}",
            )
            chapter.copied = added.sha256
            marked = f", marked for this licence in {added.places:,} places" if own else ""
            self._say(
                f"The hospital seals the copy of {name} that the consent lets out: "
                f"{added.masked.kept:,} elements, {added.masked.dropped:,} stay behind{marked}"
            )

    def _use(self, chapters: list[Chapter]) -> int:
        total = 0
        for chapter in chapters:
            name = chapter.fixture.path.name
            batches = [1]
            if chapter.fixture.format is Format.CGM:
                self._say(f"The company makes {CALLS:,} calls of {name}")
                batches = [CALLS // CALL_TRANSACTIONS] * CALL_TRANSACTIONS
            for number, units in enumerate(batches):
                self._licensee.use(chapter.bought.licence, units, key=f"story:use:{name}:{number}")
                total += units
        return total

    def _worked_example(self, chapters: list[Chapter]) -> dict[str, Any]:
        self._say("The payment of the calls is split by the rules, on the chain")
        chapter = next(c for c in chapters if c.fixture.format is Format.CGM)
        receipt = self._suite.market.settle(
            self._cast["relay"], [chapter.bought.ref], key="story:settle:worked"
        )
        split = self._suite.market.events(receipt.logs, "LicenceSettled")[0].args
        levy = self._suite.treasury.events(receipt.logs, "LevyReceived")[0].args
        provider = split["patientAmount"] + split["custodianAmount"]
        self._say(
            f"  {split['gross'] / DUT:,.0f} DUT: patient {split['patientAmount'] / DUT:,.0f}, "
            f"hospital {split['custodianAmount'] / DUT:,.0f}, annotator "
            f"{split['annotatorAmount'] / DUT:,.0f}, platform {split['platformAmount'] / DUT:,.0f}; "
            f"levy {levy['amount'] / DUT:,.0f}, of it burned {levy['burned'] / DUT:,.0f}"
        )
        return {
            "calls": CALLS,
            "price": str(CALL_PRICE),
            "gross": str(split["gross"]),
            "provider": str(provider),
            "annotator": str(split["annotatorAmount"]),
            "platform": str(split["platformAmount"]),
            "levy": str(levy["amount"]),
            "burned": str(levy["burned"]),
            "patient": str(split["patientAmount"]),
            "custodian": str(split["custodianAmount"]),
            "transactions": CALL_TRANSACTIONS + 1,
        }

    def _open(self, chapters: list[Chapter]) -> None:
        self._finalize()
        for chapter in chapters:
            name = chapter.fixture.path.name
            self._say(f"Two of three key keepers release the key of {name}; the company opens it")
            # Once: told again after the revocation, the story could not open it a second time.
            entry = self._remember(f"opened-{name}", lambda c=chapter: self._opened(c))  # type: ignore[misc]
            chapter.opened = entry["sha256"] == _let_out(chapter)

    def _opened(self, chapter: Chapter) -> dict[str, Any]:
        target = self._out / "opened" / chapter.fixture.path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        self._licensee.open_record(
            chapter.bought.licence, target, store=self._home.store, keepers=self._keepers
        )
        return {"sha256": _sha256(target)}

    def _withdraw(self, chapters: list[Chapter]) -> dict[str, str]:
        chapter = next(c for c in chapters if c.fixture.format is Format.CGM)
        patient = Patient(self._suite, chapter.patient)
        entry = self._remember("withdrawal", lambda: patient.withdrawal().values())
        withdrawal = Withdrawal(**entry)
        self._say(f"The patient signs: “{withdrawal.render()}” A relay brings it; no ETH needed")
        self._relay.withdraw(withdrawal, patient.sign(withdrawal), key="story:withdraw")
        return {
            "patient": str(withdrawal.amount),
            "dut_balance": str(self._suite.usage.balance(patient.address)),
            "eth_balance": str(self._node.balance(patient.address)),
        }

    def _revoke(self, chapters: list[Chapter]) -> dict[str, str]:
        chapter = next(c for c in chapters if c.fixture.format is Format.FHIR)
        consent, bought = chapter.consent, chapter.bought
        patient = Patient(self._suite, chapter.patient)
        revocation = Revocation(consent.struct_hash())
        self._say("The patient of record.json revokes with one signature")
        self._relay.revoke(revocation, patient.sign(revocation), key="story:revoke")
        # Observed once: told again to the end, the licence itself would be closed already.
        refusals: dict[str, str] = self._remember(
            "refusals", lambda: self._refused(chapter, consent, bought)
        )
        for what, text in refusals.items():
            self._say(f"  {what} is refused: {text}")
        return refusals

    def _refused(self, chapter: Chapter, consent: Consent, bought: Bought) -> dict[str, str]:
        return {
            "use": _refusal(lambda: self._licensee.use(bought.licence)),
            "key": _refusal(
                lambda: self._licensee.open_record(
                    bought.licence,
                    self._out / "opened" / "after-revocation",
                    store=self._home.store,
                    keepers=self._keepers,
                )
            ),
            "purchase": _refusal(
                lambda: self._licensee.buy(
                    chapter.registered.record,
                    consent.struct_hash(),
                    form=Form.FIXED_TERM,
                    purposes=PURPOSES,
                    days=LICENCE_DAYS,
                )
            ),
        }

    def _settle(self, chapters: list[Chapter], step: str) -> None:
        refs = [c.bought.ref for c in chapters]
        # Licences that a step before closed cannot be settled again.
        entry = self._remember(
            f"settle-{step}",
            lambda: {"open": [r.id().hex() for r in refs if not self._closed(r)]},
        )
        chosen = [r for r in refs if r.id().hex() in entry["open"]]
        if chosen:
            self._suite.market.settle(self._cast["relay"], chosen, key=f"story:settle:{step}")

    def _audit(self) -> dict[str, Any]:
        self._say("The auditor replays the chain from its logs alone and checks every rule")
        report: dict[str, Any] = replay(self._node, self._suite.deployment).as_dict()
        holding = sum(1 for i in report["invariants"] if i["holds"])
        self._say(f"  {report['events']} events, {holding} of {len(report['invariants'])} hold")
        return report

    def _check_keepers(self) -> dict[str, Any]:
        self._say("The auditor holds the key keepers' logs against the chain")
        releases, unjustified = 0, 0
        rpc = Rpc(self._node.url)
        for keeper in self._keepers:
            entries = list(keeper.log())
            head = keeper.log_head()
            if (len(entries), verify_log(entries)) != (head.entries, head.hash):
                raise InvariantViolated(f"The log of {keeper.name} is not what it signed for.")
            releases += sum(entry.event["kind"] == "release" for entry in entries)
            unjustified += len(releases_without_licence(entries, rpc, self._suite.deployment))
        self._say(f"  {releases} shares were released, {unjustified} without a live licence")
        return {"processes": len(self._keepers), "releases": releases, "unjustified": unjustified}

    # ------------------------------------------------------------------ helpers

    def _closed(self, ref: LicenceRef) -> bool:
        return self._suite.market.licence(ref.id()).closed

    def _finalize(self) -> None:
        """Let two empty blocks pass: keepers release only what their node holds final."""
        for _ in range(3):
            self._node.rpc("evm_mine")

    def _remember(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was decided under a name before a crash, else decide and write it down now."""
        entry = self._home.read_journal(f"story-{name}")
        if entry is None:
            entry = make()
            self._home.write_journal(f"story-{name}", entry)
        return entry

    def _record(self, chapter: Chapter) -> dict[str, Any]:
        registered, attested = chapter.registered, chapter.attested
        return {
            "file": chapter.fixture.path.name,
            "source": chapter.fixture.package,
            "kind": chapter.fixture.format.value,
            "description": registered.description,
            "bytes": registered.bytes,
            "sealed_bytes": registered.draft.size,
            "quality": attested.quality.q,
            "dvi": attested.quality.dvi,
            "dct": str(attested.minted),
            "record": "0x" + registered.record.hex(),
            "cid": str(registered.cid),
            "fingerprint": "0x" + registered.draft.fingerprint.hex(),
            "let_out_sha256": "0x" + _let_out(chapter),
            "opened_as_consented": chapter.opened,
        }


def _let_out(chapter: Chapter) -> str:
    """The SHA-256 of what the consent lets out: the copy made for this licence, else the file."""
    return chapter.copied.hex() or _sha256(chapter.fixture.path)


def _known(value: _T | None) -> _T:
    """What a chapter before has made."""
    if value is None:
        raise StateError("The story was told out of order.")
    return value


def _licence_form(chapter: Chapter) -> tuple[Form, int]:
    """Which form each kind of record is licensed in: calls, MB, or a term."""
    match chapter.fixture.format:
        case Format.CGM:
            return Form.METERED, CALLS
        case Format.DICOM:
            return Form.METERED, 10
        case _:
            return Form.FIXED_TERM, 0


def _refusal(attempt: Callable[[], object]) -> str:
    """The sentence with which an attempt is refused; an attempt that succeeds is a failure."""
    try:
        attempt()
    except MedtokenError as error:
        return str(error)
    raise InvariantViolated("Something was allowed after the consent had been revoked.")


def _supply(audit: dict[str, Any]) -> dict[str, str]:
    """The supply of DUT as the auditor rebuilt it, base units."""
    dut = audit["ledger"]["dut"]
    return {"minted": dut["minted"], "burned": dut["burned"], "total": dut["total"]}


def _consent_json(consent: Consent) -> dict[str, Any]:
    return {k: v.hex() if isinstance(v, bytes) else v for k, v in consent.values().items()}


def _consent_of(entry: dict[str, Any]) -> Consent:
    words = ("records", "diseases", "fields")
    values: dict[str, Any] = {k: bytes.fromhex(v) if k in words else v for k, v in entry.items()}
    return Consent(**values)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
