"""Receipts: every log of a block, held against the root that its header commits to.

The root covers each receipt's type, status, gas, bloom and logs in their order, so a node can
neither leave out, add, change nor move a log without the root being another one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from medtoken.audit.proven.rlp import encode_bytes, encode_int, encode_list
from medtoken.audit.proven.trie import root_of_list
from medtoken.errors import NodeUnreachable

# Deposits on chains of the OP stack carry two more fields in their receipt.
_DEPOSIT = 0x7E


class Log(msgspec.Struct, rename="camel", frozen=True):
    """A log as a receipt holds it; what it says of its own place is not proven and not read."""

    address: str
    topics: list[str]
    data: str


class Receipt(msgspec.Struct, rename="camel", frozen=True):
    """A receipt as ``eth_getBlockReceipts`` gives it: hexadecimal text."""

    cumulative_gas_used: str
    logs_bloom: str
    logs: list[Log]
    transaction_hash: str
    transaction_index: str
    type: str = "0x0"
    status: str | None = None
    root: str | None = None  # in place of the status, before 2017
    deposit_nonce: str | None = None
    deposit_receipt_version: str | None = None


def receipts_root(receipts: Sequence[Receipt]) -> bytes:
    """The root over a block's receipts, in their order.

    Raises NodeUnreachable where a field is not the hexadecimal text that it must be.
    """
    try:
        return root_of_list([_encoded(receipt) for receipt in receipts])
    except ValueError:
        raise NodeUnreachable("The node gave a receipt that is not hexadecimal.") from None


def _encoded(receipt: Receipt) -> bytes:
    kind = int(receipt.type, 16)
    if receipt.status is not None:
        outcome = encode_int(int(receipt.status, 16))
    else:
        outcome = encode_bytes(_raw(receipt.root or ""))
    fields = [
        outcome,
        encode_int(int(receipt.cumulative_gas_used, 16)),
        b"\xb9\x01\x00" + _raw(receipt.logs_bloom),
        encode_list([_log(log) for log in receipt.logs]),
    ]
    if kind == _DEPOSIT and receipt.deposit_nonce is not None:
        fields.append(encode_int(int(receipt.deposit_nonce, 16)))
        if receipt.deposit_receipt_version is not None:
            fields.append(encode_int(int(receipt.deposit_receipt_version, 16)))
    body = encode_list(fields)
    return body if kind == 0 else bytes((kind,)) + body


def _log(log: Log) -> bytes:
    # An address is 20 bytes and a topic 32, so their prefixes are always the same.
    topics = b"".join([b"\xa0" + _raw(topic) for topic in log.topics])
    return encode_list(
        (b"\x94" + _raw(log.address), encode_list((topics,)), encode_bytes(_raw(log.data)))
    )


def _raw(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError
    return bytes.fromhex(text[2:])
