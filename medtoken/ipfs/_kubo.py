"""A Kubo daemon as a store: the same bytes get the same CIDs as in the folder (R33).

What the daemon says is checked: a file's CID is computed here while its bytes are on the way, and
every block that comes back is hashed. Files are pinned under the name ``medtoken``, so that a
daemon which others use too is left as it was.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from medtoken.errors import BadInput, IntegrityError, MedtokenError, StoreError

from ._cid import CID, Codec
from ._deadline import Late, within
from ._reader import BlockReader
from ._store import BlockMissing, Metered, Progress, verified, walk
from ._unixfs import LEAF_SIZE, MAX_LINKS, Builder, Readable, add_blocks, fill

DEFAULT_API = "/ip4/127.0.0.1/tcp/5001"
"""Where a Kubo daemon listens unless it was told otherwise."""

PIN_NAME = "medtoken"
_CONNECT = 10.0
"""Seconds for a connection, and for the daemon to take each MiB."""
_ADDED = 600.0
"""Seconds for the daemon to write what it has taken in to disk."""
_BATCH = 100
_CHUNK = 1 << 18
"""Bytes that go to the daemon at once; each is copied, which in the processor's cache is cheap."""
_AHEAD = 8
"""Leaves that may be on their way to the daemon and not hashed here yet: it does not wait for us."""
_CODECS = {Codec.RAW: "raw", Codec.DAG_PB: "dag-pb"}
# Every parameter on which a CID depends: the daemon's configuration can change each default, and
# the client library sends raw-leaves=false unless told otherwise.
_FILE = {"raw_leaves": True, "cid_version": 1, "chunker": f"size-{LEAF_SIZE}"}
_MORE = {"hash": "sha2-256", "max-file-links": MAX_LINKS, "inline": False, "pin-name": PIN_NAME}
# Closing, or dying, resets the connection rather than ends it. Kubo takes an upload whose connection
# ends for a file that ends there; one that is reset is an error to it.
_RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class KuboStore:
    """The daemon whose RPC listens at the multiaddress ``api``.

    ``offline`` keeps it from asking its peers for blocks that it does not hold itself; ``patience``
    is how many seconds one block or one answer may take. Nothing is asked of it before it is used.
    """

    def __init__(
        self, api: str = DEFAULT_API, *, offline: bool = False, patience: float = 30.0
    ) -> None:
        import ipfshttpclient
        from urllib3.connection import HTTPConnection

        self.name = f"the IPFS daemon at {api}"
        self._offline = offline
        self._patience = patience
        try:
            self._client: Any = ipfshttpclient.Client(
                api, session=True, timeout=(_CONNECT, patience), chunk_size=_CHUNK
            )
        except (ipfshttpclient.exceptions.AddressError, ValueError, TypeError) as error:
            raise BadInput(
                f"{api!r} is not the address of an IPFS daemon, such as {DEFAULT_API}"
            ) from error
        for adapter in self._client._client._session.adapters.values():
            settings = adapter.poolmanager.connection_pool_kw
            # A parameter of urllib3 1 that the library still passes, and that 2 warns about.
            settings.pop("strict", None)
            settings["socket_options"] = [*HTTPConnection.default_socket_options, _RESET]
        # A Unix socket cannot be reset.
        self._pins_at_once = not api.startswith("/unix/")

    def close(self) -> None:
        """Close its connections; the store can still be used."""
        self._client.close()

    def put_block(self, block: bytes | memoryview, codec: Codec = Codec.RAW) -> CID:
        cid = CID.of(block, codec)
        try:
            self._get(cid, offline=True)
        except BlockMissing:
            pass
        except IntegrityError:
            self._evict(cid)
        else:
            return cid
        self._send(cid, block)
        return cid

    def get_block(self, cid: CID) -> bytes:
        return self._get(cid, offline=self._offline)

    def has(self, cid: CID) -> bool:
        try:
            with self._asking(f"looking for block {cid}"):
                self._client.block.stat(str(cid), offline=True)
        except BlockMissing:
            return False
        return True

    def add_file(self, stream: Readable, progress: Progress | None = None) -> CID:
        """See ``Store``. Blocks that an interrupted call has left there are not sent again.

        Kubo pins the file as part of adding it. An upload that breaks off, this process killed
        included, reaches it as a connection reset, and it pins nothing. (A proxy between us that
        makes a regular end of that may leave a truncated file pinned, which costs space.)

        What an interrupted call left is pinned when the whole is there; until then Kubo's garbage
        collection, where it was turned on, may take blocks away: a StoreError, and the call can be
        repeated.

        Memory: some MiB whatever the size. IntegrityError names a daemon that arrives at another
        CID than the bytes have; what it keeps under that is left to it.
        """
        with _Feed(Metered(stream, progress)) as feed:
            if self.has(CID.of(feed.first)):
                cid, _ = add_blocks(feed, self._send_missing)
                self._pin(cid)
                return cid
            try:
                with self._asking("adding a file"):
                    answer = self._client.add(
                        feed,
                        **_FILE,
                        pin=self._pins_at_once,
                        opts=dict(_MORE),
                        timeout=(_CONNECT, _ADDED),
                    )
                    given = str(answer["Hash"])
            except StoreError:
                if feed.failure:
                    raise feed.failure from None
                raise
            cid = feed.finish()
        if given != str(cid):
            raise IntegrityError(f"{self.name} says {given} for a file whose CID is {cid}")
        if not self._has_pinned(cid):
            self._pin(cid)
        return cid

    def open(self, cid: CID) -> BlockReader:
        return BlockReader(cid, self.get_block)

    def pin(self, cid: CID) -> None:
        # Kubo would ask its peers for what is missing, offline or not.
        for block in walk(cid, lambda at: self._get(at, offline=True)):
            if not self.has(block):
                raise BlockMissing(f"block {block} of {cid} is not held by {self.name}")
        self._pin(cid)

    def _has_pinned(self, cid: CID) -> bool:
        """Whether it is pinned under our name: an older Kubo may not know how to name what it adds."""
        from ipfshttpclient.exceptions import ErrorResponse

        with self._asking(f"looking for the pin of {cid}"):
            try:
                found = self._client.pin.ls(str(cid), type="recursive", opts={"names": True})
            except ErrorResponse:
                return False
            return bool(found["Keys"][str(cid)].get("Name") == PIN_NAME)

    def _pin(self, cid: CID) -> None:
        # With progress it answers twice a second, so that patience is for a step and not the whole.
        with (
            self._asking(f"pinning {cid}"),
            self._client.pin.add(
                str(cid), opts={"name": PIN_NAME, "progress": True}, offline=True, stream=True
            ) as answers,
        ):
            steps, deadline = 0, time.monotonic() + self._patience
            for answer in answers:
                if answer.get("Progress", 0) > steps:
                    steps, deadline = answer["Progress"], time.monotonic() + self._patience
                if str(cid) in answer.get("Pins", ()):
                    return
                if time.monotonic() > deadline:
                    break
        raise StoreError(f"{self.name} does not come to an end with pinning {cid}")

    def pins(self) -> Iterator[CID]:
        with self._asking("listing pins"):
            answer = self._client.pin.ls(type="recursive", opts={"name": PIN_NAME})
            pins = answer.get("Keys", {})
            roots = [text for text, pin in pins.items() if pin["Name"] == PIN_NAME]
            return map(CID.parse, sorted(roots))

    def delete(self, cid: CID) -> None:
        if cid not in self.pins():
            raise StoreError(f"file {cid} is not pinned by {self.name}")
        tree = walk(cid, lambda at: self._get(at, offline=True), damaged=True)
        blocks = [str(block) for block in tree]
        with self._asking(f"deleting {cid}"):
            self._client.pin.rm(str(cid))
            for at in range(0, len(blocks), _BATCH):
                self._remove(blocks[at : at + _BATCH])

    def _get(self, cid: CID, *, offline: bool) -> bytes:
        try:
            with self._asking(f"reading block {cid}"):
                block = within(self._patience, lambda: self._fetch(cid, offline))
        except Late:
            raise StoreError(
                f"{self.name} did not give block {cid} within {self._patience:g} s"
            ) from None
        return verified(self.name, cid, block)

    def _fetch(self, cid: CID, offline: bool) -> bytes:
        block = bytearray()
        with self._client.block.get(str(cid), stream=True, offline=offline) as pieces:
            for piece in pieces:
                block += piece
                if len(block) > LEAF_SIZE:
                    break
        return bytes(block)

    def _send_missing(self, cid: CID, block: bytes | memoryview) -> None:
        if not self.has(cid):
            self._send(cid, block)

    def _send(self, cid: CID, block: bytes | memoryview) -> None:
        with self._asking(f"storing block {cid}"):
            answer = self._client.block.put(
                io.BytesIO(block), opts={"cid-codec": _CODECS[cid.codec], "mhtype": "sha2-256"}
            )
            if answer["Key"] != str(cid):
                raise IntegrityError(f"{self.name} says {answer['Key']} for the block {cid}")

    def _evict(self, cid: CID) -> None:
        """Remove an altered block, which Kubo would take for the good one.

        Kubo removes nothing that is pinned, so our pins on it go first; whoever repairs the file
        pins it again. A pin of somebody else's stays, and is named.
        """
        with self._asking(f"removing the altered block {cid}"):
            ours = set(map(str, self.pins()))
            while any(answer["Error"] for answer in self._remove([str(cid)])):
                kind = self._client.pin.ls(str(cid))["Keys"][str(cid)]["Type"]
                _, indirect, root = kind.rpartition("indirect through ")
                root = root if indirect else str(cid)
                if root not in ours:
                    raise StoreError(
                        f"{self.name} keeps the altered block {cid} for a pin that is not "
                        f"medtoken's, {root}"
                    )
                self._client.pin.rm(root)
                ours.remove(root)

    def _remove(self, blocks: list[str]) -> list[dict[str, str]]:
        """Remove blocks that nothing pins; what the daemon says of each (the library lacks it)."""
        answers = self._client._client.request(
            "/block/rm", blocks, opts={"force": "true"}, decoder="json"
        )
        return [{"Hash": one["Hash"], "Error": one.get("Error", "")} for one in answers]

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Turn whatever goes wrong between us and the daemon into one sentence that names it."""
        import requests
        from ipfshttpclient import exceptions

        try:
            yield
        except (MedtokenError, Late):
            raise
        except exceptions.ErrorResponse as error:
            told = str(error.args[0]) if error.args else str(error)
            if "could not find" in told or "not found" in told:
                raise BlockMissing(f"{self.name}, {what}: {told}") from error
            raise StoreError(f"{self.name} refused, {what}: {told}") from error
        except (exceptions.TimeoutError, requests.Timeout) as error:
            raise StoreError(f"{self.name} did not answer in time, {what}") from error
        except exceptions.ConnectionError as error:
            raise StoreError(f"{self.name} cannot be reached, {what}") from error
        except (exceptions.Error, requests.RequestException) as error:
            raise StoreError(f"{self.name} broke off, {what}") from error
        except (AssertionError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise StoreError(f"{self.name} answers as no IPFS daemon does, {what}") from error


class _Feed(io.RawIOBase):
    """A stream on its way to the daemon, leaf by leaf, while its CID is computed beside it.

    ``first`` is its first leaf. It may be read by ``read`` (and then has a CID) or by ``readinto``.
    """

    def __init__(self, stream: Readable) -> None:
        super().__init__()
        self._stream = stream
        self._builder = Builder(lambda cid, block: None)
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="medtoken-cid")
        self._hashing: deque[Future[None]] = deque()
        self._buffers = deque(memoryview(bytearray(LEAF_SIZE)) for _ in range(_AHEAD))
        self.failure: BaseException | None = None
        self.first = self._queued = self._next()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if not self._queued:
            return self._stream.readinto(buffer)
        count = min(len(buffer), len(self._queued))
        buffer[:count] = self._queued[:count]
        self._queued = self._queued[count:]
        return count

    def read(self, size: int = -1, /) -> memoryview:
        """The next leaf, whatever ``size`` says; valid until the next but one is asked for."""
        leaf, self._queued = self._queued or self._next(), memoryview(b"")
        if leaf:
            self._hashing.append(self._hasher.submit(self._builder.leaf, leaf))
        return leaf

    def finish(self) -> CID:
        """The CID of all that was read."""
        for hashing in self._hashing:
            hashing.result()
        return self._builder.finish()

    def close(self) -> None:
        self._hasher.shutdown()
        super().close()

    def _next(self) -> memoryview:
        if len(self._hashing) == len(self._buffers):
            self._hashing.popleft().result()  # of the buffer that is filled next
        leaf = self._buffers[0]
        self._buffers.rotate(-1)
        try:
            return leaf[: fill(self._stream, leaf)]
        except BaseException as error:
            self.failure = error  # the HTTP library would take an OSError for the network's
            raise
