"""Fixtures of the training tests."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

# Tiny networks: a second thread costs more than it brings, above all on a busy machine.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch

from luigi_traffic import LinkGraph, LinkTable, ModelContext
from luigi_traffic.training.evaluate import Evaluation, evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle

sys.path.insert(0, str(Path(__file__).parent))  # for training_tiny, here and in child processes

from training_tiny import PerLink, config, road

torch.set_num_threads(1)  # where something has imported torch before


@pytest.fixture
def series() -> Series:
    return road()


@dataclass(frozen=True)
class Trained:
    """A model of a road of 12 links in a row, with places and Korean names, on 12 days."""

    series: Series
    fit: Fit
    forecaster: Forecaster
    scores: Evaluation


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    # Not in the order of their names, nor of the road.
    names = ("강남대로", "$a_1$", *(f"L{n}" for n in (7, 3, 5, 2, 9, 1, 8, 6, 4, 0)))
    series = replace(road(days=12, links=12), links=names)
    along = sorted(names)
    context = ModelContext(
        names,
        graph=LinkGraph.from_edges(pairwise(along)),
        link_table=LinkTable.from_rows(
            {"link_id": name, "longitude": 127 + n / 100, "latitude": 37.5 + n % 3 / 100}
            for n, name in enumerate(along[:-1])
        ),
        unit="km/h",
        interval=series.interval,
        timezone="Asia/Seoul",
    )
    folder = tmp_path_factory.mktemp("trained")
    done = fit(PerLink(), config(epochs=3), series, checkpoint_dir=folder, context=context)
    bundle = trained_bundle(PerLink(), config(epochs=3), done, series, "도로 & co")
    forecaster = Forecaster(bundle, "cpu")
    return Trained(series, done, forecaster, evaluate(forecaster, series, done.split))


@pytest.fixture(scope="session")
def metr_la(metr_la_file: Path) -> tuple[np.ndarray, np.ndarray]:
    """(values with zeros as they are, start)."""
    with np.load(metr_la_file) as data:
        return data["values"], np.datetime64(str(data["start"]), "us")
