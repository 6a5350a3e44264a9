"""Receipts: every log of a block, held against the root that its header commits to.

The root covers each receipt's type, status, gas, bloom and logs in their order, so a node can
neither leave out, add, change nor move a log without the root being another one.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import msgspec

from medtoken.audit.proven.rlp import encode_bytes, encode_int, encode_list, prefix
from medtoken.audit.proven.trie import root_of_list
from medtoken.errors import NodeUnreachable

# Deposits on chains of the OP stack carry two more fields in their receipt.
_DEPOSIT = 0x7E


class Log(msgspec.Struct, rename="camel", frozen=True, gc=False):
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
    type: str = "0x0"
    status: str | None = None
    root: str | None = None  # in place of the status, before 2017
    deposit_nonce: str | None = None
    deposit_receipt_version: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Where things lie in the RLP of a log with so many topics and so much data: places of bytes."""

    width: int
    address: int
    topics: tuple[int, ...]
    data: int
    # All before it is the same for logs of the same event, address and shape.
    kind: int
    # What stands between them, in hexadecimal.
    head: str
    middle: str
    tail: str

    def data_of(self, raw: bytes) -> bytes:
        """The data of a log."""
        return raw[self.data :]

    def topics_of(self, raw: bytes) -> tuple[bytes, ...]:
        """The topics of a log."""
        return tuple([raw[at : at + 32] for at in self.topics])


@lru_cache(1 << 12)
def shape(topics: int, data: int, *, bare: bool = False) -> Shape:
    """The shape of a log. ``bare``: its data is one byte below 0x80, before which RLP puts nothing."""
    # An address is 20 bytes and a topic 32, so their prefixes are always the same.
    middle = prefix(0xC0, 33 * topics)
    tail = b"" if bare else prefix(0x80, data)
    body = 21 + len(middle) + 33 * topics + len(tail) + data
    head = prefix(0xC0, body) + b"\x94"
    first = len(head) + 20 + len(middle) + 1
    return Shape(
        width=len(head) - 1 + body,
        address=len(head),
        topics=tuple([first + 33 * n for n in range(topics)]),
        data=len(head) - 1 + body - data,
        kind=first + 32 if topics else len(head) + 20,
        head=head.hex(),
        middle=middle.hex(),
        tail=tail.hex(),
    )


class ProvenReceipt(NamedTuple):
    """What a receipt says, once the root over its block's receipts is the header's."""

    transaction_hash: bytes  # the node's word
    transaction_index: int
    logs: list[tuple[Shape, bytes]]  # each as it was hashed: nothing else is read of it


def encoded(receipts: Sequence[Receipt]) -> tuple[bytes, list[ProvenReceipt]]:
    """The root over a block's receipts, in their order, and what they say if it is the header's.

    Raises NodeUnreachable where a field is not the hexadecimal text that it must be.
    """
    leaves, found = [], []
    try:
        for index, receipt in enumerate(receipts):
            raw, logs = _logs(receipt.logs)
            leaves.append(_encoded(receipt, raw))
            found.append(ProvenReceipt(_raw(receipt.transaction_hash), index, logs))
    except ValueError:
        raise NodeUnreachable("The node gave a receipt that is not hexadecimal.") from None
    return root_of_list(leaves), found


def _encoded(receipt: Receipt, logs: bytes) -> bytes:
    kind = int(receipt.type, 16)
    if receipt.status is not None:
        outcome = encode_int(int(receipt.status, 16))
    else:
        outcome = encode_bytes(_raw(receipt.root or ""))
    fields = [
        outcome,
        encode_int(int(receipt.cumulative_gas_used, 16)),
        b"\xb9\x01\x00" + _raw(receipt.logs_bloom),
        encode_list((logs,)),
    ]
    if kind == _DEPOSIT and receipt.deposit_nonce is not None:
        fields.append(encode_int(int(receipt.deposit_nonce, 16)))
        if receipt.deposit_receipt_version is not None:
            fields.append(encode_int(int(receipt.deposit_receipt_version, 16)))
    body = encode_list(fields)
    return body if kind == 0 else bytes((kind,)) + body


def _logs(logs: Sequence[Log]) -> tuple[bytes, list[tuple[Shape, bytes]]]:
    """Logs in RLP, all and each: put together as text, which is turned into bytes fastest at once."""
    shapes, texts = [], []
    known: dict[tuple[int, int], Shape] = {}
    for log in logs:
        count, data = len(log.topics), log.data
        form = known.get((count, len(data)))
        if form is None:
            size = len(data) // 2 - 1
            form = shape(count, size, bare=size == 1 and data[2] < "8")
            if size != 1:
                known[count, len(data)] = form
        # Before each topic 0xa0 for its length, in the place of its 0x.
        topics = "".join(log.topics).replace("0x", "a0")
        text = f"{form.head}{log.address[2:]}{form.middle}{topics}{form.tail}{data[2:]}"
        # Were these of other lengths, the same bytes might be cut in another way.
        if len(topics) != 66 * count or len(log.address) != 42 or len(text) != 2 * form.width:
            raise ValueError
        shapes.append(form)
        texts.append(text)
    raw, at, found = binascii.unhexlify("".join(texts)), 0, []
    for form in shapes:
        found.append((form, raw[at : at + form.width]))
        at += form.width
    return raw, found


def _raw(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError
    return bytes.fromhex(text[2:])
