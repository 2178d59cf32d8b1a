from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from luigi_traffic import DataError
from luigi_traffic.training.batches import Tensors
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.series import Series
from luigi_traffic_ridge import Ridge, RidgeConfig, luigi_traffic_models

CONF = Path(__file__).parents[3] / "conf" / "models" / "ridge.yml"
HALF_HOUR = timedelta(minutes=30)


def series(days: int = 10, links: int = 3) -> Series:
    """Speed follows a column of gold one step later; gaps in both."""
    rng = np.random.default_rng(3)
    rain = rng.normal(0, 1, (days * 48, links))
    speed = 60 - 10 * np.roll(rain, 1, axis=0) + rng.normal(0, 0.1, rain.shape)
    values = np.stack([speed, rain], axis=-1).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    names = tuple("abcdefgh"[:links])
    return Series(np.datetime64("2024-01-01", "us"), HALF_HOUR, names, ("speed", "rain"), values)


def test_the_conf_file_holds_the_defaults() -> None:
    assert RidgeConfig(**yaml.safe_load(CONF.read_text())) == RidgeConfig()


def test_the_hook_gives_the_model_without_loading_torch_or_scikit_learn() -> None:
    assert luigi_traffic_models() == [Ridge]
    code = "import sys, luigi_traffic_ridge; sys.exit(len({'torch', 'sklearn'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], check=False)
    assert ran.returncode == 0


def test_a_further_column_of_gold_is_used(tmp_path: Path) -> None:
    """One step ahead is known from that column alone; the steps after it are noise."""
    errors = {}
    for columns in ((), ("rain",)):
        config = RidgeConfig(input_steps=4, output_steps=1, columns=columns)
        done = fit(Ridge(), config, series(), checkpoint_dir=tmp_path)
        errors[columns] = done.history[0]["validation_mae"]
    assert errors["rain",] < 2 < 7 < errors[()]  # 10 % of the rain is missing


def test_a_column_that_gold_lacks_is_told(tmp_path: Path) -> None:
    config = RidgeConfig(input_steps=4, output_steps=2, columns=("rian",))
    with pytest.raises(DataError, match=r"channel 'rian', which gold does not have.*'rain'"):
        fit(Ridge(), config, series(), checkpoint_dir=tmp_path)


def test_the_weights_are_those_of_the_normal_equations(tmp_path: Path) -> None:
    data = series(links=1)
    config = RidgeConfig(input_steps=3, output_steps=2, alpha=2.0)
    done = fit(Ridge(), config, data, checkpoint_dir=tmp_path)
    network, t_in = done.network, 3
    windows = np.array(done.split.train)
    tensors = Tensors(data, done.scaler, done.shape.channels, t_in, 2, torch.device("cpu"))
    x, y, mask = tensors.batch(windows, None)
    mean, std = done.scaler.target
    regressors = network.regressors(x)[:, 0].double().numpy()
    for step in range(2):
        seen = mask[:, step, 0].numpy()
        a, b = regressors[seen], (y[:, step, 0].numpy()[seen] - mean) / std
        a, b = a - a.mean(axis=0), b - b.mean()
        expected = np.linalg.solve(a.T @ a + 2.0 * np.eye(a.shape[1]), a.T @ b)
        np.testing.assert_allclose(network.weight[step].numpy(), expected, atol=1e-3)
