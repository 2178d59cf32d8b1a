from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import layer_norm

from luigi_traffic import DAY_OF_WEEK, TIME_OF_DAY, ModelContext, ModelShape
from luigi_traffic_staeformer import Staeformer, StaeformerConfig, luigi_traffic_models
from luigi_traffic_staeformer.network import Attention, Layer

CONF = Path(__file__).parents[3] / "conf" / "models" / "staeformer.yml"
SMALL = {
    "input_width": 3, "time_of_day_width": 2, "day_of_week_width": 1, "adaptive_width": 4,
    "heads": 2, "feed_forward_width": 7,
}  # fmt: skip


def shape(links: int = 5, t_in: int = 12, t_out: int = 12, steps_per_day: int = 288) -> ModelShape:
    return ModelShape(t_in, t_out, links, ("speed", TIME_OF_DAY, DAY_OF_WEEK), steps_per_day)


def network(of: ModelShape, **changes: object) -> nn.Module:
    """With weights away from where they begin: norms and biases, too."""
    torch.manual_seed(0)
    net = Staeformer().build(StaeformerConfig(**changes), of, ModelContext(())).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return net


def windows(of: ModelShape, size: int = 3) -> torch.Tensor:
    """Random speeds on a Wednesday from midnight on."""
    torch.manual_seed(1)
    x = torch.randn(size, of.input_steps, of.links, 3)
    x[..., 1] = torch.arange(of.input_steps)[:, None] / of.steps_per_day
    x[..., 2] = 2
    return x


def test_the_conf_file_holds_the_defaults() -> None:
    assert StaeformerConfig(**yaml.safe_load(CONF.read_text())) == StaeformerConfig()


def test_the_hook_gives_the_model_without_loading_torch() -> None:
    assert luigi_traffic_models() == [Staeformer]
    code = "import sys, luigi_traffic_staeformer; sys.exit('torch' in sys.modules)"
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[3])]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {code}"], check=False
    )
    assert ran.returncode == 0


def test_it_has_the_parameters_of_the_paper_for_metr_la() -> None:
    net = Staeformer().build(StaeformerConfig(), shape(links=207), ModelContext(()))
    embeddings = (3 * 24 + 24) + 288 * 24 + 7 * 24 + 12 * 207 * 80
    attention = 4 * (152 * 152 + 152)
    feed_forward = (152 * 256 + 256) + (256 * 152 + 152)
    layers = 6 * (attention + feed_forward + 2 * 2 * 152)
    regression = 12 * 152 * 12 + 12
    assert embeddings + layers + regression == 1_258_980
    assert sum(p.numel() for p in net.parameters()) == 1_258_980


