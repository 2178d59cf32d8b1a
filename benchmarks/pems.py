"""Flow of a PEMS file as the literature runs it: `python benchmarks/pems.py --file pems04.npz`.

    --file FILE       .npz with `data` (T, N, F), flow first: PEMS03, 04, 07 and 08 are such files
    --start ISO       the first interval (default 2018-01-01, of PEMS04; PEMS08 begins 2016-07-01)
    --model NAME      a model plugin (default stid), with its configuration of conf/models
    --training JSON   laid over it, such as '{"epochs": 100}'
    --seeds SEED …    a training each (default 1)
    --days N          the first N days of the file alone
    --baselines       baselines alone, in seconds
    --json            the figures as JSON

Vehicles in 5 minutes, 12 steps in and 12 out, 60/20/20 % of the windows in time order (Song et al.
2020, STSGCN; Shao et al. 2022, STID). A flow of 0 is never scored, and the network sees it as
missing. Networks get no graph: the file has none.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from luigi_traffic import ModelContext
from luigi_traffic.project import current
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.scores import MODEL
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle

STEPS = ("3", "6", "12", "mean")
MEASURES = ("mae", "rmse", "mape")


def flow(file: Path, start: str) -> Series:
    """The first column of `data`, zeros missing. Ends the program for a file of another shape."""
    if not file.is_file():
        sys.exit(f"{file} is not a file: name one with --file.")
    with np.load(file) as content:
        if "data" not in content or content["data"].ndim != 3:
            found = {name: content[name].shape for name in content}
            sys.exit(f"{file} has {found}; expected an array `data` (T, N, F), flow first.")
        values = content["data"][..., :1].astype(np.float32)
    links = tuple(str(n) for n in range(values.shape[1]))
    first = np.datetime64(start, "us")
    shown = np.where(values == 0, np.float32(np.nan), values)
    return Series(first, timedelta(minutes=5), links, ("flow",), shown, "flow")


def scored(name: str, config: dict[str, Any], series: Series) -> dict[str, Any]:
    """Fit and score: forecaster → step → measure → value, and what the training was."""
    plugins = current().plugins
    model, filled = plugins.model(name), plugins.model_config(name, config)
    context = ModelContext(series.links, target="flow", unit="veh/5 min")
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as scratch:
        done = fit(
            model, filled, series, checkpoint_dir=Path(scratch), context=context,
            progress=lambda at: print(f"{at.share:.0%}", end="\r", file=sys.stderr, flush=True),
        )  # fmt: skip
    bundle = trained_bundle(model, filled, done, series, "pems")
    found = evaluate(Forecaster(bundle, filled.device), series, done.split)
    return {
        "scores": found.scores, "windows": [len(part) for part in _parts(done.split)],
        "epochs": len(done.history), "best_epoch": done.best_epoch, "seconds": done.seconds,
    }  # fmt: skip


def _parts(split: Any) -> tuple[range, range, range]:
    return split.train, split.validation, split.test


def main() -> int:
    """Train each seed, print beside the baselines."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--file", type=Path, required=True)
    asked.add_argument("--start", default="2018-01-01")
    asked.add_argument("--model", default="stid")
    asked.add_argument("--training", type=json.loads, default={})
    asked.add_argument("--seeds", type=int, nargs="+", default=[1])
    asked.add_argument("--days", type=int)
    asked.add_argument("--baselines", action="store_true")
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    series = flow(given.file, given.start)
    if given.days is not None:
        series = replace(series, values=series.values[: given.days * series.steps_per_day])
    shares = {"train_share": 0.6, "validation_share": 0.2, "input_steps": 12, "output_steps": 12}
    runs = {}
    if given.baselines:  # the cheapest training there is, for what is scored beside it
        few = {"samples_per_epoch": 1000, "refit": False}
        runs["-"] = scored("ridge", shares | few, series)
        del runs["-"]["scores"][MODEL]
    else:
        for seed in given.seeds:
            runs[str(seed)] = scored(given.model, shares | given.training | {"seed": seed}, series)
    if given.json:
        print(json.dumps({"runs": runs}, indent=1))
        return 0
    print(f"windows {next(iter(runs.values()))['windows']}, flow in vehicles in 5 minutes")
    print(f"{'':28}" + "".join(f"{m + ' ' + s:>11}" for s in STEPS for m in MEASURES))
    for seed, run in runs.items():
        for name, steps in run["scores"].items():
            told = f"{given.model}, seed {seed}" if name == MODEL else name
            values = [steps[step][measure] for step in STEPS for measure in MEASURES]
            print(f"{told:28}" + "".join(f"{value:11.2f}" for value in values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
