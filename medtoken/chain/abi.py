"""Calls, results, logs and reverts of one contract, encoded and decoded from its ABI.

The same few lines serve the node client, the deployment, the auditor and the in-process EVM of the
tests, so that all of them see the same contract. Structs go in as dicts or tuples and come out as
dicts; ``bytesN`` come out as bytes, addresses as checksummed text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils import to_checksum_address

from medtoken import artifacts
from medtoken._keccak import keccak
from medtoken.chain.fixed import DoesNotFit, Fixed
from medtoken.errors import BadInput

Entry = Mapping[str, Any]

_ERROR = keccak(text="Error(string)")[:4]
_PANIC = keccak(text="Panic(uint256)")[:4]


@dataclass(frozen=True)
class Log:
    """One decoded event: the contract's name, the event's name, and its arguments by name."""

    contract: str
    event: str
    args: dict[str, Any]


class Abi:
    """The ABI of one contract of the suite."""

    def __init__(self, name: str, entries: Sequence[Entry]) -> None:
        self.name = name
        self._functions = {e["name"]: e for e in entries if e["type"] == "function"}
        self.errors = {selector(e): e for e in entries if e["type"] == "error"}
        self._events = {topic(e): e for e in entries if e["type"] == "event"}
        # A command uses a few of some hundred: the rest is never prepared.
        self._calls: dict[str, _CallWords] = {}
        self._logs: dict[bytes, _LogWords | None] = {}
        constructors = [e for e in entries if e["type"] == "constructor"]
        self._constructor: Sequence[Entry] = constructors[0]["inputs"] if constructors else []

    @property
    def event_topics(self) -> dict[bytes, str]:
        """Topic 0 of every event the contract declares, with the event's name."""
        return {key: str(entry["name"]) for key, entry in self._events.items()}

    def function(self, name: str) -> Entry:
        """The ABI entry of a function. Raises BadInput when there is none of this name."""
        try:
            return self._functions[name]
        except KeyError:
            raise BadInput(f"{self.name} has no function {name}.") from None

    def selector(self, name: str) -> bytes:
        """The 4 bytes that call a function."""
        return self._words(name).selector

    def construct(self, *args: Any) -> bytes:
        """The encoded constructor arguments that follow the creation code."""
        return _encode(self._constructor, args, f"the constructor of {self.name}")

    def call(self, name: str, *args: Any) -> bytes:
        """The calldata of a call."""
        words = self._words(name)
        if words.inputs is not None:
            with contextlib.suppress(DoesNotFit):
                return words.selector + words.inputs.encode(args)
        inputs = self._functions[name]["inputs"]
        return words.selector + _encode(inputs, args, f"{self.name}.{name}")

    def function_of(self, four: bytes) -> str | None:
        """The function that these 4 bytes call, if this contract has one."""
        return self._by_selector.get(four)

    def decode_call(self, data: bytes) -> tuple[str, list[Any]]:
        """The function and the arguments of a call.

        Raises BadInput when there is no such function, and on bytes that the arguments do not explain.
        """
        name = self.function_of(data[:4])
        if name is None:
            raise BadInput(f"{self.name} has no function 0x{data[:4].hex()}.")
        inputs = self._functions[name]["inputs"]
        try:
            values = decode([_type(i) for i in inputs], data[4:])
        except DecodingError:
            raise BadInput(f"These are no arguments of {self.name}.{name}.") from None
        args = [_clean(i, v) for i, v in zip(inputs, values, strict=True)]
        if self.call(name, *args) != data:
            raise BadInput(f"This is more than the arguments of {self.name}.{name}.")
        return name, args

    def result(self, name: str, data: bytes) -> Any:
        """What a call returned: None, one value, or a tuple of several."""
        outputs = self.function(name)["outputs"]
        if not outputs:
            return None
        fixed = self._words(name).outputs
        if fixed is not None:
            with contextlib.suppress(DoesNotFit):
                words = fixed.decode(data)
                return words[0] if len(words) == 1 else words
        try:
            values = decode([_type(o) for o in outputs], data)
        except DecodingError:
            raise BadInput(
                f"{self.name}.{name} gave no answer that fits: is this the right address?"
            ) from None
        clean = tuple(_clean(o, v) for o, v in zip(outputs, values, strict=True))
        return clean[0] if len(clean) == 1 else clean

    def log(self, topics: Sequence[bytes], data: bytes) -> Log | None:
        """Decode a log of this contract; None when the event is not one that it declares."""
        entry = self._events.get(bytes(topics[0])) if topics else None
        if entry is None:
            return None
        words = self._log_words(bytes(topics[0]), entry)
        if words is not None:
            with contextlib.suppress(DoesNotFit):
                return Log(self.name, entry["name"], words.decode(topics, data))
        indexed = [i for i in entry["inputs"] if i["indexed"]]
        plain = [i for i in entry["inputs"] if not i["indexed"]]
        args: dict[str, Any] = {}
        for item, word in zip(indexed, topics[1:], strict=True):
            # A dynamic indexed argument is only there as its hash.
            kind = "bytes32" if _is_dynamic(item) else _type(item)
            args[item["name"]] = _clean(item, decode([kind], bytes(word))[0])
        values = decode([_type(i) for i in plain], data)
        for item, value in zip(plain, values, strict=True):
            args[item["name"]] = _clean(item, value)
        return Log(self.name, entry["name"], {i["name"]: args[i["name"]] for i in entry["inputs"]})

    @cached_property
    def _by_selector(self) -> dict[bytes, str]:
        return {selector(entry): name for name, entry in self._functions.items()}

    def _words(self, name: str) -> _CallWords:
        if name not in self._calls:
            self._calls[name] = _CallWords.of(self.function(name))
        return self._calls[name]

    def _log_words(self, key: bytes, entry: Entry) -> _LogWords | None:
        if key not in self._logs:
            self._logs[key] = _LogWords.of(entry)
        return self._logs[key]


