"""A key keeper over HTTP: decoding, limits and one-sentence errors around ``KeyKeeper``.

Whoever calls is known by a signature inside the request, never by the connection. Requests for
shares that arrive at the same moment are answered together, so that the chain's newest block is read
once for all of them, after the last has come, and the log is written once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from medtoken import bodies
from medtoken.errors import BadInput, KeyRefused, MedtokenError
from medtoken.keeper import wire
from medtoken.keys import MAX_BATCH, Code, KeyKeeper, Refused, SignedKeyRequest
from medtoken.serving import JSON, PROBLEM, Bucket, Endpoint
from medtoken.serving import openapi as described

_logger = logging.getLogger("medtoken.keeper")
_LOG_PAGE = 1_000
_LINES = "application/jsonl"


@dataclass(frozen=True)
class Limits:
    """What one caller, or all of them, may ask for."""

    body: int = 16 << 10
    """Bytes of a request."""
    batch_body: int = 1 << 20
    """Bytes of a batch of requests."""
    rate: float = 1_000
    """Requests a second for each address; each of a batch counts."""
    burst: float = 2_000
    """Requests that may come at once."""
    waiting: int = 1_000
    """Requests for shares that may wait; the next one is told to come again."""
    body_seconds: float = 10
    """Within which a body must have come."""
    answer_seconds: float = 15
    """Within which an answer is given, if only that there is none."""


@dataclass
class _Waiting:
    """Requests for shares that came together, and who waits for the answers."""

    requests: Sequence[SignedKeyRequest]
    answers: asyncio.Future[list[bytes | Refused]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class _Counter:
    """Where requests for shares are answered, as many together as have come."""

    def __init__(self, keeper: KeyKeeper, most: int) -> None:
        self._keeper = keeper
        self._most = most
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._count = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="release")

    async def ask(self, requests: Sequence[SignedKeyRequest]) -> list[bytes | Refused]:
        if self._count + len(requests) > self._most:
            raise Refused(Code.BUSY, "the keeper is busy: try again")
        waiting = _Waiting(requests)
        self._count += len(requests)
        self._queue.put_nowait(waiting)
        return await waiting.answers

    async def serve(self) -> None:
        """Answer until cancelled."""
        loop = asyncio.get_running_loop()
        put_off: _Waiting | None = None
        try:
            while True:
                group = [put_off or await self._queue.get()]
                put_off = None
                size = len(group[0].requests)
                while not self._queue.empty():
                    following = self._queue.get_nowait()
                    if size + len(following.requests) > MAX_BATCH:
                        put_off = following
                        break
                    group.append(following)
                    size += len(following.requests)
                together = [request for one in group for request in one.requests]
                try:
                    answers = await loop.run_in_executor(
                        self._thread, self._keeper.release_many, together
                    )
                except Exception as error:
                    answers = [_refusal(error)] * len(together)
                self._count -= size
                at = 0
                for one in group:
                    if not one.answers.done():
                        one.answers.set_result(answers[at : at + len(one.requests)])
                    at += len(one.requests)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)


Handler = Callable[["Service", Request], Awaitable[Response]]


class Service:
    """The endpoints of one keeper."""

    def __init__(self, keeper: KeyKeeper, limits: Limits | None = None) -> None:
        """``app`` is the ASGI application."""
        self._keeper = keeper
        self._limits = limits or Limits()
        self._bucket = Bucket(self._limits.rate, self._limits.burst)
        self._counter = _Counter(keeper, self._limits.waiting)
        self._document = bodies.encoded(openapi())
        self.app = Starlette(
            routes=[
                Route(e.path, self._wrapped(e), methods=[e.method], include_in_schema=False)
                for e in ENDPOINTS
            ],
            exception_handlers={HTTPException: _no_such},
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        serving = asyncio.create_task(self._counter.serve())
        try:
            yield
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    def _wrapped(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                self._count(request, 1)
                async with asyncio.timeout(self._limits.answer_seconds):
                    return await endpoint.handler(self, request)
            except TimeoutError:
                refusal = Refused(Code.BUSY, "the keeper did not manage in time: try again")
            except ClientDisconnect:
                refusal = Refused(Code.MALFORMED, "the request ended early")
            except Exception as error:
                refusal = _refusal(error)
            return _problem(refusal)

        return handle

    def _count(self, request: Request, requests: int) -> None:
        if not self._bucket.take(_address(request), requests):
            raise Refused(Code.TOO_MANY, "too many requests from this address: try again")

    async def _body(self, request: Request, most: int) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > most:
                        raise Refused(Code.TOO_LARGE, f"a request here has at most {most:,} bytes")
        except TimeoutError:
            raise Refused(Code.MALFORMED, "the request came too slowly") from None
        return bytes(body)

    # ------------------------------------------------------------------ endpoints

    async def _info(self, _: Request) -> Response:
        keeper = self._keeper
        return _json(
            wire.Info(
                keeper=bodies.hexed(keeper.keeper_id),
                name=keeper.name,
                address=keeper.card.address,
                public_key=bodies.hexed(keeper.card.public_key),
                chain_id=keeper.chain_id,
                market=keeper.market,
                longest_request=keeper.longest_request,
            )
        )

    async def _health(self, _: Request) -> Response:
        try:
            tip = await asyncio.to_thread(self._keeper.tip)
        except Refused as refusal:
            health = wire.Health(ok=False, code=refusal.code.value, detail=str(refusal))
            return _json(health, status=503)
        return _json(wire.Health(ok=True, head=tip.head, final=tip.final))

    async def _openapi(self, _: Request) -> Response:
        return Response(self._document, media_type=JSON)

    async def _holding(self, request: Request) -> Response:
        rendition = bodies.word(request.path_params["rendition"])
        holding = await asyncio.to_thread(self._keeper.holding, rendition)
        return _json(wire.HoldingAnswer.of(holding))

    async def _release(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.body), wire.ReleaseRequest)
        (answer,) = await self._counter.ask([body.signed()])
        if isinstance(answer, Refused):
            raise answer
        return _json(wire.Released(bodies.hexed(answer)))

    async def _release_many(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.batch_body), wire.ReleaseBatch)
        if len(body.requests) > MAX_BATCH:
            raise Refused(Code.TOO_LARGE, f"at most {MAX_BATCH} requests are answered at once")
        if not body.requests:
            return _json(wire.Answers([]))
        self._count(request, len(body.requests) - 1)
        answers = await self._counter.ask([one.signed() for one in body.requests])
        return _json(wire.Answers([wire.Answer.of(one) for one in answers]))

    async def _revoke(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.body), wire.RevocationNotice)
        consent, signature = bodies.word(body.consent), bodies.unhexed(body.signature)
        return _json(wire.Done(await asyncio.to_thread(self._keeper.revoke, consent, signature)))

    async def _deposit(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.body), wire.Deposit)
        signed, share = body.order.signed(), bodies.unhexed(body.share)
        await asyncio.to_thread(self._keeper.deposit, signed, share)
        return _json(wire.Done(True))

    async def _rotate(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.body), wire.Rotation)
        signed, rotation = body.order.signed(), bodies.word(body.rotation)
        change = bodies.unhexed(body.change)
        commitment = await asyncio.to_thread(self._keeper.rotate, signed, rotation, change)
        return _json(wire.Commitment(bodies.hexed(commitment)))

    async def _complete(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.body), wire.Completion)
        signed, rotation = body.order.signed(), bodies.word(body.rotation)
        commitments = tuple(bodies.word(one) for one in body.commitments)
        await asyncio.to_thread(self._keeper.complete, signed, rotation, commitments)
        return _json(wire.Done(True))

    async def _abandon(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.body), wire.Plain)
        signed = body.order.signed()
        return _json(wire.Done(await asyncio.to_thread(self._keeper.abandon, signed)))

    async def _finish(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.body), wire.Plain)
        signed = body.order.signed()
        return _json(wire.Done(await asyncio.to_thread(self._keeper.finish, signed)))

    async def _shred(self, request: Request) -> Response:
        body = bodies.decoded(await self._body(request, self._limits.body), wire.Plain)
        signed = body.order.signed()
        receipt = await asyncio.to_thread(self._keeper.shred, signed)
        return _json(wire.Receipt.of(receipt))

    async def _log_head(self, _: Request) -> Response:
        return _json(wire.Head.of(await asyncio.to_thread(self._keeper.log_head)))

    async def _log(self, request: Request) -> Response:
        try:
            after = int(request.query_params.get("after", "0"))
            limit = int(request.query_params.get("limit", str(_LOG_PAGE)))
        except ValueError:
            raise BadInput("after and limit are whole numbers") from None
        if not 0 <= after < 1 << 62 or not 0 < limit <= _LOG_PAGE:
            raise BadInput(f"after is never negative, and limit is from 1 to {_LOG_PAGE}")
        entries = await asyncio.to_thread(lambda: list(self._keeper.log(after, limit)))
        lines = [bodies.encoded(wire.Entry.of(entry)) + b"\n" for entry in entries]
        return Response(b"".join(lines), media_type=_LINES)


ENDPOINTS = (
    Endpoint("GET", "/health", Service._health, "Whether shares would be released", None,
              wire.Health),
    Endpoint("GET", "/openapi.json", Service._openapi, "This document"),
    Endpoint("GET", "/v1/info", Service._info, "Who the keeper is", None, wire.Info),
    Endpoint("GET", "/v1/renditions/{rendition}", Service._holding, "Which versions are held", None,
              wire.HoldingAnswer, (("rendition", "path", "0x and 64 hexadecimal digits"),)),
    Endpoint("POST", "/v1/releases", Service._release, "Release a share to a licensee",
              wire.ReleaseRequest, wire.Released),
    Endpoint("POST", "/v1/releases/batch", Service._release_many, "Release many shares at once",
              wire.ReleaseBatch, wire.Answers),
    Endpoint("POST", "/v1/revocations", Service._revoke, "Take a patient's revocation directly",
              wire.RevocationNotice, wire.Done),
    Endpoint("POST", "/v1/deposits", Service._deposit, "Hold a share", wire.Deposit, wire.Done),
    Endpoint("POST", "/v1/rotations", Service._rotate, "Prepare the next version of a share",
              wire.Rotation, wire.Commitment),
    Endpoint("POST", "/v1/rotations/complete", Service._complete, "Take the next version into use",
              wire.Completion, wire.Done),
    Endpoint("POST", "/v1/rotations/abandon", Service._abandon, "Forget the next version again",
              wire.Plain, wire.Done),
    Endpoint("POST", "/v1/rotations/finish", Service._finish, "Forget the version before",
              wire.Plain, wire.Done),
    Endpoint("POST", "/v1/destructions", Service._shred, "Shred a record's share for good",
              wire.Plain, wire.Receipt),
    Endpoint("GET", "/v1/log/head", Service._log_head, "The log's length and hash, signed", None,
              wire.Head),
    Endpoint("GET", "/v1/log", Service._log, "The log, as JSON lines", None, wire.Entry,
              (("after", "query", "number of the entry before the first"),
               ("limit", "query", f"at most {_LOG_PAGE}")), _LINES),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The OpenAPI document, from the same table and types that serve."""
    return described(
        ENDPOINTS,
        wire.Problem,
        "medtoken key keeper",
        "Holds one share of each record's key; releases it to whom the chain allows. Every request "
        "that changes something carries its signer's signature.",
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _json(body: Any, status: int = 200) -> Response:
    return Response(bodies.encoded(body), status_code=status, media_type=JSON)


def _problem(refusal: Refused) -> Response:
    return _refused(wire.Problem.of(refusal), {"retry-after": "1"} if refusal.passing else {})


def _refused(problem: wire.Problem, headers: Mapping[str, str]) -> Response:
    return Response(
        bodies.encoded(problem), status_code=problem.status, media_type=PROBLEM, headers=headers
    )


def _refusal(error: Exception) -> Refused:
    """What a caller is told of an error; what only the operator should know goes to the log."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, BadInput):
        return Refused(Code.MALFORMED, str(error))
    if isinstance(error, KeyRefused):
        return Refused(Code.NOT_LIVE, str(error))
    if isinstance(error, MedtokenError):
        _logger.error("%s", error)
    else:
        _logger.error("unexpected failure", exc_info=error)
    return Refused(Code.BROKEN, "the keeper failed and released nothing: try again")


async def _no_such(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException) or error.status_code != 405:
        return _problem(Refused(Code.NOT_FOUND, "there is nothing here"))
    problem = wire.Problem.of(Refused(Code.NOT_FOUND, "that is not how this is asked for"))
    # Which methods there are is in the headers (RFC 9110).
    return _refused(structs.replace(problem, status=405), error.headers or {})
