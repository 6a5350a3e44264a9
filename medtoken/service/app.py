"""The service over HTTP: pages, what they read, and the relay.

Whatever GET answers is public on the chain already. Nothing here knows anybody: what changes something
carries a signature. The chain is followed by a thread of its own; where the node is gone for a while
the books stay as they were, and every page is told since when.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mimetypes
import secrets
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from medtoken import bodies, vocabulary
from medtoken.audit.follow import Follower
from medtoken.errors import (
    BadInput,
    ContractRefused,
    MedtokenError,
    NodeUnreachable,
)
from medtoken.masking import profile_names
from medtoken.messages import Consent, Domain, Message, Revocation
from medtoken.service import wire
from medtoken.service.answers import DAY, Answers, Page
from medtoken.service.books import MarketBooks
from medtoken.service.relay import Relaying, TooMany
from medtoken.serving import JSON, PROBLEM, Bucket, Endpoint
from medtoken.serving import openapi as described

_logger = logging.getLogger("medtoken.service")
_DEADLINE = 3_600  # seconds that a signature may take to reach the chain
_PAGE = 500
_QUEUE = 8  # messages that wait to be brought
_T = TypeVar("_T")

# A page may load itself and ask this service, nothing else; nobody may put it into a frame.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_PAGES = {"/": "patient.html", "/licensee": "licensee.html", "/hospital": "hospital.html"}


@dataclass(frozen=True)
class Limits:
    """What one caller may ask for."""

    body: int = 16 << 10
    """Bytes of a request."""
    rate: float = 50
    """Requests a second for each address."""
    burst: float = 200
    body_seconds: float = 10
    answer_seconds: float = 60
    """Within which an answer is given; a relayed message waits for its block."""


class Watching(threading.Thread):
    """Follows the chain until it is stopped."""

    def __init__(self, follower: Follower[MarketBooks], every: float) -> None:
        """Looks ``every`` so many seconds."""
        super().__init__(name="follow", daemon=True)
        self._follower = follower
        self._every = every
        self._stopping = threading.Event()
        self._stepping = threading.Lock()
        self.trouble: str | None = None

    def run(self) -> None:
        """Until ``stop``."""
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(self._every)

    def look(self) -> None:
        """Take up what there is now; what fails is kept in ``trouble``."""
        with self._stepping:
            try:
                self._follower.step()
                self.trouble = None
            except NodeUnreachable as error:
                if self.trouble is None:
                    _logger.warning("%s", error)
                self.trouble = "The service does not reach its node; what you see may be old."
            except Exception:
                _logger.exception("the chain could not be followed")
                self.trouble = "The service cannot follow the chain; what you see may be old."

    def stop(self) -> None:
        """End; returns once it has."""
        self._stopping.set()
        if self.is_alive():
            self.join()


Handler = Callable[["Service", Request], Awaitable[Response]]


class Service:
    """The endpoints and pages of one market."""

    def __init__(
        self,
        follower: Follower[MarketBooks],
        domain: Domain,
        *,
        relay: Relaying | None = None,
        limits: Limits | None = None,
        every: float = 1.0,
    ) -> None:
        """``app`` is the ASGI application. Without ``relay`` nothing is brought to the chain."""
        self._follower = follower
        self._domain = domain
        self._relay = relay
        self._limits = limits or Limits()
        self._bucket = Bucket(self._limits.rate, self._limits.burst)
        # A transaction takes as long as a block: those who wait for one keep no reader waiting.
        self._carrying = ThreadPoolExecutor(1, "relay")
        self._waiting = 0
        self.watching = Watching(follower, every)
        self._document = bodies.encoded(openapi())
        routes = [
            Route(e.path, self._wrapped(e.handler), methods=[e.method], include_in_schema=False)
            for e in ENDPOINTS
        ]
        static = self._wrapped(Service._static)
        routes += [Route(path, static, methods=["GET"]) for path in _PAGES]
        routes.append(Route("/static/{file}", static, methods=["GET"]))
        self.app = Starlette(
            routes=routes,
            exception_handlers={HTTPException: _no_such},
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.watching.start()
        try:
            yield
        finally:
            self._carrying.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(self.watching.stop)

    def _wrapped(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                if not self._bucket.take(request.client.host if request.client else ""):
                    raise TooMany("Too many requests from this address: try again.")
                async with asyncio.timeout(self._limits.answer_seconds):
                    return await handler(self, request)
            except TimeoutError:
                return _problem(NodeUnreachable("This took too long: look again in a moment."))
            except ClientDisconnect:
                return _problem(BadInput("The request ended early."))
            except Exception as error:
                return _problem(error)

        return handle

    async def _body(self, request: Request, kind: type[_T]) -> _T:
        if request.headers.get("content-type", "").partition(";")[0].strip() != JSON:
            raise BadInput("What is sent here is application/json.")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._limits.body:
                        raise BadInput(f"A request has at most {self._limits.body:,} bytes.")
        except TimeoutError:
            raise BadInput("The request came too slowly.") from None
        return bodies.decoded(bytes(body), kind)

    async def _read(self, question: Callable[[Answers], _T]) -> _T:
        """Answer off the books, in a thread: they may be long, and may be changing now."""

        def ask() -> _T:
            with self._follower.reading() as (books, tip):
                return question(Answers(books, tip))

        return await asyncio.to_thread(ask)

    # ------------------------------------------------------------------ pages

    async def _static(self, request: Request) -> Response:
        name = _PAGES.get(request.url.path) or request.path_params["file"]
        kind = mimetypes.guess_type(name)[0]
        found = resources.files("medtoken.service") / "static" / name
        if kind not in _KINDS or "/" in name or name.startswith(".") or not found.is_file():
            raise HTTPException(404)
        body = await asyncio.to_thread(found.read_bytes)
        # Names of scripts and styles carry the hash of what is in them.
        keeping = "no-cache" if kind == "text/html" else "public, max-age=31536000, immutable"
        return Response(body, media_type=kind, headers={**_HEADERS, "cache-control": keeping})

    # ------------------------------------------------------------------ reading

    async def _health(self, _: Request) -> Response:
        tip, trouble = self._follower.tip, self.watching.trouble
        ok = tip is not None and trouble is None
        body = wire.Health(ok, tip.number if tip else None, trouble)
        return _json(body, 200 if ok else 503)

    async def _openapi(self, _: Request) -> Response:
        return Response(self._document, media_type=JSON, headers=_HEADERS)

    async def _info(self, _: Request) -> Response:
        def ask(answers: Answers) -> wire.Info:
            return wire.Info(
                chain_id=self._domain.chain_id,
                contracts=self._follower.suite.addresses,
                agreement=answers.agreement(),
                rates=answers.rates(),
                block=answers.block,
                final=self._follower.final,
                relay=self._relay is not None,
                trouble=self.watching.trouble,
            )

        return _json(await self._read(ask))

    async def _records(self, request: Request) -> Response:
        who, page = _account(request), _page(request)
        return _json(await self._read(lambda a: a.records(who, page)))

    async def _consents(self, request: Request) -> Response:
        who, page = _account(request), _page(request)
        return _json(await self._read(lambda a: a.consents(who, page)))

    async def _uses(self, request: Request) -> Response:
        who, page = _account(request), _page(request)
        return _json(await self._read(lambda a: a.uses(who, page)))

    async def _earnings(self, request: Request) -> Response:
        who = _account(request)
        return _json(await self._read(lambda a: a.earnings(who)))

    async def _standing(self, request: Request) -> Response:
        who = _account(request)
        return _json(await self._read(lambda a: a.standing(who)))

    async def _alerts(self, request: Request) -> Response:
        who = _account(request)
        return _json(await self._read(lambda a: a.alerts(who)))

    async def _licensee(self, request: Request) -> Response:
        who, page = _account(request), _page(request)
        return _json(await self._read(lambda a: a.licensee(who, page)))

    async def _custodian(self, request: Request) -> Response:
        who, page = _account(request), _page(request)
        return _json(await self._read(lambda a: a.custodian(who, page)))

    async def _record(self, request: Request) -> Response:
        record = bodies.word(request.path_params["record"])
        return _json(await self._read(lambda a: a.record(record)))

    async def _consent(self, request: Request) -> Response:
        consent = bodies.word(request.path_params["consent"])
        return _json(await self._read(lambda a: a.consent(consent)))

    async def _catalogue(self, request: Request) -> Response:
        page, query = _page(request), request.query_params
        kind, region, dvi = (_number(request, n, 0, 0, 999) for n in ("kind", "region", "dvi"))
        group = query.get("group", "")
        if group and group not in vocabulary.GROUPS:
            raise BadInput(f"Known groups are {', '.join(vocabulary.GROUPS)}.")
        return _json(
            await self._read(
                lambda a: a.catalogue(page, kind=kind, region=region, dvi=dvi, group=group)
            )
        )

    async def _quote(self, request: Request) -> Response:
        query = request.query_params
        record, consent = (bodies.word(query.get(name, "")) for name in ("record", "consent"))
        licensee = wire.address(query.get("licensee", ""))
        form = _number(request, "form", 2, 1, 3)
        units = _number(request, "units", 1, 1, 2**40 - 1)
        days = _number(request, "days", 90, 1, 36_500)
        purposes = [one for one in query.get("purposes", "").split(",") if one]
        return _json(
            await self._read(
                lambda a: a.quote(
                    record, consent, licensee, form=form, purposes=purposes, units=units, days=days
                )
            )
        )

    # ------------------------------------------------------------------ to be signed

    async def _draft_consent(self, request: Request) -> Response:
        draft = await self._body(request, wire.ConsentDraft)
        return _json(self._unsigned(await self._read(lambda a: _consent(draft, a))))

    async def _draft_revocation(self, request: Request) -> Response:
        consent = bodies.word(request.path_params["consent"])
        patient = await self._read(lambda a: a.patient_of(consent))
        if patient is None:
            raise BadInput("The market knows no such consent.")
        return _json(self._unsigned(Revocation(consent)))

    def _unsigned(self, message: Message) -> wire.Unsigned:
        data = wire.typed_data(message, message.typed_data(self._domain))
        return wire.Unsigned(bodies.hexed(message.struct_hash()), message.render(), data)

    # ------------------------------------------------------------------ the relay

    async def _relayed(self, check: Callable[[Relaying, Answers], Callable[[], _T]]) -> _T:
        relay = self._relay
        if relay is None:
            raise BadInput("This service brings nothing to the chain: send it from your wallet.")

        def carry() -> _T:
            # The books are read first and let go: a transaction takes as long as a block.
            with self._follower.reading() as (books, tip):
                bring = check(relay, Answers(books, tip))
            found = bring()
            self.watching.look()
            return found

        if self._waiting >= _QUEUE:
            raise TooMany("Many messages are waiting to be brought: try again in a minute.")
        self._waiting += 1
        carried = asyncio.get_running_loop().run_in_executor(self._carrying, carry)
        carried.add_done_callback(self._carried)
        # Who goes away takes nothing back: what was begun is brought to its end.
        return await asyncio.shield(carried)

    def _carried(self, done: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not done.cancelled():
            done.exception()  # told to whoever still waits

    async def _relay_consent(self, request: Request) -> Response:
        signed = await self._body(request, wire.SignedConsent)
        consent = await self._relayed(lambda relay, answers: relay.grant(signed, answers))
        at = await self._read(lambda a: a.granted_at(consent))
        return _json(wire.Granted(bodies.hexed(consent), at))

    async def _relay_revocation(self, request: Request) -> Response:
        signed = await self._body(request, wire.SignedRevocation)
        consent = await self._relayed(lambda relay, answers: relay.revoke(signed, answers))
        at = await self._read(lambda a: a.revoked_at(consent))
        return _json(wire.Revoked(bodies.hexed(consent), at))

    async def _relay_withdrawal(self, request: Request) -> Response:
        signed = await self._body(request, wire.SignedWithdrawal)
        paid = await self._relayed(lambda relay, answers: relay.withdraw(signed, answers))
        return _json(wire.Paid(str(paid["account"]), str(paid["to"]), str(paid["amount"])))

    async def _passkeys(self, request: Request) -> Response:
        who = _account(request)
        return _json(await self._read(lambda a: a.passkeys(who)))

    async def _requests(self, request: Request) -> Response:
        who = _account(request)
        return _json(await self._read(lambda a: a.requests(who)))

    async def _relay_passkey(self, request: Request) -> Response:
        signed = await self._body(request, wire.SignedPasskey)
        done = await self._relayed(lambda relay, answers: relay.change_passkey(signed, answers))
        return _json(wire.Carried(done))

    async def _relay_cancellation(self, request: Request) -> Response:
        signed = await self._body(request, wire.SignedPasskey)
        done = await self._relayed(lambda relay, answers: relay.cancel_passkey(signed, answers))
        return _json(wire.Carried(done))

    async def _relay_approval(self, request: Request) -> Response:
        signed = await self._body(request, wire.ApprovedLicence)
        done = await self._relayed(lambda relay, answers: relay.approve(signed, answers))
        return _json(wire.Carried(done))


_KINDS = ("text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml")
_ACCOUNT = (("account", "path", "an address"),)
_LIST = (
    ("limit", "query", f"how many at most, 1 to {_PAGE}"),
    ("offset", "query", "how many of the newest are passed over"),
)
ENDPOINTS = (
    Endpoint("GET", "/health", Service._health, "Whether the chain is followed", None, wire.Health),
    Endpoint("GET", "/openapi.json", Service._openapi, "This document"),
    Endpoint("GET", "/v1/info", Service._info, "The market, and how far it was read", None,
             wire.Info),
    Endpoint("GET", "/v1/patients/{account}/records", Service._records, "A patient's records",
             None, wire.Records, (*_ACCOUNT, *_LIST)),
    Endpoint("GET", "/v1/patients/{account}/consents", Service._consents, "A patient's consents",
             None, wire.Consents, (*_ACCOUNT, *_LIST)),
    Endpoint("GET", "/v1/patients/{account}/uses", Service._uses, "Who uses a patient's records",
             None, wire.Uses, (*_ACCOUNT, *_LIST)),
    Endpoint("GET", "/v1/patients/{account}/standing", Service._standing,
             "A patient's credit and what it opens", None, wire.Standing, _ACCOUNT),
    Endpoint("GET", "/v1/patients/{account}/alerts", Service._alerts, "What to look at", None,
             wire.Alerts, _ACCOUNT),
    Endpoint("GET", "/v1/accounts/{account}/earnings", Service._earnings, "What an account earned",
             None, wire.Earnings, _ACCOUNT),
    Endpoint("GET", "/v1/licensees/{account}", Service._licensee, "A licensee and its licences",
             None, wire.Licensee, (*_ACCOUNT, *_LIST)),
    Endpoint("GET", "/v1/custodians/{account}", Service._custodian, "A custodian and its records",
             None, wire.Custodian, (*_ACCOUNT, *_LIST)),
    Endpoint("GET", "/v1/records/{record}", Service._record, "A record", None, wire.RecordState,
             (("record", "path", "its id"),)),
    Endpoint("GET", "/v1/consents/{consent}", Service._consent, "A consent", None,
             wire.ConsentState, (("consent", "path", "its id"),)),
    Endpoint("GET", "/v1/catalogue", Service._catalogue, "Records that can be licensed", None,
             wire.Catalogue,
             (("kind", "query", "1 to 8"), ("region", "query", "UN M49 number"),
              ("dvi", "query", "the least data value index"),
              ("group", "query", "a credential group that consents must name"), *_LIST)),
    Endpoint("GET", "/v1/quote", Service._quote, "What a licence would cost", None, wire.Quote,
             (("record", "query", "its id"), ("consent", "query", "its id"),
              ("licensee", "query", "an address"), ("form", "query", "1 term, 2 metered, 3 rental"),
              ("purposes", "query", "DUO codes, with commas"), ("units", "query", "of a meter"),
              ("days", "query", "how long"))),
    Endpoint("POST", "/v1/drafts/consents", Service._draft_consent, "A consent to be signed",
             wire.ConsentDraft, wire.Unsigned),
    Endpoint("GET", "/v1/consents/{consent}/revocation", Service._draft_revocation,
             "A revocation to be signed", None, wire.Unsigned, (("consent", "path", "its id"),)),
    Endpoint("POST", "/v1/relay/consents", Service._relay_consent, "Bring a signed consent",
             wire.SignedConsent, wire.Granted),
    Endpoint("POST", "/v1/relay/revocations", Service._relay_revocation,
             "Bring a signed revocation", wire.SignedRevocation, wire.Revoked),
    Endpoint("POST", "/v1/relay/withdrawals", Service._relay_withdrawal,
             "Bring a signed withdrawal", wire.SignedWithdrawal, wire.Paid),
    Endpoint("GET", "/v1/patients/{account}/passkey", Service._passkeys,
             "A patient's passkey, and what licensees ask of it", None, wire.Passkeys, _ACCOUNT),
    Endpoint("GET", "/v1/licensees/{account}/requests", Service._requests,
             "What a licensee asked patients to approve", None, wire.Requests, _ACCOUNT),
    Endpoint("POST", "/v1/relay/passkeys", Service._relay_passkey,
             "Bring a signed change of a passkey", wire.SignedPasskey, wire.Carried),
    Endpoint("POST", "/v1/relay/passkey-cancellations", Service._relay_cancellation,
             "Bring a signed cancellation of such a change", wire.SignedPasskey, wire.Carried),
    Endpoint("POST", "/v1/relay/approvals", Service._relay_approval,
             "Bring what a patient's passkey approved", wire.ApprovedLicence, wire.Carried),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The OpenAPI document, from the same table and types that serve."""
    return described(
        ENDPOINTS,
        wire.Problem,
        "medtoken",
        "What is public of a market, as its auditor's ledger has it, and a relay for what patients "
        "sign.",
    )


