"""Reading a hospital's server: bounded in time and size, and never led elsewhere."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from medtoken.errors import BadInput, SourceError

_PIECE = 256 * 1024
_NO_ADDRESS = "{!r} is not the address of a server, such as https://server.example/fhir."
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Answer:
    """An answer of which only the head was read."""

    def __init__(self, web: Web, response: requests.Response, deadline: float) -> None:
        """``deadline``: until when all of it must have come, monotonic seconds."""
        self._web, self._response, self._deadline = web, response, deadline
        self.status = response.status_code
        self.content_type = response.headers.get("Content-Type", "")

    @property
    def media_type(self) -> str:
        """Its media type without parameters, in lower case."""
        return self.content_type.partition(";")[0].strip().lower()

    def pieces(self, most: int) -> Iterator[bytes]:
        """The body; SourceError when it has more than ``most`` bytes, drips or breaks off."""
        read = 0
        while True:
            piece = self._response.raw.read1(_PIECE, decode_content=True)
            if not piece:
                return
            read += len(piece)
            if read > most:
                raise SourceError(f"{self._web.name} sent more than {most:,} bytes at once.")
            if time.monotonic() > self._deadline:
                raise SourceError(
                    f"{self._web.name} did not send all within {self._web.patience:g} s."
                )
            yield piece

    def body(self, most: int) -> bytes:
        """The whole body of ``most`` bytes at most."""
        return b"".join(self.pieces(most))


class Web:
    """The server at ``url``. ``patience``: seconds for one answer as a whole.

    ``authorization`` is the value of the header of that name; it goes to this very server only and,
    unless that is this machine, only over https. ``authority``: a file of certificates to trust
    instead of the usual ones. Raises BadInput for an address that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        authorization: str | None = None,
        patience: float = 60.0,
        authority: str | os.PathLike[str] | None = None,
    ) -> None:
        self.base = url.rstrip("/")
        self._origin = _origin(url)
        parts = urlsplit(url)
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise BadInput(_NO_ADDRESS.format(url))
        if authorization and (not authorization.isascii() or not authorization.isprintable()):
            raise BadInput(
                "The authorization is one line of plain text, such as Bearer and a token."
            )
        if authorization and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise BadInput(f"{url} is not https, so no authorization is sent there.")
        self.name = f"The server {self.base}"
        self.patience = patience
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc that nobody has named here
        self._session.verify = os.fspath(authority) if authority else True
        if authorization:
            self._session.headers["Authorization"] = authorization

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def own(self, url: str) -> str:
        """An absolute address on this server; SourceError when it is somewhere else."""
        target = urljoin(self.base + "/", url)
        try:
            here = _origin(target) == self._origin
        except BadInput:
            here = False
        if not here:
            raise SourceError(f"{self.name} sends readers elsewhere.")
        return target

    @contextlib.contextmanager
    def get(self, url: str, accept: str, **parameters: Any) -> Iterator[Answer]:
        """Ask for an address on this server. Redirects are not followed."""
        deadline = time.monotonic() + self.patience
        try:
            with self._session.get(
                self.own(url),
                params=parameters,
                headers={"Accept": accept},
                timeout=self.patience,
                stream=True,
                allow_redirects=False,
            ) as response:
                if response.is_redirect:
                    raise SourceError(f"{self.name} sends readers elsewhere.")
                if response.status_code in (401, 403):
                    raise SourceError(f"{self.name} does not let us in ({response.status_code}).")
                yield Answer(self, response, deadline)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise SourceError(f"{self.name} did not answer within {self.patience:g} s.") from None
        except requests.exceptions.SSLError:
            raise SourceError(f"{self.name} shows a certificate that is not trusted.") from None
        except requests.ConnectionError:
            raise SourceError(f"{self.name} cannot be reached.") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, OSError) and error.filename:
                raise  # a file of ours
            raise SourceError(f"{self.name} broke off in the middle of an answer.") from None


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError("scheme")
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except ValueError:
        raise BadInput(_NO_ADDRESS.format(url)) from None
    return parts.scheme, (parts.hostname or "").lower(), port
