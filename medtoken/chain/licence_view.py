"""How a key keeper reads the chain: permission at a final block, refusal up to the head (R34).

Every call names the block it is about by its hash, so that a node which reorganises between two of
them fails rather than mixes two chains. What was read is kept for as long as both blocks stay.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from medtoken.chain.abi import abi
from medtoken.chain.rpc import Failure, Rpc
from medtoken.chain.words import ConsentWord, Facts, LicenceWord, LicenseeWord
from medtoken.deploy.record import Deployment
from medtoken.errors import NodeUnreachable, WrongChain
from medtoken.keys import Code, LicenceState, Refused, Tip
from medtoken.messages import Consent
from medtoken.vocabulary import Capability

_DUT_FROZEN = 4
_ZERO = "0x" + "00" * 20
_IS_VALID = keccak(text="isValidSignature(bytes32,bytes)")[:4]
# A clock may be this many seconds behind the node's.
_SKEW = 60
_MARK = 40
_MOST_REFS = 100_000
# Views read for each licence.
_READS = 7

Ref = dict[str, Any]


class MarketView:
    """Reads one deployment through one node. A keeper asks its own node, which it trusts."""

    def __init__(
        self,
        rpc: Rpc,
        deployment: Deployment,
        *,
        max_head_age: float | None = None,
        clock: Callable[[], float] = time.time,
        mark: bytes | None = None,
        on_mark: Callable[[bytes], None] | None = None,
    ) -> None:
        """``max_head_age`` seconds: a node whose newest block is older is not relied on.

        ``on_mark`` is told of each new final block and ``mark`` is the last one that it was told of,
        so that a node which goes back behind a final block is noticed after a restart, too.
        """
        self._rpc = rpc
        self._chain_id = deployment.chain_id
        self._market = deployment.address("DataMarket")
        self._view = deployment.address("LicenceView")
        self._registry = deployment.address("RecordRegistry")
        self._usage = deployment.address("UsageToken")
        self._first = deployment.first_block
        self._max_head_age = max_head_age
        self._clock = clock
        self._on_mark = on_mark
        self._lock = threading.Lock()
        self._head = 0
        self._final = _unmarked(mark) if mark else (0, b"")
        self._refs: dict[tuple[bytes, int], Ref] = {}
        self._fields: dict[bytes, bytes] = {}
        self._states: dict[tuple[bytes, int], LicenceState] = {}
        self._states_of: tuple[bytes, bytes] = (b"", b"")

    # ------------------------------------------------------------------ where the node stands

    def tip(self) -> Tip:
        """Ask the node where it stands; Refused when it lags, or left a final block behind."""
        chain, head, final = self._rpc.batch(
            [
                ("eth_chainId", []),
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_getBlockByNumber", ["finalized", False]),
            ]
        )
        if not isinstance(chain, str) or int(chain, 16) != self._chain_id:
            raise WrongChain(f"The node at {self._rpc.url} is not on chain {self._chain_id}.")
        if not isinstance(head, dict) or not isinstance(final, dict):
            raise Refused(Code.CHAIN_LAGS, "the chain's node has no final block yet: try again")
        tip = Tip(
            head=int(head["number"], 16),
            head_hash=_bytes(head["hash"]),
            time=int(head["timestamp"], 16),
            final=int(final["number"], 16),
            final_hash=_bytes(final["hash"]),
        )
        self._check_age(tip)
        with self._lock:
            self._follow(tip)
        return tip

    def _check_age(self, tip: Tip) -> None:
        if self._max_head_age is None:
            return
        age = self._clock() - tip.time
        if age > self._max_head_age:
            raise Refused(
                Code.CHAIN_LAGS, f"the chain's node lags: its newest block is {age:.0f} s old"
            )
        if age < -_SKEW:
            raise Refused(Code.CHAIN_LAGS, "the chain's node is ahead of this keeper's clock")

    def _follow(self, tip: Tip) -> None:
        """Notice a node that goes back, or that replaces what it had called final."""
        final, final_hash = self._final
        if tip.final > tip.head or tip.head < self._head or tip.final < final:
            raise Refused(
                Code.CHAIN_LAGS,
                f"the chain's node lags: it had shown block {max(self._head, final)} and now ends "
                f"with block {tip.head}",
            )
        if final_hash and tip.final_hash != final_hash:
            before = tip.final_hash
            if tip.final != final:
                (found,) = self._rpc.batch([("eth_getBlockByNumber", [hex(final), False])])
                before = _bytes(found["hash"]) if isinstance(found, dict) else b""
            if before != final_hash:
                raise Refused(
                    Code.CHAIN_REORGANISED,
                    f"the chain's node has replaced block {final}, which it had called final",
                )
        self._head = tip.head
        if (tip.final, tip.final_hash) != self._final:
            self._final = (tip.final, tip.final_hash)
            if self._on_mark:
                self._on_mark(tip.final.to_bytes(_MARK - 32) + tip.final_hash)

    # ------------------------------------------------------------------ licences

    def licence_state(self, licence: bytes, block: int) -> LicenceState:
        """The state of a licence that was bought in ``block``, now."""
        return self.licence_states(self.tip(), [(licence, block)])[0]

    def licence_states(self, tip: Tip, wanted: Sequence[tuple[bytes, int]]) -> list[LicenceState]:
        """The states of licences, each with the block in which it was bought."""
        with self._lock:
            if self._states_of != (tip.head_hash, tip.final_hash):
                self._states, self._states_of = {}, (tip.head_hash, tip.final_hash)
            states = self._states
        missing = list(dict.fromkeys(one for one in wanted if one not in states))
        refs = self._find(tip, missing)
        fields = self._consented(refs)
        calls: list[tuple[str, bytes, bytes]] = []
        for (licence, _), ref in refs.items():
            usable = _call("LicenceView", "is_usable", ref)
            calls += [
                (self._view, usable, tip.final_hash),
                (self._view, usable, tip.head_hash),
                (self._market, _call("DataMarket", "licence_word", licence), tip.head_hash),
                (self._market, _call("DataMarket", "consent_word", ref["consent"]), tip.head_hash),
                (
                    self._market,
                    _call("DataMarket", "licensee_word", ref["licensee"]),
                    tip.head_hash,
                ),
                (self._usage, _call("UsageToken", "standing", ref["licensee"]), tip.head_hash),
                (self._registry, _call("RecordRegistry", "facts", ref["record"]), tip.head_hash),
            ]
        words = [int.from_bytes(answer) for answer in self._calls(calls)]
        for at, (one, ref) in enumerate(refs.items()):
            found = fields[ref["consent"]]
            states[one] = _state(tip, ref, words[_READS * at : _READS * (at + 1)], found)
        return [states.get(one) or _unknown(tip, one[1]) for one in wanted]

    def _find(self, tip: Tip, wanted: Sequence[tuple[bytes, int]]) -> dict[tuple[bytes, int], Ref]:
        """What names each licence. It hashes to the licence's id, so it is good once and for all."""
        unknown = [
            (licence, block)
            for licence, block in wanted
            if (licence, block) not in self._refs and block <= tip.final
        ]
        found = self._rpc.batch(
            [
                (
                    "eth_getLogs",
                    [
                        {
                            "address": self._market,
                            "fromBlock": hex(block),
                            "toBlock": hex(block),
                            "topics": ["0x" + _BOUGHT.hex(), "0x" + licence.hex()],
                        }
                    ],
                )
                for licence, block in unknown
            ]
        )
        for (licence, block), logs in zip(unknown, found, strict=True):
            if isinstance(logs, Failure):
                raise NodeUnreachable(f"The node at {self._rpc.url} refused: {logs.text}.")
            for log in logs:
                decoded = abi("DataMarket").log(
                    [_bytes(t) for t in log["topics"]], _bytes(log["data"])
                )
                if decoded is None:
                    continue
                ref = {n: decoded.args[n] for n in ("consent", "record", "licensee", "salt")}
                if _licence_id(ref) == licence:
                    if len(self._refs) >= _MOST_REFS:
                        self._refs.clear()
                    self._refs[licence, block] = ref
        return {one: self._refs[one] for one in wanted if one in self._refs}

    def _consented(self, refs: dict[tuple[bytes, int], Ref]) -> dict[bytes, bytes]:
        """The masking profile that each consent names. The terms hash to its id, so it stays so.

        A consent is older than each licence under it, so it is looked for up to the purchase.
        """
        latest: dict[bytes, int] = {}
        for (_, block), ref in refs.items():
            if ref["consent"] not in self._fields:
                latest[ref["consent"]] = max(block, latest.get(ref["consent"], 0))
        found = self._rpc.batch(
            [
                (
                    "eth_getLogs",
                    [
                        {
                            "address": self._market,
                            "fromBlock": hex(self._first),
                            "toBlock": hex(block),
                            "topics": ["0x" + _GRANTED.hex(), "0x" + consent.hex()],
                        }
                    ],
                )
                for consent, block in latest.items()
            ]
        )
        for consent, logs in zip(latest, found, strict=True):
            if isinstance(logs, Failure):
                raise NodeUnreachable(f"The node at {self._rpc.url} refused: {logs.text}.")
            for log in logs:
                decoded = abi("DataMarket").log(
                    [_bytes(t) for t in log["topics"]], _bytes(log["data"])
                )
                if decoded is None:
                    continue
                terms = Consent(**decoded.args["terms"])
                if terms.struct_hash() == consent:
                    if len(self._fields) >= _MOST_REFS:
                        self._fields.clear()
                    self._fields[consent] = terms.fields
        # Without its terms nothing is known to be let out.
        return {ref["consent"]: self._fields.get(ref["consent"], b"") for ref in refs.values()}

    # ------------------------------------------------------------------ people

    def custodian(self, tip: Tip, record: bytes, number: int, tag: bytes) -> str:
        """The account of a record's custodian, the same at the head and at the final block; or ""."""
        facts_call = _call("RecordRegistry", "facts", record)
        (facts,) = self._calls([(self._registry, facts_call, tip.head_hash)])
        registered = int.from_bytes(facts)
        if registered:
            number = Facts.unpack(registered).custodian
        elif not 0 < number < 1 << 24:
            return ""
        institution = _call("RecordRegistry", "institution", number)
        own_id, now, before = self._calls(
            [
                (self._registry, _call("RecordRegistry", "record_id", number, tag), tip.head_hash),
                (self._registry, institution, tip.head_hash),
                (self._registry, institution, tip.final_hash),
            ]
        )
        if not registered and own_id != record:
            return ""
        account, capabilities = abi("RecordRegistry").result("institution", now)
        was, could = abi("RecordRegistry").result("institution", before)
        # Who seals anew must be accredited; who sealed may always destroy.
        may = registered or capabilities & Capability.CUSTODIAN
        if account == _ZERO or not may:
            return ""
        if account != was or not (registered or could & Capability.CUSTODIAN):
            raise Refused(
                Code.NOT_FINAL, "the custodian's accreditation is not final here yet: try again"
            )
        return str(account)

    def patient(self, tip: Tip, consent: bytes) -> str:
        """Whose consent it is, final or not; "" when there is none."""
        call = _call("DataMarket", "consent_word", consent)
        (word,) = self._calls([(self._market, call, tip.head_hash)])
        patient = ConsentWord.unpack(int.from_bytes(word)).patient
        return "" if patient == _ZERO else patient

    def approves(self, tip: Tip, account: str, digest: bytes, signature: bytes) -> bool:
        """Whether a smart wallet at ``account`` takes this signature (ERC-1271), at the head."""
        data = _IS_VALID + encode(["bytes32", "bytes"], [digest, signature])
        call = {"to": account, "data": "0x" + data.hex(), "gas": hex(1_000_000)}
        (answer,) = self._rpc.batch([("eth_call", [call, _at(tip.head_hash)])])
        return isinstance(answer, str) and _bytes(answer) == _IS_VALID.ljust(32, b"\0")

    def _calls(self, calls: Sequence[tuple[str, bytes, bytes]]) -> list[bytes]:
        """What some views returned, each at the block of a hash."""
        answers = self._rpc.batch(
            [
                ("eth_call", [{"to": to, "data": "0x" + data.hex()}, _at(block)])
                for to, data, block in calls
            ]
        )
        for answer in answers:
            if isinstance(answer, Failure) or answer == "0x":
                # By hash, the node either answers for this block or does not have it any more.
                raise Refused(
                    Code.CHAIN_REORGANISED, "the chain's node left the block it was asked about"
                )
        return [_bytes(answer) for answer in answers]


