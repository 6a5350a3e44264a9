"""The suite on a chain of one process, as the stateful tests drive, read and audit it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from eth_abi import encode
from eth_account import Account
from eth_utils import keccak
from stateful.model import Permit, PermitSignature, Proof, Signature, State
from support.evm import CHAIN_ID, Contract, Evm, deploy_suite
from support.recording import EvmChain, RecordingEvm, deployment_of
from support.world import Actor

from medtoken.audit import Report, replay
from medtoken.chain.abi import Log
from medtoken.deploy.plan import PEOPLE, Params, load_params
from medtoken.messages import Message

_DOMAIN = keccak(
    text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_PERMIT = keccak(
    text="Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


# Asks many views in one call: takes (address, length in two bytes, calldata) one after the other and
# answers with all answers, one after the other.
READER = "0x" + "e1" * 20
READS = bytes.fromhex(
    "6000 610400"  # place in the input, place in the output
    "5b 81 36 11 15 6043 57"  # until the input is read:
    "81 35 80 6050 1c 61ffff 16"  # the address and the length,
    "80 84 6016 01 6000 37"  # the calldata to the start of the memory,
    "6000 6000 82 6000 85 6060 1c 5a fa 15 604d 57"  # the call, which must succeed,
    "3d 6000 84 3e"  # its answer to the output,
    "90 50 82 01 6016 01 91 50 3d 01"  # and both places on
    "6005 56"
    "5b 610400 90 03 610400 f3"
    "5b 6000 6000 fd"
)


@cache
def cast(name: str) -> Actor:
    """The account of this name, always the same object."""
    return Actor(name)


class Views:
    """Asks any number of views of a suite at once."""

    def __init__(self, evm: Evm, suite: Mapping[str, Contract]) -> None:
        self.evm, self.suite = evm, suite
        self._asked: dict[tuple[Any, ...], tuple[bytes, int]] = {}
        evm.insert_code(READER, READS)

    def state(self, keys: Iterable[tuple[Any, ...]]) -> State:
        """What views answer, as integers: one, or a tuple of several."""
        keys = list(keys)
        state = {key: self._ask(key) for key in keys if key not in self._asked}
        old = [key for key in keys if key not in state]
        asked = [self._asked[key] for key in old]
        out = self.evm.view(self.evm.nobody, READER, b"".join(question for question, _ in asked))
        at = 0
        for key, (_, size) in zip(old, asked, strict=True):
            state[key] = _words(out[at : at + size])
            at += size
        assert at == len(out), "a view answers longer or shorter than before"
        return state

    def _ask(self, key: tuple[Any, ...]) -> Any:
        """Ask a view for the first time: how to ask, and how long the answer is, is remembered."""
        contract, function, *args = key
        data = self.suite[contract].abi.call(function, *args)
        address = self.suite[contract].address
        out = self.evm.view(self.evm.nobody, address, data)
        question = bytes.fromhex(address[2:]) + len(data).to_bytes(2) + data
        self._asked[key] = question, len(out)
        return _words(out)


class Chain:
    """A fresh deployment, spoken to by the names of contracts and functions."""

    def __init__(self) -> None:
        self.evm = RecordingEvm()
        self._salts = 0
        self.params: Params = load_params(
            "devnet",
            operator=cast("operator"),
            platform=cast("platform"),
            people={name: cast(name) for name in PEOPLE},
        )
        self.suite = deploy_suite(self.evm, self.params, cast("deployer"))
        self.addresses = {name: contract.address for name, contract in self.suite.items()}
        self.timelock = self.addresses["TimelockController"]
        self._views = Views(self.evm, self.suite)
        self._domains = {
            "DataMarket": self._domain("medtoken", "DataMarket"),
            "UsageToken": self._domain("Data Usage Token", "UsageToken"),
        }

    @property
    def now(self) -> int:
        return self.evm.time

    # ---------------------------------------------------------------- writing

    def call(self, sender: str, contract: str, function: str, *args: Any) -> Any:
        """Send a transaction; what the timelock sends goes through the timelock. May raise Reverted."""
        data = self.suite[contract].abi.call(function, *_plain(args))
        if sender == self.timelock:
            return self._by_timelock(self.addresses[contract], data)
        out = self.evm.transact(sender, self.addresses[contract], data)
        return self.suite[contract].abi.result(function, out)

    def _by_timelock(self, to: str, data: bytes) -> None:
        assert self.params.timelock_delay == 0, "time passes only when a test says so"
        self._salts += 1
        step = (to, 0, data, bytes(32), self._salts.to_bytes(32))
        timelock = self.suite["TimelockController"]
        timelock.schedule(*step, 0, sender=cast("operator"))
        timelock.execute(*step, sender=cast("stranger"))

    def logs(self) -> list[Log]:
        """The events of the last transaction."""
        return self.evm.logs

    def warp(self, seconds: int) -> None:
        self.evm.warp(seconds)

    # ---------------------------------------------------------------- signing

    def sign(self, signer: Actor, message: Message | Permit) -> Signature:
        """The signature of a person under what people sign."""
        permit = isinstance(message, Permit)
        if permit:
            kinds = ["bytes32", "address", "address", "uint256", "uint256", "uint256"]
            inner = keccak(encode(kinds, [_PERMIT, *message]))
        else:
            inner = message.struct_hash()
        domain = self._domains["UsageToken" if permit else "DataMarket"]
        raw = Account.unsafe_sign_hash(keccak(b"\x19\x01" + domain + inner), signer.key).signature
        made = PermitSignature if permit else Signature
        return made(signer, message, bytes(raw))

    def _domain(self, name: str, contract: str) -> bytes:
        kinds = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
        hashes = [_DOMAIN, keccak(text=name), keccak(text="1")]
        return keccak(encode(kinds, [*hashes, CHAIN_ID, self.addresses[contract]]))

    # ---------------------------------------------------------------- reading

    def state(self, keys: Iterable[tuple[Any, ...]]) -> State:
        """What views answer, as integers: one, or a tuple of several."""
        return self._views.state(keys)

    # ---------------------------------------------------------------- auditing

    def audit(self) -> Report:
        """The auditor's verdict on everything that happened since the deployment."""
        return audit(self.evm, self.addresses)


def audit(evm: RecordingEvm, addresses: Mapping[str, str]) -> Report:
    """The auditor's verdict on a suite's whole history."""
    return replay(EvmChain(evm), deployment_of(addresses, cast("deployer")))


def _words(out: bytes) -> Any:
    words = tuple(int.from_bytes(out[i : i + 32]) for i in range(0, len(out), 32))
    return words[0] if len(words) == 1 else words


def _plain(args: Iterable[Any]) -> Iterator[Any]:
    """Arguments as the ABI takes them."""
    for arg in args:
        if isinstance(arg, PermitSignature):
            yield from (arg.raw[64], arg.raw[:32], arg.raw[32:64])
        else:
            yield _plain_one(arg)


def _plain_one(arg: Any) -> Any:
    if isinstance(arg, Signature):
        return arg.raw
    if isinstance(arg, Proof):
        return list(arg.raw)
    if isinstance(arg, Message):
        return arg.values()
    if isinstance(arg, list):
        return [_plain_one(item) for item in arg]
    if isinstance(arg, dict):
        return {name: _plain_one(item) for name, item in arg.items()}
    return arg
