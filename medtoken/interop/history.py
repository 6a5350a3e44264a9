"""A record's history on the chain as FHIR Provenance and AuditEvent resources, R4B and R5.

The auditor's replay supplies what happened: the same fold over the same logs that the audit judges.
What made or changed the record (registered, attested, superseded, destroyed) becomes Provenance; what
concerned access to it (consents, licences, uses, revocations, key releases) becomes AuditEvent.
Releases of keys are in the keepers' logs only: give them, and they are told with the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medtoken.audit.journal import Clock, Event
from medtoken.audit.ledger import Ledger
from medtoken.audit.source import Chain, Record, Suite, decoded
from medtoken.errors import BadInput, IntegrityError
from medtoken.interop._fhir import URN, account, checked, concept, instant, known_version, named
from medtoken.keys import LogEntry, verify_log

_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_EVENT = f"{URN}:event"
_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_ISSUE = "http://hl7.org/fhir/issue-severity"

# Event of the chain → lifecycle (ISO 21089), role of the agent, words.
_MADE = {
    "RecordRegistered": ("originate", "author", "Registered"),
    "RecordAttested": ("attest", "attester", "Quality attested"),
    "RecordSuperseded": ("amend", "author", "Superseded by a new version"),
    "RecordDestroyed": ("destroy", "custodian", "Key destroyed"),
}
# Event → action (create, read, update, delete, execute), words.
_ACCESS = {
    "ConsentGranted": ("C", "Consent granted"),
    "ConsentRevoked": ("U", "Consent revoked"),
    "LicenceBought": ("C", "Licence bought"),
    "LicenceToppedUp": ("U", "Licence topped up"),
    "LicenceUsed": ("E", "Licence used"),
    "VoucherRedeemed": ("E", "Uses acknowledged by voucher"),
    "LicenceSuspended": ("U", "Licence suspended or resumed"),
    "LicenceClosed": ("U", "Licence closed"),
    "KeyReleased": ("R", "Key share released"),
}


@dataclass(frozen=True)
class Happening:
    """One thing that happened to a record or to access to it."""

    event: str
    time: int
    """Unix seconds."""
    agent: str
    """The address of the account that did it; the market's where the chain does not say."""
    place: str
    """Where the proof of it is: transaction and log, or keeper and log entry."""
    consent: bytes | None = None
    licence: bytes | None = None
    units: int | None = None
    keeper: bytes | None = None
    """Whose log it is from; None: the chain's."""


@dataclass(frozen=True)
class History:
    """A record's, in time, together with the ledger that the same logs gave."""

    record: bytes
    chain_id: int
    market: str
    patient: str
    happenings: tuple[Happening, ...]
    ledger: Ledger
    last: int
    """The block up to which the chain was read."""


def record_history(
    node: Chain,
    deployment: Record,
    record: bytes,
    *,
    last: int | None = None,
    releases: Iterable[Sequence[LogEntry]] = (),
) -> History:
    """Replay the chain to block ``last`` (None: the newest) and pick out what concerns a record.

    ``releases`` are whole logs of key keepers; IntegrityError when one was altered. Raises BadInput
    when no such record is registered by then. Consents for a Merkle root count once a licence
    under them names the record.
    """
    suite = Suite.of(deployment)
    end = node.head() if last is None else node.block(last)
    clock = Clock(lambda number: node.block(number).timestamp)
    clock.learn(end.number, end.timestamp)
    logs = node.logs(list(suite.emitters), deployment.first_block, end.number)
    ledger, events = Ledger(suite, clock), list(decoded(logs, suite))
    found: list[tuple[Event, str]] = []
    for event in events:
        ledger.apply(event)
        found.append((event, _agent(ledger, event)))
    ledger.close()
    known = ledger.registry.records.get(record)
    if known is None:
        raise BadInput(f"No record 0x{record.hex()} is registered by block {end.number}.")
    licences = {
        licence: one.ref.consent
        for licence, one in ledger.market.licences.items()
        if one.ref.record == record
    }
    consents = set(licences.values()) | {
        consent
        for consent, granted in ledger.market.consents.items()
        if granted.terms is not None and granted.terms.records == record
    }
    happenings = [
        Happening(
            event=event.event,
            time=clock.at(event.block),
            agent=agent,
            place=f"0x{event.tx.hex()}#{event.index}",
            consent=event.args.get("consent") or licences.get(event.args.get("licence", b"")),
            licence=event.args.get("licence"),
            units=event.args.get("units"),
        )
        for event, agent in found
        if _concerns(event, record, consents, licences)
    ]
    for log in releases:
        happenings += _releases(log, record)
    return History(
        record=record,
        chain_id=deployment.chain_id,
        market=suite.addresses["DataMarket"],
        patient=known.facts.owner,
        happenings=tuple(sorted(happenings, key=lambda one: one.time)),
        ledger=ledger,
        last=end.number,
    )


