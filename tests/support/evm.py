"""A thin harness over pyrevm: the suite's contracts in this process, about 50,000 calls a second.

Transactions that revert raise ``Reverted`` with the contract's own sentence and change nothing.
Gas here is execution gas; figures that are published come from receipts of a real node instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyrevm
from eth_utils import to_checksum_address

from medtoken import artifacts
from medtoken.chain.abi import Abi, Log, abi, revert_reason
from medtoken.deploy.plan import Call, Create, Params, build_plan, resolve

START = 1_800_000_000
CHAIN_ID = 31337
PROXY = "TransparentUpgradeableProxy"


class Reverted(Exception):
    """A call reverted; the text is the contract's sentence."""


@dataclass
class Contract:
    """One contract at one address; ``contract.function(args, sender=...)`` sends a transaction."""

    evm: Evm
    name: str
    address: str

    @property
    def abi(self) -> Abi:
        return abi(self.name)

    def __getattr__(self, function: str) -> Any:
        entry = self.abi.function(function)
        view = entry["stateMutability"] in ("view", "pure")

        def invoke(*args: Any, sender: str | None = None) -> Any:
            data = self.abi.call(function, *args)
            caller = sender or self.evm.nobody
            if view:
                return self.abi.result(function, self.evm.view(caller, self.address, data))
            return self.abi.result(function, self.evm.transact(caller, self.address, data))

        return invoke


_SLOT = re.compile(
    r"(\w+): StorageSlot \{ previous_or_original_value: \w+, present_value: (\w+) \}"
)


class Evm:
    """A chain of one process: accounts need no ether, time moves when it is told to."""

    nobody = "0x" + "99" * 20

    def __init__(self) -> None:
        env = pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=CHAIN_ID))
        self._evm = pyrevm.EVM(env=env, gas_limit=30_000_000, spec_id="PRAGUE")
        self._names: dict[str, str] = {}
        self.time = START
        self.block = 1
        self.logs: list[Log] = []
        self.gas = 0
        self._set_block()

    def contract(self, name: str, address: str) -> Contract:
        self._names[address.lower()] = name
        return Contract(self, name, to_checksum_address(address))

    def deploy(self, name: str, *args: Any, sender: str) -> Contract:
        """Create a contract; its constructor's revert raises Reverted."""
        code = bytes.fromhex(artifacts.load(name)["bytecode"].removeprefix("0x"))
        return self.contract(name, self.create(code + abi(name).construct(*args), sender))

    def create(self, code: bytes, sender: str) -> str:
        try:
            return str(self._evm.deploy(sender, code))
        except RuntimeError as error:
            raise Reverted(_reason(error)) from None

    def transact(self, sender: str, to: str, data: bytes, value: int = 0) -> bytes:
        """Send a transaction; keeps its logs in ``logs``.

        No snapshot is taken: a revert undoes itself, and each snapshot that is not undone counts as
        a call frame, of which there are 1,024.
        """
        try:
            out = self._evm.message_call(sender, to, calldata=data, value=value, gas=29_000_000)
        except RuntimeError as error:
            self._evm.reset_transient_storage()
            raise Reverted(_reason(error)) from None
        result = self._evm.result
        self.gas = result.gas_used
        self.logs = list(self._decode(result.logs))
        self._evm.reset_transient_storage()
        return bytes(out)

    def view(self, sender: str, to: str, data: bytes) -> bytes:
        mark = self._evm.snapshot()
        try:
            return bytes(self._evm.message_call(sender, to, calldata=data, is_static=True))
        except RuntimeError as error:
            raise Reverted(_reason(error)) from None
        finally:
            self._evm.revert(mark)

    def code(self, address: str) -> bytes:
        return bytes(self._evm.get_code(address) or b"")

    def storage(self, address: str, slot: int) -> int:
        return int(self._evm.storage(address, slot))

    def storage_of(self, address: str) -> dict[int, int]:
        """Every slot of an account that is not zero; the engine tells that only in its journal's text."""
        state = self._evm.journal_str
        start = state.index(f"{address.lower()}: Account {{")
        start = state.index(" storage: {", start)
        found = _SLOT.findall(state[start : state.index("}, status:", start)])
        return {int(slot, 0): int(word, 0) for slot, word in found if int(word, 0)}

    @contextmanager
    def stored(self, address: str, slot: int, value: int) -> Iterator[None]:
        """Pretend inside that a slot which is in use holds another value."""
        before = self.storage(address, slot)
        self._evm.insert_account_storage(address, slot, value)
        try:
            yield
        finally:
            self._evm.insert_account_storage(address, slot, before)

    def warp(self, seconds: int) -> None:
        """Let time pass."""
        self.time += seconds
        self.block += 1
        self._set_block()

    @contextmanager
    def anchor(self) -> Iterator[None]:
        """Everything inside is undone at the end."""
        mark, time, block = self._evm.snapshot(), self.time, self.block
        try:
            yield
        finally:
            self._evm.revert(mark)
            self.time, self.block = time, block
            self._set_block()

    def insert_code(self, address: str, code: bytes) -> None:
        """Put code at an address that nothing has touched yet. An anchor does not undo it."""
        info = pyrevm.AccountInfo(nonce=1, code=code)
        self._evm.insert_account_info(address, info)

    def events(self) -> list[str]:
        """Names of the suite's events in the last transaction, in order."""
        return [log.event for log in self.logs]

    def event(self, name: str) -> dict[str, Any]:
        """Arguments of the one event of this name in the last transaction."""
        found = [log.args for log in self.logs if log.event == name]
        assert len(found) == 1, f"{len(found)} events {name} in {[e.event for e in self.logs]}"
        return found[0]

    def _set_block(self) -> None:
        self._evm.set_block_env(
            pyrevm.BlockEnv(number=self.block, timestamp=self.time, gas_limit=30_000_000)
        )

    def _decode(self, logs: list[Any]) -> Iterator[Log]:
        for log in logs:
            name = self._names.get(str(log.address).lower())
            if name is None:
                continue
            topics = [bytes.fromhex(t.removeprefix("0x")) for t in log.topics]
            data = log.data[1] if isinstance(log.data, tuple) else log.data
            decoded = abi(name).log(topics, bytes(data))
            if decoded is not None:
                yield decoded


def _reason(error: RuntimeError) -> str:
    """The sentence of a revert, out of pyrevm's description of it."""
    found = re.search(r"output: 0x([0-9a-f]*)", str(error))
    return revert_reason(bytes.fromhex(found[1])) if found else str(error)


def deploy_suite(evm: Evm, params: Params, deployer: str) -> dict[str, Contract]:
    """Carry out the real deployment plan on the in-process chain."""
    addresses: dict[str, str] = {}
    suite: dict[str, Contract] = {}
    for step in build_plan(params, deployer):
        if isinstance(step, Create):
            args = resolve(step.args, addresses)
            made = evm.deploy(step.name, *args, sender=deployer)
            if step.proxied:
                data = abi(step.name).call("initialize", *resolve(step.initialize, addresses))
                owner = addresses["TimelockController"]
                proxy = evm.deploy(PROXY, made.address, owner, data, sender=deployer)
                made = evm.contract(step.name, proxy.address)
            addresses[step.name] = made.address
            suite[step.name] = made
        elif isinstance(step, Call):
            getattr(suite[step.contract], step.function)(
                *resolve(step.args, addresses), sender=deployer
            )
    return suite