def numbers(layer: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    return layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()


def attended(layer: Attention, rows: np.ndarray) -> np.ndarray:
    """Attention as a loop over heads and rows of `(L, width)`."""
    length, width = rows.shape
    weight, bias = numbers(layer.query_key_value)
    query, key, value = np.split(rows @ weight.T + bias, 3, axis=1)
    each, found = width // layer.heads, np.zeros((length, width))
    for head in range(layer.heads):
        at = slice(head * each, (head + 1) * each)
        for i in range(length):
            looks = np.array([query[i, at] @ key[j, at] / np.sqrt(each) for j in range(length)])
            shares = np.exp(looks) / np.exp(looks).sum()
            found[i, at] = sum(shares[j] * value[j, at] for j in range(length))
    weight, bias = numbers(layer.answer)
    return found @ weight.T + bias


def test_attention_is_a_weighted_mean_of_values() -> None:
    torch.manual_seed(0)
    layer, x = Attention(6, 3), torch.randn(2, 5, 6)
    wanted = np.stack([attended(layer, rows) for rows in x.double().numpy()])
    np.testing.assert_allclose(layer(x).detach().numpy(), wanted, rtol=1e-5, atol=1e-5)


def test_a_forward_pass_is_the_one_of_the_paper() -> None:
    """Window by window, link by link, step by step."""
    of = shape(links=3, t_in=4, t_out=2)
    net, x = network(of, **SMALL), windows(of, 1)
    hidden = np.zeros((4, 3, 10))
    for step, link in np.ndindex(4, 3):
        weight, bias = numbers(net.values)
        value = np.array([float(x[0, step, link, 0]), step / 288, 2 / 7])
        hidden[step, link] = np.concatenate([
            weight @ value + bias, net.time_of_day.weight[step].detach().numpy(),
            net.day_of_week.weight[2].detach().numpy(), net.adaptive[link, step].detach().numpy(),
        ])  # fmt: skip

    def normed(norm: nn.LayerNorm, rows: np.ndarray) -> np.ndarray:
        weight, bias = norm.weight.double(), norm.bias.double()
        return layer_norm(torch.from_numpy(rows), (10,), weight, bias).detach().numpy()

    def through(layer: Layer, rows: np.ndarray) -> np.ndarray:
        rows = normed(layer.norms[0], rows + attended(layer.attention[0], rows))
        (first, offset), (second, constant) = (numbers(layer.feed_forward[n]) for n in (0, 2))
        inner = np.maximum(rows @ first.T + offset, 0)
        return normed(layer.norms[1], rows + inner @ second.T + constant)

    for layer in net.over_time:
        hidden = np.stack([through(layer, hidden[:, link]) for link in range(3)], axis=1)
    for layer in net.over_links:
        hidden = np.stack([through(layer, hidden[step]) for step in range(4)])
    weight, bias = numbers(net.regression)
    wanted = np.stack([weight @ hidden[:, link].ravel() + bias for link in range(3)], axis=1)
    np.testing.assert_allclose(net(x)[0].detach().numpy(), wanted, rtol=1e-5, atol=1e-5)


def test_attention_sees_its_axis_alone() -> None:
    """Over time: the steps of the same link; over links: the links of the same step."""
    net = network(shape(links=4, t_in=6), **SMALL)
    for layers in (net.over_time, net.over_links):
        x = torch.randn(2, 4, 6, 10)
        other = x.clone()
        other[1, 2, 3] += 1
        changed = (layers(other) - layers(x)).abs().amax(dim=-1) > 1e-6
        wanted = torch.zeros(2, 4, 6, dtype=torch.bool)
        wanted[1, 2] = True
        assert torch.equal(changed, wanted)
    # In the network, the axis before the width is that of the name.
    seen = []
    for layers in (net.over_time, net.over_links):
        layers.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    net(windows(shape(links=4, t_in=6)))
    assert seen == [(3, 4, 6, 10), (3, 6, 4, 10)]


def test_the_weights_of_attention_are_never_held_at_once() -> None:
    """With 1,000 links, what is kept for the gradients has no matrix of links by links."""
    layer, kept = Layer(8, 2, 16, 0.0), []
    x = torch.randn(1, 1000, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.numel()) or tensor, lambda tensor: tensor
    ):
        layer(x).sum().backward()
    assert 1000 * 8 <= max(kept) <= 1000 * 3 * 8


def test_links_in_another_order_have_their_forecasts_in_that_order() -> None:
    of, order = shape(), [3, 0, 4, 1, 2]
    net, other, x = network(of, **SMALL), network(of, **SMALL), windows(of)
    other.adaptive.data = net.adaptive.data[order]
    torch.testing.assert_close(other(x[:, :, order]), net(x)[..., order])
    assert not torch.allclose(net(x[:, :, order]), net(x)[..., order], atol=1e-3)


def test_a_width_that_the_heads_cannot_share_is_refused() -> None:
    assert StaeformerConfig().width == 152
    with pytest.raises(ValidationError, match="151 wide together, which 4 heads cannot"):
        StaeformerConfig(input_width=23)


def test_it_learns_what_only_the_time_says() -> None:
    """Of each link another thing, while the speeds of the window are noise."""
    of, made = shape(links=2, t_in=2, t_out=1, steps_per_day=6), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    config = StaeformerConfig(
        input_steps=2, output_steps=1, input_width=4, time_of_day_width=8, day_of_week_width=4,
        adaptive_width=8, time_layers=1, link_layers=1, heads=2, feed_forward_width=16, dropout=0.0,
    )  # fmt: skip
    net = Staeformer().build(config, of, ModelContext(()))
    typical = torch.randn(6, 2, generator=made)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    errors = []
    for _ in range(150):
        slot = torch.randint(0, 6, (64, 1, 1), generator=made)
        x = torch.randn(64, 2, 2, 3, generator=made)
        x[..., 1], x[..., 2] = ((slot + torch.arange(2)[:, None]) % 6) / 6, 0
        errors.append((net(x) - typical[(slot[:, 0, 0] + 2) % 6][:, None]).square().mean())
        optimizer.zero_grad()
        errors[-1].backward()
        optimizer.step()
    assert errors[-1] < 0.05 * typical.var()
