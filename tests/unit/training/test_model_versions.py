"""Models of version 2 (a graph network, quantiles, losses of their own) and of version 1."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graph_model import Gcn, GcnConfig
from training_tiny import AllLinks, PerLink, PerLinkNet, around, config, road

from luigi_traffic import (
    TARGET,
    DataError,
    LinkGraph,
    LinkTable,
    Model,
    ModelContext,
    ModelShape,
    masked_loss,
    pinball_loss,
)
from luigi_traffic.api.model import takes_context
from luigi_traffic.training.bundle import CARD, Bundle, digest
from luigi_traffic.training.checkpoint import fingerprint
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.metrics import free_flow
from luigi_traffic.training.report import write_report
from luigi_traffic.training.report_facts import Origin
from luigi_traffic.training.series import Series

EDGES = [("L0", "L1", 0.5), ("L3", "L1", 2.0), ("L1", "L2", 1.0), ("L9", "L0", 1.0)]


def context(series: Series) -> ModelContext:
    rows = [{"link_id": link, "length": 100.0} for link in series.links]
    return replace(
        around(series), graph=LinkGraph.from_edges(EDGES), link_table=LinkTable.from_rows(rows),
    )  # fmt: skip


def small(**changes: Any) -> GcnConfig:
    return GcnConfig(**(config().model_dump() | {"hidden": 4} | changes))


def stored(model: Model, settings: Any, series: Series, done: Fit, folder: Path) -> Bundle:
    flow = free_flow(series.actual[done.split.training_rows(6)])
    bundle = Bundle(
        model, settings, done.shape, done.scaler, done.network, "road", done.context, flow
    )
    bundle.save(folder)
    return Bundle.load(folder, lambda _: type(model)(), expected=digest(folder))


def test_a_graph_model_is_built_again_from_its_bundle_alone(series: Series, tmp_path: Path) -> None:
    done = fit(Gcn(), small(), series, checkpoint_dir=tmp_path / "c", context=context(series))
    loaded = stored(Gcn(), small(), series, done, tmp_path / "b")
    assert loaded.context == done.context == context(series)
    assert loaded.context.graph is not None and len(loaded.context.graph) == 3
    windows = np.arange(20)
    one = Forecaster(replace(loaded, network=done.network), "cpu").predict(series, windows)
    np.testing.assert_array_equal(Forecaster(loaded, "cpu").predict(series, windows), one)
    # Other weights of the graph make other forecasts: the network does hear its neighbours.
    assert loaded.context.graph.weights is not None
    other = replace(loaded.context, graph=LinkGraph(loaded.context.graph.edges))
    network = Gcn().build(small(), loaded.shape, other)
    network.load_state_dict(done.network.state_dict())
    changed = Forecaster(replace(loaded, network=network), "cpu").predict(series, windows)
    assert not np.array_equal(changed, one)


def test_a_changed_graph_is_another_training_for_models_that_see_it(series: Series) -> None:
    whole = context(series)
    less = replace(whole, graph=LinkGraph.from_edges(EDGES[:1]))
    marks = {fingerprint(Gcn(), small(), series, c) for c in (whole, less)}
    assert len(marks) == 2
    assert len({fingerprint(PerLink(), config(), series, c) for c in (whole, less)}) == 1


def test_a_model_of_version_1_is_trained_as_before(series: Series, tmp_path: Path) -> None:
    assert not takes_context(PerLink()) and takes_context(Gcn())
    with_roads = fit(
        AllLinks(), config(), series, checkpoint_dir=tmp_path / "a", context=context(series)
    )
    without = fit(AllLinks(), config(), series, checkpoint_dir=tmp_path / "b")
    assert [row["train_loss"] for row in with_roads.history] == [
        row["train_loss"] for row in without.history
    ]
    loaded = stored(AllLinks(), config(), series, with_roads, tmp_path / "c")
    assert loaded.context.graph is None  # what it did not see is not stored


def test_a_card_of_version_1_forecasts_speeds(series: Series, tmp_path: Path) -> None:
    done = fit(PerLink(), config(), series, checkpoint_dir=tmp_path / "c", context=around(series))
    bundle = stored(PerLink(), config(), series, done, tmp_path / "b")
    card = json.loads((tmp_path / "b" / CARD).read_text())
    old = {k: v for k, v in card.items() if k not in ("target", "unit", "timezone")}
    old |= {"format": 1, "speed_unit": "mph"}
    old["scaler"].pop("target")
    old["config"].pop("target")
    (tmp_path / "b" / CARD).write_text(json.dumps(old))
    loaded = Bundle.load(tmp_path / "b", lambda _: PerLink())
    assert (loaded.target, loaded.unit) == ("speed", "mph")
    assert loaded.interval == bundle.interval and loaded.links == bundle.links
    at = np.array([0, 9])
    one, two = (Forecaster(b, "cpu").predict(series, at) for b in (bundle, loaded))
    np.testing.assert_array_equal(one, two)


def counts(series: Series) -> Series:
    """The road's flow in vehicles an hour, with zeros at night, beside its speeds."""
    speed = series.actual
    flow = np.maximum(0, 40 * (speed - 45)).astype(np.float32)
    values = np.concatenate([series.values, flow[..., None]], axis=-1)
    return replace(series, columns=(*series.columns, "flow"), values=values, target="flow")


