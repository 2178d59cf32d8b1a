from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_tiny import AllLinks, PerLink, config, road

import luigi_traffic
from luigi_traffic.api.losses import masked_loss
from luigi_traffic.crashpoints import VARIABLE
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.training.baselines import Persistence
from luigi_traffic.training.checkpoint import FILE
from luigi_traffic.training.device import choose_device
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Fit, Progress
from luigi_traffic.training.series import Series

KILLED = """
import sys
from pathlib import Path
from training_tiny import PerLink, config, road
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.training.fit_epochs import fit

fit(PerLink(), config(epochs=5, samples_per_epoch=200), road(), checkpoint_dir=Path(sys.argv[1]),
    on_checkpoint=lambda: crash_point(CrashPoint.TRAIN_CHECKPOINTED))
"""


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    packages = [str(Path(luigi_traffic.__file__).parents[1]), str(Path(__file__).parent)]
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "broken")],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(packages), VARIABLE: "train.checkpointed:2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    torch.manual_seed(99)  # whatever the state of the process that goes on
    calls: dict[str, int] = {"clean": 0, "broken": 0}

    def train(name: str) -> Fit:
        def count() -> None:
            calls[name] += 1

        settings = config(epochs=5, samples_per_epoch=200)
        return fit(PerLink(), settings, road(), checkpoint_dir=tmp_path / name, on_checkpoint=count)

    resumed, clean = train("broken"), train("clean")
    assert (clean.resumed_at, resumed.resumed_at) == (None, 3)
    assert calls == {"clean": 5, "broken": 3}
    assert len(clean.history) == len(resumed.history) == 5
    assert clean.samples_seen == resumed.samples_seen
    one, two = clean.network.state_dict(), resumed.network.state_dict()
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


def run(series: Series, folder: Path, model: type = PerLink, **changes: object) -> Fit:
    return fit(model(), config(**changes), series, checkpoint_dir=folder)


def weights(done: Fit) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in done.network.parameters()])


@pytest.mark.parametrize("model", [PerLink, AllLinks])
def test_it_learns(series: Series, tmp_path: Path, model: type) -> None:
    done = run(series, tmp_path, model, epochs=12, patience=12)
    errors = [row["validation_mae"] for row in done.history]
    assert min(errors) < 0.7 * errors[0]
    assert done.best_epoch == 1 + int(np.argmin(errors))
    mean = np.nanmean(series.actual)
    assert min(errors) < np.nanmean(np.abs(series.actual - mean))
    assert not done.network.training


def test_the_best_epoch_is_kept_and_patience_stops(series: Series, tmp_path: Path) -> None:
    done = run(series, tmp_path, epochs=40, patience=2, learning_rate=0.3, schedule="constant")
    assert done.stopped_early
    assert len(done.history) == done.best_epoch + 2
    # Trained for just as long as the best epoch, the weights are the same.
    short = run(
        series,
        tmp_path / "b",
        epochs=done.best_epoch,
        patience=40,
        learning_rate=0.3,
        schedule="constant",
    )
    assert torch.equal(weights(done), weights(short))


def test_masked_targets_change_nothing() -> None:
    forecast = torch.randn(4, 3, 2, requires_grad=True)
    actual, mask = torch.randn(4, 3, 2), torch.rand(4, 3, 2) < 0.5
    assert 0 < mask.sum() < mask.numel()
    for kind in ("mae", "mse", "huber"):
        losses = []
        for spoil in (0.0, 1e9):
            loss = masked_loss(forecast, torch.where(mask, actual, spoil), mask, kind, 1.0)
            (gradient,) = torch.autograd.grad(loss, forecast)
            assert (gradient[~mask] == 0).all()
            assert (gradient[mask] != 0).all()
            losses.append(loss)
        assert torch.equal(losses[0], losses[1])
    exact = masked_loss(forecast, actual, mask, "mae", 1.0)
    torch.testing.assert_close(exact, (forecast - actual)[mask].abs().mean())
    assert masked_loss(forecast, actual, torch.zeros_like(mask), "mae", 1.0) == 0


def test_training_never_sees_the_hold_out(series: Series, tmp_path: Path) -> None:
    one = run(series, tmp_path / "a")
    spoilt = series.values.copy()
    spoilt[one.split.validation.stop + 6 + 4 - 1 :] = 1e6
    two = run(replace(series, values=spoilt), tmp_path / "b")
    assert torch.equal(weights(one), weights(two))
    assert one.history[-1]["validation_mae"] == two.history[-1]["validation_mae"]


def test_a_checkpoint_of_other_settings_or_data_or_in_pieces_is_ignored(
    series: Series, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = run(series, tmp_path, epochs=2)
    same = run(series, tmp_path, epochs=2)
    assert same.resumed_at == 3  # nothing left to do
    assert torch.equal(weights(first), weights(same))

    assert run(series, tmp_path, epochs=2, learning_rate=0.02).resumed_at is None
    assert "belongs to other data, settings or another model" in caplog.text
    values = series.values.copy()
    values[0, 0, 0] = 12.5
    assert (
        run(replace(series, values=values), tmp_path, epochs=2, learning_rate=0.02).resumed_at
        is None
    )

    caplog.clear()
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[:1000])
    assert run(series, tmp_path, epochs=2).resumed_at is None
    assert "cannot be read" in caplog.text


def test_a_loss_that_is_not_a_number_says_so(series: Series, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a number.*learning_rate"):
        run(series, tmp_path, learning_rate=1e30, gradient_clip=1e30, loss="mse", epochs=5)


def test_a_last_step_that_breaks_the_network_says_so(series: Series, tmp_path: Path) -> None:
    """One batch an epoch: its loss is fine, and only validation meets the broken weights."""
    with pytest.raises(DataError, match="validation error of epoch 1 is not a number"):
        run(series, tmp_path, learning_rate=1e30, schedule="constant", batch_size=10_000)
    assert not (tmp_path / FILE).exists()


def test_samples_seen_and_progress(tmp_path: Path) -> None:
    told: list[Progress] = []
    series = road()
    done = fit(
        PerLink(),
        config(epochs=2, samples_per_epoch=100),
        series,
        checkpoint_dir=tmp_path,
        progress=told.append,
    )
    assert (done.samples_drawn, done.samples_seen) == (200, 200)
    assert done.samples_total > 200
    everything = run(series, tmp_path / "b", epochs=2)
    assert everything.samples_seen == everything.samples_total == everything.samples_drawn / 2
    assert told[-1].share == 1.0
    assert told[-1].best_validation_mae == min(row["validation_mae"] for row in done.history)


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(SettingsError, match="no GPU"):
        choose_device("cuda")


def test_persistence_is_there_to_be_beaten(series: Series, tmp_path: Path) -> None:
    """The road's daily wave is learnable: the model must beat persistence on validation."""
    done = run(series, tmp_path, epochs=30, patience=30)
    windows = np.arange(done.split.validation.start, done.split.validation.stop)
    forecast = Persistence.of(series, 6, 4, np.full(5, 50, np.float32)).predict(windows)
    actual = series.actual[windows[:, None] + 6 + np.arange(4)]
    assert min(r["validation_mae"] for r in done.history) < np.nanmean(np.abs(forecast - actual))
