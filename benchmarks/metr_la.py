"""METR-LA as the literature runs it: `python benchmarks/metr_la.py --model stid --seeds 1 2 3`.

    --model NAME      a model plugin (default stid), with its configuration of conf/models
    --training JSON   laid over it, such as '{"epochs": 100}'
    --seeds SEED …    a training each; MAE is the mean, and the spread is the standard deviation
    --zeros           the network sees missing values as speeds of 0, as the reference code does;
                      without it, they are 0 after scaling, as in the pipeline
    --milestones E …  halve the learning rate after these epochs, instead of the config's schedule
    --days N          the first N days of the file alone
    --mask its        only the slots that a day of ITS has, in inputs and targets: see its_mask.py
    --mask-seed SEED  of these slots (default 1)
    --baselines       window counts, scaler and baselines alone, in seconds
    --json            the figures as JSON
    --checkpoints DIR keep checkpoints there: a training that was stopped goes on

All 34,272 intervals of 207 sensors, 12 steps in and 12 out, 70/10/20 % of the windows in time order
(23,974 / 3,425 / 6,850), zeros never scored (Li et al. 2018, DCRNN). It reads the file of METR-LA
(METR_LA_DIR) and calls the pipeline's windows, scaler, training loop and metrics, without lake and
warehouse. Persistence must come out as published, or the exit code is 1. With `--days` or `--mask`
the split is 70/10/20 % of what is left, nothing is published to compare with, and the exit code is
1 if the mask is not the one of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from its_mask import facts, its_mask, masked, unlike_documented

from luigi_traffic import TARGET, Model, ModelContext
from luigi_traffic.api.model import ModelConfig
from luigi_traffic.project import current
from luigi_traffic.training.baselines import (
    DayBefore,
    HistoricalMedian,
    Persistence,
    link_means,
)
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.metrics import Errors
from luigi_traffic.training.report_facts import stored
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle
from luigi_traffic.training.windows import Split, split, window_count
from luigi_traffic_metr_la import MetrLa

STEPS = ("3", "6", "12", "mean")
COUNTS = (23_974, 3_425, 6_850)
#: MAE of persistence at 15, 30 and 60 minutes; mean and deviation over the training inputs.
PERSISTENCE, SCALER = (4.017, 5.094, 6.795), (54.40593, 19.49374)
#: MAE at 15, 30 and 60 minutes, published or run again in one code base (BasicTS, DCRNN).
PUBLISHED = {
    "FC-LSTM": (3.06, 3.76, 4.86), "DCRNN": (2.72, 3.12, 3.59), "STID": (2.81, 3.17, 3.55),
    "Graph WaveNet": (2.68, 3.06, 3.50), "STAEformer": (2.65, 2.96, 3.35),
}  # fmt: skip
#: The column in which missing values are speeds of 0.
WITH_ZEROS = "speed_with_zeros"
T = 12


def metr_la(min_weight: float = 0.1) -> tuple[Series, ModelContext]:
    """All of it, zeros missing in the target, and what the plugin says of the sensors."""
    dataset = MetrLa(MetrLa.Settings(min_weight=min_weight))
    with np.load(dataset.folder / "metr-la.npz") as file:
        values, start = file["values"].astype(np.float32), np.datetime64(str(file["start"]), "us")
        links = tuple(str(link) for link in file["sensor_ids"])
    speeds = np.stack([np.where(values == 0, np.nan, values), values], axis=-1)
    series = Series(start, timedelta(minutes=5), links, ("speed", WITH_ZEROS), speeds)
    context = ModelContext(
        links, graph=dataset.graph(), unit=dataset.unit, timezone=dataset.timezone
    )
    return series, context


def first_days(series: Series, days: int) -> Series:
    """The series up to before day `days` + 1."""
    return dataclasses.replace(series, values=series.values[: days * series.steps_per_day])


def baselines(series: Series, parts: Split, whole: bool = True) -> dict[str, Any]:
    """Counts, the reference code's scaler, and MAE of what needs no training.

    If it is the whole file, persistence takes missing values for speeds of 0, as published.
    """
    zeros = series.column(WITH_ZEROS)
    rows = parts.training_rows(T)
    inputs = np.lib.stride_tricks.sliding_window_view(zeros[rows], T, axis=0)
    mean = inputs.mean(dtype=np.float64)
    # Not of the view at once: it would be 12 times the data in float64.
    square = sum(((one - mean) ** 2).sum() for one in inputs.astype(np.float32)) / inputs.size
    with_zeros = Series(series.start, series.interval, series.links, ("speed",), zeros[..., None])
    median = HistoricalMedian.of(series, rows, T, T)
    means = np.zeros(len(series.links), np.float32)
    if not whole:
        with_zeros, means = series, link_means(series.actual[rows])
    known = {
        "persistence": Persistence.of(with_zeros, T, T, means),
        "day before": DayBefore.of(series, median),
        "historical median": median,
    }
    test = np.arange(parts.test.start, parts.test.stop)
    mae = {}
    for name, baseline in known.items():
        errors = Errors(T)
        for piece in np.array_split(test, 50):
            actual = series.actual[piece[:, None] + T + np.arange(T)]
            errors.update(baseline.predict(piece), actual, ~np.isnan(actual))
        mae[name] = {step: found["mae"] for step, found in errors.summary().items()}
    counts = [len(parts.train), len(parts.validation), len(parts.test)]
    return {"windows": counts, "scaler": [float(mean), float(np.sqrt(square))], "mae": mae}


def as_published(found: dict[str, Any]) -> list[str]:
    """What differs from the literature; empty if nothing does."""
    persistence = tuple(round(found["mae"]["persistence"][step], 3) for step in STEPS[:3])
    scaler = tuple(round(value, 5) for value in found["scaler"])
    pairs = [
        ("windows", tuple(found["windows"]), COUNTS),
        ("persistence", persistence, PERSISTENCE),
        ("scaler", scaler, SCALER),
    ]
    return [f"{what}: {here}, published {there}" for what, here, there in pairs if here != there]


def literature(model: Model, zeros: bool, milestones: list[int], epochs: int) -> Model:
    """The model with the reference code's input and schedule, as far as they are asked for."""
    changed: dict[str, Any] = {}
    if zeros:

        def channels(self: Model, config: ModelConfig) -> tuple[str, ...]:
            return tuple(
                WITH_ZEROS if c == TARGET else c for c in type(model).channels(self, config)
            )

        changed["channels"] = channels
    if milestones:

        def scheduler(self: Model, config: ModelConfig, optimizer: Any, steps: int) -> Any:
            at = [epoch * (steps // epochs) for epoch in milestones]
            return torch.optim.lr_scheduler.MultiStepLR(optimizer, at, gamma=0.5)

        changed["scheduler"] = scheduler
    return type(type(model).__name__, (type(model),), changed)() if changed else model


def trained(
    model: Model, config: ModelConfig, series: Series, context: ModelContext, folder: Path
) -> dict[str, Any]:
    """Fit and score one seed."""
    started, cpu = time.monotonic(), time.process_time()
    done = fit(model, config, series, checkpoint_dir=folder, context=context, progress=_told)
    fitted = time.monotonic() - started
    bundle = trained_bundle(model, config, done, series, "metr_la")
    scores = evaluate(Forecaster(bundle, config.device), series, done.split)
    return {
        "mae": {step: scores.mae(step=step) for step in STEPS},
        "stored": stored(done.network),
        "epochs": len(done.history), "best_epoch": done.best_epoch,
        "seconds_an_epoch": statistics.median(row["seconds"] for row in done.history),
        "seconds": fitted, "cpu_seconds": time.process_time() - cpu, "device": done.device,
        "validation": [row["validation_mae"] for row in done.history],
    }  # fmt: skip


def _told(at: Any) -> None:
    if not at.share * at.epochs % 1:
        best = at.best_validation_mae
        said = f"epoch {at.epoch} of {at.epochs}" + (
            f", best validation {best:.3f}" if best else ""
        )
        print(said, file=sys.stderr, flush=True)


def row(name: str, values: list[float]) -> str:
    """A line of the table."""
    return f"{name:28}" + "".join(f"{value:8.3f}" for value in values)


def main() -> int:
    """Check the protocol, train, print beside what is published."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--model", default="stid")
    asked.add_argument("--training", type=json.loads, default={})
    asked.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked.add_argument("--milestones", type=int, nargs="+", default=[])
    asked.add_argument("--checkpoints", type=Path)
    asked.add_argument("--days", type=int)
    asked.add_argument("--mask", choices=["its"])
    asked.add_argument("--mask-seed", type=int, default=1)
    for name in ("zeros", "baselines", "json"):
        asked.add_argument(f"--{name}", action="store_true")
    given = asked.parse_args()
    series, context = metr_la()
    whole = given.days is None and given.mask is None
    if given.days is not None:
        series = first_days(series, given.days)
    mask, wrong = None, []
    if given.mask:
        there = its_mask(series, given.mask_seed)
        series = masked(series, there, np.array([np.nan, 0], np.float32))
        mask = facts(series, there)
        wrong = unlike_documented(mask, len(series) // series.steps_per_day, given.mask_seed)
    parts = split(window_count(len(series), T, T), 0.7, 0.1)
    found = baselines(series, parts, whole)
    if whole:
        wrong = as_published(found)
    runs = {}
    for seed in () if given.baselines else given.seeds:
        wanted = {"train_share": 0.7, "validation_share": 0.1, "input_steps": T, "output_steps": T}
        if given.zeros:  # then nothing is missing
            wanted |= {"fill": "none", "flags": False}
        plugins = current().plugins
        config = plugins.model_config(given.model, wanted | given.training | {"seed": seed})
        model = literature(plugins.model(given.model), given.zeros, given.milestones, config.epochs)
        with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as scratch:
            folder = given.checkpoints / f"{given.model}-{seed}" if given.checkpoints else None
            runs[seed] = trained(model, config, series, context, folder or Path(scratch))
    if given.json:
        more = {"published": PUBLISHED, "mask": mask, "runs": runs, "wrong": wrong}
        print(json.dumps(found | more, indent=1))
        return int(bool(wrong))
    if mask:
        print(*(f"mask {name}: {value}" for name, value in mask.items()), sep="\n")
    print(f"{'windows ' + str(found['windows']):28}" + "".join(f"{step:>8}" for step in STEPS))
    for name, mae in found["mae"].items():
        print(row(name, [mae[step] for step in STEPS]))
    for name, figures in PUBLISHED.items() if whole else ():
        print(row(f"{name}, published", list(figures)))
    for seed, run in runs.items():
        print(
            row(f"{given.model}, seed {seed}", [run["mae"][step] for step in STEPS])
            + f"  {run['stored']}, best of {run['epochs']} epochs:"
            f" {run['best_epoch']}, {run['seconds_an_epoch']:.1f} s an epoch on {run['device']}"
        )
    if len(runs) > 1:
        each = [[run["mae"][step] for run in runs.values()] for step in STEPS]
        print(row(f"{given.model}, mean", [statistics.mean(values) for values in each]))
        print(row("spread", [statistics.stdev(values) for values in each]))
    for line in wrong:
        print(f"not as published: {line}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
