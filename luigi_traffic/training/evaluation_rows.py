"""The rows of `evaluation.<dataset>` of one day's published forecasts: sums of errors, and onsets
of congestion. `live_rows` has those of its live forecasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luigi_traffic.training.error_sums import (
    BEFORE,
    MIDNIGHT,
    OWN,
    ErrorSums,
    error_sums,
    persistence,
)
from luigi_traffic.training.issued import Issued, Issuer
from luigi_traffic.training.metrics import CONGESTED_SHARE, free_flow
from luigi_traffic.training.onsets import Onsets, onsets
from luigi_traffic.training.series import Series
from luigi_traffic.warehouse.tables import ERROR_SUMS, PAIRED_SUMS

if TYPE_CHECKING:
    from luigi_traffic.warehouse.partitions import Column

#: The measure that congestion is defined for.
SPEED = "speed"
#: `Onsets.by_step` as columns.
ONSET_COUNTS = ("onsets", "hits", "forecast_onsets", "false_alarms")
#: Kind of a forecast → which of the day's forecasts.
_KINDS = {"next": (MIDNIGHT,), "rolling": (BEFORE, OWN)}
#: Column → an array of a value for each row, or one value for all; NULL for the others.
Columns = Mapping[str, Any]


@dataclass(frozen=True)
class EvaluationRows:
    """Of the forecasts for `day`, which is the last day of the series that they are scored with."""

    issued: Issued
    day: date
    target: str
    interval: timedelta
    free_flow: NDArray[np.float32] | None
    """`(N,)`; None: the target has no congestion."""
    sums: ErrorSums
    onsets: Onsets | None
    by_persistence: Onsets | None
    """As if persistence had been issued in their place."""

    @classmethod
    def make(cls, issued: Issued, series: Series, day: date) -> EvaluationRows:
        """Score them. The free-flow speed is that of all days of the series: see `metrics`."""
        actual = series.aligned(issued.links).actual
        flow = free_flow(actual) if series.target == SPEED else None
        limit = np.full(actual.shape[1], np.nan, np.float32)
        if flow is not None:
            limit = (CONGESTED_SHARE * flow).astype(np.float32)
        sums = error_sums(issued.values, actual, limit)
        ours, theirs = None, None
        if flow is not None:
            last = persistence(actual, *issued.values.shape[:2])
            last = np.where(np.isnan(issued.values), np.nan, last)
            ours = onsets(issued.values, actual, limit, series.interval)
            theirs = onsets(last, actual, limit, series.interval)
        return cls(issued, day, series.target, series.interval, flow, sums, ours, theirs)

    @property
    def scored(self) -> int:
        """How many values were both forecast and observed."""
        return int(self.sums.by_hour[0].sum())

    def columns(self) -> Iterator[Columns]:
        """Columns of `evaluation_table`, some rows of each `grouped_by` at a time."""
        for issuer, theirs in self._issuers().items():
            named = {"model": issuer.model, "version": issuer.version}
            for kind, of_kind in _KINDS.items():
                own = [i for i in theirs if i in of_kind]
                at, found = summed(self.sums.by_hour[:, :, own].sum(axis=2), self.free_flow)
                yield found | named | {"grouped_by": "hour", "kind": kind, "hour": at}
            at, found = summed(self.sums.by_link[:, :, theirs].sum(axis=2), self.free_flow)
            found |= {"grouped_by": "link", "link_id": pa.array(self.issued.links).take(at)}
            if self.free_flow is not None:
                found["free_flow"] = self.free_flow[at]
            yield found | named
        if self.onsets is not None and self.by_persistence is not None:
            yield from self._onsets(self.onsets, self.by_persistence)

    def _issuers(self) -> dict[Issuer, list[int]]:
        """Who issued → which of the day's forecasts, see `error_sums`."""
        found: dict[Issuer, list[int]] = {}
        if self.issued.before is not None:
            found[self.issued.before] = [BEFORE, MIDNIGHT]
        found.setdefault(self.issued.own, []).append(OWN)
        return found

    def _onsets(self, found: Onsets, persistence: Onsets) -> Iterator[Columns]:
        """Of the day's own version, though the first ones may have been forecast the day before."""
        own = {"model": self.issued.own.model, "version": self.issued.own.version}
        counts = dict(zip(ONSET_COUNTS, found.by_step.T, strict=True))
        names = (f"persistence_{name}" for name in ONSET_COUNTS[1:])
        counts |= dict(zip(names, persistence.by_step[:, 1:].T, strict=True))
        steps = np.arange(1, len(found.by_step) + 1)
        yield own | counts | {"grouped_by": "onset", "step": steps}
        leads, number = np.unique(found.leads, return_counts=True)
        minutes = leads * (self.interval / timedelta(minutes=1))
        yield own | {
            "grouped_by": "lead", "onsets": number, "hits": np.where(leads >= 0, number, 0),
            "lead_minutes": pa.array(minutes, pa.float32(), mask=leads < 0),
        }  # fmt: skip


def summed(
    sums: NDArray[np.float64], free_flow: NDArray[np.float32] | None
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Of `(K, S, X, 2)`, see `ErrorSums`, if something was scored: the place in X, and the columns.

    free_flow  None: the target has no congestion
    """
    step, at, state = np.nonzero(sums[0])
    names = (*ERROR_SUMS, *PAIRED_SUMS)[: len(sums)]
    found: dict[str, Any] = dict(zip(names, sums[:, step, at, state], strict=True))
    found["step"] = step + 1
    if free_flow is not None:
        found["congested"] = state.astype(bool)
    return at, found


def batches(
    found: Iterable[Columns], day: date, target: str, columns: tuple[Column, ...]
) -> Iterator[pa.RecordBatch]:
    """Rows with the columns of `evaluation_table`, numbered one after the other."""
    number = 0
    for these in found:
        size = max(len(v) for v in these.values() if isinstance(v, np.ndarray))
        rows = {"day": day, "target": target, **these}
        rows["number"] = np.arange(number, number + size)
        number += size
        yield pa.RecordBatch.from_pydict(
            {column.name: _array(rows.get(column.name), size) for column in columns}
        )


def _array(value: Any, size: int) -> pa.Array:
    if isinstance(value, pa.Array):
        return value
    if isinstance(value, np.ndarray):
        return pa.array(value)
    return pa.nulls(size) if value is None else pa.repeat(pa.scalar(value), size)
