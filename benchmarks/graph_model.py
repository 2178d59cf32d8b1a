"""A small graph network on METR-LA with and without its graph: `python benchmarks/graph_model.py`.

    python benchmarks/graph_model.py [SEEDS [SAMPLES [EPOCHS [WINDOWS]]]]

Default: 2 seeds, 1500 windows drawn per epoch, 10 epochs, 500 windows of the hold-out scored.

The same network is trained twice for each seed, on the same windows in the same order: built with
the graph of the plugin `metr_la` (its weights are the adjacency's), and without it, so that each
link hears itself alone. It reads the file of METR-LA (METR_LA_DIR) into a `Series` and calls
the training and the evaluation of the pipeline, without lake and warehouse. Prints the masked MAE
of both in mph; exit code 1 if the graph does not help in every seed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from graph_model import Gcn, GcnConfig
from metr_la import metr_la

from luigi_traffic import ModelContext
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.evaluate import Evaluation, evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.metrics import free_flow
from luigi_traffic.training.scores import PERSISTENCE
from luigi_traffic.training.series import Series

STEPS = ("3", "6", "12", "mean")


def trained(series: Series, context: ModelContext, config: GcnConfig) -> tuple[Evaluation, float]:
    """Fit and score; the seconds of both."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as folder:
        done = fit(Gcn(), config, series, checkpoint_dir=Path(folder), context=context)
    rows = done.split.training_rows(config.input_steps)
    bundle = Bundle(
        Gcn(), config, done.shape, done.scaler, done.network, "metr_la", done.context,
        free_flow(series.actual[rows]),
    )  # fmt: skip
    forecaster = Forecaster(bundle, "cpu")
    scores = evaluate(forecaster, series, done.split, config.evaluation_windows)
    return scores, time.monotonic() - started


def main(seeds: str = "2", samples: str = "1500", epochs: str = "10", windows: str = "500") -> int:
    """Train both for each seed, print."""
    torch.set_num_threads(1)
    series, context = metr_la()
    assert context.graph is not None
    print(f"{len(context.links)} links, {len(context.graph)} edges")
    print(f"{'seed':>4}  {'model':16}" + "".join(f"{step:>8}" for step in STEPS) + "  seconds")
    better = True
    for seed in range(int(seeds)):
        config = GcnConfig(
            seed=seed, epochs=int(epochs), patience=int(epochs), samples_per_epoch=int(samples),
            validation_samples=200, evaluation_windows=int(windows), batch_size=16, hidden=32,
            device="cpu",
        )  # fmt: skip
        found = {}
        for name, around in (
            ("with the graph", context),
            ("without", replace(context, graph=None)),
        ):
            found[name], seconds = trained(series, around, config)
            row = "".join(f"{found[name].mae(step=step) or 0:8.3f}" for step in STEPS)
            print(f"{seed:4}  {name:16}{row} {seconds:8.0f}", flush=True)
        with_graph, without = found.values()
        better = better and (with_graph.mae() or 0) < (without.mae() or 0)
    row = "".join(f"{without.mae(PERSISTENCE, step) or 0:8.3f}" for step in STEPS)
    print(f"      {'persistence':16}{row}")
    return int(not better)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
