"""A private chain with the suite on it, and very many events of its kinds at its addresses.

Making half a million real settlements would take hours and tell nothing about reading them. So after
the deployment the code at some of the suite's addresses is replaced (``anvil_setCode``) by a loader
that emits the same events: same topics, same lengths, words of the right types, made up. What a reader
does with them does not depend on who emitted them; no state belongs to them, so no audit would pass.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from medtoken.audit.tables.schema import Column, Table, tables
from medtoken.audit.tables.units import BASE, BITS, BPS, TIME
from medtoken.chain.abi import Abi
from medtoken.chain.node import Node
from medtoken.chain.stream import Client, Request
from medtoken.deploy.record import Deployment

# A settlement of many licences, a batch of records, of consents, of vouchers: events in a transaction.
BATCH = 32
# Transactions in a block.
TRANSACTIONS = 64

# How often each kind occurs among 64 transactions: a market at work.
MIX = {
    "data_market_licence_settled": 12,
    "data_market_licence_used": 8,
    "data_market_voucher_redeemed": 8,
    "treasury_levy_received": 8,
    "usage_token_transfer": 8,
    "data_market_licence_bought": 4,
    "data_market_consent_granted": 4,
    "record_registry_record_registered": 3,
    "record_registry_record_attested": 3,
    "contribution_token_transfer": 3,
    "contribution_token_delegate_votes_changed": 3,
}

_LOADER = """
# pragma version 0.4.3

@external
def fill(kind: bytes32, masks: DynArray[uint256, 3], first: uint256, count: uint256, data: Bytes[1024]):
    for i: uint256 in range(count, bound=4096):
        id: uint256 = convert(keccak256(convert(first + i, bytes32)), uint256)
        words: Bytes[1056] = b""
        if len(data) != 0:
            words = concat(convert(first + i, bytes32), slice(data, 32, len(data) - 32))
        if len(masks) == 0:
            raw_log([kind], words)
        elif len(masks) == 1:
            raw_log([kind, convert(id & masks[0], bytes32)], words)
        elif len(masks) == 2:
            raw_log([kind, convert(id & masks[0], bytes32), convert(id & masks[1], bytes32)], words)
        else:
            one: bytes32 = convert(id & masks[0], bytes32)
            two: bytes32 = convert(id & masks[1], bytes32)
            raw_log([kind, one, two, convert(id & masks[2], bytes32)], words)
"""


def fill(
    node: Node,
    deployment: Deployment,
    events: int,
    *,
    seed: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> int:
    """Emit at least so many events, in blocks of 2,048. Gives the number that were emitted."""
    found = {name: tables()[name] for name in MIX}
    loader, code = _compiled()
    for contract in {table.contract for table in found.values()}:
        node.rpc("anvil_setCode", deployment.address(contract), "0x" + code.hex())
    node.rpc("evm_setAutomine", False)
    node.rpc("evm_setBlockGasLimit", hex(200_000_000))
    sender = node.rpc("eth_accounts")[0]
    draw = random.Random(seed)  # noqa: S311  no secret
    done, nonce = 0, int(node.rpc("eth_getTransactionCount", sender, "latest"), 16)
    with Client(node.url, in_flight=4) as client:
        while done < events:
            requests = _block(loader, found, deployment, draw, done, sender, nonce)
            for _ in client.stream(requests):
                pass
            node.rpc("evm_mine")
            nonce += TRANSACTIONS
            done += BATCH * TRANSACTIONS
            if done % (BATCH * TRANSACTIONS * 25) == 0:
                progress(f"{done:,} events on the chain")
    node.rpc("evm_setAutomine", True)
    return done


def _compiled() -> tuple[Abi, bytes]:
    from vyper import compile_code

    made: dict[str, Any] = compile_code(_LOADER, output_formats=["abi", "bytecode_runtime"])
    return Abi("Loader", made["abi"]), bytes.fromhex(made["bytecode_runtime"][2:])


def _block(
    loader: Abi,
    found: dict[str, Table],
    deployment: Deployment,
    draw: random.Random,
    first: int,
    sender: str,
    nonce: int,
) -> Iterator[Request]:
    kinds = [table for name, table in found.items() for _ in range(MIX[name])]
    draw.shuffle(kinds)
    for number, table in enumerate(kinds):
        data = b"".join(word(column, draw) for column in table.columns if not column.indexed)
        masks = [_mask(column) for column in table.columns if column.indexed]
        call = loader.call("fill", table.topic, masks, first + number * BATCH, BATCH, data)
        fields = {
            "from": sender,
            "to": deployment.address(table.contract),
            "data": "0x" + call.hex(),
            "gas": hex(3_000_000),
            "nonce": hex(nonce + number),
        }
        yield "eth_sendTransaction", (fields,)


def word(column: Column, draw: random.Random) -> bytes:
    """A word of a column's type, of a size that its unit has in life."""
    if column.solidity == "address":
        return draw.randbytes(20).rjust(32, b"\0")
    if column.solidity == "bool":
        return draw.randrange(2).to_bytes(32)
    if column.solidity.startswith("bytes"):
        return draw.randbytes(int(column.solidity[5:])).ljust(32, b"\0")
    most = {BASE: 10**23, BITS: 2**40, BPS: 10_000, TIME: 2**31}.get(column.unit or "", 1000)
    return draw.randrange(most).to_bytes(32)


def _mask(column: Column) -> int:
    if column.solidity == "address":
        return (1 << 160) - 1
    if column.solidity.startswith("bytes"):
        return (1 << 256) - 1
    return (1 << 16) - 1
