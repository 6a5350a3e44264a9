"""An HTTP gateway to IPFS as a source of blocks, whether it serves blocks or only whole files.

A trustless gateway answers ``?format=raw`` with the block itself. One that only serves files still
gives every leaf, since a leaf is a file of its own; the nodes above it are rebuilt by reading the
file once and computing its tree, which costs a second download but trusts nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from medtoken.errors import BadInput, IntegrityError, StoreError

from ._cid import CID, Codec
from ._deadline import Late, within
from ._store import BlockMissing, verified
from ._unixfs import LEAF_SIZE, add_blocks

_RAW = "application/vnd.ipld.raw"
_LARGEST = (1 << 40) + LEAF_SIZE
"""Bytes: no sealed record is larger."""
_REDIRECTS = 3
_NOT_SERVED = frozenset({400, 406, 415, 501})
"""How gateways say that they do not serve what was asked for in this form."""


class Gateway:
    """The gateway at ``url``, such as ``https://gateway.example``.

    ``patience``: seconds for one block, or for each MiB of a file. ``largest``: bytes of the
    largest file that is read from a gateway which serves no blocks.
    """

    def __init__(self, url: str, *, patience: float = 30.0, largest: int = _LARGEST) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise BadInput(
                f"{url!r} is not the address of a gateway, such as https://gateway.example"
            )
        self.name = f"the gateway {url}"
        self._base = url.rstrip("/")
        self._patience = patience
        self._largest = largest
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            # Once more, since a gateway may close a connection that it had kept open.
            self._session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=1))
        self._rebuilt: dict[CID, bytes] = {}

    def close(self) -> None:
        """Close its connections; it can still be used."""
        self._session.close()

    def get_block(self, cid: CID) -> bytes:
        """See ``Source``."""
        if cid in self._rebuilt:
            return self._rebuilt[cid]
        with self._asking(cid):
            block = within(self._patience, lambda: self._fetch(cid))
            if block is None:
                self._rebuild(cid)
                return self._rebuilt[cid]
        return verified(self.name, cid, block)

    def _fetch(self, cid: CID) -> bytes | None:
        """The bytes that should be the block; None for a node of a gateway that serves none."""
        with self._get(cid, raw=True) as response:
            serves_blocks = response.headers.get("Content-Type", "").startswith(_RAW)
            if response.status_code == 200 and (serves_blocks or cid.codec is Codec.RAW):
                return self._read(response, LEAF_SIZE + 1)
        if cid.codec is not Codec.RAW:
            return None
        with self._get(cid, raw=False) as response:
            return self._read(response, LEAF_SIZE + 1)

    def _rebuild(self, cid: CID) -> None:
        """Read the file below a node and keep its tree's nodes, once they prove to be the file's."""
        nodes: dict[CID, bytes] = {}

        def keep(at: CID, block: bytes | memoryview) -> None:
            if at.codec is Codec.DAG_PB:
                nodes[at] = bytes(block)

        with within(self._patience, lambda: self._get(cid, raw=False)) as response:
            body = _Body(partial(self._read, response), self.name, self._largest)
            root, _ = add_blocks(body, keep)
        if root != cid:
            raise IntegrityError(f"{self.name} gave other bytes than those that file {cid} has")
        self._rebuilt.update(nodes)

    def _get(self, cid: CID, *, raw: bool) -> requests.Response:
        """A response of which only the head was read."""
        url = f"{self._base}/ipfs/{cid}" + ("?format=raw" if raw else "")
        headers = {"Accept": _RAW} if raw else {}
        for _ in range(_REDIRECTS + 1):
            response = self._session.get(
                url, headers=headers, timeout=self._patience, stream=True, allow_redirects=False
            )
            if not response.is_redirect:
                break
            response.close()
            url = self._followed(url, response.headers["Location"])
        if response.status_code in (404, 410):
            response.close()
            raise BlockMissing(f"{self.name} does not have block {cid}")
        if response.status_code != 200 and not (raw and response.status_code in _NOT_SERVED):
            response.close()
            raise StoreError(f"{self.name} answered {response.status_code} for block {cid}")
        return response

    def _followed(self, url: str, location: str) -> str:
        """Where a redirect leads: to the gateway's own host or one below it, and nowhere else."""
        target = urljoin(url, location)
        host, own = urlsplit(target).hostname or "", urlsplit(self._base).hostname or ""
        if urlsplit(target).scheme in ("http", "https") and (
            host == own or host.endswith("." + own)
        ):
            return target
        raise StoreError(f"{self.name} sends readers elsewhere, to {target[:200]}")

    def _read(self, response: requests.Response, most: int) -> bytes:
        """The body, of which no more than ``most`` bytes are read; Late when it drips."""
        body, deadline = bytearray(), time.monotonic() + self._patience
        while len(body) < most:
            piece = response.raw.read1(most - len(body), decode_content=False)
            if not piece:
                break
            body += piece
            if time.monotonic() > deadline:
                raise Late
        return bytes(body)

    @contextlib.contextmanager
    def _asking(self, cid: CID) -> Iterator[None]:
        try:
            yield
        except (Late, requests.Timeout, urllib3.exceptions.TimeoutError):
            raise StoreError(
                f"{self.name} did not give block {cid} within {self._patience:g} s"
            ) from None
        except requests.ConnectionError as error:
            raise StoreError(f"{self.name} cannot be reached") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreError(f"{self.name} broke off in the middle of block {cid}") from error


class _Body:
    """A response's body as a stream of no more than ``left`` bytes."""

    def __init__(self, read: Callable[[int], bytes], name: str, left: int) -> None:
        self._read, self._name, self._left = read, name, left

    def readinto(self, buffer: memoryview, /) -> int:
        piece = self._read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise IntegrityError(f"{self._name} gave more bytes than the file can have")
        buffer[: len(piece)] = piece
        return len(piece)
