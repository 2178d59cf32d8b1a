"""Gold's neighbour features: means up- and downstream, added to rows on their way to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.api import functions as F
from luigi_traffic.api import grammar
from luigi_traffic.api.columns import NEIGHBOURS
from luigi_traffic.api.hops import Hops, Pairs
from luigi_traffic.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

#: Rows that are worked on together: what is done for each piece is little beside them.
_ROWS = 1 << 19
#: Values that are summed together: 32 MB.
_VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class NeighbourMeans:
    """Adds t2, t1, f1 and f2 to batches of rows, see `LinkGraph.neighbours`.

    Each is the mean of the column `target`, at the same time, of the links that flow into a link
    (t1), that are one hop further (t2), and the same downstream (f1, f2); NULL if none of them
    reports. The means are exact, as those of `luigi_traffic.functions.exact_mean` are: values are
    added as whole millionths.
    """

    hops: Hops
    target: str

    @cached_property
    def _links(self) -> pa.Array:
        import pyarrow as pa

        return pa.array(self.hops.links, pa.string())

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches with their features; rows are in the order of their timestamps, before and
        after. Memory is that of half a million rows, or of all rows of one time.

        Raises `DataError` for a value that is infinite or too large to be added exactly.
        """
        import pyarrow as pa

        for piece in _whole_times(batches):
            table = pa.Table.from_batches(piece)
            for name, column in self._features(table).items():
                table = table.append_column(name, column)
            yield from table.combine_chunks().to_batches()

    def _features(self, rows: pa.Table) -> dict[str, pa.Array]:
        import pyarrow as pa
        import pyarrow.compute as pc

        time = rows["timestamp"].cast(pa.int64()).to_numpy()
        slot = np.concatenate([[0], np.cumsum(time[1:] != time[:-1])])
        names = rows["link_id"].cast(pa.string())
        strange = len(self.hops.links)
        known = pc.index_in(names, value_set=self._links).fill_null(strange).to_numpy()
        given = rows[self.target].cast(pa.float64())
        values = self._millionths(np.where(known == strange, 0, given.fill_null(0).to_numpy()))
        there = given.is_valid().to_numpy().astype(np.int32)
        # Of the graph, only links that report matter. Links that it lacks share the last position.
        reports = np.zeros(strange + 1, bool)
        reports[known] = True
        reports[strange] = False
        count = int(reports.sum())
        position = np.where(reports, np.cumsum(reports) - 1, count).astype(np.int32)
        link = position[known]
        found = {}
        for name in NEIGHBOURS:
            pairs = _among(self.hops.pairs[name], reports, position)
            total, seen = _sums(pairs, count + 1, link, slot, values, there)
            with np.errstate(invalid="ignore"):
                means = total / seen / float(grammar.SCALE)
            found[name] = pa.array(means, mask=seen == 0)
        return found

    def _millionths(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        scaled = values * float(grammar.SCALE)
        good = np.abs(scaled) < 2**63 / (self.hops.most + 1)
        if not good.all():
            raise DataError(
                f"The mean of {self.target} over neighbours cannot be computed: silver has the "
                f"value {values[~good][0]}. Let the dataset's bronze or silver reject it."
            )
        # A half is rounded away from zero, as both engines do it, not to the even number.
        whole = np.trunc(scaled)
        away: NDArray[np.float64] = np.sign(scaled) * (np.abs(scaled - whole) >= 0.5)
        return (whole + away).astype(np.int64)


def without_neighbours(silver: DataFrame) -> DataFrame:
    """Silver with all features NULL: there is no graph."""
    return silver.select("*", *[F.lit(None).cast("double").alias(f) for f in NEIGHBOURS])


def _whole_times(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches in pieces of about `_ROWS` rows, all rows of a time in the same piece.

    Raises `ValueError` if the rows are not in the order of their timestamps.
    """
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows, last = 0, None
    for batch in batches:
        if not batch.num_rows:
            continue
        times = batch.column("timestamp").cast(pa.int64()).to_numpy()
        if (np.diff(times) < 0).any() or (last is not None and times[0] < last):
            raise ValueError("rows are not in the order of their timestamps")
        previous, last = last, times[-1]
        # Where the last time begins: what is before it is whole.
        begin = int(np.searchsorted(times, last))
        if rows + begin >= _ROWS and (begin or last != previous):
            yield [*held, batch.slice(0, begin)]
            held, rows, batch = [], 0, batch.slice(begin)
        held.append(batch)
        rows += batch.num_rows
    if held:
        yield held


def _among(pairs: Pairs, reports: NDArray[np.bool_], position: NDArray[np.int32]) -> Pairs:
    """The pairs of links that report, by their positions among these."""
    kept = reports[pairs.of] & reports[pairs.near]
    return Pairs(position[pairs.of[kept]], position[pairs.near[kept]])


def _sums(
    pairs: Pairs,
    links: int,
    link: NDArray[np.int32],
    slot: NDArray[np.int64],
    values: NDArray[np.int64],
    there: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """For each row, the sum over its link's neighbours at its time, and how many there are.

    `link`, `slot`, `values` and `there` are of the rows, sorted by `slot`.
    """
    total, seen = np.zeros(len(link), np.int64), np.zeros(len(link), np.int32)
    if not len(pairs.of):
        return total, seen
    start = np.flatnonzero(np.diff(pairs.of, prepend=-1))
    of = pairs.of[start]
    slots = int(slot[-1]) + 1
    width = min(max(_VALUES // max(len(pairs.of), links), 1), slots)
    for first in range(0, slots, width):
        begin, end = np.searchsorted(slot, [first, first + width])
        cell = link[begin:end], slot[begin:end] - first
        for rows, out in ((values, total), (there, seen)):
            grid = np.zeros((links, width), rows.dtype)
            grid[cell] = rows[begin:end]
            sums = np.add.reduceat(grid[pairs.near], start, axis=0)
            grid[:] = 0
            grid[of] = sums
            out[begin:end] = grid[cell]
    return total, seen