def _consent(draft: wire.ConsentDraft, answers: Answers) -> Consent:
    """The consent that a draft means, to be signed within the hour. Raises BadInput."""
    record = bodies.word(draft.record)
    owner, tier = answers.owner_of(record), answers.tier_of(record)
    if not 0 < draft.days <= 36_500:
        raise BadInput("A consent holds from a day to a hundred years.")
    if draft.fields not in profile_names():
        raise BadInput(f"Known profiles are {', '.join(profile_names())}.")
    # A chain on which nothing happens for long has an old newest block.
    now = max(answers.now, int(time.time()))
    consent = Consent(
        patient=str(owner),
        records=record,
        purposes=vocabulary.duo_mask(draft.purposes),
        diseases=vocabulary.disease_commitment(draft.diseases),
        licensees=vocabulary.group_mask(draft.licensees),
        fields=vocabulary.profile_hash(draft.fields),
        region=vocabulary.region_code(draft.region),
        tier=max(tier, int(vocabulary.Tier.SENSITIVE)),
        patientShare=draft.share,
        floorPrice=wire.amount(draft.floor),
        expiry=now + draft.days * DAY,
        nonce=secrets.randbits(256),
        deadline=now + _DEADLINE,
    )
    consent.check(now)
    return consent


def _account(request: Request) -> str:
    return wire.address(request.path_params["account"])


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16 and least <= int(text) <= most):
        raise BadInput(f"{name} is a whole number from {least} to {most}.")
    return int(text)


