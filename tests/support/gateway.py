"""A small HTTP gateway over a store, honest or not."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from medtoken.errors import StoreError
from medtoken.ipfs import CID, Store

Handler = http.server.BaseHTTPRequestHandler
Mood = Callable[[Handler, bytes, threading.Event], None]
"""How an answer is given: the handler, the honest body, and an event that ends the server."""


def honest(handler: Handler, body: bytes, over: threading.Event) -> None:
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def lies(handler: Handler, body: bytes, over: threading.Event) -> None:
    honest(handler, bytes([body[0] ^ 1]) + body[1:], over)


def truncates(handler: Handler, body: bytes, over: threading.Event) -> None:
    """Promises the whole and closes the line halfway."""
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def shortens(handler: Handler, body: bytes, over: threading.Event) -> None:
    """Promises half and gives half."""
    honest(handler, body[: len(body) // 2], over)


def lengthens(handler: Handler, body: bytes, over: threading.Event) -> None:
    honest(handler, body + bytes(3 << 20), over)


def stalls(handler: Handler, body: bytes, over: threading.Event) -> None:
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[:1])
    handler.wfile.flush()
    over.wait()


def drips(handler: Handler, body: bytes, over: threading.Event) -> None:
    """Gives a byte now and then, so that no single read ever times out."""
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    for byte in body:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if over.wait(0.05):
            return


MOODS: tuple[Mood, ...] = (lies, truncates, shortens, lengthens, stalls, drips)


class Server:
    """What a test sees of it; ``mood`` may be changed while it runs."""

    def __init__(self, url: str, mood: Mood) -> None:
        self.url, self.mood = url, mood
        self.asked: list[str] = []
        self.status = 200
        self.raw_status: int | None = None
        """Of answers to requests for a block as such."""
        self.location: str | None = None


@contextlib.contextmanager
def gateway(store: Store, mood: Mood = honest, *, blocks: bool = True) -> Iterator[Server]:
    """Serve a store's files under ``/ipfs/``; with ``blocks`` also ``?format=raw``."""
    over = threading.Event()

    class Answers(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802
            if over.is_set():  # the server is gone, this line just does not know
                self.close_connection = True
                return
            server.asked.append(self.path)
            parts = urlsplit(self.path)
            asked_raw = parse_qs(parts.query).get("format") == ["raw"]
            raw = blocks and asked_raw
            try:
                cid = CID.parse(parts.path.rpartition("/")[2])
                body = store.get_block(cid) if raw else store.open(cid).readall()
            except StoreError:
                self.send_response(404)
                honest(self, b"not found", over)
                return
            assert body is not None
            status = (asked_raw and server.raw_status) or server.status
            self.send_response(302 if server.location else status)
            if server.location:
                self.send_header("Location", server.location)
            self.send_header(
                "Content-Type",
                "application/vnd.ipld.raw" if raw else "application/octet-stream",
            )
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                server.mood(self, body, over)

        def log_message(self, *args: Any) -> None:
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    http_server.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http_server.server_port}", mood)
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        over.set()
        http_server.shutdown()
        thread.join()
        http_server.server_close()
