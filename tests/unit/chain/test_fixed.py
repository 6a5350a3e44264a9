"""Words encoded and decoded at once: the same as ``eth_abi`` says, for everything the suite has."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak, to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken import artifacts
from medtoken.chain.abi import Abi, abi
from medtoken.chain.fixed import DoesNotFit, Fixed
from medtoken.errors import BadInput

KINDS = ("uint8", "uint64", "uint256", "int24", "int256", "bool", "address", "bytes4", "bytes32")
STRUCT = {
    "type": "tuple",
    "components": [
        {"name": "who", "type": "address"},
        {"name": "inner", "type": "tuple", "components": [{"name": "n", "type": "uint16"}]},
    ],
}


def items(*kinds: str) -> list[dict[str, Any]]:
    return [{"name": f"v{n}", "type": kind} for n, kind in enumerate(kinds)]


def fixed(*kinds: str) -> Fixed:
    found = Fixed.of(items(*kinds))
    assert found is not None
    return found


def values(kind: str) -> st.SearchStrategy[Any]:
    if kind == "bool":
        return st.booleans()
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(to_checksum_address)
    if kind.startswith("bytes"):
        size = int(kind[5:])
        return st.binary(min_size=size, max_size=size)
    bits = int(kind.split("int")[1])
    if kind.startswith("u"):
        return st.integers(0, 2**bits - 1)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@settings(max_examples=200)
@given(st.data(), st.lists(st.sampled_from(KINDS), max_size=6))
def test_both_ways_it_is_what_eth_abi_says(data: st.DataObject, kinds: list[str]) -> None:
    args = tuple(data.draw(values(kind)) for kind in kinds)
    encoded = encode(kinds, args)
    assert fixed(*kinds).encode(args) == encoded
    assert fixed(*kinds).decode(encoded + b"more") == args


@settings(max_examples=300)
@given(
    st.sampled_from(KINDS),
    st.binary(max_size=40) | st.binary(max_size=8).map(lambda b: b.rjust(32, b"\0")),
)
def test_a_word_is_refused_where_eth_abi_refuses_it(kind: str, word: bytes) -> None:
    try:
        (expected,) = decode([kind], word)
    except DecodingError:
        with pytest.raises(DoesNotFit):
            fixed(kind).decode(word)
        return
    (found,) = fixed(kind).decode(word)
    assert found == (to_checksum_address(expected) if kind == "address" else expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint8", True),
        ("uint8", "1"),
        ("int24", 1 << 23),
        ("bool", 1),
        ("address", "0x12"),
        ("address", "0x" + "ab" * 19),
        ("address", bytes(20)),
        ("bytes4", b"abc"),
        ("bytes4", "0x00000000"),
    ],
)
def test_a_value_of_another_type_is_left_to_eth_abi(kind: str, value: Any) -> None:
    with pytest.raises(DoesNotFit):
        fixed(kind).encode([value])


def test_structs_go_in_as_tuples_and_come_out_as_dicts() -> None:
    words = Fixed.of([STRUCT, *items("bool")])
    assert words is not None
    who = to_checksum_address(bytes([7]) * 20)
    encoded = words.encode(((who, (9,)), True))
    assert encoded == encode(["(address,(uint16))", "bool"], ((who, (9,)), True))
    assert words.decode(encoded) == ({"who": who, "inner": {"n": 9}}, True)
    for odd in (((who, 9), True), ((who,), True), (who, True), ({"who": who}, True)):
        with pytest.raises(DoesNotFit):
            words.encode(odd)


@pytest.mark.parametrize("kind", ["bytes", "string", "uint256[]", "bytes32[3]", "tuple[]"])
def test_what_is_no_word_is_not_taken(kind: str) -> None:
    assert Fixed.of([*items("bool"), {"name": "x", "type": kind, "components": []}]) is None


def test_calls_results_and_logs_of_the_whole_suite_are_the_same_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every function and event of every contract, with words drawn from a hash."""
    entries = {name: artifacts.load(name)["abi"] for name in artifacts.names()}
    quick = {name: abi(name) for name in entries}
    monkeypatch.setattr(Fixed, "of", classmethod(lambda cls, found: None))
    slow = {name: Abi(name, found) for name, found in entries.items()}
    seen = 0
    for name, found in entries.items():
        for entry in found:
            if entry["type"] == "event":
                topics = [keccak(text=_signature(entry))]
                topics += [_word(i, n) for n, i in enumerate(entry["inputs"]) if i["indexed"]]
                data = b"".join(_word(i, 9) for i in entry["inputs"] if not i["indexed"])
                both = [_outcome(each[name].log, topics, data) for each in (quick, slow)]
            elif entry["type"] == "function":
                data = b"".join(_word(o, n) for n, o in enumerate(entry["outputs"]))
                both = [_outcome(each[name].result, entry["name"], data) for each in (quick, slow)]
            else:
                continue
            assert both[0] == both[1], entry["name"]
            seen += 1
    assert seen > 500


def _signature(entry: Any) -> str:
    return f"{entry['name']}({','.join(i['type'] for i in entry['inputs'])})"


def _word(item: Any, number: int) -> bytes:
    drawn = keccak(text=f"{item['name']} {number}")
    kind = item["type"]
    if kind == "address":
        return bytes(12) + drawn[:20]
    if kind == "bool":
        return bytes(31) + bytes([drawn[0] & 1])
    if kind.startswith("uint"):
        size = int(kind[4:] or 256) // 8 if kind[4:].isdigit() else 32
        return drawn[:size].rjust(32, b"\0")
    if kind.startswith("bytes") and kind[5:].isdigit():
        return drawn[: int(kind[5:])].ljust(32, b"\0")
    return drawn


def _outcome(call: Any, *args: Any) -> Any:
    try:
        return call(*args)
    except (BadInput, DecodingError) as error:
        return type(error)
