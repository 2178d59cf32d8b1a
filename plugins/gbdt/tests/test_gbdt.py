from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from luigi_traffic import DataError, ModelShape
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Fit
from luigi_traffic.training.series import Series
from luigi_traffic_gbdt import Gbdt, GbdtConfig, luigi_traffic_models
from luigi_traffic_gbdt.moments import Clock
from luigi_traffic_gbdt.network import Trees
from luigi_traffic_gbdt.usual import Usual

CONF = Path(__file__).parents[3] / "conf" / "models" / "gbdt.yml"
HALF_HOUR = timedelta(minutes=30)
SHORT = {"input_steps": 4, "output_steps": 2, "trees": 30, "leaves": 15, "min_leaf": 10}


def series(days: int = 14, links: int = 3) -> Series:
    """Speed follows a column of gold one step later, and each link has its own level; gaps."""
    rng = np.random.default_rng(3)
    rain = rng.normal(0, 1, (days * 48, links))
    speed = 60 + 20 * np.arange(links) - 10 * np.roll(rain, 1, axis=0)
    values = np.stack([speed, rain], axis=-1).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    names = tuple("abcdefgh"[:links])
    return Series(np.datetime64("2024-01-01", "us"), HALF_HOUR, names, ("speed", "rain"), values)


def trained(folder: Path, data: Series, **values: Any) -> Fit:
    return fit(Gbdt(), GbdtConfig(**SHORT | values), data, checkpoint_dir=folder)


def window(config: GbdtConfig, **values: float) -> tuple[Trees, np.ndarray]:
    """A network of one link, and a window of nothing but missing values on a Friday, 23:30."""
    shape = ModelShape(4, 2, 1, ("speed", "speed:observed", "time_of_day", "day_of_week"), 48)
    x = np.zeros((1, 4, 4), np.float32)
    x[:, :, 2], x[:, :, 3] = 47 / 48, 4
    return Trees(shape, config), x


def test_the_conf_file_holds_the_defaults() -> None:
    assert GbdtConfig(**yaml.safe_load(CONF.read_text())) == GbdtConfig()


