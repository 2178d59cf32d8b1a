from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from luigi_traffic import DAY_OF_WEEK, TIME_OF_DAY, ModelContext, ModelShape
from luigi_traffic.training.batches import Tensors
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series
from luigi_traffic_stid import Stid, StidConfig, luigi_traffic_models
from luigi_traffic_stid.network import Dropout, Network

CONF = Path(__file__).parents[3] / "conf" / "models" / "stid.yml"


def shape(t_in: int = 12, t_out: int = 12, links: int = 5, steps_per_day: int = 288) -> ModelShape:
    channels = ("speed", TIME_OF_DAY, DAY_OF_WEEK)
    return ModelShape(t_in, t_out, links, channels, steps_per_day)


def network(of: ModelShape | None = None, **changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return Stid().build(StidConfig(**changes), of or shape(), ModelContext(())).eval()


def batch(of: ModelShape, size: int = 3, last_slot: int = 20, day: int = 2) -> torch.Tensor:
    """Random speeds; the calendar of windows that end in `last_slot` of `day`."""
    torch.manual_seed(1)
    slot = torch.arange(last_slot - of.input_steps + 1, last_slot + 1)
    time = (slot % of.steps_per_day) / of.steps_per_day
    week = (day + torch.div(slot, of.steps_per_day, rounding_mode="floor")) % 7
    x = torch.randn(size, of.input_steps, of.links, 3)
    x[..., 1], x[..., 2] = time[:, None], week[:, None].float()
    return x


def test_the_conf_file_holds_the_defaults() -> None:
    assert StidConfig(**yaml.safe_load(CONF.read_text())) == StidConfig()


def test_the_hook_gives_the_model_without_loading_torch() -> None:
    assert luigi_traffic_models() == [Stid]
    code = "import sys, luigi_traffic_stid; sys.exit('torch' in sys.modules)"
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[3])]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {code}"], check=False
    )
    assert ran.returncode == 0


def test_it_has_as_many_parameters_as_the_authors_for_metr_la() -> None:
    net = network(shape(links=207))
    assert sum(p.numel() for p in net.parameters()) == 117_868


def test_a_forward_pass_is_the_one_of_the_paper() -> None:
    """The same weights as the convolutions of 1x1 that the authors write."""
    of = shape()
    net, x = network(of), batch(of)
    weights = dict(net.named_parameters())

    def conv(name: str, value: torch.Tensor) -> torch.Tensor:
        kernel = weights[f"{name}.weight"][:, :, None, None]
        return torch.nn.functional.conv2d(value, kernel, weights[f"{name}.bias"])

    history = torch.stack([x[..., 0], x[..., 1], x[..., 2] / 7], dim=-1)
    flat = history.transpose(1, 2).reshape(3, of.links, -1).transpose(1, 2).unsqueeze(-1)
    calendar = [weights["time_of_day"][20], weights["day_of_week"][2]]
    hidden = torch.cat(
        [
            conv("window", flat),
            weights["link"].T[None, :, :, None].expand(3, -1, -1, 1),
            *(row[None, :, None, None].expand(3, -1, of.links, 1) for row in calendar),
        ],
        dim=1,
    )
    assert hidden.shape == (3, 128, of.links, 1)
    for block in range(3):
        inner = conv(f"blocks.{block}.first", hidden).relu()
        hidden = conv(f"blocks.{block}.second", inner) + hidden
    torch.testing.assert_close(net(x), conv("regression", hidden)[..., 0])


@pytest.mark.parametrize(
    ("t_in", "t_out", "links", "steps_per_day"),
    [(12, 12, 207, 288), (1, 1, 1, 24), (3, 24, 2, 144), (24, 6, 23, 1440)],
)
def test_sizes(t_in: int, t_out: int, links: int, steps_per_day: int) -> None:
    of = shape(t_in, t_out, links, steps_per_day)
    changes = {"window_width": 8, "link_width": 4, "time_of_day_width": 2, "day_of_week_width": 1}
    net = network(of, layers=1, **changes)
    assert net(batch(of, 4)).shape == (4, t_out, links)
    assert net.regression.in_features == 15


def test_every_parameter_gets_a_gradient() -> None:
    of = shape(links=4, steps_per_day=24)
    net = network(of, dropout=0.0).train()
    x = torch.cat([batch(of, 2, slot, day) for slot in range(24) for day in range(7)])
    net(x).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        rows = parameter.grad.reshape(len(parameter), -1)
        if name in ("link", "time_of_day", "day_of_week"):
            assert (rows != 0).any(dim=1).all(), name
        else:
            assert (rows != 0).any(), name