class TargetNet(PerLinkNet):
    pass


class TargetModel(Model):
    name, version, per_link = "target", "1", True

    def channels(self, config: Any) -> tuple[str, ...]:
        return (TARGET, TARGET + ":observed", "speed")

    def build(self, config: Any, shape: ModelShape, context: ModelContext) -> torch.nn.Module:
        assert shape.channels[0] == context.target
        return TargetNet(shape)


def test_flow_is_forecast_scored_and_stored_as_speed_is(tmp_path: Path) -> None:
    series = counts(road(days=8))
    around_flow = replace(around(series), target="flow", unit="veh/h")
    settings = config(epochs=8)
    done = fit(TargetModel(), settings, series, checkpoint_dir=tmp_path / "c", context=around_flow)
    assert done.shape.channels == ("flow", "flow:observed", "speed")
    assert done.scaler.target == pytest.approx(
        (np.nanmean(series.actual[: done.split.train.stop + 5]),
         np.nanstd(series.actual[: done.split.train.stop + 5])), rel=1e-4,
    )  # fmt: skip
    bundle = stored(TargetModel(), settings, series, done, tmp_path / "b")
    bundle = replace(bundle, free_flow=np.full(5, np.nan, np.float32))
    assert (bundle.target, bundle.unit) == ("flow", "veh/h")
    forecaster = Forecaster(bundle, "cpu")
    scores = evaluate(forecaster, series, done.split)
    mean = np.nanmean(series.actual)
    assert scores.mae() < 0.7 * np.nanmean(np.abs(series.actual - mean))
    assert scores.scores["model"]["mean"]["f1"] is None  # congestion is of speeds
    assert forecaster.predict(series, np.arange(50)).min() >= 0
    origin = Origin("id", "gold", ("2024-01-01",))
    report = write_report(tmp_path / "r.html", origin, done, scores, forecaster, series)
    html = report.read_text("utf-8")
    assert "MAE, veh/h" in html and "flow, veh/h" in html
    assert "speed" not in html.replace("free-flow", "") and "F1 of" not in html
    assert "Onsets of congestion" not in html and "heat map" in html.lower()
    with pytest.raises(DataError, match="The model forecasts flow, but the series has speed"):
        forecaster.predict(replace(series, target="speed"), np.array([0]))


