"""Fixtures of the training tests; METR-LA where it is at hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Tiny networks: a second thread costs more than it brings, above all on a busy machine.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch

from luigi_traffic.training.series import Series

sys.path.insert(0, str(Path(__file__).parent))  # for training_tiny, here and in child processes

from training_tiny import road

torch.set_num_threads(1)  # where something has imported torch before


@pytest.fixture
def series() -> Series:
    return road()


@pytest.fixture(scope="session")
def metr_la() -> tuple[np.ndarray, np.ndarray]:
    """(values with zeros as they are, start); skipped where the data is not at hand."""
    folder = Path(
        os.environ.get("METR_LA_DIR")
        or Path(__file__).parents[3].parent / "shared" / "data" / "metr-la"
    )
    file = folder / "metr-la.npz"
    if not file.exists():
        pytest.skip(f"METR-LA is not in {folder}; set METR_LA_DIR")
    with np.load(file) as data:
        return data["values"], np.datetime64(str(data["start"]), "us")
