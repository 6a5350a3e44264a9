"""One Ethereum node over JSON-RPC, with every failure turned into one of medtoken's.

The client is web3.py; nothing outside this module imports it. Signing happens here, in this process:
no key is ever handed to a node.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import requests
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import BlockNumber, ChecksumAddress, HexStr
from eth_utils import to_checksum_address
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.exceptions import BlockNotFound, TransactionNotFound, Web3Exception, Web3RPCError
from web3.providers.rpc.utils import ExceptionRetryConfiguration
from web3.types import BlockIdentifier, FilterParams, StateOverride, TxParams, Wei

from medtoken.chain.abi import revert_reason
from medtoken.chain.outbox import Outbox
from medtoken.chain.stream import Client, NodeRefused
from medtoken.errors import (
    BadInput,
    ConsentRefused,
    ContractRefused,
    InsufficientFunds,
    InvalidSignature,
    MedtokenError,
    NodeUnreachable,
    NotPermitted,
    WrongChain,
)

# How long to wait for a transaction to be mined, seconds.
_MINED_WITHIN = 180.0
# Room above the estimate, which is made in the newest block: in the next, another second, a vote
# checkpoint of the same second no longer is one and takes fresh slots. Gas not used is not paid.
_GAS_ROOM = 1.15
_GAS_MORE = 60_000
_LOG_CHUNK = 2_000
# Questions that are under way at a time.
_IN_FLIGHT = 4


@dataclass(frozen=True)
class Block:
    """A block's number, hash and time (unix seconds)."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True)
class RawLog:
    """A log as the node gives it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    tx: bytes
    index: int


@dataclass(frozen=True)
class Receipt:
    """A mined transaction that did not revert."""

    tx: bytes
    block: int
    gas: int
    contract: str | None
    logs: tuple[RawLog, ...]


class Signer(Protocol):
    """Whoever signs transactions: a key in this process, or a wallet of Ape's."""

    @property
    def address(self) -> str:
        """The sending account."""

    def sign_transaction(self, unsigned: dict[str, Any]) -> bytes:
        """Sign an EIP-1559 transaction given by its fields; the raw transaction."""


@dataclass(frozen=True)
class Wallet:
    """A private key and the address it controls. Nothing prints the key."""

    account: LocalAccount

    @classmethod
    def from_key(cls, key: str | bytes) -> Wallet:
        """From 32 bytes or their hex. Raises BadInput on anything else."""
        try:
            return cls(Account.from_key(key))
        except Exception:
            raise BadInput("A private key is 32 bytes in hexadecimal.") from None

    @classmethod
    def create(cls) -> Wallet:
        """A new random key."""
        return cls(Account.create())

    @property
    def address(self) -> str:
        """The checksummed address."""
        return str(self.account.address)

    @property
    def key(self) -> bytes:
        """The 32-byte private key."""
        return bytes(self.account.key)

    def sign_transaction(self, unsigned: dict[str, Any]) -> bytes:
        """Sign a transaction; the raw transaction."""
        return bytes(self.account.sign_transaction(unsigned).raw_transaction)

    def __repr__(self) -> str:
        """The address alone."""
        return f"Wallet({self.address})"


