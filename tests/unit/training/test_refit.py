"""The network that forecasts has seen every day; the one that is compared has not."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_fit_once import LeastSquares
from training_tiny import PerLink, config, get_model, road

from luigi_traffic.errors import DataError
from luigi_traffic.training.bundle import SCORED_WEIGHTS, WEIGHTS, Bundle, file_names, intact
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Fit, Refit
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.refit import refit
from luigi_traffic.training.series import Series

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from training_tiny import PerLink, config, road
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.refit import refit
told, folder = [], Path(sys.argv[1])
def count():
    told.append(1)
    if len(told) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
settings = config(epochs=4, learning_rate=0.003)
first = fit(PerLink(), settings, road(), checkpoint_dir=folder)
assert first.best_epoch > 2
refit(PerLink(), settings, road(), first, checkpoint_dir=folder, on_checkpoint=count)
"""


def both(folder: Path, series: Series, model: type = PerLink, **changes: object) -> Fit:
    settings = config(**changes)
    first = fit(model(), settings, series, checkpoint_dir=folder)
    done = refit(model(), settings, series, first, checkpoint_dir=folder)
    return replace(first, refit=done)


def same(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    mine, other = one.state_dict(), two.state_dict()
    return all(torch.equal(mine[name], other[name]) for name in other)


@pytest.mark.parametrize("model", [PerLink, LeastSquares])
def test_it_learns_from_the_hold_out_and_the_scored_network_does_not(
    tmp_path: Path, model: type
) -> None:
    series = road(days=6)
    one = both(tmp_path / "a", series, model)
    spoilt = series.values.copy()
    # The last targets too: they belong to windows of the hold-out alone.
    spoilt[one.split.test.stop - 40 :] *= 0.95
    two = both(tmp_path / "b", replace(series, values=spoilt), model)
    assert same(one.network, two.network) and one.scaler == two.scaler
    assert one.refit is not None and two.refit is not None
    assert not same(one.refit.network, two.refit.network)
    assert one.refit.scaler != two.refit.scaler
    assert one.refit.epochs == one.best_epoch and not one.refit.network.training
    assert one.refit.split.train == range(one.split.test.stop)
    assert FitSpan.of(series, one.split, 6, 4).last < series.timestamps[-40]
    assert FitSpan.of(series, one.refit.split, 6, 4).last == series.timestamps[-1].item()


def test_killed_in_between_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", KILLED, str(tmp_path / "broken"), str(Path(__file__).parent)]
    died = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    settings = {"epochs": 4, "learning_rate": 0.003}
    resumed = both(tmp_path / "broken", road(), **settings)
    clean = both(tmp_path / "clean", road(), **settings)
    assert clean.refit is not None and resumed.refit is not None
    assert same(clean.refit.network, resumed.refit.network)


class Forgetful(LeastSquares):
    """Its second fit comes to nothing."""

    fits = 0

    def fit(self, config: object, network: torch.nn.Module, batches: object) -> None:
        type(self).fits += 1
        if self.fits == 1:
            super().fit(config, network, batches)


def test_one_that_came_out_worse_does_not_forecast(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = both(tmp_path, road(), Forgetful)
    assert Forgetful.fits == 2 and done.refit is None
    assert "The network that was scored forecasts instead" in caplog.text


def bundle(done: Fit, fitted: Fit | Refit, series: Series) -> Bundle:
    return Bundle(
        PerLink(), config(), done.shape, fitted.scaler, fitted.network, "road", done.context,
        np.full(5, 60, np.float32), FitSpan.of(series, fitted.split, 6, 4),
    )  # fmt: skip


def test_a_bundle_holds_both_and_its_digest_stands_for_both(tmp_path: Path) -> None:
    series, folder = road(), tmp_path / "bundle"
    done = both(tmp_path / "c", series)
    assert done.refit is not None
    scored = bundle(done, done, series)
    whole = replace(bundle(done, done.refit, series), scored=scored)
    digest = whole.save(folder)
    assert file_names(folder) == ["model.json", WEIGHTS, SCORED_WEIGHTS]
    read = Bundle.load(folder, get_model, expected=digest)
    assert same(read.network, done.refit.network) and read.scaler == done.refit.scaler
    judged = read.comparable
    assert judged is read.scored and judged.comparable is judged
    assert same(judged.network, done.network) and judged.scaler == done.scaler
    assert judged.fit_span == scored.fit_span != read.fit_span
    assert scored.save(tmp_path / "alone") != digest
    assert file_names(tmp_path / "alone") == ["model.json", WEIGHTS]
    assert Bundle.load(tmp_path / "alone", get_model).scored is None

    assert intact(folder, digest)
    (folder / SCORED_WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    assert not intact(folder, digest)
    with pytest.raises(DataError, match=r"scored\.pt was changed after it was saved"):
        Bundle.load(folder, get_model)
    (folder / SCORED_WEIGHTS).unlink()
    assert not intact(folder, digest)


def test_a_card_that_names_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    series = road()
    done = fit(PerLink(), config(epochs=1), series, checkpoint_dir=tmp_path / "c")
    bundle(done, done, series).save(tmp_path / "b")
    card = tmp_path / "b" / "model.json"
    card.write_text(card.read_text().replace('"network.pt"', '"../b/network.pt"'))
    with pytest.raises(DataError, match="not a model card"):
        Bundle.load(tmp_path / "b", get_model)
