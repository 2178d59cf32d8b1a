"""How many targets lie in their interval: `python benchmarks/interval_coverage.py --model ridge`.

    --model NAME     a model plugin (default stid), with its configuration of conf/models
    --training JSON  laid over it, such as '{"epochs": 10}'
    --days N         the first days of METR-LA alone (default: all)
    --mask its       only the slots that a day of ITS has, in inputs and targets: see its_mask.py

On METR-LA (METR_LA_DIR), split as in metr_la.py. The model is trained on the training part. Then
each day of the test part is forecast as the pipeline forecasts a day: with intervals from the
errors of the days before it that the model was not trained on, at most `forecast.calibration_days`.
Days before the first one with errors of a whole day are left out, as the pipeline leaves the
intervals out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from its_mask import its_mask, masked
from metr_la import T, metr_la, row

from luigi_traffic.project import current
from luigi_traffic.settings.training_keys import ForecastSettings
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.intervals import recent_intervals
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle
from luigi_traffic.training.windows import Split

SHOWN = (3, 6, 12)


def coverage(
    forecaster: Forecaster, series: Series, parts: Split, settings: ForecastSettings
) -> tuple[np.ndarray, np.ndarray, int]:
    """Share of targets inside and mean width, each by step, and how many days."""
    day, t_in = series.steps_per_day, forecaster.input_steps
    first = -(-(parts.test.start + t_in) // day) + 1
    inside, width, count, days = np.zeros(T), np.zeros(T), np.zeros(T), 0
    for begin in range(first * day, len(series) - T - day, day):
        (found,) = recent_intervals(forecaster, series, settings, [begin])
        assert found is not None
        windows = np.arange(begin, begin + day) - t_in
        for piece, said in forecaster.stream(series, windows):
            lower, upper = found.around(said)
            actual = series.actual[piece[:, None] + t_in + np.arange(T)]
            known = ~np.isnan(actual)
            inside += (known & (actual >= lower) & (actual <= upper)).sum(axis=(0, 2))
            width += np.where(known, upper - lower, 0).sum(axis=(0, 2))
            count += known.sum(axis=(0, 2))
        days += 1
    return inside / count, width / count, days


def main() -> int:
    """Print coverage and width of the steps that the literature shows."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--model", default="stid")
    asked.add_argument("--training", type=json.loads, default={})
    asked.add_argument("--days", type=int)
    asked.add_argument("--mask", choices=["its"])
    given = asked.parse_args()
    series, context = metr_la()
    if given.mask:
        series = masked(series, its_mask(series, 1), np.array([np.nan, 0], np.float32))
    if given.days:
        rows = given.days * series.steps_per_day
        series = Series(
            series.start, series.interval, series.links, series.columns, series.values[:rows]
        )
    plugins = current().plugins
    model, config = plugins.model(given.model), plugins.model_config(given.model, given.training)
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as scratch:
        done = fit(model, config, series, checkpoint_dir=Path(scratch), context=context)
    bundle = trained_bundle(model, config, done, series, "metr_la")
    settings = ForecastSettings()
    inside, width, days = coverage(Forecaster(bundle), series, done.split, settings)
    print(f"{given.model}, {days} days, {settings.interval:.0%} wanted")
    print(f"{'step':28}" + "".join(f"{step:>8}" for step in SHOWN))
    print(row("share inside", [float(inside[step - 1]) for step in SHOWN]))
    print(row("mean width, mph", [float(width[step - 1]) for step in SHOWN]))
    return int(not all(0.88 <= inside[step - 1] <= 0.92 for step in SHOWN))


if __name__ == "__main__":
    sys.exit(main())
