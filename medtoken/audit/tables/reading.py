"""Reading a chain's events into tables: in chunks, from where it was left, as far as is final.

Two ways give the same tables. On the node's word, ``eth_getLogs`` over ranges that the node allows;
or from a block hash that is trusted, from receipts that headers vouch for (``proven``). A block is
read once it is ``depth`` blocks below the head, so nothing that is written is expected to change; should
the chain part below that all the same, what is no longer on it is dropped and read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from medtoken.audit.proven import ProvenChain
from medtoken.audit.proven.receipts import ProvenReceipt
from medtoken.audit.source import Record, Suite
from medtoken.audit.tables.arrays import table_of
from medtoken.audit.tables.decode import Collector, Log
from medtoken.audit.tables.logs import Header, LogReader, Parted
from medtoken.audit.tables.store import LOGS, RECEIPTS, SEGMENT, Manifest, Point, Store, fresh
from medtoken.chain.stream import Client
from medtoken.errors import (
    BadInput,
    DeploymentError,
    IntegrityError,
    NodeUnreachable,
    ProofFailed,
    WrongChain,
)

DEPTH = 64
# Seconds after which what was read is written though no segment is full.
_PATIENCE = 10.0
_TRIES = 10
# Seconds between two looks at the head.
_PAUSE = 2.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Extracted:
    """What a run came to."""

    manifest: Manifest
    events: int  # that this run added
    mended: list[str]  # files that were damaged and fetched again
    rolled_back: int | None  # the block to which tables went back, where the chain had parted


class Extractor:
    """A suite's events, read from one node into one folder. Use as a context manager."""

    def __init__(
        self,
        client: Client,
        deployment: Record,
        out: Path,
        *,
        depth: int = DEPTH,
        anchor: bytes | None = None,
        progress: Progress = lambda line: None,
    ) -> None:
        """``depth``: blocks below the head that count as final; with ``anchor`` its block is the last.

        Raises WrongChain, DeploymentError or NodeUnreachable where node, record and folder are not of one
        chain, and what ``Store`` raises.
        """
        self.client = client
        self.depth = depth
        self._say = progress
        self._suite = Suite.of(deployment)
        self._proven = None if anchor is None else ProvenChain(client, anchor)
        first = _checked(client, deployment, self._suite)
        how = LOGS if anchor is None else RECEIPTS
        begun = fresh(
            deployment.chain_id,
            self._suite.addresses,
            first.number,
            first_hash=first.hash,
            depth=depth if anchor is None else 0,
            how=how,
        )
        self.store = Store(out, begun)
        self._collector = Collector(self._suite, self.store.schemas)
        self._logs = LogReader(client, self._collector.addresses)

    def __enter__(self) -> Extractor:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let others write to the folder."""
        self.store.close()

    def run(self) -> Extracted:
        """Read on, up to the last block that is final now. What was read is kept, whatever happens.

        Raises NodeUnreachable, ProofFailed, StateError, IntegrityError.
        """
        before = self.store.manifest.rows
        back = self._settle()
        mended = self._mend()
        if self._proven is None:
            tries = 0
            while not self._pass():
                tries += 1
                if tries > _TRIES:
                    raise NodeUnreachable(
                        f"The node at {self.client.url} goes from one fork to another all the time."
                    )
                back = self._settle()
        else:
            self._prove(self._proven)
        return Extracted(self.store.manifest, self.store.manifest.rows - before, mended, back)

    # ------------------------------------------------------------------ the chain as it is

    def _header(self, block: int | str) -> Point | None:
        name = block if isinstance(block, str) else hex(block)
        found = self.client.ask("eth_getBlockByNumber", name, False, kind=Header | None)
        return None if found is None else found.point

    def _settle(self) -> int | None:
        """Drop what is no longer on the chain. Gives the block to which the tables went back."""
        self._collector.clear()
        manifest = self.store.manifest
        if manifest.last is None or self._on_chain(manifest.last):
            return None
        first = self._header(manifest.first_block)
        if first is None or first.hash != manifest.first_hash:
            raise WrongChain(
                f"The node at {self.client.url} is on another chain: its block "
                f"{manifest.first_block} is not the one that the tables in {self.store.out} begin with."
            )
        cuts = (cut for cut in reversed(manifest.cuts) if self._on_chain(cut))
        to = next(cuts, None)
        self.store.roll_back(to)
        end = manifest.first_block - 1 if to is None else to.number
        self._say(f"the chain has gone another way: back to block {end}")
        return end

    def _on_chain(self, point: Point) -> bool:
        found = self._header(point.number)
        if found is None:
            raise NodeUnreachable(
                f"The node at {self.client.url} has no block {point.number}, up to which the tables "
                f"in {self.store.out} reach: it lags behind, or is on another chain."
            )
        return found.hash == point.hash

    # ------------------------------------------------------------------ on the node's word

    def _pass(self) -> bool:
        """Read up to the last final block; False when the chain parted meanwhile."""
        head = self._header("latest")
        if head is None:
            raise NodeUnreachable(f"The node at {self.client.url} has no latest block.")
        end = self._header(head.number - self.depth) if head.number >= self.depth else None
        if end is None or end.number < self.store.next_block:
            return True
        try:
            self._read(self.store.next_block, end)
        except Parted:
            return False
        if not self.store.manifest.rows:
            raise DeploymentError(
                f"The node at {self.client.url} tells of no event of this suite up to block "
                f"{end.number}: the deployment record is of another one, or the node's logs were pruned."
            )
        return True

    def _read(self, first: int, end: Point) -> None:
        started, written = time.monotonic(), time.monotonic()
        held, gathered = self.store.tail_rows, 0
        for last, blocks, logs in self._logs.chunks(first, end.number):
            gathered += len(logs)
            rest = logs
            while held + self._collector.rows + len(rest) >= SEGMENT:
                cut = _end_of_block(rest, SEGMENT - held - self._collector.rows - 1)
                self._collector.add(rest[:cut], blocks)
                at = rest[cut - 1].block_hash
                self._commit(next(b for b in blocks if b.hash == at), end, cut=True)
                rest, held, written = rest[cut:], 0, time.monotonic()
            self._collector.add(rest, blocks)
            now = time.monotonic()
            if now - written > _PATIENCE and last < end.number:
                header = self._header(last)
                if header is None:
                    raise Parted
                self._commit(header, end, cut=False)
                held, written = self.store.tail_rows, now
            rate = gathered / (now - started) if now > started else 0.0
            self._say(f"block {last} of {end.number}, {gathered} events, {rate:,.0f} a second")
        if self.store.next_block <= end.number:
            self._commit(end, end, cut=False)

    def _commit(self, last: Point, end: Point, *, cut: bool) -> None:
        """Write what was gathered, if the block that it leads to is still the same."""
        found = self._header(end.number)
        if found is None or found.hash != end.hash:
            raise Parted
        self.store.commit(self._collector.tables(), last, cut=cut)

    # ------------------------------------------------------------------ proven

    def _prove(self, chain: ProvenChain) -> None:
        manifest = self.store.manifest
        anchor = "0x" + chain.end.hash.hex()
        if manifest.last is not None and chain.end.number <= manifest.last.number:
            if chain.end.number < manifest.last.number or anchor != manifest.last.hash:
                raise BadInput(
                    f"The tables in {self.store.out} reach to block {manifest.last.number} "
                    f"({manifest.last.hash}) already; give the hash of that block or of a later one."
                )
        else:
            self._read_proven(chain)
        self.store.vouched(anchor)

    def _read_proven(self, chain: ProvenChain) -> None:
        manifest = self.store.manifest
        parent = None if manifest.last is None else bytes.fromhex(manifest.last.hash[2:])
        started, written, gathered = time.monotonic(), time.monotonic(), 0
        held = self.store.tail_rows
        for point, receipts in self._proven_blocks(chain, self.store.next_block, parent):
            logs = self._collector.add_proven(point, receipts)
            gathered += logs
            now = time.monotonic()
            cut = held + self._collector.rows >= SEGMENT and logs > 0
            if cut or now - written > _PATIENCE:
                self.store.commit(self._collector.tables(), point, cut=cut)
                held, written = self.store.tail_rows, now
            rate = gathered / (now - started) if now > started else 0.0
            self._say(
                f"block {point.number} of {chain.end.number}, {gathered} events, {rate:,.0f} a second"
            )
        if self.store.next_block <= chain.end.number:
            end = Point(chain.end.number, "0x" + chain.end.hash.hex(), chain.end.timestamp)
            self.store.commit(self._collector.tables(), end)

    def _proven_blocks(
        self, chain: ProvenChain, first: int, parent: bytes | None
    ) -> Iterator[tuple[Point, list[ProvenReceipt]]]:
        for block, receipts in chain.receipts_from(self._collector.addresses, first, parent):
            name = "0x" + block.hash.hex()
            if block.number == self.store.manifest.first_block:
                self._same_beginning(name)
            yield Point(block.number, name, block.timestamp), receipts

    def _same_beginning(self, found: str) -> None:
        if found != self.store.manifest.first_hash:
            raise ProofFailed(
                f"The node at {self.client.url} said that block {self.store.manifest.first_block} is "
                f"{self.store.manifest.first_hash}, but the chain has {found} there."
            )

    # ------------------------------------------------------------------ damage

    def _mend(self) -> list[str]:
        """Fetch again what was damaged, segment by segment."""
        bad: dict[tuple[int, Point], list[tuple[str, str]]] = {}
        files = {}
        for name, file in self.store.damaged():
            place = self.store.segment_of(file)
            bad.setdefault(place, []).append((name, file.name))
            files[name, file.name] = file
        for (first, last), names in bad.items():
            self._say(
                f"{len(names)} damaged files of blocks {first} to {last.number} are fetched again"
            )
            rows = self._again(first, last)
            for name, file_name in names:
                empty = table_of([], self.store.schemas[name][1])
                self.store.mend(name, files[name, file_name], rows.get(name, empty))
        return sorted(f"{self.store.manifest.tables[n].folder}/{file}" for n, file in files)

    def _again(self, first: int, last: Point) -> dict[str, pa.Table]:
        self._collector.clear()
        if self._proven is None:
            for _, blocks, logs in self._logs.chunks(first, last.number):
                self._collector.add(logs, blocks)
            if not self._on_chain(last):
                raise IntegrityError(
                    f"Damaged tables in {self.store.out} end at a block that the node at "
                    f"{self.client.url} does not have; extract into a new folder."
                )
        else:
            chain = ProvenChain(self.client, bytes.fromhex(last.hash[2:]))
            for point, receipts in self._proven_blocks(chain, first, None):
                self._collector.add_proven(point, receipts)
        return {name: table.combine_chunks() for name, table in self._collector.take().items()}


def _checked(client: Client, deployment: Record, suite: Suite) -> Point:
    """The first block of a suite that the node has; refuses where it has not, or another chain."""
    chain_id = int(client.ask("eth_chainId"), 16)
    if chain_id != deployment.chain_id:
        raise WrongChain(
            f"The node at {client.url} is on chain {chain_id}, "
            f"the deployment record is of chain {deployment.chain_id}."
        )
    for name, address in suite.addresses.items():
        if client.ask("eth_getCode", address, "latest") == "0x":
            raise DeploymentError(
                f"There is no contract at {address} on the chain of the node at {client.url}, where "
                f"the deployment record has {name}."
            )
    first = deployment.first_block
    found = client.ask("eth_getBlockByNumber", hex(first), False, kind=Header | None)
    if found is None:
        raise NodeUnreachable(
            f"The node at {client.url} has no block {first}, in which the suite begins: it was pruned, "
            "or the deployment record is of another chain."
        )
    point: Point = found.point
    return point


def _end_of_block(logs: Sequence[Log], at: int) -> int:
    """How many of some logs there are up to the end of the block of the log at a place."""
    block = logs[max(at, 0)].block_hash
    end = max(at, 0) + 1
    while end < len(logs) and logs[end].block_hash == block:
        end += 1
    return end


def extract(
    rpc: str,
    deployment: Record,
    out: Path,
    *,
    depth: int = DEPTH,
    anchor: bytes | None = None,
    follow: bool = False,
    timeout: float = 30.0,
    say: Progress = lambda line: None,
) -> Extracted:
    """Read a suite's events from a node into a folder; with ``follow`` for ever.

    ``rpc``: http(s)://, ws(s):// or the path of an IPC socket; ``timeout``: seconds of silence. Raises as
    ``Extractor`` and its ``run`` do; one that follows, and has got through once,
    tries again where the node does not answer.
    """
    got_through = False
    while True:
        try:
            with (
                Client(rpc, timeout=timeout) as client,
                Extractor(client, deployment, out, depth=depth, anchor=anchor, progress=say) as one,
            ):
                while True:
                    found = one.run()
                    if not follow:
                        return found
                    got_through = True
                    time.sleep(_PAUSE)
        except NodeUnreachable as error:
            if not got_through:
                raise
            say(f"{error} Trying again.")
            time.sleep(_PAUSE)
