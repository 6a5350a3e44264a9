"""Records and their quality (R6, R7), the mint that follows from it (R1), and institutions (R8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, hexed
from medtoken.audit.books.contribution import ContributionBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import Facts
from medtoken.quality import method_hash
from medtoken.vocabulary import Capability

KINDS = range(1, 9)
_PARAMETERS = {
    keccak(text=name): name for name in (*(f"coefficient {kind}" for kind in KINDS), "min_quality")
}
_RECORD_TYPE = keccak(text="medtoken record")
_VERSION_TYPE = keccak(text="medtoken record version")
_RENDITION_TYPE = keccak(text="medtoken record rendition")
_CODECS = (0x55, 0x70)  # raw, dag-pb
_MAX_UNITS = 100_000  # thousandths, in one record
_SCORES = ("units", *rules.WEIGHTS, "dvi", "asOf")
_DAY = 86_400


@dataclass(frozen=True)
class Record:
    """A record: what contracts know of it, what its custodian stated, what its attester found."""

    facts: Facts
    commitment: bytes
    draft: dict[str, Any]
    block: int
    superseded_by: bytes | None = None
    certificate: bytes | None = None  # of its destruction
    scores: dict[str, Any] | None = None
    minted: int = 0  # base units of DCT
    # masked copies in force, by profile and licence (zero: for every one)
    renditions: Mapping[tuple[bytes, bytes], dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Records that were registered under one Merkle root."""

    count: int
    manifest: bytes


@dataclass(frozen=True)
class Institution:
    """An accredited institution: its account now, and what it may do, bits of Capability."""

    account: str
    capabilities: int


@dataclass(frozen=True)
class Parties:
    """Who is paid for a record; the annotator is the zero address when there is none."""

    owner: str
    custodian: str
    annotator: str


def record_id(custodian: int, tag: bytes) -> bytes:
    """The id of a custodian's record with this duplicate tag (R6)."""
    return keccak(encode(["bytes32", "uint256", "bytes32"], [_RECORD_TYPE, custodian, tag]))


def version_id(previous: bytes) -> bytes:
    """The id of a version of the very same file as ``previous`` (R6)."""
    return keccak(encode(["bytes32", "bytes32"], [_VERSION_TYPE, previous]))


def rendition_id(record: bytes, fields: bytes, licence: bytes) -> bytes:
    """The id of a masked copy of a record (R9, R35)."""
    return keccak(_RENDITION_TYPE + record + fields + licence)


def copy_commitment(copy: dict[str, Any]) -> bytes:
    """What the registry keeps of a masked copy."""
    kinds = ["bytes32", "bytes32", "uint256", "uint256"]
    return keccak(encode(kinds, [copy[n] for n in ("fingerprint", "content", "codec", "size")]))


def commitment(draft: dict[str, Any]) -> bytes:
    """What the registry keeps of the parts of a draft that contracts do not need."""
    kinds = ["bytes32", "bytes32", "uint256", "uint256", "bytes32"]
    names = ("fingerprint", "content", "codec", "size", "codes")
    return keccak(encode(kinds, [draft[name] for name in names]))


