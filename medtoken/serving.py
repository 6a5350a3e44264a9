"""What every HTTP service here needs: a socket to listen on, and a limit on requests."""

from __future__ import annotations

import socket
import time
from collections import OrderedDict

from medtoken.errors import ToolMissing

_BACKLOG = 512
_KNOWN = 10_000


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
