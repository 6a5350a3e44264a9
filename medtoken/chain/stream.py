"""JSON-RPC by the byte: many requests to one node over HTTP, WebSocket or IPC, several in flight.

``medtoken.chain.node`` asks single questions and turns the answers into objects; this client is for
whoever reads a chain from end to end. It hands on the response as it came, so that the caller can
decode the few columns it wants. Nothing here interprets what a node says beyond JSON-RPC itself.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from medtoken.errors import BadInput, MedtokenError, NodeUnreachable

Request = tuple[str, tuple[Any, ...]]

# More than one node's whole answer ever was; a node that sends without end is cut off here.
_LARGEST = 1 << 30


class NodeRefused(MedtokenError):
    """A node answered with a JSON-RPC error: it will not, or cannot, serve this request."""

    exit_code = 8

    def __init__(self, url: str, method: str, code: int, message: str) -> None:
        """``code`` and ``message`` are the node's own."""
        super().__init__(f"The node at {url} refused {method}: {message} ({code}).")
        self.code = code
        self.message = message


class AnswerTooLong(MedtokenError):
    """An answer was longer than the caller wants to hold; it was not read."""

    exit_code = 8

    def __init__(self, url: str, method: str, length: int) -> None:
        """``length``: its bytes, or as many as came before it was given up."""
        super().__init__(f"The node at {url} answers {method} with {length} bytes or more.")
        self.length = length


class _TooLong(Exception):
    """What a wire says of it."""

    def __init__(self, length: int) -> None:
        self.length = length


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Failure(msgspec.Struct):
    error: _Error | None = None


class _Wire(Protocol):
    """One connection: what is sent first is answered first."""

    def send(self, payload: bytes) -> None: ...
    def receive(self, most: int) -> bytes: ...
    def close(self) -> None: ...


