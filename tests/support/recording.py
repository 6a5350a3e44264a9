"""An in-process chain as an auditor reads it: raw logs, blocks, views, and a deployment's record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from eth_utils import to_checksum_address

from medtoken.chain.node import Block, RawLog
from medtoken.deploy.record import DeployedContract, Deployment
from medtoken.errors import ContractRefused
from support.evm import CHAIN_ID, Evm, Reverted
from support.world import PROXIED

# Code that answers every call with the time of the block.
_CLOCK = bytes.fromhex("4260005260206000f3")


class RecordingEvm(Evm):
    """Keeps the raw logs of every transaction; each is a block of its own."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.raw: list[RawLog] = []
        super().__init__()

    def create(self, code: bytes, sender: str) -> str:
        address = super().create(code, sender)
        self._record()
        return address

    def transact(self, sender: str, to: str, data: bytes, value: int = 0) -> bytes:
        out = super().transact(sender, to, data, value)
        self._record()
        return out

    @contextmanager
    def anchor(self) -> Iterator[None]:
        times, raw = len(self.times), len(self.raw)
        with super().anchor():
            yield
        del self.times[times:], self.raw[raw:]

    def _record(self) -> None:
        number = len(self.times)
        self.times.append(self.time)
        for index, log in enumerate(self._evm.result.logs):
            data = log.data[1] if isinstance(log.data, tuple) else log.data
            topics = tuple(bytes.fromhex(t.removeprefix("0x")) for t in log.topics)
            address = to_checksum_address(log.address)
            tx = number.to_bytes(32)
            self.raw.append(RawLog(address, topics, bytes(data), number, tx, index))


@dataclass
class EvmChain:
    """What the auditor asks of a chain, answered by the in-process EVM as it stands now."""

    evm: RecordingEvm
    chain_id: int = CHAIN_ID
    asked: list[int] = field(default_factory=list)  # blocks whose time was asked for
    kept: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    receipts: dict[bytes, tuple[str, int]] = field(default_factory=dict)  # of what made contracts

    def head(self) -> Block:
        return self._block(len(self.evm.times) - 1)

    def block(self, number: int) -> Block:
        self.asked.append(number)
        return self._block(number)

    def logs(self, addresses: Sequence[str], first: int, last: int) -> Iterator[RawLog]:
        return (r for r in self.evm.raw if r.address in addresses and first <= r.block <= last)

    def made(self, tx: bytes) -> tuple[str, int] | None:
        return self.receipts.get(tx)

    def call(self, to: str, data: bytes, block: int | None = None) -> bytes:
        assert block == self.head().number, "this chain has no state but its newest"
        try:
            return self.evm.view(self.evm.nobody, to, data)
        except Reverted as error:
            raise ContractRefused(str(error)) from None

    def calls(
        self, asked: Sequence[tuple[str, bytes]], block: int
    ) -> Iterator[bytes | ContractRefused]:
        for to, data in asked:
            try:
                yield self.call(to, data, block)
            except ContractRefused as refused:
                yield refused

    def storage(self, address: str, slot: int, block: int | None = None) -> int:
        assert block == self.head().number, "this chain has no state but its newest"
        return self.evm.storage(address, slot)

    def code(self, address: str, block: int | None = None) -> bytes:
        assert block == self.head().number, "this chain has no state but its newest"
        code = self.evm.code(address)
        # The engine shows code as it has prepared it to run: with 33 STOPs behind it.
        return code[:-33] if code and not any(code[-33:]) else code

    def construct(self, address: str, code: bytes, sender: str, block: int | None = None) -> bytes:
        """On a chain of its own: no constructor of the suite asks others anything but their clock."""
        apart = Evm()
        for other in {raw.address for raw in self.evm.raw} - {address}:
            apart.insert_code(other, _CLOCK)
        apart.insert_code(address, code)
        try:
            return apart.transact(sender, address, b"")
        except Reverted as error:
            raise ContractRefused(str(error)) from None

    def _block(self, number: int) -> Block:
        return Block(number, number.to_bytes(32), self.evm.times[number])


def deployment_of(
    addresses: Mapping[str, str], deployer: str, offices: Mapping[str, str] | None = None
) -> Deployment:
    """The record that the deployment of these contracts would have written."""
    contracts = {
        name: DeployedContract(
            name=name,
            address=address,
            proxy=name in PROXIED,
            implementation="0x" + "11" * 20 if name in PROXIED else None,
            block=0,
            tx="0x",
            implementation_tx=None,
            constructor=[],
            initialize=None,
            compiler={},
            integrity="0x",
        )
        for name, address in addresses.items()
    }
    return Deployment(CHAIN_ID, "test", deployer, contracts, dict(offices or {}))