def test_dropout_is_in_the_blocks_and_off_when_forecasting() -> None:
    of = shape()
    net, x = network(of, dropout=0.5), batch(of)
    torch.testing.assert_close(net(x), net(x))
    net.train()
    assert not torch.allclose(net(x), net(x))
    net = network(of, dropout=0.0).train()
    torch.testing.assert_close(net(x), net(x))


def test_links_with_equal_windows_get_different_forecasts() -> None:
    of = shape()
    x = batch(of)
    x[..., 0] = x[:, :, :1, 0]
    got = network(of)(x)
    assert not torch.allclose(got[..., 0], got[..., 1], atol=1e-3)


def test_a_link_is_forecast_from_its_own_speeds() -> None:
    of = shape()
    net, x = network(of), batch(of)
    other = x.clone()
    other[:, :, 1, 0] += 1
    changed = (net(x) != net(other)).any(dim=1).any(dim=0)
    assert changed.tolist() == [False, True, False, False, False]


def test_the_calendar_of_the_last_step_is_an_identity() -> None:
    """Not only a number in the window: weights of the window alone cannot tell."""
    of = shape()
    net = network(of)
    with torch.no_grad():
        net.window.weight.zero_()
    at = net(batch(of, last_slot=20, day=2))
    assert not torch.allclose(at, net(batch(of, last_slot=21, day=2)), atol=1e-3)
    assert not torch.allclose(at, net(batch(of, last_slot=20, day=3)), atol=1e-3)
    earlier = batch(of, last_slot=20, day=2)
    earlier[:, :-1, :, 1:] = 0
    torch.testing.assert_close(at, net(earlier))


def six_hourly(days: int = 9, links: int = 3) -> Series:
    """Four intervals a day from Monday on, some of them missing."""
    rng = np.random.default_rng(0)
    values = rng.normal(50, 10, (4 * days, links, 1)).astype(np.float32)
    values[::5, 0] = np.nan
    return Series(
        np.datetime64("2024-01-01T00:00:00", "us"),
        timedelta(hours=6),
        tuple("abc"[:links]),
        ("speed",),
        values,
    )


def test_slot_and_day_are_those_of_the_framework() -> None:
    """From the channels as the framework makes them, over a week's edge."""
    series = six_hourly()
    of = shape(2, 1, 3, series.steps_per_day)
    scaler = Scaler.fit(series, slice(0, 20))
    tensors = Tensors(series, scaler, of.channels, 2, 1, torch.device("cpu"))
    windows = np.arange(len(series) - 2)
    x, _, _ = tensors.batch(windows, None)
    assert of.channels[1:] == (TIME_OF_DAY, DAY_OF_WEEK)
    assert of.slot_of_day(x[:, -1, 0, 1]).tolist() == [(w + 1) % 4 for w in windows]
    assert x[:, -1, 0, 2].tolist() == [(w + 1) // 4 % 7 for w in windows]
    assert network(of)(x).isfinite().all()


def test_there_and_back_through_a_bundle(tmp_path: Path) -> None:
    series = six_hourly()
    config = StidConfig(input_steps=4, output_steps=2, layers=2, link_width=7)
    of = shape(4, 2, 3, series.steps_per_day)
    torch.manual_seed(3)
    bundle = Bundle(
        Stid(),
        config,
        of,
        Scaler.fit(series, slice(0, 20)),
        Stid().build(config, of, ModelContext(())),
        "road",
        ModelContext(series.links, unit="km/h", interval=series.interval),
        np.full(3, 60, dtype=np.float32),
    )
    digest = bundle.save(tmp_path)
    loaded = Bundle.load(tmp_path, lambda name: {"stid": Stid()}[name], expected=digest)
    assert isinstance(loaded.network, Network)
    assert (loaded.config, loaded.shape) == (config, of)
    at = np.array([0, 7, 31])
    one, two = (Forecaster(b, "cpu").predict(series, at) for b in (bundle, loaded))
    assert one.shape == (3, 2, 3)
    np.testing.assert_array_equal(one, two)


def test_dropout_drops_its_share_scales_the_rest_and_repeats_by_seed() -> None:
    drop, ones = Dropout(0.15), torch.ones(301, 101, requires_grad=True)  # no multiple of 8
    torch.manual_seed(5)
    once = drop(ones)
    torch.manual_seed(5)
    assert torch.equal(drop(ones), once)
    assert not torch.equal(drop(ones), once)
    kept = once != 0
    assert abs(float(kept.float().mean()) - 218 / 256) < 0.01
    assert torch.allclose(once[kept], torch.tensor(256 / 218))
    for columns in kept.float().mean(0), kept.float().mean(1):  # none is dropped more often
        assert float(columns.min()) > 0.7
        assert float(columns.max()) < 0.98
    (gradient,) = torch.autograd.grad(once.sum(), ones)
    assert torch.equal(gradient, once.detach())
    assert drop.eval()(ones) is ones
    assert Dropout(0.0)(ones) is ones
