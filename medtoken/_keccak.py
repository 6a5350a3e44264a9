"""Keccak-256, by the fastest implementation that is installed.

``sha3`` (a development tool brings it) takes a tenth of the time; that matters for trees of millions
of nodes and for audits. Both give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from eth_utils import keccak as _plain
from eth_utils import to_canonical_address, to_checksum_address


def _choose() -> Callable[[bytes], bytes]:
    try:
        from sha3 import keccak_256
    except ImportError:
        return _slow
    return lambda data: bytes(keccak_256(data).digest())


def _slow(data: bytes) -> bytes:
    return bytes(_plain(data))


_hash = _choose()


def keccak(data: bytes = b"", *, text: str | None = None) -> bytes:
    """The hash of bytes, or of a text's UTF-8."""
    return _hash(data if text is None else text.encode())


def first_created(address: str) -> str:
    """The address of the first contract that the contract at ``address`` creates."""
    return to_checksum_address(keccak(b"\xd6\x94" + to_canonical_address(address) + b"\x01")[12:])