class Client:
    """A node that is asked for much. Use as a context manager, or ``close`` it."""

    def __init__(self, url: str, *, timeout: float = 30.0, in_flight: int = 2) -> None:
        """``url``: http(s)://, ws(s)://, or the path of an IPC socket. ``timeout``: seconds of silence.

        Raises BadInput for an address of another kind, NodeUnreachable when nothing is there.
        """
        self.url = url
        self._timeout = timeout
        self._in_flight = in_flight
        # Connections that nobody is waiting on. A stream takes what it needs and gives it back.
        self._idle = [_connect(url, timeout)]

    def __enter__(self) -> Client:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close every connection."""
        while self._idle:
            _hang_up(self._idle.pop())

    def ask(self, method: str, *params: Any, kind: Any = str) -> Any:
        """One request, its ``result`` decoded as ``kind``, any type that msgspec knows.

        Raises NodeRefused for a JSON-RPC error, NodeUnreachable for silence or nonsense.
        """
        answer = next(self.stream([(method, params)]))
        return self.result(answer, kind)

    def result(self, answer: bytes, kind: Any) -> Any:
        """The ``result`` of an answer as ``kind``. Raises NodeUnreachable where it is something else."""
        try:
            return msgspec.json.decode(answer, type=_result_of(kind)).result
        except msgspec.DecodeError as error:
            raise NodeUnreachable(
                f"The node at {self.url} gave no usable answer: {error}."
            ) from None

    def stream(
        self, requests: Iterable[Request], *, most: int = _LARGEST
    ) -> Generator[bytes, None, None]:
        """The answers to many requests, in their order, each a whole JSON-RPC response.

        Some requests are under way at a time, one on each connection: the node works on the next
        while the caller reads the last answer. A JSON-RPC error raises NodeRefused; the answers
        before it were given, those after it are thrown away. Other questions may be asked meanwhile.
        An answer of more than ``most`` bytes raises AnswerTooLong before it fills the memory (over
        WebSocket, where it comes in one piece, it is given all the same).
        """
        waiting: deque[tuple[_Wire, str]] = deque()
        try:
            for method, params in requests:
                if len(waiting) == self._in_flight:
                    yield self._answer(*waiting.popleft(), most)
                payload = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                with self._translated():
                    wire = self._idle.pop() if self._idle else _connect(self.url, self._timeout)
                    try:
                        wire.send(msgspec.json.encode(payload))
                    except BaseException:
                        _hang_up(wire)
                        raise
                waiting.append((wire, method))
            while waiting:
                yield self._answer(*waiting.popleft(), most)
        finally:
            # What is still under way would be taken for the answer to a later request.
            for wire, _ in waiting:
                _hang_up(wire)

    def _answer(self, wire: _Wire, method: str, most: int) -> bytes:
        try:
            with self._translated():
                answer = wire.receive(most)
        except _TooLong as long:
            _hang_up(wire)
            raise AnswerTooLong(self.url, method, long.length) from None
        except NodeUnreachable:
            _hang_up(wire)
            raise
        self._idle.append(wire)
        # An error is short; a long answer is not looked at twice.
        if len(answer) < 4096 and b'"error"' in answer:
            with contextlib.suppress(msgspec.DecodeError):
                error = msgspec.json.decode(answer, type=_Failure).error
                if error is not None:
                    raise NodeRefused(self.url, method, error.code, error.message)
        return answer

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise NodeUnreachable(
                f"The node at {self.url} was silent for {self._timeout:g} s."
            ) from None
        except (OSError, http.client.HTTPException, EOFError) as error:
            raise NodeUnreachable(
                f"The node at {self.url} broke off ({type(error).__name__})."
            ) from None


_RESULTS: dict[Any, Any] = {}


def _result_of(kind: Any) -> Any:
    """The envelope of a response whose result is of a kind."""
    if kind not in _RESULTS:
        _RESULTS[kind] = msgspec.defstruct("Answer", [("result", kind)])
    return _RESULTS[kind]


def _connect(url: str, timeout: float) -> _Wire:
    parts = urlsplit(url)
    try:
        if parts.scheme in ("http", "https"):
            return _Http(url, timeout)
        if parts.scheme in ("ws", "wss"):
            return _WebSocket(url, timeout)
        if not parts.scheme and Path(url).is_socket():
            return _Ipc(url, timeout)
    except (OSError, http.client.HTTPException, EOFError) as error:
        raise NodeUnreachable(
            f"No Ethereum node answers at {url} ({type(error).__name__})."
        ) from None
    raise BadInput(f"{url} is no http, https, ws or wss address and no IPC socket.")


def _hang_up(wire: _Wire) -> None:
    with contextlib.suppress(Exception):
        wire.close()


class _Http:
    """One kept-alive connection. The standard library's client: nothing is faster from Python."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        if not parts.hostname:
            raise BadInput(f"{url} names no host.")
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json"}

    def send(self, payload: bytes) -> None:
        self._connection.request("POST", self._path, payload, self._headers)

    def receive(self, most: int) -> bytes:
        response = self._connection.getresponse()
        # A node that says how long its answer is need not send it.
        if (response.length or 0) > most:
            raise _TooLong(response.length or 0)
        body = response.read(most)
        if not response.isclosed() and response.read(1):
            raise _TooLong(most)
        if response.status >= 500 or response.status in (401, 403, 404, 429):
            raise http.client.HTTPException(f"status {response.status}")
        return body

    def close(self) -> None:
        self._connection.close()


class _WebSocket:
    def __init__(self, url: str, timeout: float) -> None:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        self._failure = WebSocketException
        self._timeout = timeout
        try:
            self._connection = connect(
                url, max_size=_LARGEST, open_timeout=timeout, close_timeout=1, proxy=None
            )
        except WebSocketException as error:
            raise EOFError from error

    def send(self, payload: bytes) -> None:
        try:
            self._connection.send(payload, text=True)
        except self._failure as error:
            raise EOFError from error

    def receive(self, most: int) -> bytes:
        try:
            return self._connection.recv(timeout=self._timeout, decode=False)
        except self._failure as error:
            raise EOFError from error

    def close(self) -> None:
        self._connection.close()


class _Ipc:
    """A socket in the file system. Answers follow each other without any frame but JSON's own."""

    def __init__(self, path: str, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(path)

    def send(self, payload: bytes) -> None:
        self._socket.sendall(payload + b"\n")

    def receive(self, most: int) -> bytes:
        parts = []
        size = 0
        while True:
            part = self._socket.recv(1 << 18)
            size += len(part)
            if not part:
                raise EOFError
            if size > most:
                raise _TooLong(size)
            parts.append(part)
            # One request is under way on this socket, so an answer ends where its bytes end.
            if part.rstrip().endswith(b"}"):
                answer = b"".join(parts)
                with contextlib.suppress(msgspec.DecodeError):
                    msgspec.json.decode(answer, type=_Failure)
                    return answer

    def close(self) -> None:
        self._socket.close()
