"""The conformance kit on this dataset, with a small archive of the same form."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from luigi_traffic import Dataset
from luigi_traffic.testing import DatasetSuite
from luigi_traffic_metr_la.dataset import MetrLa

SENSORS = ["773869", "767541", "767542"]


class TestMetrLa(DatasetSuite):
    dataset = MetrLa
    day = date(2012, 3, 2)
    speed_lines = 20_000

    def make_dataset(self, folder: Path) -> Dataset:
        values = 20 + np.arange(576 * 3, dtype=float).reshape(576, 3) / 32
        values[::7] = 0.0
        np.savez(
            folder / "metr-la.npz", values=values, sensor_ids=np.array(SENSORS),
            start=np.array("2012-03-01T00:00:00"), step_seconds=np.array(300),
        )  # fmt: skip
        adjacency = np.array([[1, 0.6, 0], [0.4, 1, 0.9], [0, 0, 1]], dtype=np.float32)
        np.savez(folder / "metr-la-adj-gauss.npz", ids=np.array(SENSORS), adj=adjacency)
        return MetrLa(MetrLa.Settings(folder=folder))