class RegistryBook(Book):
    """Records, batches, institutions and the registry's parameters."""

    def __init__(self, journal: Journal, contributions: ContributionBook) -> None:
        """Attestations mint into ``contributions``."""
        super().__init__(journal)
        self.contributions = contributions
        self.records: dict[bytes, Record] = {}
        self.batches: dict[tuple[int, bytes], Batch] = {}
        self.institutions: dict[int, Institution] = {}
        self.numbers: dict[str, int] = {}  # account → number; zero after it moved away
        self.parameters = dict.fromkeys(_PARAMETERS.values(), 0)
        # kind → records attested and neither superseded nor destroyed (R13)
        self.supply: dict[int, int] = defaultdict(int)
        # the first record of a file → the last version of that same file
        self.latest: dict[bytes, bytes] = {}
        self._superseding: dict[bytes, bytes] = {}  # new record → the one that it takes over from
        # what an upheld challenge must bring about in the same transaction
        self._revising: dict[bytes, dict[str, Any]] = {}
        self._disqualifying: set[int] = set()

    def parties(self, record: bytes) -> Parties | None:
        """Who is paid for a record now; None for an unknown one."""
        found = self.records.get(record)
        if found is None:
            return None
        return Parties(
            found.facts.owner,
            self._account(found.facts.custodian),
            self._account(found.facts.annotator),
        )

    def end_transaction(self) -> None:
        """A version that was superseded must have a successor."""
        for new, old in self._superseding.items():
            self.journal.require(
                False, 7, "R6", f"{hexed(old)} was superseded by {hexed(new)}, which never came"
            )
        self._superseding.clear()
        for record in self._revising:
            self.journal.require(
                False, 7, "R7", f"the upheld challenge of record {hexed(record)} changed nothing"
            )
        for number in self._disqualifying:
            self.journal.require(
                False, 7, "R7", f"attester {number} had too little at risk, and stays accredited"
            )
        self._revising.clear()
        self._disqualifying.clear()

    def must_revise(self, record: bytes, scores: dict[str, Any]) -> None:
        """Say that these scores now take the place of what was attested."""
        self._revising[record] = scores

    def must_disqualify(self, number: int) -> None:
        """Say that an attester now loses its accreditation, unless it had none any more."""
        self._disqualifying.add(number)

    def in_range(self, scores: dict[str, Any]) -> bool:
        """Whether scores may be attested, or claimed."""
        return (
            all(scores[name] <= 100 for name in rules.WEIGHTS)
            and 0 < scores["dvi"] <= 100
            and 0 < scores["units"] <= _MAX_UNITS
            and scores["asOf"] != 0
            and not self.journal.before(scores["asOf"] * _DAY)
            and any(scores["method"])
        )

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "records": {hexed(k): _record_dict(v) for k, v in sorted(self.records.items())},
            "batches": [
                {
                    "custodian": custodian,
                    "root": hexed(root),
                    "count": batch.count,
                    "manifest": hexed(batch.manifest),
                }
                for (custodian, root), batch in sorted(self.batches.items())
            ],
            "institutions": {
                str(k): {"account": v.account, "capabilities": v.capabilities}
                for k, v in sorted(self.institutions.items())
            },
            "parameters": dict(self.parameters),
            "supply": {str(k): v for k, v in sorted(self.supply.items()) if v},
        }

    def _account(self, number: int) -> str:
        found = self.institutions.get(number)
        return found.account if found else ZERO_ADDRESS

    def _may(self, number: int, capability: Capability) -> bool:
        found = self.institutions.get(number)
        return found is not None and bool(found.capabilities & capability)

    def _registered(self, event: Event) -> None:
        args, draft, journal = event.args, event.args["draft"], self.journal
        record, custodian = args["record"], args["custodian"]
        name = f"record {hexed(record)}"
        journal.expect(7, "R6", f"id of {name}", self._next_id(name, custodian, draft), record)
        journal.expect(7, "R6", f"owner of {name}", draft["owner"], args["owner"])
        journal.require(record not in self.records, 7, "R6", f"{name} was registered twice")
        journal.require(
            self._may(custodian, Capability.CUSTODIAN),
            7,
            "R6",
            f"{name} comes from institution {custodian}, which is no accredited custodian",
        )
        if draft["annotator"]:
            journal.require(
                self._may(draft["annotator"], Capability.ANNOTATOR)
                and draft["annotator"] != custodian,
                7,
                "R8",
                f"{name} names institution {draft['annotator']} as annotator, which it cannot be",
            )
        minted = False
        previous = self.records.get(draft["previous"])
        if draft["previous"] != bytes(32):
            journal.expect(
                7,
                "R6",
                f"the version that {name} corrects",
                self._superseding.pop(record, None),
                draft["previous"],
            )
            if previous is not None:
                minted = previous.facts.minted
                journal.expect(
                    7,
                    "R6",
                    f"owner and custodian of the version that {name} corrects",
                    (draft["owner"], custodian),
                    (previous.facts.owner, previous.facts.custodian),
                )
        facts = Facts(
            owner=draft["owner"],
            custodian=custodian,
            annotator=draft["annotator"],
            kind=draft["kind"],
            tier=draft["tier"],
            region=draft["region"],
            minted=minted,
        )
        self.records[record] = Record(facts, commitment(draft), draft, event.block)

    def _next_id(self, name: str, custodian: int, draft: dict[str, Any]) -> bytes:
        """The id that a draft gets: its own, or of the next version where its file is known."""
        first = record_id(custodian, draft["tag"])
        if first not in self.records:
            return first
        last = self.latest.get(first, first)
        self.journal.expect(
            7, "R6", f"the last version of the file of {name}", last, draft["previous"]
        )
        self.latest[first] = version_id(last)
        return self.latest[first]

    def _retire(self, facts: Facts) -> None:
        """Take a record out of the supply, where it counted."""
        if facts.live:
            self.supply[facts.kind] -= 1

    def _superseded(self, event: Event) -> None:
        record, by = event.args["record"], event.args["by"]
        self._superseding[by] = record
        found = self.records.get(record)
        if not self.journal.require(
            found is not None, 7, "R6", f"an unknown record {hexed(record)} was superseded"
        ):
            return
        assert found is not None  # noqa: S101  narrows the type
        self.journal.require(
            not found.facts.superseded, 7, "R6", f"record {hexed(record)} was superseded twice"
        )
        self._retire(found.facts)
        self.records[record] = replace(
            found, facts=replace(found.facts, superseded=True), superseded_by=by
        )

    def _destroyed(self, event: Event) -> None:
        args, journal = event.args, self.journal
        name = f"record {hexed(args['record'])}"
        found = self.records.get(args["record"])
        if found is None:
            journal.require(False, 7, "R35", f"the unknown {name} was destroyed")
            return
        custodian = found.facts.custodian
        journal.expect(7, "R35", f"who destroyed {name}", custodian, args["custodian"])
        journal.require(
            self._may(custodian, Capability.CUSTODIAN),
            7,
            "R35",
            f"{name} was destroyed by institution {custodian}, which is no accredited custodian",
        )
        journal.require(
            not found.facts.destroyed and any(args["certificate"]),
            7,
            "R35",
            f"{name} was destroyed twice, or without a certificate",
        )
        self._retire(found.facts)
        self.records[args["record"]] = replace(
            found, facts=replace(found.facts, destroyed=True), certificate=args["certificate"]
        )

    def _rendition(self, event: Event) -> None:
        args, copy, journal = event.args, event.args["rendition"], self.journal
        name = f"a copy of record {hexed(args['record'])}"
        found = self.records.get(args["record"])
        if found is None:
            journal.require(False, 7, "R35", f"{name}, which is unknown, was stated")
            return
        journal.require(
            self._may(found.facts.custodian, Capability.CUSTODIAN) and not found.facts.destroyed,
            7,
            "R35",
            f"{name} was stated after its destruction, or by a custodian without accreditation",
        )
        journal.expect(
            7,
            "R35",
            f"profile and licence of {name}",
            (copy["fields"], copy["licence"]),
            (args["fields"], args["licence"]),
        )
        journal.require(
            any(copy["fields"])
            and any(copy["fingerprint"])
            and any(copy["content"])
            and copy["codec"] in _CODECS
            and copy["size"] > 0,
            7,
            "R35",
            f"{name} is incomplete",
        )
        copies = {**found.renditions, (args["fields"], args["licence"]): copy}
        self.records[args["record"]] = replace(found, renditions=copies)

    def _batch(self, event: Event) -> None:
        args = event.args
        key = (args["custodian"], args["root"])
        self.journal.require(
            self._may(args["custodian"], Capability.CUSTODIAN) and key not in self.batches,
            7,
            "R6",
            f"batch {hexed(args['root'])} is no accredited custodian's, or came twice",
        )
        self.batches[key] = Batch(args["count"], args["manifest"])

    def _attested(self, event: Event) -> None:
        args, scores, journal = event.args, event.args["scores"], self.journal
        name = f"record {hexed(args['record'])}"
        found = self.records.get(args["record"])
        if found is None:
            journal.require(False, 5, "R1", f"the unknown {name} was attested")
            return
        facts = found.facts
        journal.expect(5, "R1", f"owner of {name}", facts.owner, args["owner"])
        journal.require(
            not facts.attested and not facts.superseded,
            5,
            "R1",
            f"{name} was attested twice, or after a newer version took its place",
        )
        journal.require(
            not facts.destroyed, 5, "R35", f"{name} was attested after it was destroyed"
        )
        journal.require(
            self._may(args["attester"], Capability.ATTESTER)
            and args["attester"] not in (facts.custodian, facts.annotator),
            7,
            "R7",
            f"{name} was attested by institution {args['attester']}, which may not",
        )
        journal.require(self.in_range(scores), 7, "R7", f"a score of {name} is out of range")
        points = scores["completeness"] + scores["annotation"]
        quality = rules.quality(scores["completeness"], scores["annotation"])
        journal.expect(7, "R7", f"quality of {name}", quality, args["quality"])
        minted = 0
        if not facts.minted:
            coefficient = self.parameters[f"coefficient {facts.kind}"]
            least = self.parameters["min_quality"]
            minted = rules.minted(scores["units"], coefficient, points, least)
        journal.expect(5, "R1", f"DCT minted for {name}", minted, args["minted"])
        if minted:
            self.contributions.announce(facts.owner, minted)
        self.supply[facts.kind] += 1
        self.records[args["record"]] = replace(
            found,
            facts=replace(
                facts,
                attester=args["attester"],
                quality=quality,
                dvi=scores["dvi"],
                attested=True,
                minted=facts.minted or minted > 0,
            ),
            scores=scores,
            minted=found.minted + minted,
        )

    def _revised(self, event: Event) -> None:
        args, scores, journal = event.args, event.args["scores"], self.journal
        name = f"record {hexed(args['record'])}"
        claimed = self._revising.pop(args["record"], None)
        journal.expect(7, "R7", f"scores that a challenge of {name} upheld", claimed, scores)
        found = self.records.get(args["record"])
        if found is None:
            journal.require(False, 7, "R7", f"the unknown {name} was revised")
            return
        facts = found.facts
        journal.expect(7, "R7", f"whose word on {name} fell", facts.attester, args["attester"])
        quality = rules.quality(scores["completeness"], scores["annotation"])
        journal.expect(7, "R7", f"quality of {name}", quality, args["quality"])
        if not scores["dvi"]:
            self._retire(facts)
        facts = replace(
            facts, attester=0, quality=quality, dvi=scores["dvi"], attested=bool(scores["dvi"])
        )
        self.records[args["record"]] = replace(found, facts=facts, scores=scores)

    def _institution(self, event: Event) -> None:
        args, journal = event.args, self.journal
        number, account = args["number"], args["account"]
        before = self.institutions.get(number, Institution(ZERO_ADDRESS, 0))
        journal.expect(
            7,
            "R8",
            f"institution {number} as it was",
            (before.account, before.capabilities),
            (args["previousAccount"], args["previousCapabilities"]),
        )
        if number not in self.institutions:
            count = len(self.institutions)
            journal.expect(7, "R8", "the number of a new institution", count + 1, number)
        if before.account != account:
            journal.require(
                not self.numbers.get(account), 7, "R8", f"{account} is two institutions at once"
            )
            if before.account != ZERO_ADDRESS:
                self.numbers[before.account] = 0
        if number in self._disqualifying:
            self._disqualifying.discard(number)
            kept = before.capabilities & ~Capability.ATTESTER
            journal.expect(
                7, "R7", f"what institution {number} may still do", kept, args["capabilities"]
            )
        self.numbers[account] = number
        self.institutions[number] = Institution(account, args["capabilities"])

    def _parameter(self, event: Event) -> None:
        name = _PARAMETERS.get(event.args["name"])
        if name is None:
            self.journal.require(False, 7, "R1", "the registry changed an unknown parameter")
            return
        self.journal.expect(
            7, "R1", f"{name} as it was", self.parameters[name], event.args["previous"]
        )
        self.parameters[name] = event.args["current"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "RecordRegistered": _registered,
        "RecordSuperseded": _superseded,
        "RecordDestroyed": _destroyed,
        "RenditionAdded": _rendition,
        "BatchRegistered": _batch,
        "RecordAttested": _attested,
        "AttestationRevised": _revised,
        "InstitutionChanged": _institution,
        "ParameterChanged": _parameter,
    }