def to_bundle(history: History, *, version: str = "R4B") -> dict[str, Any]:
    """A history as a FHIR Bundle (collection), each resource and the whole validated."""
    known_version(version)
    entries = []
    for one in history.happenings:
        write = _provenance if one.event in _MADE else _audit_event
        resource = checked(write(history, one, version), version)
        entries.append({"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "collection"}
    return checked(bundle | {"entry": entries} if entries else bundle, version)


def _concerns(
    event: Event, record: bytes, consents: set[bytes], licences: Mapping[bytes, bytes]
) -> bool:
    args = event.args
    if event.event in _MADE:
        return record in (args.get("record"), args.get("by"))
    if event.event in ("ConsentGranted", "ConsentRevoked"):
        return args["consent"] in consents
    return event.event in _ACCESS and args.get("licence") in licences


def _agent(ledger: Ledger, event: Event) -> str:
    """The account that an event is by, as of that event."""
    args, institutions = event.args, ledger.registry.institutions
    match event.event:
        case "RecordRegistered" | "RecordDestroyed":
            number = args["custodian"]
        case "RecordAttested":
            number = args["attester"]
        case "RecordSuperseded":
            superseded = ledger.registry.records.get(args["record"])
            number = superseded.facts.custodian if superseded else 0
        case "ConsentGranted" | "ConsentRevoked":
            return str(args["patient"])
        case "LicenceSuspended" | "LicenceClosed":
            return ledger.suite.addresses["DataMarket"]  # the log does not tell who asked it to
        case _ if "licence" in args:
            licence = ledger.market.licences.get(args["licence"])
            return licence.ref.licensee if licence else ""
        case _:
            return ""
    found = institutions.get(number)
    return found.account if found else ""


def _releases(log: Sequence[LogEntry], record: bytes) -> Iterator[Happening]:
    """The releases of a record's key share in a keeper's log that holds together."""
    verify_log(log)
    for entry in log:
        event = entry.event
        try:
            if event["kind"] != "release" or _word(event["record"]) != record:
                continue
            yield Happening(
                event="KeyReleased",
                time=int(event["time"]),
                agent=str(event["requester"]),
                place=f"log of keeper {event['keeper']}#{entry.number}",
                consent=_word(event["consent"]),
                licence=_word(event["licence"]),
                keeper=_word(event["keeper"]),
            )
        except (KeyError, ValueError, TypeError):
            raise IntegrityError(f"Entry {entry.number} of a keeper's log is malformed.") from None


def _word(value: str | int) -> bytes:
    return bytes.fromhex(str(value).removeprefix("0x"))


def _id(history: History, one: Happening) -> str:
    """A UUID (version 8, RFC 9562) that the same happening always gets."""
    seed = f"{history.chain_id} {history.market} {history.record.hex()} {one.event} {one.place}"
    raw = bytearray(hashlib.sha256(seed.encode()).digest()[:16])
    raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _proof(one: Happening) -> dict[str, Any]:
    """A reference to the log that proves what happened."""
    return {"identifier": {"system": _EVENT, "value": one.place}}


def _who(history: History, one: Happening) -> dict[str, Any]:
    return account(history.chain_id, one.agent)


def _provenance(history: History, one: Happening, version: str) -> dict[str, Any]:
    lifecycle, role, words = _MADE[one.event]
    resource: dict[str, Any] = {
        "resourceType": "Provenance",
        "id": _id(history, one),
        "target": [named("record", history.record)],
        "recorded": instant(one.time),
        "occurredDateTime": instant(one.time),
        "activity": concept(_LIFECYCLE, lifecycle, words),
        "agent": [{"type": concept(_AGENT, role), "who": _who(history, one)}],
        "entity": [{"role": "source", "what": _proof(one)}],
    }
    if version == "R5":
        resource["patient"] = account(history.chain_id, history.patient)
    return resource


def _audit_event(history: History, one: Happening, version: str) -> dict[str, Any]:
    action, words = _ACCESS[one.event]
    what = [named("record", history.record)]
    if one.consent:
        what.append(named("consent", one.consent))
    if one.licence:
        what.append(named("licence", one.licence))
    entities: list[dict[str, Any]] = [{"what": reference} for reference in what]
    entities.append({"what": _proof(one)})
    if one.units is not None:
        kind = {"text": "units"} if version == "R5" else "units"
        entities[0]["detail"] = [{"type": kind, "valueString": str(one.units)}]
    agent = {"who": _who(history, one), "requestor": True}
    observed = (
        named("keeper", one.keeper) if one.keeper else account(history.chain_id, history.market)
    )
    observer = {"observer": observed}
    common: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": _id(history, one),
        "action": action,
        "recorded": instant(one.time),
        "agent": [agent],
        "source": observer,
        "entity": entities,
    }
    event = {"system": _EVENT, "code": one.event, "display": words}
    if version == "R5":
        return common | {
            "category": [concept(_TYPE, "object", "Object")],
            "code": {"coding": [event]},
            "occurredDateTime": instant(one.time),
            "outcome": {"code": {"system": _ISSUE, "code": "success"}},
            "patient": account(history.chain_id, history.patient),
        }
    return common | {
        "type": {"system": _TYPE, "code": "object", "display": "Object"},
        "subtype": [event],
        "outcome": "0",
    }
