"""Sealed records with fixed randomness: the bytes of format version 1 never change.

``python tests/unit/sealing/test_vectors.py`` prints the file anew (for a new format version).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtoken.ipfs import file_cid
from medtoken.sealing import SealedReader, SealStream

FILE = Path(__file__).with_name("vectors.json")
VECTORS: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"records": []}
SIZES = (1, 12, 1_048_048, 1_048_560, 1_048_561, 3_145_681)


def content(size: int) -> bytes:
    return hashlib.shake_128(b"medtoken test vector").digest(size)


def fixed(seed: str) -> Callable[[int], bytes]:
    """Stands for the random source: the DEK, the fingerprint's salt, the record's salt."""
    draws = iter(range(3))
    return lambda count: hashlib.shake_128(f"{seed} {next(draws)}".encode()).digest(count)


def make(size: int, media_type: str = "text/csv") -> dict[str, Any]:
    secret = bytes(range(32))
    seed = f"size {size}"
    with SealStream(io.BytesIO(content(size)), secret, media_type, _random=fixed(seed)) as stream:
        raw = stream.readall()
        sealed = stream.result(file_cid(io.BytesIO(raw)))
    vector = {
        "plaintext_size": size,
        "media_type": media_type,
        "custodian_secret": secret.hex(),
        "dek": sealed.dek.hex(),
        "fingerprint_salt": sealed.manifest.salt.hex(),
        "fingerprint": sealed.manifest.fingerprint.hex(),
        "duplicate_tag": sealed.duplicate_tag.hex(),
        "commitment": sealed.commitment.hex(),
        "sealed_size": len(raw),
        "sealed_sha256": hashlib.sha256(raw).hexdigest(),
        "trailer": raw[-512:].hex(),
        "cid": str(sealed.cid),
    }
    return vector | ({"sealed": raw.hex()} if size < 100 else {})


@pytest.fixture(params=VECTORS["records"], ids=lambda vector: str(vector["plaintext_size"]))
def vector(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def test_sealing_gives_the_recorded_bytes(vector: dict[str, Any]) -> None:
    assert make(vector["plaintext_size"], vector["media_type"]) == vector


def test_both_readers_open_the_recorded_bytes(vector: dict[str, Any]) -> None:
    from .independent_reader import open_record

    size = vector["plaintext_size"]
    stream = SealStream(
        io.BytesIO(content(size)),
        bytes(range(32)),
        vector["media_type"],
        _random=fixed(f"size {size}"),
    )
    raw = bytes.fromhex(vector["sealed"]) if "sealed" in vector else stream.readall()
    assert hashlib.sha256(raw).hexdigest() == vector["sealed_sha256"]
    dek = bytes.fromhex(vector["dek"])
    opened = open_record(raw, dek)
    assert opened.plaintext == content(size)
    assert opened.media_type == vector["media_type"]
    assert opened.fingerprint.hex() == vector["fingerprint"]
    assert SealedReader(io.BytesIO(raw), dek).read_range(0, size) == content(size)


def test_there_are_vectors_on_both_sides_of_a_segment() -> None:
    assert [vector["plaintext_size"] for vector in VECTORS["records"]] == list(SIZES)


if __name__ == "__main__":
    rule = 'SHAKE128("medtoken test vector"), as many bytes as plaintext_size'
    print(json.dumps({"content": rule, "records": [make(size) for size in SIZES]}, indent=1))
