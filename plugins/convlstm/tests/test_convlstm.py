from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch.nn.functional import conv1d

from luigi_traffic import TARGET, ModelContext, ModelShape
from luigi_traffic_convlstm import ConvLSTM, ConvLSTMConfig, luigi_traffic_models
from luigi_traffic_convlstm.network import ConvLSTMLayer

CONF = Path(__file__).parents[3] / "conf" / "models" / "convlstm.yml"


def network(**changes: object) -> torch.nn.Module:
    model, config = ConvLSTM(), ConvLSTMConfig(**changes)
    shape = ModelShape(12, 12, 1, model.channels(config), 288)
    torch.manual_seed(0)
    return model.build(config, shape, ModelContext(())).eval()


def batch(size: int = 3, links: int = 4) -> torch.Tensor:
    """Random inputs as the framework makes them: value 0 where the flag is 0."""
    torch.manual_seed(1)
    x = torch.randn(size, 12, links, 12)
    x[..., 5:10] = (torch.rand(size, 12, links, 5) < 0.7).float()
    x[..., :5] *= x[..., 5:10]
    x[..., 10], x[..., 11] = torch.rand(size, 12, links), 3.0
    return x


def trained_like(net: torch.nn.Module) -> torch.nn.Module:
    """The head starts at zero, which hides the layers: give it weights."""
    torch.manual_seed(2)
    torch.nn.init.normal_(net.head[-1].weight)
    return net


def test_the_conf_file_holds_the_defaults() -> None:
    assert ConvLSTMConfig(**yaml.safe_load(CONF.read_text())) == ConvLSTMConfig()


def test_the_hook_gives_the_model_without_loading_torch() -> None:
    assert luigi_traffic_models() == [ConvLSTM]
    code = "import sys, luigi_traffic_convlstm; sys.exit('torch' in sys.modules)"
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[3])]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {code}"], check=False
    )
    assert ran.returncode == 0


def test_a_layer_computes_the_equations_of_the_paper() -> None:
    torch.manual_seed(0)
    layer = ConvLSTMLayer(3, 4)
    x = torch.randn(5, 2, 3, 5)
    h = c = torch.zeros(2, 4, 5)
    wx, b, wh = layer.of_input.weight, layer.of_input.bias, layer.of_state.weight
    for t in range(5):

        def gate(k: int, t: int = t, h: torch.Tensor = h) -> torch.Tensor:
            rows = slice(4 * k, 4 * k + 4)
            return conv1d(x[t], wx[rows], b[rows], padding=1) + conv1d(h, wh[rows], padding=1)

        i, f, o = (torch.sigmoid(gate(k)) for k in range(3))
        c = f * c + i * torch.tanh(gate(3))
        h = o * torch.tanh(c)
    torch.testing.assert_close(layer(x)[-1], h)


def test_it_begins_as_persistence_of_the_last_observed_speed() -> None:
    x = batch(1, 3)
    x[0, :, :, 7] = 1
    x[0, 9:, 1, 7] = x[0, 9:, 1, 2] = 0  # link 1: nothing in the last three steps
    x[0, :, 2, 7] = x[0, :, 2, 2] = 0  # link 2: nothing at all
    got = network()(x)[0]
    torch.testing.assert_close(got[:, 0], x[0, 11, 0, 2].expand(12))
    torch.testing.assert_close(got[:, 1], x[0, 8, 1, 2].expand(12))
    assert (got[:, 2] == 0).all()


@pytest.mark.parametrize("channel", range(12))
def test_every_channel_matters(channel: int) -> None:
    net, x = trained_like(network()), batch()
    other = x.clone()
    other[..., channel] = 1 - x[..., channel] if 5 <= channel < 10 else x[..., channel] + 0.3
    assert not torch.allclose(net(x), net(other), atol=1e-4)


def test_missing_is_told_from_the_mean() -> None:
    """A speed that is exactly the mean and one that is missing are the same value, 0."""
    net, x = trained_like(network()), batch()
    x[..., 0] = 0
    seen, missing = x.clone(), x.clone()
    seen[..., 5], missing[..., 5] = 1, 0
    assert not torch.allclose(net(seen), net(missing), atol=1e-4)


def test_the_axis_runs_along_the_road() -> None:
    """Neighbours up and down the road are not interchangeable."""
    net, x = trained_like(network()), batch()
    mirrored = x.clone()
    mirrored[..., :5], mirrored[..., 5:10] = x[..., :5].flip(-1), x[..., 5:10].flip(-1)
    assert not torch.allclose(net(x), net(mirrored), atol=1e-3)
    assert ConvLSTM().channels(ConvLSTMConfig())[:5] == ("t2", "t1", TARGET, "f1", "f2")