class QuantileNet(torch.nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.out = torch.nn.Linear(shape.input_steps * len(shape.channels), shape.output_steps * 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.out(x.transpose(1, 2).flatten(2))
        return flat.unflatten(-1, (-1, 3)).transpose(1, 2)


class Quantile(TargetModel):
    name = "quantile"
    quantiles = (0.1, 0.45, 0.9)

    def build(self, config: Any, shape: ModelShape, context: ModelContext) -> torch.nn.Module:
        return QuantileNet(shape)


def test_quantiles_lie_around_what_happens_and_the_middle_one_is_the_forecast(
    tmp_path: Path,
) -> None:
    series = road(days=12)
    settings = config(epochs=15, learning_rate=0.02)
    done = fit(Quantile(), settings, series, checkpoint_dir=tmp_path / "c", context=around(series))
    bundle = stored(Quantile(), settings, series, done, tmp_path / "b")
    windows = np.arange(done.split.train.stop)
    forecast = Forecaster(bundle, "cpu").predict(series, windows)
    assert forecast.shape == (len(windows), 4, 5)
    actual = series.actual[windows[:, None] + 6 + np.arange(4)]
    below = []
    for q in range(3):
        mine = type("One", (Quantile,), {"quantiles": ((0.5, 0.98, 0.99), (0.01, 0.5, 0.99),
                                                       (0.01, 0.02, 0.5))[q]})  # fmt: skip
        said = Forecaster(replace(bundle, model=mine()), "cpu").predict(series, windows)
        below.append(np.nanmean(np.where(np.isnan(actual), np.nan, actual < said)))
        if q == 1:
            np.testing.assert_array_equal(said, forecast)
    assert below == pytest.approx([0.1, 0.45, 0.9], abs=0.1)


@pytest.mark.parametrize("quantiles", [(0.5, 0.1), (0.0, 0.5), (0.5, 1.5), (0.5, 0.5)])
def test_wrong_quantiles_are_named(series: Series, tmp_path: Path, quantiles: tuple) -> None:
    model = type("Wrong", (Quantile,), {"quantiles": quantiles})()
    with pytest.raises(DataError, match="in rising order, each between 0 and 1"):
        fit(model, config(), series, checkpoint_dir=tmp_path)


def test_an_answer_of_another_shape_is_named(series: Series, tmp_path: Path) -> None:
    model = type("Points", (Quantile,), {"quantiles": ()})()
    with pytest.raises(DataError, match=r"answers \(32, 4, 1, 3\); expected \(batch, output_st"):
        fit(model, config(), series, checkpoint_dir=tmp_path)


def test_pinball_is_what_its_definition_says_and_masked() -> None:
    actual, mask = torch.tensor([[[1.0, 5.0]]]), torch.tensor([[[True, False]]])
    forecast = torch.tensor([[[[0.0, 3.0], [9.0, 9.0]]]], requires_grad=True)
    loss = pinball_loss(forecast, actual, mask, (0.25, 0.75))
    assert loss.item() == pytest.approx((0.25 * 1 + 0.25 * 2) / 2)
    loss.backward()
    assert forecast.grad is not None and not forecast.grad[0, 0, 1].any()


class OwnNet(PerLinkNet):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x), 0.1 * self.out.weight.square().sum()


class Own(TargetModel):
    """Its own loss, optimizer and schedule; an auxiliary loss on the weights."""

    name = "own"
    seen: list[Any] = []

    def build(self, config: Any, shape: ModelShape, context: ModelContext) -> torch.nn.Module:
        return OwnNet(shape)

    def loss(self, config: Any, output: Any, y: Any, mask: Any) -> torch.Tensor:
        assert not y[~mask].any() and y.abs().max() < 10  # standard scores
        return 2 * super().loss(config, output, y, mask)

    def optimizer(self, config: Any, network: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.9)

    def scheduler(self, config: Any, optimizer: Any, steps: int) -> Any:
        self.seen.append(steps)
        return torch.optim.lr_scheduler.StepLR(optimizer, steps // 3, gamma=0.1)


def test_a_model_brings_its_own_loss_optimizer_and_schedule(series: Series, tmp_path: Path) -> None:
    Own.seen.clear()
    done = fit(Own(), config(samples_per_epoch=96), series, checkpoint_dir=tmp_path / "a")
    assert Own.seen == [9]
    assert [round(row["learning_rate"], 9) for row in done.history] == [0.5, 0.05, 0.005]
    assert done.history[-1]["validation_mae"] < 2 * np.nanstd(series.actual)

    class HeavyNet(PerLinkNet):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x), torch.tensor(1e4)

    class Heavy(Own):
        def build(self, config: Any, shape: ModelShape, context: ModelContext) -> Any:
            return HeavyNet(shape)

    heavy = fit(Heavy(), config(samples_per_epoch=96), series, checkpoint_dir=tmp_path / "b")
    assert heavy.history[0]["train_loss"] > 1e4  # added while training
    assert heavy.history[0]["validation_mae"] < 1e3  # and not to what is measured


def test_a_training_with_its_own_schedule_resumes_where_it_was(
    series: Series, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    calls = []

    def kill() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Killed

    settings = config(samples_per_epoch=96)
    with pytest.raises(Killed):
        fit(Own(), settings, series, checkpoint_dir=tmp_path / "a", on_checkpoint=kill)
    resumed = fit(Own(), settings, series, checkpoint_dir=tmp_path / "a")
    clean = fit(Own(), settings, series, checkpoint_dir=tmp_path / "b")
    assert resumed.resumed_at == 3
    for name, tensor in clean.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_methods_of_version_1_models_are_not_taken_for_those_of_the_contract(
    series: Series, tmp_path: Path
) -> None:
    class Old(PerLink):
        quantiles = "mine"  # type: ignore[assignment]

        def loss(self) -> None: ...  # type: ignore[override]

        def optimizer(self) -> None: ...  # type: ignore[override]

    fit(Old(), config(epochs=1), series, checkpoint_dir=tmp_path)


def test_the_default_loss_is_the_same_in_scores() -> None:
    output, y = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    mask = torch.rand(3, 4, 2) < 0.7
    for kind in ("mae", "mse", "huber"):
        own = Gcn().loss(small(loss=kind), output, y, mask)
        torch.testing.assert_close(own, masked_loss(output, y, mask, kind))
