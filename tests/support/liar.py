"""A proxy in front of a node that answers as it likes: each lie changes what the node really said."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

Lie = Callable[[str, list[Any], Any], Any]
"""What is said: the method, its parameters, the node's true result; gives the result to say."""


def honest(method: str, params: list[Any], result: Any) -> Any:
    return result


class Liar:
    """What a test sees of the proxy; ``lie`` may be changed while it runs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lie: Lie = honest
        self.silent = threading.Event()
        self.asked: list[str] = []


@contextlib.contextmanager
def liar(node: str) -> Iterator[Liar]:
    """A proxy in front of the node at an address."""
    over = threading.Event()
    parts = urlsplit(node)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.line = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)

        def finish(self) -> None:
            self.line.close()
            super().finish()

        def handle(self) -> None:
            # Whoever caught a lie hangs up in the middle of the next.
            with contextlib.suppress(ConnectionError):
                super().handle()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if told.silent.is_set():
                over.wait()
                return
            asked = json.loads(body)
            told.asked.append(asked["method"])
            self.line.request("POST", "/", body, {"Content-Type": "application/json"})
            said = json.loads(self.line.getresponse().read())
            if "result" in said:
                said["result"] = told.lie(asked["method"], asked["params"], said["result"])
                if isinstance(said["result"], Exception):
                    said["error"] = {"code": -32000, "message": str(said.pop("result"))}
            payload = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told = Liar(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
