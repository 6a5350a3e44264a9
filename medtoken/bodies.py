"""Bodies of HTTP requests and answers: JSON, checked field by field; bytes are 0x hexadecimal.

What the key keepers and the service of the pages say over the line is in a ``wire`` module each; both
are made of this.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from medtoken.errors import BadInput

Some = TypeVar("Some")
_DIGITS = frozenset("0123456789abcdefABCDEF")


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base: what is not known is refused."""


def encoded(value: Any) -> bytes:
    """JSON."""
    return msgspec.json.encode(value)


def decoded(data: bytes, kind: type[Some]) -> Some:
    """Read a body. Raises BadInput with a sentence that names the field."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error).rstrip(".")
        raise BadInput(f"The body is not what is expected here: {why}.") from None


def hexed(value: bytes) -> str:
    """0x hexadecimal."""
    return "0x" + value.hex()


def unhexed(text: str) -> bytes:
    """Bytes of 0x hexadecimal. Raises BadInput."""
    if text[:2] != "0x" or not set(text[2:]) <= _DIGITS or len(text) % 2:
        raise BadInput("Bytes are 0x and pairs of hexadecimal digits.")
    return bytes.fromhex(text[2:])


def word(text: str) -> bytes:
    """32 bytes of 0x hexadecimal. Raises BadInput."""
    found = unhexed(text)
    if len(found) != 32:
        raise BadInput("An id or a hash is 0x and 64 hexadecimal digits.")
    return found
