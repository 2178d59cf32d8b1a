"""What keeps a network's memory small gives the same results as all of it at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_tiny import AllLinks, PerLink, config

from luigi_traffic.training import batches, fit_inputs, link_blocks, scaler
from luigi_traffic.training.baselines import HistoricalMedian, link_means
from luigi_traffic.training.batches import Samples, Tensors
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.metrics import free_flow
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series

T_IN, T_OUT = 6, 4


def test_blocks_of_links(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    def tables() -> list[np.ndarray]:
        median = HistoricalMedian.of(series, slice(0, 100), T_IN, T_OUT)
        return [median.table, link_means(series.actual), free_flow(series.actual)]

    whole = tables()
    monkeypatch.setattr(link_blocks, "_BLOCK_BYTES", 2 * 4 * len(series))  # two of five links
    assert len(list(link_blocks.link_blocks(series.actual))) == 3
    for one, other in zip(whole, tables(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_blocks_of_rows(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Scaler.fit(series, slice(3, 100))
    monkeypatch.setattr(scaler, "_BLOCK", 7 * len(series.links))
    parts = Scaler.fit(series, slice(3, 100))
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(parts.std, whole.std, rtol=1e-14)


@pytest.mark.parametrize("per_link", [True, False])
def test_blocks_of_windows(series: Series, per_link: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    values = series.values.copy()
    values[50:70] = np.nan
    series = replace(series, values=values)

    def drawn() -> list[int]:
        samples = Samples(series, range(30, 120), T_IN, T_OUT, per_link)
        return [int(n) for n in samples.drawn(0, 1, 40)] + samples._keys.tolist()

    whole = drawn()
    monkeypatch.setattr(batches, "_BLOCK", 3 * len(series.links))
    assert drawn() == whole


def test_the_values_of_a_series_are_not_copied(series: Series) -> None:
    held = Tensors(
        series, Scaler.fit(series, slice(0, 100)), ("speed",), T_IN, T_OUT, torch.device("cpu")
    )
    tensors = [one for one in vars(held).values() if isinstance(one, torch.Tensor)]
    large = [one for one in tensors if one.numel() >= series.actual.size]
    assert large
    assert all(np.shares_memory(one.numpy(), series.values) for one in large)


@pytest.mark.parametrize(("model", "most"), [(AllLinks, 3 * 5), (PerLink, 7)])
def test_a_batch_in_parts_trains_the_same(
    series: Series, tmp_path: Path, model: type, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts have different numbers of observed targets; the last of a batch is smaller."""

    class Plain(model):
        def build(self, config, shape, context):
            return super().build(config, shape)

        def optimizer(self, config, network):
            # Adam would make much of a rounding error where a gradient is almost 0.
            return torch.optim.SGD(network.parameters(), lr=0.01)

    def train(name: str) -> tuple[torch.Tensor, float]:
        done = fit(Plain(), config(epochs=2, batch_size=20), series, checkpoint_dir=tmp_path / name)
        weights = torch.cat([p.detach().flatten() for p in done.network.parameters()])
        return weights, done.history[-1]["train_loss"]

    whole, loss = train("whole")
    monkeypatch.setattr(fit_inputs, "LINK_WINDOWS", most)
    parts, loss_of_parts = train("parts")
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)
    assert loss_of_parts == pytest.approx(loss, rel=1e-4)
