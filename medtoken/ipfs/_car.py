"""CARv1: a file's blocks one after the other in one file, as ``ipfs dag export`` writes them.

A CAR is a header (DAG-CBOR: the roots, version 1) and then blocks, each with its CID in front and a
varint of both their length before it. What is read is verified block by block.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from medtoken.errors import BadInput, IntegrityError, MalformedFile, StoreError, UnsupportedFile

from ._cid import CID
from ._store import BlockMissing, Progress, walk
from ._unixfs import LEAF_SIZE, read_varint, varint

_CID_SIZE = 36
_CID_MOST = 128
"""Bytes of the longest CID of any kind that a section is searched for."""
_VARINT_MOST = 10
_HEADER_MOST = 1 << 20
_V2 = b"\xa1\x67version\x02"


def write_car(
    cid: CID,
    get_block: Callable[[CID], bytes],
    file: BinaryIO,
    progress: Progress | None = None,
) -> int:
    """Write the file ``cid`` as a CAR, root first, as its blocks come; the number of blocks."""
    root = b"\xd8\x2a\x58\x25\x00" + bytes(cid)
    header = b"\xa2\x65roots\x81" + root + b"\x67version\x01"
    file.write(varint(len(header)) + header)
    count = done = 0
    node: tuple[CID, bytes] | None = None

    def kept(at: CID) -> bytes:
        return node[1] if node and node[0] == at else get_block(at)

    for at in walk(cid, kept):
        block = get_block(at)
        node = (at, block)
        file.write(varint(_CID_SIZE + len(block)) + bytes(at))
        file.write(block)
        count, done = count + 1, done + len(block)
        if progress:
            progress(done)
    return count


class CarFile:
    """The blocks in the CAR at ``path``, found by one pass over it that reads no block.

    ``roots`` are those it names; ``damage`` says, when it is not empty, from where on the file
    cannot be read, and the blocks before that are there. Blocks of kinds that medtoken does not
    have are passed over.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = f"the CAR file {os.fspath(path)}"
        self.damage = ""
        self._path = Path(path)
        self._places: dict[CID, tuple[int, int]] = {}
        try:
            with open(self._path, "rb") as file:
                self.roots = self._header(file)
                self._index(file)
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from error

    def __iter__(self) -> Iterator[CID]:
        """Every block's CID, in the order of the file."""
        return iter(self._places)

    def get_block(self, cid: CID) -> bytes:
        """See ``Source``."""
        if cid not in self._places:
            raise BlockMissing(
                f"{self.name} does not have block {cid}{self.damage and '; it '}{self.damage}"
            )
        start, length = self._places[cid]
        try:
            with open(self._path, "rb") as file:
                file.seek(start)
                block = file.read(length)
        except OSError as error:
            raise StoreError(f"{self.name} cannot be read: {error.strerror}") from error
        if not cid.matches(block):
            raise IntegrityError(f"block {cid} in {self.name} was altered")
        return block

    def _header(self, file: BinaryIO) -> tuple[CID, ...]:
        try:
            length, at = read_varint(file.read(_VARINT_MOST), 0)
            if length > _HEADER_MOST:
                raise ValueError("header too long")
            file.seek(at)
            header = file.read(length)
            if header == _V2:
                raise UnsupportedFile(f"{self.name} is a CARv2; only CARv1 is read")
            return _roots(header)
        except (ValueError, IndexError):
            raise MalformedFile(f"{self.name} does not begin as a CARv1 does") from None

    def _index(self, file: BinaryIO) -> None:
        at, end = file.tell(), os.fstat(file.fileno()).st_size
        while at < end:
            file.seek(at)
            head = file.read(_VARINT_MOST + _CID_MOST)
            try:
                length, start = read_varint(head, 0)
                size = _cid_size(head[start:])
                if not size <= length <= _CID_MOST + 2 * LEAF_SIZE:
                    raise ValueError("length")
            except (ValueError, IndexError):
                self.damage = f"cannot be read from byte {at} on"
                return
            if at + start + length > end:
                self.damage = f"ends in the middle of the block at byte {at}"
                return
            try:
                cid = CID.from_bytes(head[start : start + size])
            except BadInput:
                pass
            else:
                self._places.setdefault(cid, (at + start + size, length - size))
            at += start + length


def _roots(header: bytes) -> tuple[CID, ...]:
    """The roots in a CARv1 header; ValueError or IndexError when it is none."""
    found: list[CID] = []
    if header[0] != 0xA2:
        raise ValueError("not a map of two")
    at, keys = 1, set()
    while at < len(header):
        key = header[at + 1 : at + 1 + (header[at] & 0x1F)]
        at += 1 + len(key)
        keys.add(key)
        if key == b"version" and header[at] == 1:
            at += 1
        elif key == b"roots" and 0x80 <= header[at] <= 0x97:
            count, at = header[at] & 0x1F, at + 1
            for _ in range(count):
                if header[at : at + 3] != b"\xd8\x2a\x58" or header[at + 4] != 0:
                    raise ValueError("not a link")
                end = at + 4 + header[at + 3]
                if len(header) < end:
                    raise ValueError("cut")
                with contextlib.suppress(BadInput):
                    found.append(CID.from_bytes(header[at + 5 : end]))
                at = end
        else:
            raise ValueError("unknown key")
    if keys != {b"roots", b"version"}:
        raise ValueError("a key is missing")
    return tuple(found)


def _cid_size(data: bytes) -> int:
    """Bytes of the CID of any kind at the start of ``data``; ValueError or IndexError if none."""
    if data[:2] == b"\x12\x20":
        return 34
    version, at = read_varint(data, 0)
    if version != 1:
        raise ValueError("not a CID")
    _, at = read_varint(data, at)
    _, at = read_varint(data, at)
    length, at = read_varint(data, at)
    if at + length > _CID_MOST:
        raise ValueError("CID too long")
    return at + length
