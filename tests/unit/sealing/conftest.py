"""Records sealed in memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import pytest

from medtoken.ipfs import file_cid
from medtoken.sealing import Sealed, SealStream

SECRET = b"the custodian's secret, 32 bytes"


class Record(NamedTuple):
    plaintext: bytes
    raw: bytes
    """The sealed bytes."""
    sealed: Sealed


SealBytes = Callable[..., Record]


@pytest.fixture(scope="session")
def seal_bytes() -> SealBytes:
    """Seal some bytes without a store; keyword arguments go to ``SealStream``."""

    def seal(plaintext: bytes, media_type: str = "text/csv", **more: object) -> Record:
        stream = SealStream(io.BytesIO(plaintext), SECRET, media_type, **more)  # type: ignore[arg-type]
        with stream:
            raw = stream.readall()
            return Record(plaintext, raw, stream.result(file_cid(io.BytesIO(raw))))

    return seal


@pytest.fixture(scope="session")
def record(seal_bytes: SealBytes) -> Record:
    """Three full segments and a short one, none like another."""
    return seal_bytes(b"".join(bytes([i]) * 1_048_560 for i in range(3)) + b"the end")


@pytest.fixture(scope="session")
def small(seal_bytes: SealBytes) -> Record:
    """A record of one short segment."""
    return seal_bytes(b"glucose,5.4\n")
