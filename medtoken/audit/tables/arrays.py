"""Arrow arrays from NumPy's and from Python's values, by their buffers.

``pa.array`` gives the same; but it imports pandas wherever that is installed, only to ask whether
it was given something of pandas: 46 MB and half a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


def binary(rows: Bytes) -> pa.Array:
    """Bytes of a fixed width, one value in each row of a matrix."""
    buffer = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.Array.from_buffers(pa.binary(rows.shape[1]), len(rows), [None, buffer])


def numbers(values: npt.NDArray[Any], kind: pa.DataType, null: Flags | None = None) -> pa.Array:
    """Numbers that already lie as ``kind`` wants them; ``null``: which of them are none."""
    valid = None if null is None else _bits(~null)
    rows = [valid, pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind, len(values), rows)


def flags(values: Flags) -> pa.Array:
    """Truth values."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows by the names of their columns. Raises OverflowError as ``build`` does."""
    columns = [build([row[field.name] for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def build(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An array of any type that a table has; None is null.

    Raises OverflowError for a number that its type cannot hold.
    """
    valid = None
    if any(value is None for value in values):
        valid = _bits(np.array([value is not None for value in values], np.bool_))
    if pa.types.is_struct(kind):
        rows = [{} if value is None else value for value in values]
        parts = [build([row.get(part.name) for row in rows], part.type) for part in kind]
        return pa.Array.from_buffers(kind, len(values), [valid], children=parts)
    if pa.types.is_list(kind):
        below = build([one for value in values for one in value or ()], kind.value_type)
        ends = _offsets([len(value or ()) for value in values])
        return pa.Array.from_buffers(kind, len(values), [valid, ends], children=[below])
    if pa.types.is_boolean(kind):
        bits = _bits(np.array([bool(value) for value in values], np.bool_))
        return pa.Array.from_buffers(kind, len(values), [valid, bits])
    if pa.types.is_decimal(kind):
        if any(value is not None and not 0 <= value < 10**kind.precision for value in values):
            raise OverflowError
        body = b"".join([int(value or 0).to_bytes(16, "little") for value in values])
    elif pa.types.is_integer(kind):
        body = b"".join(
            [(value or 0).to_bytes(kind.bit_width // 8, "little", signed=True) for value in values]
        )
    else:
        texts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
        if pa.types.is_fixed_size_binary(kind):
            body = b"".join([text.ljust(kind.byte_width, b"\0") for text in texts])
        else:
            sizes = _offsets([len(text) for text in texts])
            rows = [valid, sizes, pa.py_buffer(b"".join(texts))]
            return pa.Array.from_buffers(kind, len(values), rows)
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(body)])


def _bits(values: Flags) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))


def _offsets(sizes: Sequence[int]) -> pa.Buffer:
    return pa.py_buffer(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))
