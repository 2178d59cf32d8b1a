"""Which rows a day's forecast has: windows, steps that are stored, intervals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from training_tiny import PerLink, road, untrained

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.training_keys import ForecastSettings
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.forecasts import ForecastRows
from luigi_traffic.training.intervals import Intervals

DAY, SLOTS, LINKS = 48, 48, 5


def made(steps: tuple[int, ...] = (), **changes: Any) -> ForecastRows:
    """Of the last of four days."""
    series = road()
    forecaster = Forecaster(untrained(PerLink(), series), "cpu")
    rows = ForecastRows(forecaster, series, 3 * DAY, "p", "m", 1, steps, None, None)
    return replace(rows, **changes)


def table(rows: ForecastRows) -> pa.Table:
    found = pa.Table.from_batches(rows.batches())
    assert found.num_rows == rows.count
    return found


def test_chosen_steps_are_stored_of_the_day_and_all_of_its_end() -> None:
    whole, some = table(made()), table(made((2, 4)))
    assert whole.num_rows == SLOTS * 4 * LINKS
    assert some.num_rows == ((SLOTS - 1) * 2 + 4) * LINKS
    # What is stored is the same.
    key = ["issued_at", "step", "link_id"]
    both = some.drop(["lower", "upper"]).join(whole.drop(["lower", "upper"]), key, right_suffix="_")
    assert both.num_rows == some.num_rows
    assert both["speed"].equals(both["speed_"])
    steps = {kind: set() for kind in ("rolling", "next")}
    for kind, step in zip(some["kind"].to_pylist(), some["step"].to_pylist(), strict=True):
        steps[kind].add(step)
    assert steps == {"rolling": {2, 4}, "next": {1, 2, 3, 4}}


def test_a_step_that_the_model_does_not_forecast_is_refused() -> None:
    rows = made()
    with pytest.raises(SettingsError, match=r"rolling_steps has step 5, but .* forecasts 4 steps"):
        ForecastRows.make(
            rows.forecaster, None, SimpleNamespace(), {}, {}, date(2024, 1, 4),
            ForecastSettings(rolling_steps=(1, 5)),
        )  # fmt: skip


def test_the_day_and_its_end_have_intervals_of_their_own() -> None:
    group = np.zeros(LINKS, np.int64)

    def wide(reach: float) -> Intervals:
        ends = np.full((4, 1), reach, np.float32)
        return Intervals(0.9, group, -ends, ends)

    found = table(made(rolling_intervals=wide(1.0), next_intervals=wide(2.0))).to_pandas()
    assert len(found) == SLOTS * 4 * LINKS
    end = found["issued_at"] == np.datetime64(road().timestamps[-1] + timedelta(minutes=30))
    assert set(found["kind"][end]) == {"next"} and set(found["kind"][~end]) == {"rolling"}
    reach = np.where(end, 2.0, 1.0)
    np.testing.assert_allclose(found["upper"], found["speed"] + reach, rtol=1e-6)
    np.testing.assert_allclose(found["lower"], (found["speed"] - reach).clip(lower=0), rtol=1e-5)
    assert table(made(next_intervals=wide(2.0)))["lower"].null_count == (SLOTS - 1) * 4 * LINKS
