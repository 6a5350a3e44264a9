"""A key keeper behind HTTP, as ``medtoken.keys`` expects one: pinned, bounded in time and size."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import urllib3

from medtoken import bodies
from medtoken.chain.outbox import write_durably
from medtoken.errors import BadInput, IntegrityError, StateError
from medtoken.keeper import wire
from medtoken.keys import (
    Code,
    Holding,
    KeeperCard,
    LogEntry,
    LogHead,
    Refused,
    ShredReceipt,
    SignedKeyRequest,
    SignedOrder,
)

FORMAT = 1
_MOST_BYTES = 4 << 20
_CHUNK = 1 << 16
_PAGE = 1_000
_Body = TypeVar("_Body")


class HttpKeeper:
    """One key keeper at a URL. Safe to use from several threads.

    ``keeper_id`` pins it: the id is the hash of the keeper's two public keys, so that nobody can
    pass for it, whoever answers at the URL. What it answers is checked before it is believed.
    """

    def __init__(
        self, url: str, keeper_id: bytes, *, name: str | None = None, timeout: float = 10.0
    ) -> None:
        """``timeout`` seconds, within which an answer has come as a whole."""
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"{url} is not an http:// or https:// address of a key keeper.")
        if len(keeper_id) != 32:
            raise BadInput("a keeper's id has 32 bytes")
        self.url = url.rstrip("/")
        self.keeper_id = keeper_id
        self.name = name or self.url
        self._timeout = timeout
        self._pool = urllib3.PoolManager(maxsize=8, ca_certs=os.environ.get("SSL_CERT_FILE"))

    # ------------------------------------------------------------------ the protocol

    @functools.cached_property
    def info(self) -> wire.Info:
        """What the keeper says of itself; IntegrityError unless its keys are those pinned."""
        info = self.described()
        if info.card().keeper_id != self.keeper_id:
            raise IntegrityError(
                f"what answers at {self.url} is not the key keeper that was pinned"
            )
        return info

    def described(self) -> wire.Info:
        """What answers at the URL says of itself, whoever it is."""
        info = self._get("/v1/info", wire.Info)
        if info.card().keeper_id != bodies.word(info.keeper):
            raise IntegrityError("gave an id that is not of its keys")
        return info

    @property
    def card(self) -> KeeperCard:
        """The keeper's public keys."""
        return self.info.card()

    def health(self) -> wire.Health:
        """Whether it would release shares now."""
        return self._get("/health", wire.Health, expected=(200, 503))

    def holding(self, rendition: bytes) -> Holding:
        """Which versions it holds of a copy."""
        return self._get(f"/v1/renditions/{bodies.hexed(rendition)}", wire.HoldingAnswer).holding()

    def share_version(self, rendition: bytes) -> int:
        """The newest version in use, or last held; 0 if there never was one."""
        return self.holding(rendition).newest

    def deposit(self, signed: SignedOrder, sealed: bytes) -> None:
        """See KeyKeeper."""
        body = wire.Deposit(wire.Order.of(signed), bodies.hexed(sealed))
        self._post("/v1/deposits", body, wire.Done)

    def rotate(self, signed: SignedOrder, rotation: bytes, sealed: bytes) -> bytes:
        """See KeyKeeper."""
        body = wire.Rotation(wire.Order.of(signed), bodies.hexed(rotation), bodies.hexed(sealed))
        return bodies.word(self._post("/v1/rotations", body, wire.Commitment).commitment)

    def complete(
        self, signed: SignedOrder, rotation: bytes, commitments: tuple[bytes, ...]
    ) -> None:
        """See KeyKeeper."""
        hexed = [bodies.hexed(one) for one in commitments]
        body = wire.Completion(wire.Order.of(signed), bodies.hexed(rotation), hexed)
        self._post("/v1/rotations/complete", body, wire.Done)

    def abandon(self, signed: SignedOrder) -> bool:
        """See KeyKeeper."""
        body = wire.Plain(wire.Order.of(signed))
        return self._post("/v1/rotations/abandon", body, wire.Done).changed

    def finish(self, signed: SignedOrder) -> bool:
        """See KeyKeeper."""
        body = wire.Plain(wire.Order.of(signed))
        return self._post("/v1/rotations/finish", body, wire.Done).changed

    def shred(self, signed: SignedOrder) -> ShredReceipt:
        """See KeyKeeper; the receipt is checked."""
        body = wire.Plain(wire.Order.of(signed))
        receipt = self._post("/v1/destructions", body, wire.Receipt).receipt()
        receipt.check()
        if (receipt.card.keeper_id, receipt.record) != (self.keeper_id, signed.order.record):
            raise IntegrityError("gave a receipt for something else")
        return receipt

    def revoke(self, consent: bytes, signature: bytes) -> bool:
        """See KeyKeeper."""
        body = wire.RevocationNotice(bodies.hexed(consent), bodies.hexed(signature))
        return self._post("/v1/revocations", body, wire.Done).changed

    def release(self, signed: SignedKeyRequest) -> bytes:
        """See KeyKeeper."""
        body = wire.ReleaseRequest.of(signed)
        return bodies.unhexed(self._post("/v1/releases", body, wire.Released).share)

    def release_many(self, requests: Sequence[SignedKeyRequest]) -> list[bytes | Refused]:
        """See KeyKeeper; more than it takes at once go in several calls."""
        answers: list[bytes | Refused] = []
        most = self.info.largest_batch
        for start in range(0, len(requests), most):
            some = [wire.ReleaseRequest.of(one) for one in requests[start : start + most]]
            got = self._post("/v1/releases/batch", wire.ReleaseBatch(some), wire.Answers).answers
            answers += [one.answer() for one in got]
        return answers

    # ------------------------------------------------------------------ the log

    def log(self, after: int = 0) -> Iterator[LogEntry]:
        """The keeper's log behind entry number ``after``, as it gives it: see ``verify_log``."""
        while True:
            data = self._call("GET", f"/v1/log?after={after}&limit={_PAGE}", None, (200,))
            lines = data.splitlines()
            for line in lines:
                entry = bodies.decoded(line, wire.Entry).entry()
                if entry.number != after + 1:  # or it would never come to an end
                    raise IntegrityError(
                        f"The log of {self.name} goes on with entry {entry.number} after {after}."
                    )
                yield entry
                after = entry.number
            if len(lines) < _PAGE:
                return

    def log_head(self) -> LogHead:
        """The signed head of the log; IntegrityError when the keeper did not sign it."""
        info = self.info
        head = self._get("/v1/log/head", wire.Head).head(info.chain_id, info.market, self.card)
        head.check()
        return head

    # ------------------------------------------------------------------ the line

    def _get(self, path: str, kind: type[_Body], expected: tuple[int, ...] = (200,)) -> _Body:
        return self._believed(self._call("GET", path, None, expected), kind)

    def _post(self, path: str, body: Any, kind: type[_Body]) -> _Body:
        return self._believed(self._call("POST", path, bodies.encoded(body), (200,)), kind)

    def _believed(self, data: bytes, kind: type[_Body]) -> _Body:
        try:
            return bodies.decoded(data, kind)
        except BadInput:
            raise IntegrityError("gave an answer that is none") from None

    def _call(self, method: str, path: str, body: bytes | None, expected: tuple[int, ...]) -> bytes:
        """The body of an answer with an expected status; any other is raised as Refused."""
        deadline = time.monotonic() + self._timeout
        try:
            answer = self._pool.request(
                method,
                self.url + path,
                body=body,
                headers={"content-type": "application/json"} if body is not None else None,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=min(3.0, self._timeout), read=self._timeout),
            )
            data = bytearray()
            try:
                for chunk in answer.stream(_CHUNK):
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        raise IntegrityError("gave an answer without end")
                    if time.monotonic() > deadline:
                        raise Refused(Code.UNREACHABLE, "did not answer in time")
            except BaseException:
                answer.close()
                raise
            answer.release_conn()
        except urllib3.exceptions.TimeoutError:
            raise Refused(Code.UNREACHABLE, "did not answer in time") from None
        except urllib3.exceptions.HTTPError as error:
            raise Refused(Code.UNREACHABLE, f"did not answer ({type(error).__name__})") from None
        if answer.status not in expected:
            raise self._believed(bytes(data), wire.Problem).refusal()
        return bytes(data)


def look_up(url: str) -> wire.Info:
    """What answers at a URL says of itself; nothing but its own consistency is checked."""
    return HttpKeeper(url, bytes(32)).described()


def configured_keepers(path: Path) -> list[HttpKeeper]:
    """The keepers that a ``keepers.json`` names. Raises StateError when it is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(data["format"])
        return [
            HttpKeeper(str(one["url"]), bodies.word(one["keeper"]), name=str(one["name"]))
            for one in data["keepers"]
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BadInput):
        raise StateError(f"The file {path} does not name key keepers.") from None


def configure_keepers(path: Path, keepers: Sequence[HttpKeeper]) -> None:
    """Write a ``keepers.json``, whole or not at all."""
    body = {
        "format": FORMAT,
        "keepers": [
            {"name": k.name, "url": k.url, "keeper": bodies.hexed(k.keeper_id)} for k in keepers
        ],
    }
    write_durably(path, (json.dumps(body, indent=2) + "\n").encode())