def _page(request: Request) -> Page:
    return Page(_number(request, "limit", 100, 1, _PAGE), _number(request, "offset", 0, 0, 10**9))


def _json(body: Any, status: int = 200) -> Response:
    headers = {**_HEADERS, "cache-control": "no-store"}
    return Response(bodies.encoded(body), status_code=status, media_type=JSON, headers=headers)


def _problem(error: Exception) -> Response:
    """One sentence for whoever asked; what only the operator should know goes to the log."""
    code, status, detail = "failed", 500, "The service failed and changed nothing: try again."
    more: Mapping[str, str] = {}
    match error:
        case HTTPException():
            code, status, detail = "not-found", error.status_code, "There is nothing here."
            more = error.headers or {}  # which methods there are (RFC 9110)
            if error.status_code == 405:
                code, detail = "wrong-method", "That is not how this is asked for."
        case TooMany():
            code, status, detail = "too-many", 429, str(error)
        case BadInput():
            code, status, detail = "malformed", 400, str(error)
        case ContractRefused():
            code, status, detail = "refused", 409, _sentence(error)
        case NodeUnreachable():
            code, status, detail = "no-chain", 503, str(error)
        case MedtokenError():
            _logger.error("%s", error)
        case _:
            _logger.error("unexpected failure", exc_info=error)
    retry = status in (429, 500, 503)
    headers = {**_HEADERS, "cache-control": "no-store", **more}
    headers |= {"retry-after": "2"} if retry else {}
    body = bodies.encoded(wire.Problem(code, detail, status, retry))
    return Response(body, status_code=status, media_type=PROBLEM, headers=headers)


def _sentence(error: ContractRefused) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


async def _no_such(_: Request, error: Exception) -> Response:
    return _problem(error)
