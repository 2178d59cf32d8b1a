"""The rows of `evaluation.<dataset>` of one day's live forecasts, see `evaluation_rows`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luigi_traffic.training.error_sums import ErrorSums, error_sums
from luigi_traffic.training.evaluation_rows import SPEED, Columns, summed
from luigi_traffic.training.issued import Issued, Issuer
from luigi_traffic.training.issued_live import IssuedLive
from luigi_traffic.training.metrics import CONGESTED_SHARE, free_flow
from luigi_traffic.training.series import Series


@dataclass(frozen=True)
class _Scored:
    """What one version issued of one kind; `free_flow` as in `EvaluationRows`."""

    kind: str
    issuer: Issuer
    links: tuple[str, ...]
    free_flow: NDArray[np.float32] | None
    sums: ErrorSums


@dataclass(frozen=True)
class LiveRows:
    """The live forecasts for the last day of `series`.

    issued     how many of the day's `intervals` a live forecast was issued at
    forecasts  None: there are none, or none any more
    published  the day's published forecasts: live ones are compared with those of the same version
    """

    intervals: int
    issued: int
    forecasts: IssuedLive | None
    published: Issued | None
    series: Series

    @cached_property
    def _scored(self) -> list[_Scored]:
        if self.forecasts is None:
            return []
        found = []
        for kind, (links, values) in self.forecasts.by_kind.items():
            actual = self.series.aligned(links).actual
            flow = free_flow(actual) if self.series.target == SPEED else None
            limit = np.full(len(links), np.nan, np.float32)
            if flow is not None:
                limit = (CONGESTED_SHARE * flow).astype(np.float32)
            for issuer in sorted(set(self.forecasts.issuers.values()), key=str):
                mine = np.where(self._by(issuer, values)[:, :, None], values, np.nan)
                sums = error_sums(mine, actual, limit, self._pairs(issuer, links, mine))
                found.append(_Scored(kind, issuer, links, flow, sums))
        return found

    @property
    def scored(self) -> int:
        """How many values were both forecast and observed."""
        return int(sum(one.sums.by_hour[0].sum() for one in self._scored))

    def columns(self) -> Iterator[Columns]:
        """As those of `EvaluationRows`."""
        yield {
            "grouped_by": "ticks", "intervals": self.intervals, "issued": np.array([self.issued]),
        }  # fmt: skip
        for one in self._scored:
            named = {
                "kind": one.kind, "model": one.issuer.model, "version": one.issuer.version,
            }  # fmt: skip
            at, found = summed(one.sums.by_hour.sum(axis=2), one.free_flow)
            yield found | named | {"grouped_by": "live", "hour": at}
            at, found = summed(one.sums.by_link.sum(axis=2), one.free_flow)
            found |= {"grouped_by": "live link", "link_id": pa.array(one.links).take(at)}
            if one.free_flow is not None:
                found["free_flow"] = one.free_flow[at]
            yield found | named

    def _by(self, issuer: Issuer, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        """`(S, T)`: what `issuer` issued."""
        assert self.forecasts is not None
        own = [at for at, who in self.forecasts.issuers.items() if who == issuer]
        return np.isin(_issues(values), own)

    def _pairs(
        self, issuer: Issuer, links: tuple[str, ...], values: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """As `values`: what the same version published for the day; NaN if it did not."""
        found = np.full_like(values, np.nan)
        if self.published is None:
            return found
        steps = min(len(values), len(self.published.values))
        place = {link: n for n, link in enumerate(self.published.links)}
        here = [(n, place[link]) for n, link in enumerate(links) if link in place]
        if here:
            new, old = (list(column) for column in zip(*here, strict=True))
            found[:steps, :, new] = self.published.values[:steps, :, old]
        before = _issues(values) <= 0
        same = before if self.published.before == issuer else np.zeros_like(before)
        if self.published.own == issuer:
            same |= ~before
        return np.where(same[:, :, None], found, np.nan)


def _issues(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """`(S, T)`: the interval at whose beginning each was issued, see `IssuedLive.issuers`."""
    steps, slots, _ = values.shape
    return np.arange(slots) - np.arange(steps)[:, None]
