"""Memory and time of a training at the size of a network: `python benchmarks/network_scale.py`.

    --links N    (default 14000)
    --days N     (default 30)
    --columns N  columns of gold besides the speed (default 0)
    --model NAME (default stid), with its configuration of conf/models
    --training JSON  laid over it

Speeds of every 5 minutes are fabricated (a day's profile of each link and noise), and only the
slots that a day of ITS has are there (see its_mask.py). Runs the pipeline's training, refit,
bundle, evaluation and report, without lake and warehouse; the default training draws 200 windows
for one epoch. Prints the seconds, CPU seconds and peak memory of each step, in
which the series itself counts. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from its_mask import its_mask

from luigi_traffic import ModelContext
from luigi_traffic.project import current
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.refit import refit
from luigi_traffic.training.report import write_report
from luigi_traffic.training.report_facts import Origin
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle

FIVE = timedelta(minutes=5)
DATASET = "fabricated"


def fabricated(links: int, days: int, more: int) -> Series:
    """Speeds around a dip each morning and evening, deeper on some links; NaN in 4 of 10 slots."""
    random = np.random.default_rng(7)
    values = np.empty((days * 288, links, 1 + more), np.float32)
    hour = np.arange(288, dtype=np.float32) / 12
    dips = np.exp(-((hour - 8) ** 2) / 2) + np.exp(-((hour - 18) ** 2) / 3)
    depth = random.uniform(0, 0.6, links).astype(np.float32)
    usual = 80 * (1 - dips[:, None] * depth)
    for day in range(days):
        for column in range(1 + more):
            noise = random.standard_normal((288, links), np.float32)
            values[day * 288 : (day + 1) * 288, :, column] = usual + 4 * noise
    names = tuple(f"{1_000_000_000 + n}" for n in range(links))
    columns = ("speed", *(f"c{n}" for n in range(more)))
    series = Series(np.datetime64("2024-01-01", "us"), FIVE, names, columns, values)
    values[~its_mask(series, 1)] = np.nan
    return series


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what it took. Writing 5 to clear_refs sets the peak to what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    started, cpu = time.monotonic(), time.process_time()
    yield
    status = Path("/proc/self/status").read_text().splitlines()
    peak, now = (next(int(x.split()[1]) for x in status if x.startswith(k)) for k in _MEMORY)
    print(
        f"{name:12}{time.monotonic() - started:9.1f} s{time.process_time() - cpu:9.1f} CPU s"
        f"{peak / 1024:9,.0f} MiB peak{now / 1024:9,.0f} MiB held",
        flush=True,
    )


_MEMORY = ("VmHWM:", "VmRSS:")


def main() -> int:
    """Each step of a training in turn."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--links", type=int, default=14_000)
    asked.add_argument("--days", type=int, default=30)
    asked.add_argument("--columns", type=int, default=0)
    asked.add_argument("--model", default="stid")
    asked.add_argument("--training", type=json.loads, default={})
    given = asked.parse_args()
    plugins = current().plugins
    model = plugins.model(given.model)
    config = plugins.model_config(
        given.model, {"epochs": 1, "samples_per_epoch": 200} | given.training
    )
    with step("series"):
        series = fabricated(given.links, given.days, given.columns)
    context = ModelContext(series.links, unit="km/h", timezone="Asia/Seoul")
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as scratch:
        folder = Path(scratch)
        with step("training"):
            done = fit(model, config, series, checkpoint_dir=folder, context=context)
        with step("refit"):
            again = refit(model, config, series, done, checkpoint_dir=folder)
            done = replace(done, refit=again)
        with step("bundle"):
            bundle = trained_bundle(model, config, done, series, DATASET)
            bundle.save(folder / "model")
        scored = Forecaster(bundle.comparable, config.device)
        with step("evaluation"):
            scores = evaluate(scored, series, done.split, config.evaluation_windows)
        with step("report"):
            origin = Origin("0" * 32, "0" * 32, ("2024-01-01",))
            write_report(folder / "report.html", origin, done, scores, scored, series)
        print(f"MAE {scores.mae():.3f}, {scores.windows:,} of {scores.windows_total:,} windows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