@dataclass(frozen=True)
class _CallWords:
    """A function's selector, and how its arguments and answer are read when each is a word."""

    selector: bytes
    inputs: Fixed | None
    outputs: Fixed | None

    @classmethod
    def of(cls, entry: Entry) -> _CallWords:
        return cls(selector(entry), Fixed.of(entry["inputs"]), Fixed.of(entry["outputs"]))


class _LogWords:
    """How the arguments of an event are read when each is a word."""

    def __init__(self, entry: Entry, topics: Fixed, data: Fixed) -> None:
        inputs = entry["inputs"]
        self._topics, self._data = topics, data
        self._count = sum(i["indexed"] for i in inputs)
        order = [i["name"] for i in sorted(inputs, key=lambda i: not i["indexed"])]
        self._places = [(i["name"], order.index(i["name"])) for i in inputs]

    @classmethod
    def of(cls, entry: Entry) -> _LogWords | None:
        topics = Fixed.of([i for i in entry["inputs"] if i["indexed"]])
        data = Fixed.of([i for i in entry["inputs"] if not i["indexed"]])
        return None if topics is None or data is None else cls(entry, topics, data)

    def decode(self, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """The arguments in the order of the declaration. Raises DoesNotFit."""
        if len(topics) != self._count + 1:
            raise DoesNotFit
        values = (*self._topics.decode(b"".join(topics[1:])), *self._data.decode(data))
        return {name: values[place] for name, place in self._places}


@cache
def abi(name: str) -> Abi:
    """The ABI of a contract of the suite by its artifact's name."""
    return Abi(name, artifacts.load(name)["abi"])


def revert_reason(data: bytes) -> str:
    """The sentence inside revert data, or the name and arguments of a custom error of the suite."""
    try:
        if data[:4] == _ERROR:
            return str(decode(["string"], data[4:])[0])
        if data[:4] == _PANIC:
            return f"panic {decode(['uint256'], data[4:])[0]:#x}"
        entry = _custom_errors().get(data[:4])
        if entry is not None:
            values = decode([_type(i) for i in entry["inputs"]], data[4:])
            shown = [str(_clean(i, v)) for i, v in zip(entry["inputs"], values, strict=True)]
            return f"{entry['name']}({', '.join(shown)})"
    except DecodingError:
        pass
    return "the contract refused and gave no reason"


@cache
def _custom_errors() -> dict[bytes, Entry]:
    """Custom errors of the suite by selector: a contract passes on the errors of those it calls."""
    found = (abi(name).errors for name in artifacts.names())
    return {key: entry for errors in found for key, entry in errors.items()}


def selector(entry: Entry) -> bytes:
    """The first 4 bytes of the hash of a function's or an error's signature."""
    return keccak(text=signature(entry))[:4]


def topic(entry: Entry) -> bytes:
    """The hash of an event's signature."""
    return keccak(text=signature(entry))


def signature(entry: Entry) -> str:
    """For example ``transfer(address,uint256)``."""
    return f"{entry['name']}({','.join(_type(i) for i in entry['inputs'])})"


def _type(item: Entry) -> str:
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(c) for c in item['components'])}){kind.removeprefix('tuple')}"


def _is_dynamic(item: Entry) -> bool:
    kind = str(item["type"])
    return kind in ("string", "bytes") or kind.endswith("]") or kind == "tuple"


def _encode(inputs: Sequence[Entry], args: Sequence[Any], what: str) -> bytes:
    if len(inputs) != len(args):
        raise BadInput(f"{what} takes {len(inputs)} arguments, not {len(args)}.")
    try:
        plain = [_plain(i, a) for i, a in zip(inputs, args, strict=True)]
        return encode([_type(i) for i in inputs], plain)
    except (EncodingError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{what} does not take these arguments: {error}") from None


def _plain(item: Entry, value: Any) -> Any:
    """Dicts to tuples, hex text to bytes, in the order and types of the ABI."""
    kind = str(item["type"])
    if kind.endswith("]"):
        inner = {**item, "type": kind[: kind.rindex("[")]}
        return [_plain(inner, v) for v in value]
    if kind == "tuple":
        if isinstance(value, Mapping):
            value = [value[c["name"]] for c in item["components"]]
        return tuple(_plain(c, v) for c, v in zip(item["components"], value, strict=True))
    if kind.startswith("bytes") and isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x"))
    return value


def _clean(item: Entry, value: Any) -> Any:
    kind = str(item["type"])
    if kind.endswith("]"):
        inner = {**item, "type": kind[: kind.rindex("[")]}
        return [_clean(inner, v) for v in value]
    if kind == "tuple":
        pairs = zip(item["components"], value, strict=True)
        return {c["name"]: _clean(c, v) for c, v in pairs}
    if kind == "address":
        return to_checksum_address(value)
    return value
