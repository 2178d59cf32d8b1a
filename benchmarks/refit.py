"""What training on all days is worth: `python benchmarks/refit.py --model stid --days 28`.

    --model NAME     a model plugin (default stid), with its configuration of conf/models
    --training JSON  laid over it, such as '{"epochs": 10}'
    --days N         days of the window (default 28)
    --after N        days after the window, on which both are scored (default 2)
    --windows N      how many windows, one after the other (default 3)

On METR-LA (METR_LA_DIR). Each window is trained as the pipeline trains it: the network that is
scored on the hold-out, and the same trained once more on all windows. Then both forecast the days
after the window, which neither has seen.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from metr_la import STEPS, metr_la, row

from luigi_traffic import ModelContext
from luigi_traffic.project import current
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.metrics import Errors
from luigi_traffic.training.refit import refit
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle


def part(series: Series, begin: int, end: int) -> Series:
    """Rows `begin` to before `end`."""
    return replace(series, start=series.timestamps[begin], values=series.values[begin:end])


def score(bundle: Bundle, after: Series) -> list[float]:
    """MAE at each of STEPS over all windows of `after`."""
    forecaster = Forecaster(bundle)
    t_in, t_out = forecaster.input_steps, forecaster.output_steps
    errors = Errors(t_out)
    for piece, said in forecaster.stream(after, np.arange(len(after) - t_in - t_out + 1)):
        actual = after.actual[piece[:, None] + t_in + np.arange(t_out)]
        errors.update(said, actual, ~np.isnan(actual))
    found = errors.summary()
    return [float(found[step]["mae"] or 0) for step in STEPS]


def window(
    model_name: str, training: dict[str, object], series: Series, context: ModelContext,
    after: Series,
) -> tuple[list[float], list[float]]:  # fmt: skip
    """The errors of the scored network and of the one of all windows."""
    plugins = current().plugins
    model, config = plugins.model(model_name), plugins.model_config(model_name, training)
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as scratch:
        folder = Path(scratch)
        done = fit(model, config, series, checkpoint_dir=folder, context=context)
        again = refit(model, config, series, done, checkpoint_dir=folder)
    if again is None:
        raise SystemExit("the second training came out worse")
    bundle = trained_bundle(model, config, replace(done, refit=again), series, "metr_la")
    return score(bundle.comparable, after), score(bundle, after)


def main() -> int:
    """Print both rows of each window, and the means."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--model", default="stid")
    asked.add_argument("--training", type=json.loads, default={})
    asked.add_argument("--days", type=int, default=28)
    asked.add_argument("--after", type=int, default=2)
    asked.add_argument("--windows", type=int, default=3)
    given = asked.parse_args()
    series, context = metr_la()
    day = series.steps_per_day
    size, more = given.days * day, given.after * day
    found = []
    for n in range(given.windows):
        begin = n * size
        seen, after = (
            part(series, begin, begin + size),
            part(series, begin + size, begin + size + more),
        )
        found.append(window(given.model, given.training, seen, context, after))
        print(f"window {n + 1}, {seen.start}", *found[-1], file=sys.stderr, flush=True)
    print(f"{given.model + f', {given.days} days':28}" + "".join(f"{step:>8}" for step in STEPS))
    for name, at in (("without the hold-out", 0), ("on all windows", 1)):
        print(row(name, [statistics.mean(pair[at][step] for pair in found) for step in range(4)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
