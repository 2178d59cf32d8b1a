"""Rows of gold, in any order, on a regular grid of time and links."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError


class Grid:
    """`values` is float32 `(T, N, F)`: T intervals from `start`, N links, F columns; NaN: none.

    N grows with the links that `put` is given; the order of links stays.
    """

    def __init__(
        self, start: np.datetime64, end: np.datetime64, interval: timedelta, columns: int
    ) -> None:
        self._step = interval // timedelta(microseconds=1)
        self._start = start.astype("datetime64[us]")
        span = int((end.astype("datetime64[us]") - self._start).astype(np.int64))
        if span <= 0 or span % self._step:
            raise DataError(f"The span {start} to {end} is not a whole number of {interval} steps.")
        self._label = f"{start} to {end} by {interval}"
        self.rows = 0
        self.values = _missing((span // self._step, 0, columns))
        self._taken: NDArray[np.bool_] = np.zeros(self.values.shape[:2], bool)

    def put(
        self,
        timestamp: NDArray[Any],
        link_codes: NDArray[Any],
        links: Sequence[str],
        values: Sequence[NDArray[Any]],
    ) -> None:
        """Scatter rows into the grid.

        `timestamp` is datetime64 `(R,)`, `link_codes` int `(R,)` into `links`, which begin with
        the links of the call before; each of `values` is float `(R,)`, F of them.

        Raises DataError for a row outside the span, off the grid, of an unknown link,
        or for a second row of the same link and interval.
        """
        length, width = len(self.values), len(links)
        self._widen(width)
        offset = np.asarray(timestamp, "datetime64[us]").view(np.int64) - self._start.view(np.int64)
        row, code = offset // self._step, np.asarray(link_codes, np.int64)
        wrong = row * self._step != offset
        wrong |= (row < 0) | (row >= length) | (code < 0) | (code >= width)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"{int(wrong.sum())} rows lie outside {self._label} and "
                f"{width} links; the first: {timestamp[at]}, link code {code[at]}."
            )
        cell = row * width + code
        self._take(cell, links)
        flat = self.values.reshape(length * width, len(values))
        for index, column in enumerate(values):
            flat[cell, index] = column

    def _widen(self, width: int) -> None:
        length, old, columns = self.values.shape
        if width > old:
            values, taken = _missing((length, width, columns)), np.zeros((length, width), bool)
            values[:, :old], taken[:, :old] = self.values, self._taken
            self.values, self._taken = values, taken

    def _take(self, cell: NDArray[np.int64], links: Sequence[str]) -> None:
        taken = self._taken.reshape(-1)
        again = taken[cell]
        taken[cell] = True
        self.rows += len(cell)
        repeated = self.rows - np.count_nonzero(taken)
        if repeated:
            if not again.any():  # both rows are among these
                first = np.unique(cell, return_index=True)[1]
                again = np.ones(len(cell), bool)
                again[first] = False
            row, code = divmod(int(cell[again].min()), len(links))
            at = self._start + np.timedelta64(row * self._step, "us")
            raise DataError(
                f"{repeated} rows repeat a link and an interval; the first: link {links[code]} "
                f"at {at}."
            )


def join(
    grids: list[Grid | None], length: int, order: NDArray[np.int64], columns: int
) -> NDArray[np.float32]:
    """Float32 `(length * len(grids), N, columns)`: grids of `length` intervals one after the other.

    `order` `(N,)` is the place that each link had; a grid that ends before it has no value of that
    link, and None stands for a grid without a value. The list is emptied on the way, so that the
    memory of each grid is free as soon as it is copied.
    """
    out = np.empty((length * len(grids), len(order), columns), np.float32)
    for part in np.split(out, len(grids)):
        grid = grids.pop(0)
        if grid is None or not grid.values.shape[1]:
            part[:] = np.nan
            continue
        here = order < grid.values.shape[1]
        np.take(grid.values, np.where(here, order, 0), axis=1, out=part, mode="clip")
        part[:, ~here] = np.nan
    return out


def _missing(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """NaN, in pages that the system has back as soon as nobody holds the array.

    Memory from malloc may stay with the process: joining would then take twice the memory.
    """
    size = int(np.prod(shape)) * 4
    if not size:
        return np.empty(shape, np.float32)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    values = np.frombuffer(pages, np.float32).reshape(shape)
    values[:] = np.nan
    return values
