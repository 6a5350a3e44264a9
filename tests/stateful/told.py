"""A chain that tells a model each call which went through: who called what, and nothing that was logged."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from eth_abi import decode
from eth_utils import to_checksum_address
from eth_utils.abi import collapse_if_tuple
from stateful.chain import Views
from stateful.model import ZERO, Ref
from stateful.satellites import GOOD, SHOWN, Everything
from support.recording import RecordingEvm
from support.world import World

from medtoken.artifacts import load
from medtoken.chain.abi import abi
from medtoken.deploy.plan import PEOPLE, agreement_hash
from medtoken.messages import AuctionOffer, Consent, Message

TIMELOCK = "TimelockController"
# Structs that the model knows by a class of its own.
KNOWN: dict[frozenset[str], type[Message] | type[Ref]] = {
    frozenset(kind.__dataclass_fields__): kind for kind in (AuctionOffer, Consent)
} | {frozenset(Ref._fields): Ref}


class ToldEvm(RecordingEvm):
    """Calls to contracts of the suite reach ``books`` too, once there are any."""

    books: Books | None = None

    def transact(self, sender: str, to: str, data: bytes, value: int = 0) -> bytes:
        out = super().transact(sender, to, data, value)
        if self.books is not None:
            self.books.tell(str(sender), to, data)
        return out

    @contextmanager
    def anchor(self) -> Iterator[None]:
        books = self.books
        with super().anchor():
            if books is not None:
                self.books = books.copy()
            try:
                yield
            finally:
                self.books = books


class Books:
    """The model of a world, from right after its deployment on."""

    def __init__(self, world: World) -> None:
        self.evm, self.suite = world.evm, world.suite
        self.names = {contract.address: name for name, contract in world.suite.items()}
        self.views = Views(world.evm, world.suite)
        addresses = {name: address for address, name in self.names.items()}
        people: dict[str, set[str]] = {}
        for name, role in PEOPLE.items():
            people.setdefault(role.name, set()).add(str(getattr(world.people, name)))
        params = replace(world.params, platform=str(world.params.platform))
        self.model = Everything(params, agreement_hash(), addresses, people, world.evm.time)
        self.accounts: set[str] = {ZERO, *addresses.values(), params.platform}

    def copy(self) -> Books:
        """The same of the chain, and a model that can go another way."""
        other = copy.copy(self)
        other.model, other.accounts = copy.deepcopy(self.model), set(self.accounts)
        return other

    def tell(self, sender: str, to: str, data: bytes) -> None:
        """A transaction that went through; what the timelock was made to call is the timelock's call."""
        contract = self.names[to_checksum_address(to)]
        function, args = self._read(contract, data)
        if contract == TIMELOCK:
            if function == "execute":
                self.tell(to, args[0], args[2])
            return
        self.accounts.add(sender)
        self.model.now = self.evm.time
        self.model.tell(sender, contract, function, args)

    def check(self) -> None:
        """Every view of every contract answers what the calls come to, and each holds what it owes."""
        model, dut = self.model, self.model.dut
        model.now = self.evm.time
        expected = model.state(self.accounts)
        state = self.views.state(expected)
        wrong = [f"{k}: {state[k]}, not {v}" for k, v in expected.items() if state[k] != v]
        assert not wrong, "the calls come to something else: " + "; ".join(wrong)
        held = sum(state["UsageToken", "balanceOf", who] for who in self.accounts)
        assert held == dut.supply, "DUT is with nobody that was named"
        for name, satellite in model.satellites.items():
            mine = dut.balances[satellite.address]
            assert mine >= satellite.owes, f"{name} holds {mine} and owes {satellite.owes}"
            deposit = model.market.licensees[satellite.address].deposit
            assert deposit == satellite.held, (
                f"{name} has {deposit} deposited, not {satellite.held}"
            )

    def _read(self, contract: str, data: bytes) -> tuple[str, list[Any]]:
        for entry in load(contract)["abi"]:
            if entry["type"] == "function" and abi(contract).selector(entry["name"]) == data[:4]:
                kinds = [collapse_if_tuple(item) for item in entry["inputs"]]
                values = decode(kinds, data[4:])
                pairs = zip(entry["inputs"], values, strict=True)
                return entry["name"], [self._plain(item, value) for item, value in pairs]
        raise AssertionError(f"{contract} has no function {data[:4].hex()}")

    def _plain(self, item: Mapping[str, Any], value: Any) -> Any:
        """An argument as the model takes it."""
        kind, name = item["type"], item.get("name")
        if name in ("signature", "signatures"):
            return [GOOD] * len(value) if kind.endswith("]") else GOOD
        if name in ("proof", "recordProof"):
            return SHOWN
        if kind.endswith("]"):
            inner = {**item, "type": kind[: kind.rindex("[")]}
            return [self._plain(inner, one) for one in value]
        if kind == "tuple":
            parts = zip(item["components"], value, strict=True)
            fields = {part["name"]: self._plain(part, one) for part, one in parts}
            made = KNOWN.get(frozenset(fields))
            return made(**fields) if made else fields
        if kind == "address":
            address = to_checksum_address(value)
            self.accounts.add(address)
            return address
        return value
