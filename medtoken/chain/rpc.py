"""JSON-RPC in batches over one kept-alive connection, for whoever reads much and sends nothing.

``medtoken.chain.node`` is the client for everything else; it brings web3.py with it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import urllib3

from medtoken.errors import BadInput, NodeUnreachable

_BATCH = 100


@dataclass(frozen=True)
class Failure:
    """What the node answered to one call of a batch instead of a result."""

    text: str


class Rpc:
    """A node over HTTP. Safe to use from several threads."""

    def __init__(self, url: str, timeout: float = 5.0) -> None:
        """Connects when first asked; ``timeout`` seconds without a byte is no answer."""
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"{url} is not an http:// or https:// address of a node.")
        self.url = url
        self._pool = urllib3.PoolManager(
            maxsize=8,
            retries=urllib3.Retry(total=1, connect=1, read=0, redirect=0),
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
            ca_certs=os.environ.get("SSL_CERT_FILE"),
        )

    def batch(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Each call's result, or a ``Failure`` in its place. Raises NodeUnreachable."""
        results: list[Any] = []
        for start in range(0, len(calls), _BATCH):
            results += self._post(calls[start : start + _BATCH])
        return results

    def _post(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(calls)
        ]
        try:
            answer = self._pool.request(
                "POST",
                self.url,
                body=msgspec.json.encode(body),
                headers={"content-type": "application/json"},
            )
            found = msgspec.json.decode(answer.data)
        except urllib3.exceptions.HTTPError as error:
            raise NodeUnreachable(f"No node answers at {self.url}: {_kind(error)}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise NodeUnreachable(f"What answers at {self.url} is not a node.") from None
        by_number = (
            {
                one["id"]: one
                for one in found
                if isinstance(one, dict) and isinstance(one.get("id"), int)
            }
            if isinstance(found, list)
            else {}
        )
        if len(by_number) != len(calls):
            raise NodeUnreachable(f"The node at {self.url} does not answer a batch of calls.")
        return [_result(by_number.get(number, {})) for number in range(len(calls))]


def _result(answer: dict[str, Any]) -> Any:
    if "result" in answer:
        return answer["result"]
    error = answer.get("error")
    text = error.get("message", "") if isinstance(error, dict) else ""
    return Failure(str(text) or "no result")


def _kind(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return type(reason if isinstance(reason, Exception) else error).__name__
