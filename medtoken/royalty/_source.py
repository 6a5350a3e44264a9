"""The logs that a cohort is computed from, read from a node."""

from __future__ import annotations

from collections.abc import Iterator

from medtoken.chain.abi import Log, abi
from medtoken.chain.contracts import Suite

_CONTRACTS = ("RecordRegistry", "DataMarket", "ContributionToken")


def read_logs(suite: Suite, last_block: int) -> Iterator[tuple[int, Log]]:
    """Block and log of the registry, the market and DCT, up to a block, in the chain's order."""
    names = {suite.deployment.address(name): name for name in _CONTRACTS}
    first = suite.deployment.first_block
    for raw in suite.node.logs(list(names), first, last_block):
        log = abi(names[raw.address]).log(raw.topics, raw.data)
        if log is not None:
            yield raw.block, log
