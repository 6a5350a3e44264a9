"""Ways to read the same events, each run in a process of its own so that its memory is its own.

A reader is given the node's address, the deployment record, the first and the last block and a folder. It
gives how many events it saw; the time is from its first request to its last result, imports left out.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """What is read."""

    url: str
    deployment: Path
    first: int
    last: int
    out: Path


Reader = Callable[[Job], tuple[int, float]]


def limit(job: Job) -> tuple[int, float]:
    """The transport alone: the same requests, two in flight, and every answer thrown away."""
    from medtoken.audit.source import Suite
    from medtoken.chain.stream import Client
    from medtoken.deploy.record import Deployment

    addresses = [a.lower() for a in Suite.of(Deployment.load(job.deployment)).emitters]
    start, seen = time.perf_counter(), 0
    with Client(job.url) as client:
        wanted = (
            ("eth_getLogs", ({"address": addresses, "fromBlock": hex(n), "toBlock": hex(n)},))
            for n in range(job.first, job.last + 1)
        )
        for answer in client.stream(wanted):
            seen += len(answer)
    return -seen, time.perf_counter() - start  # bytes: nobody counted events


def plain(job: Job) -> tuple[int, float]:
    """Ours: `medtoken audit extract`, from the first request to the last file on disk."""
    return _extracted(job, None)


def proven(job: Job) -> tuple[int, float]:
    """Ours with --anchor: every header hashed, every receipts' root recomputed."""
    from medtoken.chain.stream import Client

    with Client(job.url) as client:
        block = client.ask("eth_getBlockByNumber", hex(job.last), False, kind=dict[str, Any])
    return _extracted(job, bytes.fromhex(block["hash"][2:]))


def _extracted(job: Job, anchor: bytes | None) -> tuple[int, float]:
    from medtoken.audit.tables import extract
    from medtoken.deploy.record import Deployment

    deployment = Deployment.load(job.deployment)
    start = time.perf_counter()
    found = extract(job.url, deployment, job.out, depth=0, anchor=anchor)
    return found.events, time.perf_counter() - start


def aggregated(job: Job) -> tuple[int, float]:
    """Ours without files: fetched, decoded, and the sum of every amount taken."""
    import pyarrow.compute as pc

    from medtoken.audit.source import Suite
    from medtoken.audit.tables import schemas
    from medtoken.audit.tables.decode import Collector
    from medtoken.audit.tables.logs import LogReader
    from medtoken.audit.tables.schema import AMOUNT
    from medtoken.audit.tables.store import SEGMENT
    from medtoken.chain.stream import Client
    from medtoken.deploy.record import Deployment

    deployment = Deployment.load(job.deployment)
    collector = Collector(
        Suite.of(deployment), schemas(deployment.chain_id, deployment.address("DataMarket"))
    )
    sums: dict[tuple[str, str], int] = {}

    def add() -> int:
        seen = 0
        for name, table in collector.take().items():
            seen += table.num_rows
            for column in table.schema:
                if column.type == AMOUNT:
                    found = pc.sum(table[column.name])  # type: ignore[attr-defined]
                    more = found.as_py() or 0
                    sums[name, column.name] = sums.get((name, column.name), 0) + int(more)
        return seen

    start, events = time.perf_counter(), 0
    with Client(job.url) as client:
        for _, blocks, logs in LogReader(client, collector.addresses).chunks(job.first, job.last):
            collector.add(logs, blocks)
            if collector.rows >= SEGMENT:
                events += add()
    events += add()
    return events, time.perf_counter() - start


def web3(job: Job) -> tuple[int, float]:
    """web3.py: ``get_logs`` of each event of the mix, a block at a time, typed by its ABI."""
    from web3 import HTTPProvider, Web3

    from _bench.audit.chain import MIX
    from medtoken import artifacts
    from medtoken.audit.tables import tables
    from medtoken.deploy.record import Deployment

    deployment = Deployment.load(job.deployment)
    node = Web3(HTTPProvider(job.url, request_kwargs={"timeout": 120}))
    events = []
    for name in MIX:
        table = tables()[name]
        entries = artifacts.load(table.contract)["abi"]
        contract = node.eth.contract(deployment.address(table.contract), abi=entries)  # type: ignore[call-overload]
        events.append(contract.events[table.event])
    start, seen = time.perf_counter(), 0
    for number in range(job.first, job.last + 1):
        for event in events:
            seen += len(event().get_logs(from_block=number, to_block=number))
    return seen, time.perf_counter() - start


def ape(job: Job) -> tuple[int, float]:
    """Ape: ``contract.Event.range`` of each event of the mix."""
    import ape as framework

    from _bench.audit.chain import MIX
    from medtoken import artifacts
    from medtoken.audit.tables import tables
    from medtoken.deploy.record import Deployment

    deployment = Deployment.load(job.deployment)
    with framework.networks.parse_network_choice(f"ethereum:local:{job.url}"):
        events = []
        for name in MIX:
            table = tables()[name]
            entries = artifacts.load(table.contract)["abi"]
            contract = framework.Contract(deployment.address(table.contract), abi=entries)
            events.append(getattr(contract, table.event))
        start, seen = time.perf_counter(), 0
        for event in events:
            for _ in event.range(job.first, job.last + 1):
                seen += 1
        return seen, time.perf_counter() - start


READERS: dict[str, Reader] = {
    "limit": limit,
    "plain": plain,
    "aggregated": aggregated,
    "proven": proven,
    "web3.py": web3,
    "ape": ape,
}


def run(name: str, job: Job) -> None:
    """Run one reader in this process and print what came of it."""
    events, seconds = READERS[name](job)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "events": events,
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": int(peak.split()[1]) * 1024 / 1e6,
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    # Nothing is imported here but what the reader itself wants, so that the memory is its own.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    which, node, deployment, *blocks, folder = sys.argv[1:]
    run(which, Job(node, Path(deployment), int(blocks[0]), int(blocks[1]), Path(folder)))
