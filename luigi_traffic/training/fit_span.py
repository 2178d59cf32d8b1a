"""The span of time that a network was fitted on: nothing in it can judge the network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.series import Series
from luigi_traffic.training.windows import Split


@dataclass(frozen=True)
class FitSpan:
    """From the first interval that a training saw to the last.

    Validation belongs to it: the epoch was chosen there, so that is no better a judge than
    training is. Both ends belong to it; they are beginnings of intervals in local wall time of the
    dataset.
    """

    first: datetime
    last: datetime

    @classmethod
    def of(cls, series: Series, split: Split, t_in: int, t_out: int) -> FitSpan:
        """Of a training on `split` of `series`, from its first input to its last target."""
        stop = max(split.train.stop, split.validation.stop)
        rows = [split.train.start, stop - 1 + t_in + t_out - 1]
        first, last = series.timestamps[rows].astype("datetime64[us]").tolist()
        return cls(first, last)

    @classmethod
    def of_window(cls, text: str) -> FitSpan | None:
        """All of a window such as "2024-05-01 to 2024-05-28"; None if the text is none.

        For models of earlier versions, which do not say what part of their window they were
        fitted on: to take their hold-out for seen costs a few days of comparison, never honesty.
        """
        try:
            first, last = (date.fromisoformat(day) for day in text.split(" to "))
        except ValueError:
            return None
        begin, end = (datetime.combine(d, datetime.min.time()) for d in (first, last))
        return cls(begin, end + timedelta(days=1) - timedelta.resolution)

    @classmethod
    def from_dict(cls, card: dict[str, str]) -> FitSpan:
        """The inverse of `as_dict`."""
        return cls(datetime.fromisoformat(card["first"]), datetime.fromisoformat(card["last"]))

    def as_dict(self) -> dict[str, str]:
        """ISO times, for JSON."""
        return {"first": self.first.isoformat(), "last": self.last.isoformat()}

    def covers(self, times: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Which of `times` lie in the span."""
        return np.asarray(
            (times >= np.datetime64(self.first)) & (times <= np.datetime64(self.last))
        )
