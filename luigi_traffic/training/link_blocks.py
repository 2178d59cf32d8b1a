"""A long series in blocks of links, so that work on all of it needs the memory of one block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

#: Bytes of float32 values in a block.
_BLOCK_BYTES = 1 << 26


def link_blocks(values: NDArray[Any]) -> Iterator[slice]:
    """Slices of the links of `(T, N)`, at least one link each."""
    length, links = values.shape
    size = max(1, _BLOCK_BYTES // (4 * max(1, length)))
    for begin in range(0, links, size):
        yield slice(begin, begin + size)
