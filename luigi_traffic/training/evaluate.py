"""The model beside its baselines on the hold-out: same windows, same mask, same unit.

The hold-out is the last split of the series. Where it holds more windows than
`evaluation_windows`, that many are drawn from it by a fixed seed. Drawn, not every n-th:
feeds that miss the same minutes of every hour would make every n-th window a biased
sample.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.training.baselines import (
    Baseline,
    DayBefore,
    HistoricalMedian,
    Persistence,
    link_means,
)
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.metrics import MEAN, Errors
from luigi_traffic.training.scores import DAY_BEFORE, HISTORICAL_MEDIAN, MODEL, PERSISTENCE
from luigi_traffic.training.series import DAY_SECONDS, Series
from luigi_traffic.training.windows import Split


@dataclass(frozen=True)
class Evaluation:
    """Errors of the model and the baselines; JSON-serialisable by `as_dict`."""

    windows: int
    """Windows scored, of `windows_total` in the hold-out."""
    windows_total: int
    first_target: str
    """Beginning of the first interval that may be scored, ISO, local time; `last_target` too."""
    last_target: str
    scores: dict[str, dict[str, dict[str, float | None]]]
    """Forecaster → step ("3", …, "mean") → mae, rmse, mape, wape, f1, count."""
    by_step: dict[str, list[float | None]]
    """Forecaster → MAE a step."""
    by_hour: dict[str, list[float | None]]
    """Forecaster → MAE an hour of day."""
    by_link: dict[str, list[float | None]] = field(default_factory=dict)
    """Forecaster → MAE a link, in the order of the forecaster's links."""

    def mae(self, forecaster: str = MODEL, step: str = MEAN) -> float | None:
        """One MAE in the dataset's unit; None where nothing was observed."""
        return self.scores[forecaster][step]["mae"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def evaluate(
    forecaster: Forecaster, series: Series, split: Split, most_windows: int | None = None
) -> Evaluation:
    """Score the model and its baselines on the split's hold-out.

    Raises DataError where the hold-out holds no observed target.
    """
    t_in, t_out = forecaster.input_steps, forecaster.output_steps
    windows = holdout(split, most_windows)
    seen = split.training_rows(t_in)
    median = HistoricalMedian.of(series, seen, t_in, t_out)
    means = link_means(series.actual[seen])
    baselines: dict[str, Baseline] = {
        PERSISTENCE: Persistence.of(series, t_in, t_out, means),
        DAY_BEFORE: DayBefore.of(series, median),
        HISTORICAL_MEDIAN: median,
    }
    flow = forecaster.bundle.free_flow
    errors = {name: Errors(t_out, flow) for name in (MODEL, *baselines)}
    for piece, forecast in forecaster.stream(series, windows):
        actual, mask, hours = _targets(series, piece + t_in, t_out)
        errors[MODEL].update(forecast, actual, mask, hours)
        for name, baseline in baselines.items():
            errors[name].update(baseline.predict(piece), actual, mask, hours)
    if not errors[MODEL].count.sum():
        raise DataError(
            f"None of the {len(windows)} hold-out windows has an observed {series.target} to "
            "score: the last days of the training window are empty in gold."
        )
    times = series.timestamps
    return Evaluation(
        windows=len(windows),
        windows_total=len(split.test),
        first_target=str(times[split.test.start + t_in].astype("datetime64[s]")),
        last_target=str(times[split.test.stop - 1 + t_in + t_out - 1].astype("datetime64[s]")),
        scores={name: e.summary() for name, e in errors.items()},
        by_step={name: e.by_step() for name, e in errors.items()},
        by_hour={name: e.by_hour() for name, e in errors.items()},
        by_link={name: errors[name].by_link() for name in (MODEL, PERSISTENCE)},
    )


def holdout(split: Split, most_windows: int | None) -> NDArray[np.int64]:
    """Window indices of the hold-out in time order, at most `most_windows`, always the same."""
    return drawn(np.arange(split.test.start, split.test.stop, dtype=np.int64), most_windows)


def drawn(windows: NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """At most `most` of `windows`, in their order, always the same."""
    if most is None or most >= len(windows):
        return windows
    return np.sort(np.random.default_rng(0).choice(windows, most, replace=False))


def _targets(
    series: Series, issue_rows: NDArray[np.int64], t_out: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    """Actual targets `(W, t_out, N)`, their mask, and hours of day `(W, t_out)`."""
    rows = issue_rows[:, None] + np.arange(t_out)
    actual = series.actual[rows]
    hours = series.slot_of_day[rows] * (DAY_SECONDS // series.steps_per_day) // 3600
    return actual, ~np.isnan(actual), hours
