"""What every process that runs on has in common: its options, a socket to listen on, a server, limits on
requests, and the description of what may be asked."""

from __future__ import annotations

import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response

import medtoken
from medtoken.bodies import Body
from medtoken.errors import ToolMissing

JSON = "application/json"
PROBLEM = "application/problem+json"

F = TypeVar("F", bound=Callable[..., Any])
_BACKLOG = 512
_CONNECTIONS = 500
_KNOWN = 10_000


def node_options(trusted: str) -> Callable[[F], F]:
    """``--rpc`` and ``--deployment``; ``trusted`` says what the node is to this process."""

    def decorate(command: F) -> F:
        deployment = click.option(
            "--deployment",
            required=True,
            envvar="MEDTOKEN_DEPLOYMENT",
            type=click.Path(dir_okay=False),
            help="Deployment record of the suite.",
        )
        rpc = click.option(
            "--rpc",
            default="http://127.0.0.1:8545",
            show_default=True,
            envvar="MEDTOKEN_RPC",
            help=f"HTTP address of {trusted}.",
        )
        return rpc(deployment(command))

    return decorate


def listening_options(port: int) -> Callable[[F], F]:
    """``--host``, ``--port``, ``--tls-certificate`` and ``--tls-key``."""

    def decorate(command: F) -> F:
        pem = click.Path(dir_okay=False, exists=True)
        for option in (
            click.option("--tls-key", type=pem, help="PEM private key."),
            click.option("--tls-certificate", type=pem, help="PEM chain."),
            click.option(
                "--port", default=port, show_default=True, help="Port; 0 takes a free one."
            ),
            click.option(
                "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
            ),
        ):
            command = option(command)
        return command

    return decorate


class Bucket:
    """Requests by whom they come from, a token bucket each; who was seen last is remembered."""

    def __init__(self, rate: float, burst: float) -> None:
        """``rate`` requests a second, ``burst`` at once."""
        self._rate = rate
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, cost: int = 1) -> bool:
        """Whether ``cost`` more requests are within the limit; they are counted if so."""
        now = time.monotonic()
        left, since = self._left.pop(who, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        allowed = left >= cost
        self._left[who] = (left - cost if allowed else left, now)
        if len(self._left) > _KNOWN:
            self._left.popitem(last=False)
        return allowed


def listen(host: str, port: int) -> socket.socket:
    """Listen before anybody is told where. Raises ToolMissing when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only on sockets that name their protocol;
    # else each answer's body waits for the caller's delayed acknowledgement, 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ToolMissing(f"{host}:{port} cannot be listened on: {error.strerror}.") from None
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    return listening


def url_of(listening: socket.socket, host: str, scheme: str = "http") -> str:
    """The address at which a listening socket answers."""
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{listening.getsockname()[1]}"


def server_of(app: Starlette, **more: Any) -> uvicorn.Server:
    """The HTTP server around an application; ``run`` it on sockets that listen."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            http="h11",
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=5,
            h11_max_incomplete_event_size=16 << 10,
            **more,
        )
    )


@dataclass(frozen=True)
class Endpoint:
    """One way to ask a service."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Response]]
    summary: str
    takes: type[Body] | None = None
    gives: type[Body] | None = None
    parameters: tuple[tuple[str, str, str], ...] = ()
    """Name, ``path`` or ``query``, and what it is."""
    media: str = JSON
    """The media type of what it gives."""


def openapi(
    endpoints: Sequence[Endpoint], problem: type[Body], title: str, description: str
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a service, from the same table and types that serve."""
    types = [t for e in endpoints for t in (e.takes, e.gives) if t is not None]
    kinds = list(dict.fromkeys([*types, problem]))
    schemas, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    schema = dict(zip(kinds, schemas, strict=True))
    refused = {
        "description": "Refused; the code is stable, and retry tells whether to ask again",
        "content": {PROBLEM: {"schema": schema[problem]}},
    }
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        content = {endpoint.media: {"schema": schema[endpoint.gives]} if endpoint.gives else {}}
        operation: dict[str, Any] = {
            "summary": endpoint.summary,
            "operationId": endpoint.handler.__name__.lstrip("_"),
            "responses": {
                "200": {"description": "Done", "content": content},
                "default": refused,
            },
        }
        if endpoint.takes:
            operation["requestBody"] = {
                "required": True,
                "content": {JSON: {"schema": schema[endpoint.takes]}},
            }
        if endpoint.parameters:
            operation["parameters"] = [
                {
                    "name": name,
                    "in": where,
                    "required": where == "path",
                    "description": text,
                    "schema": {"type": "string"},
                }
                for name, where, text in endpoint.parameters
            ]
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": medtoken.__version__,
            "description": description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components},
    }
