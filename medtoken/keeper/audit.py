"""A keeper's log against the chain: which releases had no live licence behind them (R34)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from medtoken.chain.licence_view import MarketView
from medtoken.chain.rpc import Rpc
from medtoken.deploy.record import Deployment
from medtoken.errors import BadInput, IntegrityError, NodeUnreachable
from medtoken.keys import KeyRequest, LogEntry, Refused, Tip, signer_of, verify_log

Event = dict[str, "str | int"]


@dataclass(frozen=True)
class Finding:
    """A log entry that should not be there, and why."""

    entry: int
    record: str
    licence: str
    requester: str
    reason: str


def releases_without_licence(
    entries: Iterable[LogEntry], rpc: Rpc, deployment: Deployment
) -> list[Finding]:
    """Join a whole log with the chain and name every release that the chain does not justify.

    A release is justified when its requester signed for it (a smart wallet's word is asked of it as
    of that block), the licence was live at the final block and not refused up to the head that the
    keeper saw, both still being on the chain; and when nothing in the log itself forbids it: no
    nonce twice, nothing after the consent's revocation or the record's shredding. Raises
    IntegrityError when the log was altered. The node must still have the state of those blocks.
    """
    log = list(entries)
    verify_log(log)
    findings: list[Finding] = []
    releases: list[tuple[int, Event]] = []
    revoked: set[str] = set()
    shredded: set[str] = set()
    nonces: set[tuple[str, str]] = set()
    for entry in log:
        event = entry.event
        match event["kind"]:
            case "revocation":
                revoked.add(str(event["consent"]))
            case "shred":
                shredded.add(str(event["record"]))
            case "release":
                releases.append((entry.number, event))
                nonce = (str(event["requester"]), str(event["nonce"]))
                for so, reason in (
                    (nonce in nonces, "its nonce was used before"),
                    (event["consent"] in revoked, "the keeper knew that the consent was revoked"),
                    (event["record"] in shredded, "the record's share had been shredded"),
                ):
                    if so:
                        findings.append(_finding(entry.number, event, reason))
                nonces.add(nonce)
    findings += _Join(rpc, deployment).judge(releases)
    return sorted(findings, key=lambda finding: finding.entry)


class _Join:
    """Reads the chain as a keeper does, at the blocks that a log names."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self._rpc = rpc
        self._view = MarketView(rpc, deployment)
        self._chain_id = deployment.chain_id
        self._market = deployment.address("DataMarket")

    def judge(self, releases: list[tuple[int, Event]]) -> list[Finding]:
        """What is wrong with releases: entry numbers and events."""
        findings: list[Finding] = []
        by_place: dict[tuple[int, int], list[tuple[int, Event]]] = defaultdict(list)
        for number, event in releases:
            place = (int(event["head_block"]), int(event["final_block"]))
            by_place[place].append((number, event))
        tips = self._tips(list(by_place))
        for place, group in by_place.items():
            tip = tips[place]
            if tip is None:
                findings += [_finding(n, e, "the chain has no such block") for n, e in group]
                continue
            wanted = [(_word(e["licence"]), int(e["requested_block"])) for _, e in group]
            try:
                states = self._view.licence_states(tip, wanted)
            except Refused as refusal:
                raise NodeUnreachable(
                    f"The node at {self._rpc.url} cannot tell the state at block {tip.head}: "
                    f"{refusal}."
                ) from None
            for (number, event), state in zip(group, states, strict=True):
                reason = self._unsigned(tip, event)
                if not reason and _word(event["head_hash"]) != tip.head_hash:
                    reason = "it was made at a block that the chain has left"
                if not reason and not state.live:
                    reason = state.reason
                if not reason and state.licensee != event["requester"]:
                    reason = "the requester is not the licensee"
                if not reason and state.record != _word(event["record"]):
                    reason = "the licence is for another record"
                if not reason and state.consent != _word(event["consent"]):
                    reason = "the licence is under another consent"
                reason = reason or _other_copy(event, state.fields)
                if reason:
                    findings.append(_finding(number, event, reason))
        return findings

    def _unsigned(self, tip: Tip, event: Event) -> str:
        """Why a release was not asked for by its requester, or nothing."""
        try:
            request = KeyRequest(
                chain_id=int(event["chain_id"]),
                market=str(event["market"]),
                licence=_word(event["licence"]),
                record=_word(event["record"]),
                requester=str(event["requester"]),
                public_key_hash=_word(event["public_key_hash"]),
                block=int(event["requested_block"]),
                expiry=int(event["expiry"]),
                keeper=_word(event["keeper"]),
                nonce=int(event["nonce"]),
            )
            signature = _bytes(event["signature"])
        except (BadInput, ValueError) as error:
            return f"its request is malformed: {error}"
        digest = request.digest()
        if (request.chain_id, request.market) != (self._chain_id, self._market):
            return "its request is for another market"
        if digest != _word(event["request"]):
            return "its request is not the one that is named"
        if signer_of(digest, signature) == request.requester:
            return ""
        if self._view.approves(tip, request.requester, digest, signature):
            return ""
        return "its request was not signed by the requester"

    def _tips(self, places: list[tuple[int, int]]) -> dict[tuple[int, int], Tip | None]:
        numbers = sorted({number for place in places for number in place})
        found = self._rpc.batch([("eth_getBlockByNumber", [hex(n), False]) for n in numbers])
        blocks: dict[int, dict[str, Any]] = {
            number: block
            for number, block in zip(numbers, found, strict=True)
            if isinstance(block, dict)
        }
        return {
            (head, final): Tip(
                head=head,
                head_hash=_bytes(blocks[head]["hash"]),
                time=int(blocks[head]["timestamp"], 16),
                final=final,
                final_hash=_bytes(blocks[final]["hash"]),
            )
            if head in blocks and final in blocks
            else None
            for head, final in places
        }


def _other_copy(event: Event, fields: bytes) -> str:
    """Why a release was of a copy that the licence does not open, or nothing (R9, R35)."""
    if _word(event["fields"]) != fields:
        return "the copy is by another profile than the consent names"
    if _word(event["copy_for"]) not in (bytes(32), _word(event["licence"])):
        return "the copy is for another licence"
    return ""


def _finding(number: int, event: Event, reason: str) -> Finding:
    return Finding(
        number, str(event["record"]), str(event["licence"]), str(event["requester"]), reason
    )


def _bytes(value: str | int) -> bytes:
    return bytes.fromhex(str(value).removeprefix("0x"))


def _word(value: str | int) -> bytes:
    found = _bytes(value)
    if len(found) != 32:
        raise IntegrityError("a log entry names something that is no id")
    return found
