"""Telling of alerts once: as JSON lines, and to a webhook that has to take each before it counts as told.

A line is written when everything else has taken the alert, and read again at the start: who is killed
tells what was left, and at worst one alert twice (its id is the same, and the webhook gets it as
``Idempotency-Key``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TextIO

import urllib3

from medtoken.errors import BadInput, NodeUnreachable, StateError
from medtoken.watch.books import Alert

_PATIENCE = 10.0  # seconds for a webhook's answer


class Ear(Protocol):
    """Somebody who is told; what it raises ends the telling until the next look."""

    def tell(self, line: dict[str, Any]) -> None: ...  # noqa: D102


class Webhook:
    """An address that takes each alert as a JSON body by POST and answers 2xx."""

    def __init__(self, url: str) -> None:
        """Raises BadInput for what is no http address."""
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"{url} is not an http:// or https:// address of a webhook.")
        self.url = url
        self._pool = urllib3.PoolManager(
            ca_certs=os.environ.get("SSL_CERT_FILE"), retries=False, timeout=_PATIENCE
        )

    def tell(self, line: dict[str, Any]) -> None:
        """Raises NodeUnreachable unless it was taken."""
        key = f"{line['id']}-{line['state']}"
        try:
            answer = self._pool.request(
                "POST", self.url, json=line, headers={"Idempotency-Key": key}
            )
        except urllib3.exceptions.HTTPError as error:
            raise NodeUnreachable(
                f"The webhook at {self.url} does not answer ({type(error).__name__})."
            ) from None
        if not 200 <= answer.status < 300:
            raise NodeUnreachable(f"The webhook at {self.url} answered {answer.status}.")


class Teller:
    """Knows what was told. Alerts that the chain has taken back are told of as withdrawn."""

    def __init__(self, ears: Iterable[Ear], out: TextIO | Path) -> None:
        """``out``: a stream, or a file whose lines from earlier are what was told already."""
        self._ears = tuple(ears)
        self._out = out
        self._told: dict[str, dict[str, Any]] = {}  # by id, what stands
        if isinstance(out, Path) and out.exists():
            self._read(out)

    def _read(self, out: Path) -> None:
        whole = out.read_bytes()
        kept = whole[: whole.rfind(b"\n") + 1]  # a kill may have cut the last line
        if len(kept) < len(whole):
            out.write_bytes(kept)
        for number, text in enumerate(kept.splitlines(), 1):
            try:
                line = json.loads(text)
                standing = line["state"] == "raised"
                self._told.pop(line["id"], None)
                if standing:
                    self._told[line["id"]] = line
            except (ValueError, KeyError, TypeError):
                raise StateError(
                    f"Line {number} of {out} is no alert; name another file."
                ) from None

    def tell(self, alerts: Iterable[Alert]) -> int:
        """Tell what is new among all alerts that stand now, and what stands no more; how many lines.

        Alerts of keepers' logs stand for good. Raises what an ear raises; what was told until then is
        not told again.
        """
        standing = {alert.id: alert.as_dict() for alert in alerts}
        lines = [
            line | {"state": "withdrawn"}
            for key, line in self._told.items()
            if key not in standing and line["kind"] != "release"
        ]
        lines += [
            line | {"state": "raised"} for key, line in standing.items() if key not in self._told
        ]
        for line in lines:
            for ear in self._ears:
                ear.tell(line)
            self._write(line)
            if line["state"] == "raised":
                self._told[line["id"]] = line
            else:
                del self._told[line["id"]]
        return len(lines)

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line) + "\n"
        if not isinstance(self._out, Path):
            self._out.write(text)
            self._out.flush()
            return
        try:
            with self._out.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StateError(f"{self._out} cannot be written: {error.strerror}.") from None