class Node:
    """A connected node. Make one with ``Node.connect``."""

    def __init__(
        self, web3: Web3, url: str, chain_id: int, outbox: Outbox | None, timeout: float
    ) -> None:
        """Use ``Node.connect``."""
        self._web3 = web3
        self._timeout = timeout
        self.url = url
        self.chain_id = chain_id
        self.outbox = outbox
        # Whether a transaction was taken up that a killed run had signed.
        self.took_up = False
        # What a transaction may use at most; for who pays for what others ask.
        self.most_gas: int | None = None

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        chain_id: int | None = None,
        timeout: float = 20.0,
        outbox: Outbox | None = None,
    ) -> Node:
        """Connect over HTTP.

        Raises NodeUnreachable when nothing answers, WrongChain when ``chain_id`` is given and the
        node is on another. With an ``outbox`` a transaction that was signed and perhaps sent before
        a crash is taken up again instead of being sent a second time.
        """
        if not _is_http(url):
            raise BadInput(f"{url} is not an http:// or https:// address of a node.")
        web3 = Web3(_provider(url, timeout))
        with _translated(url):
            found = int(web3.eth.chain_id)
        if chain_id is not None and found != chain_id:
            raise WrongChain(f"The node at {url} is on chain {found}, not on chain {chain_id}.")
        return cls(web3, url, found, outbox, timeout)

    # ------------------------------------------------------------------ reading

    def head(self) -> Block:
        """The newest block."""
        return self._block("latest")

    def final(self) -> Block:
        """The newest block that the node holds final; permissions are read there (R34)."""
        return self._block("finalized")

    def block(self, number: int) -> Block:
        """A block by number. Raises BadInput when the node has none."""
        return self._block(number)

    def call(
        self, to: str, data: bytes, block: int | None = None, sender: str | None = None
    ) -> bytes:
        """Call without sending; a revert raises ContractRefused or the fitting subclass."""
        params: TxParams = {"to": _address(to), "data": HexBytes(data)}
        if sender is not None:
            params["from"] = _address(sender)
        with _translated(self.url):
            return bytes(self._web3.eth.call(params, "latest" if block is None else block))

    def calls(
        self, asked: Sequence[tuple[str, bytes]], block: int
    ) -> Iterator[bytes | ContractRefused]:
        """As ``call``, for many, several at a time; a refusal is given in its place and ends nothing."""
        where = hex(block)
        done = 0
        with Client(self.url, timeout=self._timeout, in_flight=_IN_FLIGHT) as client:
            while done < len(asked):
                requests = (
                    ("eth_call", ({"to": to, "data": "0x" + data.hex()}, where))
                    for to, data in asked[done:]
                )
                try:
                    for answer in client.stream(requests):
                        yield self._bytes(client.result(answer, str))
                        done += 1
                except NodeRefused:
                    # Asked again alone, for what the contract says; those behind it were thrown away.
                    try:
                        yield self.call(*asked[done], block)
                    except ContractRefused as refused:
                        yield refused
                    done += 1

    def _bytes(self, text: str) -> bytes:
        try:
            return bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            raise NodeUnreachable(f"The node at {self.url} gave no usable answer.") from None

    def storage(self, address: str, slot: int, block: int | None = None) -> int:
        """One storage word."""
        with _translated(self.url):
            where: BlockIdentifier = "latest" if block is None else BlockNumber(block)
            return int.from_bytes(self._web3.eth.get_storage_at(_address(address), slot, where))

    def code(self, address: str, block: int | None = None) -> bytes:
        """The code at an address; empty for a plain account."""
        with _translated(self.url):
            where: BlockIdentifier = "latest" if block is None else BlockNumber(block)
            return bytes(self._web3.eth.get_code(_address(address), where))

    def construct(self, address: str, code: bytes, sender: str, block: int | None = None) -> bytes:
        """The code that creation code, with its arguments behind it, would leave at ``address``.

        Runs it there inside a call, whatever stands there, and changes nothing. Raises ContractRefused
        when it reverts. A node that knows no state overrides answers something else, or nothing.
        """
        params: TxParams = {"from": _address(sender), "to": _address(address)}
        with _translated(self.url):
            where: BlockIdentifier = "latest" if block is None else BlockNumber(block)
            # Without what it has stored: a constructor begins with nothing.
            override: StateOverride = {
                _address(address): {"code": HexStr("0x" + code.hex()), "state": {}}
            }
            return bytes(self._web3.eth.call(params, where, override))

    def gas_price(self) -> int:
        """Wei that a unit of gas costs now, with what the node would give to the block's maker."""
        with _translated(self.url):
            return int(self._web3.eth.gas_price)

    def balance(self, address: str) -> int:
        """Wei."""
        with _translated(self.url):
            return int(self._web3.eth.get_balance(_address(address)))

    def logs(
        self, addresses: Sequence[str], first: int, last: int, topics: Sequence[Any] | None = None
    ) -> Iterator[RawLog]:
        """All logs of some contracts from block ``first`` to ``last``, in the chain's order."""
        for start in range(first, last + 1, _LOG_CHUNK):
            query: FilterParams = {
                "address": [_address(a) for a in addresses],
                "fromBlock": start,
                "toBlock": min(start + _LOG_CHUNK - 1, last),
            }
            if topics is not None:
                query["topics"] = [
                    None if t is None else cast(HexStr, "0x" + t.hex()) for t in topics
                ]
            with _translated(self.url):
                found = [_raw_log(log) for log in self._web3.eth.get_logs(query)]
            yield from found

    def rpc(self, method: str, *params: Any) -> Any:
        """A raw request, for what only development nodes know (time, snapshots)."""
        with _translated(self.url):
            return self._web3.manager.request_blocking(cast(Any, method), list(params))

    # ------------------------------------------------------------------ writing

    def send(
        self, wallet: Signer, to: str | None, data: bytes, *, key: str | None = None
    ) -> Receipt:
        """Sign, send and wait until mined; ``to`` None creates a contract.

        ``key`` names the intent. With an outbox, the same wallet's same intent is carried out once,
        however often the process is killed and run again; without ``key`` the intent is the bytes
        that are sent, until ``Outbox.clear`` says that the caller has heard of it. A revert raises
        ContractRefused or the fitting subclass and sends nothing.
        """
        receipt = self._take_up(wallet, to, data, key)
        if receipt is not None:
            return receipt
        intent = (self.chain_id, wallet.address, to, data, key)
        params: TxParams = {"from": _address(wallet.address), "data": HexBytes(data)}
        if to is not None:
            params["to"] = _address(to)
        with _translated(self.url):
            gas = int(self._web3.eth.estimate_gas(params) * _GAS_ROOM) + _GAS_MORE
            tip = self._web3.eth.max_priority_fee
            base = self._web3.eth.get_block("latest").get("baseFeePerGas", Wei(0))
            nonce = self._web3.eth.get_transaction_count(_address(wallet.address), "pending")
        if self.most_gas is not None and gas > self.most_gas:
            raise NotPermitted(
                f"This would use up to {gas:,} gas; more than {self.most_gas:,} is not paid for it."
            )
        unsigned: dict[str, Any] = {
            "data": params["data"],
            "gas": gas,
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": Wei(2 * base + tip),
            "nonce": nonce,
            "chainId": self.chain_id,
            "value": Wei(0),
            "type": 2,
        }
        if to is not None:
            unsigned["to"] = params["to"]
        raw = wallet.sign_transaction(unsigned)
        if self.outbox:
            self.outbox.remember(*intent, raw=raw)
        try:
            return self._submit(raw)
        except ContractRefused:
            # It can never take effect: the next run may try anew.
            if self.outbox:
                self.outbox.forget(*intent)
            raise

    def take_up(self, wallet: Signer, key: str) -> Receipt | None:
        """Finish what a killed run signed under ``key``; None when there is nothing to finish.

        For verbs whose message depends on a state that the transaction itself has changed.
        """
        return self._take_up(wallet, None, b"", key)

    def _take_up(
        self, wallet: Signer, to: str | None, data: bytes, key: str | None
    ) -> Receipt | None:
        raw = self.outbox and self.outbox.pending(self.chain_id, wallet.address, to, data, key)
        if not raw:
            return None
        try:
            tx = bytes(Web3.keccak(raw))
            receipt = self._wait(tx) if self._knows(tx) else self._submit(raw)
        except ContractRefused:
            # It was mined and reverted, or another transaction used its nonce: it is void.
            return None
        self.took_up = True
        return receipt

    def _submit(self, raw: bytes) -> Receipt:
        """Hand over a signed transaction and wait; ContractRefused when nothing comes of it."""
        tx = bytes(Web3.keccak(raw))
        try:
            with _translated(self.url):
                self._web3.eth.send_raw_transaction(raw)
        except ContractRefused:
            # A node also complains about what it has already.
            if not self._knows(tx):
                raise
        return self._wait(tx)

    def _knows(self, tx: bytes) -> bool:
        """Whether the node has a transaction, mined or waiting."""
        with _translated(self.url):
            try:
                return bool(self._web3.eth.get_transaction(HexBytes(tx)))
            except TransactionNotFound:
                return False

    def made(self, tx: bytes) -> tuple[str, int] | None:
        """The contract that a transaction made, and in which block; None where the node knows none."""
        with _translated(self.url):
            try:
                found = self._web3.eth.get_transaction_receipt(HexBytes(tx))
            except TransactionNotFound:
                return None
        if found["status"] != 1 or not found.get("contractAddress"):
            return None
        return str(found["contractAddress"]), int(found["blockNumber"])

    def _wait(self, tx: bytes) -> Receipt:
        deadline = time.monotonic() + _MINED_WITHIN
        pause = 0.005
        while True:
            with _translated(self.url):
                try:
                    found = self._web3.eth.get_transaction_receipt(HexBytes(tx))
                except TransactionNotFound:
                    found = None
            if found is not None:
                break
            if time.monotonic() > deadline:
                raise NodeUnreachable(
                    f"Transaction 0x{tx.hex()} was sent but not mined within {_MINED_WITHIN:g} s; "
                    "run the same command again to go on waiting."
                )
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
        with _translated(self.url):
            if found["status"] != 1:
                raise ContractRefused(f"Transaction 0x{tx.hex()} was mined but reverted.")
            return Receipt(
                tx=tx,
                block=int(found["blockNumber"]),
                gas=int(found["gasUsed"]),
                contract=str(found["contractAddress"]) if found.get("contractAddress") else None,
                logs=tuple(_raw_log(log) for log in found["logs"]),
            )

    def _block(self, which: Any) -> Block:
        with _translated(self.url):
            try:
                found = self._web3.eth.get_block(which)
            except BlockNotFound:
                raise BadInput(f"The node at {self.url} has no block {which}.") from None
            return Block(int(found["number"]), bytes(found["hash"]), int(found["timestamp"]))


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _provider(url: str, timeout: float) -> HTTPProvider:
    """A busy node is asked again; one that is silent is not, for that would take minutes."""
    session = requests.Session()
    # A proxy of this network does not lead to this machine.
    session.trust_env = urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")
    return HTTPProvider(
        url,
        request_kwargs={"timeout": timeout},
        session=session,
        exception_retry_configuration=ExceptionRetryConfiguration(errors=(requests.HTTPError,)),
    )