def _state(tip: Tip, ref: Ref, words: Sequence[int], fields: bytes) -> LicenceState:
    usable_final, usable, licence_word, consent_word, licensee_word, standing, facts = words
    licence = LicenceWord.unpack(licence_word)
    consent = ConsentWord.unpack(consent_word)
    licensee = LicenseeWord.unpack(licensee_word)
    end = min(licence.end, consent.expiry)
    reasons = (
        (consent.revoked_at != 0, Code.REVOKED, "the consent was revoked"),
        (licence.closed or end <= tip.time, Code.NOT_LIVE, "the licence has ended"),
        (licence.suspended, Code.NOT_LIVE, "the licence is suspended"),
        (
            licence.metered and licence.used == 0,
            Code.NOT_LIVE,
            "no use of the metered licence is on the chain yet",
        ),
        (licensee.frozen, Code.NOT_LIVE, "the licensee is frozen"),
        (standing & _DUT_FROZEN != 0, Code.NOT_LIVE, "the licensee's account is frozen"),
        (Facts.unpack(facts).destroyed, Code.SHREDDED, "the record was destroyed"),
        (usable != 1, Code.NOT_LIVE, "the licence is not usable"),
        (len(fields) != 32, Code.NOT_LIVE, "the terms of its consent were not found"),
        (usable_final != 1, Code.NOT_FINAL, "the licence is not usable at the final block yet"),
    )
    code, reason = next(((c, text) for so, c, text in reasons if so), (Code.NOT_LIVE, ""))
    return LicenceState(
        live=not reason,
        reason=reason,
        licensee=ref["licensee"],
        record=ref["record"],
        expires=end,
        block=tip.final,
        consent=ref["consent"],
        fields=fields,
        code=code,
    )


def _unknown(tip: Tip, block: int) -> LicenceState:
    """The state of a licence that was not found in the block in which it is said to be bought."""
    if block > tip.final:
        reason = f"block {block} is not final here yet (block {tip.final} is): try again"
        return LicenceState(live=False, reason=reason, block=tip.final, code=Code.NOT_FINAL)
    reason = f"the licence is unknown: it was not bought in block {block}"
    return LicenceState(live=False, reason=reason, block=tip.final)


def _call(contract: str, function: str, *args: Any) -> bytes:
    return abi(contract).call(function, *args)


def _licence_id(ref: Ref) -> bytes:
    return keccak(abi("LicenceView").call("licence_id", ref)[4:])


def _at(block_hash: bytes) -> dict[str, Any]:
    return {"blockHash": "0x" + block_hash.hex(), "requireCanonical": True}


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _unmarked(mark: bytes) -> tuple[int, bytes]:
    return int.from_bytes(mark[: _MARK - 32]), mark[_MARK - 32 :]


_GRANTED = next(t for t, n in abi("DataMarket").event_topics.items() if n == "ConsentGranted")
_BOUGHT = next(t for t, name in abi("DataMarket").event_topics.items() if name == "LicenceBought")