def test_the_hook_gives_the_model_without_loading_torch_or_lightgbm() -> None:
    assert luigi_traffic_models() == [Gbdt]
    heavy = "{'torch', 'lightgbm', 'numpy'} & set(sys.modules)"
    code = f"import sys, luigi_traffic_gbdt; sys.exit(len({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_openmp_is_reported() -> None:
    code = """
import sys, types
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
sys.meta_path.insert(0, Finder())
from luigi_traffic import SettingsError
try:
    import luigi_traffic_gbdt.library
except SettingsError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be loaded: libgomp.so.1" in ran.stdout
    assert "install libgomp1" in ran.stdout


def test_a_further_column_of_gold_is_used(tmp_path: Path) -> None:
    """One step ahead is known from that column alone; the steps after it are noise."""
    without, with_rain = (
        trained(tmp_path, series(), output_steps=1, columns=columns).history[0]["validation_mae"]
        for columns in ((), ("rain",))
    )
    assert with_rain < 3.5 < 7 < without  # 10 % of the rain is missing


def test_a_column_that_gold_lacks_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"channel 'rian', which gold does not have.*'rain'"):
        trained(tmp_path, series(), columns=("rian",))


def test_a_fit_can_be_repeated_and_is_stored_whole(tmp_path: Path) -> None:
    one, two = (trained(tmp_path, series()).network for _ in range(2))
    states = [network.state_dict() for network in (one, two)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    x = torch.randn(5, 4, 3, 4)
    shape = ModelShape(4, 2, 3, ("speed", "speed:observed", "time_of_day", "day_of_week"), 48)
    fresh = Gbdt().build(GbdtConfig(**SHORT), shape, None)
    assert not torch.equal(fresh(x), one(x))
    fresh.load_state_dict(states[0])
    assert torch.equal(fresh(x), one(x))
    assert torch.equal(copy.deepcopy(fresh)(x), one(x))
    assert fresh.state_dict().keys() == states[0].keys() == {"usual", "_extra_state"}
    with pytest.raises(RuntimeError, match="1 boosters are stored for 2 steps ahead"):
        fresh.set_boosters(one.texts[:1])
    with pytest.raises(RuntimeError, match="LightGBM cannot read a stored booster"):
        fresh.set_boosters(["no tree", "no tree"])


def test_a_step_without_an_observed_target_is_reported() -> None:
    config = GbdtConfig(**SHORT)
    network, _ = window(config)
    x, y = np.ones((3, 4, 1, 4), np.float32), np.ones((3, 2, 1), np.float32)
    seen = np.array([[[True], [False]]] * 3)
    with pytest.raises(DataError, match="No training sample has an observed target 2 steps ahead"):
        Gbdt().fit(config, network, [(x, y, seen)])


@pytest.mark.parametrize("days", [14, 2])
def test_a_constant_series_is_forecast_as_it_is(tmp_path: Path, days: int) -> None:
    """Also of two days, with fewer rows than a leaf needs."""
    data = series(days, links=1)
    data = replace(data, values=np.full_like(data.values, 50))
    done = trained(tmp_path, data, min_leaf=50, stopping_share=0.9)
    assert done.history[0]["validation_mae"] == pytest.approx(0, abs=1e-4)


def test_too_few_rows_for_a_tree_give_persistence(tmp_path: Path) -> None:
    """Trees that cannot split add the median change, which is about 0."""
    done = trained(tmp_path, series(2, links=1), min_leaf=1000)
    rising = np.linspace(-1, 1, 4, dtype=np.float32)
    x = torch.zeros(1, 4, 1, 4)
    x[0, :, 0, 0], x[0, :, 0, 1] = torch.from_numpy(rising), 1
    said = done.network(x)[0, :, 0]
    change = [float(line.split("=")[1]) for text in done.network.texts
              for line in text.splitlines() if line.startswith("leaf_value=")]  # fmt: skip
    assert len(change) == 2
    assert torch.allclose(said, 1 + torch.tensor(change), atol=1e-5)


def test_gaps_are_missing_unless_they_are_filled() -> None:
    """The last value is the last observed one, and the flag of a filled value is an input."""
    network, x = window(GbdtConfig(**SHORT))
    x[0, :2, 0], x[0, :2, 1] = (0.5, 2.0), 1
    usual = Usual(np.zeros((2, 48, 1), np.float32))
    rows = network.features.rows(x, np.zeros(1, int), usual)
    assert rows.last == [2.0]
    np.testing.assert_array_equal(rows.table[0, :4], [-1.5, 0, np.nan, np.nan])
    np.testing.assert_allclose(rows.table[0, 4:9], [-0.75, 0.75, -1.5, 0, 2])
    filled, _ = window(GbdtConfig(**SHORT, fill="last"))
    x[0, 2:, 0] = 2.0
    again = filled.features.rows(x, np.zeros(1, int), usual)
    np.testing.assert_array_equal(again.table[0, :4], [-1.5, 0, 0, 0])
    np.testing.assert_array_equal(again.table[0, -6:-2], [1, 1, 0, 0])


def test_where_nothing_was_observed_the_usual_value_is_the_last_one() -> None:
    """Half an hour after Friday, 23:30, it is weekend."""
    network, x = window(GbdtConfig(**SHORT))
    usual = np.zeros((2, 48, 1), np.float32)
    usual[0, 47], usual[1, 0], usual[1, 1] = 3.0, 4.0, 5.0
    rows = network.features.rows(x, np.zeros(1, int), Usual(usual))
    assert rows.last == [3.0]
    assert np.isnan(rows.table[0, :8]).all()
    assert rows.ahead(1)[0, -2:].tolist() == [4.0, 1.0]
    assert rows.ahead(2)[0, -2:].tolist() == [5.0, 2.0]


def test_a_training_row_does_not_meet_its_target_in_what_is_usual() -> None:
    """Friday, 23:30, was seen with 6 and Thursday with 3: each row sees the other day alone."""
    network, friday = window(GbdtConfig(**SHORT))
    friday[:, :, 2] = 46 / 48
    thursday = friday.copy()
    thursday[:, :, 3] = 3
    seen = np.array([[[True], [False]]])
    batches = [
        (x[:, :, None], np.array([[[y], [0]]], np.float32), seen)
        for x, y in ((friday, 6), (thursday, 3))
    ]
    usual = Usual.learned(network.clock, 1, batches)
    mean = (6 + 3) / 2
    assert usual.table[0, 47, 0] == pytest.approx((6 + 3 + 2 * mean) / 4)
    for x, other in ((friday, 3), (thursday, 6)):
        row = network.features.rows(x, np.zeros(1, int), usual).ahead(1)
        assert row[0, -2] == pytest.approx((other + 2 * mean) / 3)


def test_a_day_has_no_more_slots_than_intervals() -> None:
    shape = ModelShape(4, 2, 1, ("speed", "speed:observed", "time_of_day", "day_of_week"), 24)
    assert Clock(shape, 96).slots == 24