def _address(text: str) -> ChecksumAddress:
    try:
        return to_checksum_address(text)
    except ValueError:
        raise BadInput(f"{text} is not an address.") from None


def _raw_log(log: Any) -> RawLog:
    return RawLog(
        address=str(log["address"]),
        topics=tuple(bytes(t) for t in log["topics"]),
        data=bytes(log["data"]),
        block=int(log["blockNumber"]),
        tx=bytes(log["transactionHash"]),
        index=int(log["logIndex"]),
    )


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn every failure of the client into one of medtoken's own."""
    try:
        yield
    except (requests.exceptions.RequestException, ConnectionError, TimeoutError) as error:
        raise NodeUnreachable(
            f"No Ethereum node answers at {url} ({type(error).__name__})."
        ) from None
    except Web3RPCError as error:
        raise _rpc_error(error) from None
    except MedtokenError:
        raise
    except (Web3Exception, ValueError, TypeError, LookupError, AttributeError) as error:
        # The last four: an answer that is no answer to what was asked.
        data = getattr(error, "data", None)
        if isinstance(data, str) and data.startswith("0x"):
            raise _reverted(data) from None
        message = getattr(error, "message", None) or str(error)
        if isinstance(error, Web3Exception) and "revert" in str(message):
            raise refused(str(message).removeprefix("execution reverted: ")) from None
        raise NodeUnreachable(f"The node at {url} gave no usable answer: {message}") from None