def _follows(scores: dict[str, Any] | None) -> bool | None:
    """Whether a DVI is the one that its six scores give; None by a method that is not known here.

    An attester that says otherwise breaks no contract's rule: it is to be challenged (R7).
    """
    if scores is None or scores["method"] != method_hash():
        return None
    return bool(rules.value_index(scores) == scores["dvi"])


def _record_dict(record: Record) -> dict[str, Any]:
    facts, draft = record.facts, record.draft
    return {
        "owner": facts.owner,
        "custodian": facts.custodian,
        "annotator": facts.annotator or None,
        "kind": facts.kind,
        "tier": facts.tier,
        "region": facts.region,
        "fingerprint": hexed(draft["fingerprint"]),
        "content": hexed(draft["content"]),
        "codec": draft["codec"],
        "size": draft["size"],
        "previous": hexed(draft["previous"]) if draft["previous"] != bytes(32) else None,
        "superseded_by": hexed(record.superseded_by) if record.superseded_by else None,
        "destroyed": hexed(record.certificate) if record.certificate else None,
        "copies": [
            {
                "fields": hexed(fields),
                "licence": hexed(licence) if any(licence) else None,
                "fingerprint": hexed(copy["fingerprint"]),
                "content": hexed(copy["content"]),
                "codec": copy["codec"],
                "size": copy["size"],
            }
            for (fields, licence), copy in sorted(record.renditions.items())
        ],
        "attested": facts.attested,
        "attester": facts.attester or None,
        "scores": {name: record.scores[name] for name in _SCORES} if record.scores else None,
        "method": hexed(record.scores["method"]) if record.scores else None,
        "dvi_follows": _follows(record.scores),
        "quality": facts.quality,
        "dvi": facts.dvi,
        "minted": str(record.minted),
    }
