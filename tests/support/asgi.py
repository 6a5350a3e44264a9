"""Asking an ASGI application in this process, without a server or a client library."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def ok(self) -> Any:
        """Its JSON, once it is sure that it is no refusal."""
        assert self.status == 200, self.body
        return self.json()


def ask(
    app: Any,
    method: str,
    path: str,
    body: Any = None,
    *,
    client: str = "192.0.2.1",
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request; ``body`` is bytes as they are, or anything else as JSON."""
    content = (
        body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    )
    sent = {"content-type": "application/json"} if body is not None else {}
    sent |= headers or {}
    parts = urlsplit(path)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
        "client": (client, 1),
        "server": ("test", 80),
    }
    came: list[dict[str, Any]] = []
    pending = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return pending.pop() if pending else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        came.append(message)

    asyncio.run(app(scope, receive, send))
    found = {k.decode(): v.decode() for k, v in came[0]["headers"]}
    return Answer(came[0]["status"], found, b"".join(m.get("body", b"") for m in came[1:]))