def _rpc_error(error: Web3RPCError) -> MedtokenError:
    details = cast(Mapping[str, Any], (error.rpc_response or {}).get("error") or {})
    text = str(details.get("message", error))
    data = details.get("data")
    if isinstance(data, str) and data.startswith("0x") and len(data) > 2:
        return _reverted(data)
    lowered = text.lower()
    if "insufficient funds" in lowered:
        return InsufficientFunds("The sending account has too little ether for the gas.")
    if "revert" in lowered:
        return refused(text.removeprefix("execution reverted: "))
    return ContractRefused(f"The node refused the request: {text}")


def _reverted(data: str) -> ContractRefused:
    try:
        return refused(revert_reason(bytes.fromhex(data.removeprefix("0x"))))
    except ValueError:
        return ContractRefused("The contract refused, and the node does not say why.")


# The first words of a contract's sentence, and the exception that it maps to.
_BY_SENTENCE: tuple[tuple[str, type[ContractRefused]], ...] = (
    ("consent: signature is too late", InvalidSignature),
    ("account: signature is too late", InvalidSignature),
    ("payout: signature is too late", InvalidSignature),
    ("passkey: signature is too late", InvalidSignature),
    ("passkey: approval is too late", InvalidSignature),
    ("passkey: made for another site", InvalidSignature),
    ("passkey: the user was not verified", InvalidSignature),
    ("passkey: its counter", InvalidSignature),
    ("passkey: assertion", InvalidSignature),
    ("licence: patient's passkey", ConsentRefused),
    ("signature:", InvalidSignature),
    ("ERC2612", InvalidSignature),
    ("consent:", ConsentRefused),
    ("account: deposit is too small", InsufficientFunds),
    ("account: more than was earned", InsufficientFunds),
    ("payout: more than was credited", InsufficientFunds),
    ("licence: too few units prepaid", InsufficientFunds),
    ("ERC20Insufficient", InsufficientFunds),
    ("treasury: the budget is too small", InsufficientFunds),
    ("treasury: the reserve is too small", InsufficientFunds),
    ("DUT: the epoch's issuance cap", InsufficientFunds),
    ("access:", NotPermitted),
    ("AccessManage", NotPermitted),
    ("institutions: the caller", NotPermitted),
    ("disputes: the caller", NotPermitted),
    ("disputes: nobody", NotPermitted),
    ("DUT: the account is", NotPermitted),
    ("account: it is frozen", NotPermitted),
    ("payout: it is frozen", NotPermitted),
    ("licence: the licensee is frozen", NotPermitted),
)


def refused(sentence: str) -> ContractRefused:
    """The exception for a contract's sentence, with that sentence as its text."""
    for start, kind in _BY_SENTENCE:
        if sentence.startswith(start):
            return kind(sentence)
    return ContractRefused(sentence)
