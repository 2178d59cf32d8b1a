from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import batch_norm, conv2d, pad

from luigi_traffic import TIME_OF_DAY, LinkGraph, ModelContext, ModelShape
from luigi_traffic_graph_wavenet import GraphWaveNet, GraphWaveNetConfig, luigi_traffic_models
from luigi_traffic_graph_wavenet.graph import LearnedGraph, road_matrices
from luigi_traffic_graph_wavenet.network import Diffusion, GatedConvolution

CONF = Path(__file__).parents[3] / "conf" / "models" / "graph_wavenet.yml"
SMALL = {"residual_width": 6, "dilation_width": 5, "skip_width": 9, "end_width": 7}


def shape(links: int = 5, t_in: int = 12, t_out: int = 12) -> ModelShape:
    return ModelShape(t_in, t_out, links, ("speed", TIME_OF_DAY), 288)


def roads(links: int = 5, edges: bool = True) -> ModelContext:
    """Each link flows into the next one, the first one into the last one, too."""
    names = tuple(f"link {n:03}" for n in range(links))
    pairs = [*pairwise(names), (names[0], names[-1])] if edges else []
    graph = LinkGraph.from_edges((a, b, 1 / (n + 1)) for n, (a, b) in enumerate(pairs))
    return ModelContext(names, graph=graph)


def network(of: ModelShape, context: ModelContext, **changes: object) -> nn.Module:
    """With weights and statistics of the batch norm away from where they begin."""
    torch.manual_seed(0)
    net = GraphWaveNet().build(GraphWaveNetConfig(**changes), of, context).eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d):
            for values in (layer.weight.data, layer.running_mean, layer.running_var):
                values.copy_(torch.rand(len(values)) + 0.5)
    return net


def windows(of: ModelShape, size: int = 3) -> torch.Tensor:
    torch.manual_seed(1)
    x = torch.randn(size, of.input_steps, of.links, len(of.channels))
    x[..., 1] = torch.rand(size, of.input_steps, 1)
    return x


def test_the_conf_file_holds_the_defaults() -> None:
    assert GraphWaveNetConfig(**yaml.safe_load(CONF.read_text())) == GraphWaveNetConfig()


def test_the_hook_gives_the_model_without_loading_torch() -> None:
    assert luigi_traffic_models() == [GraphWaveNet]
    code = "import sys, luigi_traffic_graph_wavenet; sys.exit('torch' in sys.modules)"
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[3])]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {code}"], check=False
    )
    assert ran.returncode == 0


def test_it_has_the_parameters_of_the_authors_that_are_used() -> None:
    """Their code for METR-LA has 309,400, some of which never get a gradient."""
    net = network(shape(links=207), roads(207))
    residual = 8 * (32 * 32 + 32)  # of convolutions that their forward pass does not call
    last = (7 * 32 * 32 + 32) + 2 * 32  # diffusion and norm after the last gated convolution
    assert sum(p.numel() for p in net.parameters()) == 309_400 - residual - last == 293_688


def plain(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The same weights as the paper writes it: (B, C, N, T), 2D convolutions, a sum over hops."""

    def conv(layer: nn.Linear, value: torch.Tensor, taps: int = 1, step: int = 1) -> torch.Tensor:
        kernel = layer.weight.unflatten(1, (taps, -1)).transpose(1, 2)[:, :, None]
        return conv2d(value, kernel, layer.bias, dilation=(1, step))

    learned = (net.learned.hearing @ net.learned.heard.T).relu().softmax(dim=1)
    graphs = [net.get_buffer(f"road_{n}").to_dense() for n in range(net.roads)] + [learned]
    value = pad(x.permute(0, 3, 2, 1), (13 - x.shape[1], 0))
    value, skip = conv(net.start, value), torch.zeros(())
    for n, convolution in enumerate(net.convolutions):
        both = conv(convolution.filter_and_gate, value, taps=2, step=1 + n % 2)
        filtered, gate = both.chunk(2, dim=1)
        gated = filtered.tanh() * gate.sigmoid()
        skip = skip + conv(net.skips[n], gated)[..., -1:]
        if n == 7:
            break
        exchange = net.exchanges[n]
        weights = exchange.diffusion.weight.flatten(0, 1).flatten(0, 1)
        terms = [gated]
        for graph in graphs:
            for _ in range(2):
                hops = gated if len(terms) % 2 else terms[-1]
                terms.append(torch.einsum("vw,bcwt->bcvt", graph, hops))
        mixed = torch.cat([exchange.diffusion.own.weight, weights.T], dim=1)[..., None, None]
        found = conv2d(torch.cat(terms, dim=1), mixed, exchange.diffusion.own.bias)
        norm = exchange.norm
        value = batch_norm(
            found + value[..., -found.shape[-1] :],
            norm.running_mean, norm.running_var, norm.weight, norm.bias,
        )  # fmt: skip
    return conv(net.end[3], conv(net.end[1], skip.relu()).relu())[..., 0]


@pytest.mark.parametrize("edges", [True, False])
def test_a_forward_pass_is_the_one_of_the_paper(edges: bool) -> None:
    of = shape()
    net, x = network(of, roads(edges=edges), **SMALL), windows(of)
    assert net.roads == 2 * edges
    torch.testing.assert_close(net(x), plain(net, x), rtol=1e-5, atol=1e-5)
    ours, theirs = (torch.autograd.grad(f.square().sum(), [*net.parameters()])
                    for f in (net(x), plain(net, x)))  # fmt: skip
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_diffusion_is_the_sum_over_graphs_and_hops() -> None:
    links, steps, batch, channels, width = 4, 3, 2, 3, 5
    torch.manual_seed(0)
    layer = Diffusion(channels, width, graphs=2, steps=3)
    x = torch.randn(links, steps, batch, channels)
    graphs = [torch.rand(links, links), torch.rand(links, links).relu()]
    got = layer(x, [graphs[0].to_sparse(), graphs[1]]).detach().numpy()
    wanted = np.zeros((links, steps, batch, width))
    for i in range(links):
        for t, b in np.ndindex(steps, batch):
            wanted[i, t, b] = layer.own.weight.detach().numpy() @ x[i, t, b].numpy()
            wanted[i, t, b] += layer.own.bias.detach().numpy()
            for graph, weights in zip(graphs, layer.weight.detach().numpy(), strict=True):
                for hops in range(1, 4):
                    heard = np.linalg.matrix_power(graph.double().numpy(), hops)
                    for j in range(links):
                        wanted[i, t, b] += heard[i, j] * (x[j, t, b].numpy() @ weights[hops - 1])
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_rows_of_the_graph_say_whom_a_link_hears() -> None:
    context = ModelContext(
        ("a", "b", "c"), graph=LinkGraph.from_edges([("a", "b", 3.0), ("c", "b", 1.0)])
    )
    downstream, upstream = road_matrices(context, self_weight=1.0)
    torch.testing.assert_close(
        downstream, torch.tensor([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5]])
    )
    torch.testing.assert_close(
        upstream, torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.2, 0.2], [0.0, 0.0, 1.0]])
    )
    assert road_matrices(ModelContext(("a", "b", "c")), 1.0) == []
    assert road_matrices(roads(edges=False), 1.0) == []


def test_the_learned_graph_is_a_share_of_all_links() -> None:
    torch.manual_seed(0)
    layer = LearnedGraph(6, 10)
    one, two = layer.hearing.detach().numpy(), layer.heard.detach().numpy()
    exponents = np.exp(np.maximum(one @ two.T, 0))
    np.testing.assert_allclose(
        layer().detach().numpy(), exponents / exponents.sum(1, keepdims=True), rtol=1e-5
    )


def test_convolutions_are_causal_and_see_thirteen_steps() -> None:
    """Step k of the answer sees the steps k to k + 12 of the input, the last one at its time."""
    torch.manual_seed(0)
    layers = [GatedConvolution(3, 3, dilation) for dilation in (1, 2) * 4]
    x = torch.randn(1, 20, 1, 3, requires_grad=True)
    found = x
    for layer in layers:
        found = layer(found)
    assert found.shape == (1, 8, 1, 3)
    for step in range(8):
        (gradient,) = torch.autograd.grad(found[:, step].sum(), x, retain_graph=True)
        seen = gradient.abs().sum(dim=(0, 2, 3)).nonzero().flatten().tolist()
        assert seen == list(range(step, step + 13))


def test_the_forecast_depends_on_every_step_of_the_window() -> None:
    of = shape(t_in=13)
    net, x = network(of, roads(), **SMALL), windows(of).requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    assert (gradient.abs().sum(dim=(0, 2)) > 0).all()


def test_windows_that_are_longer_than_it_sees_are_refused() -> None:
    assert GraphWaveNetConfig(input_steps=13).receptive_field == 13
    with pytest.raises(ValidationError, match=r"input_steps is 24.*set blocks to 8"):
        GraphWaveNetConfig(input_steps=24)
    assert GraphWaveNetConfig(input_steps=24, blocks=8).receptive_field == 25


def test_links_in_another_order_have_their_forecasts_in_that_order() -> None:
    of, context = shape(), roads()
    net, x, order = network(of, context, **SMALL), windows(of), [3, 0, 4, 1, 2]
    there = ModelContext(tuple(context.links[n] for n in order), graph=context.graph)
    other = network(of, there, **SMALL)
    weights = net.state_dict()
    for name in ("learned.hearing", "learned.heard"):
        weights[name] = weights[name][order]
    other.load_state_dict(weights)
    torch.testing.assert_close(other(x[:, :, order]), net(x)[..., order])


def relay(size: int, links: int, made: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise that each link repeats two steps after the link before it: windows, and what follows.

    What a link did itself says nothing about what it will do next.
    """
    noise = torch.randn(size, 2 * links + 4, generator=made)
    at = torch.arange(5)[:, None] - 2 * torch.arange(links) + 2 * (links - 1)
    series = noise[:, at]  # (size, 5, links)
    x = torch.stack([series[:, :4], torch.zeros(size, 4, links)], dim=-1)
    return x, series[:, 4:]


@pytest.mark.parametrize(
    ("edges", "learned", "learns"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_what_a_link_hears_from_the_link_before(edges: bool, learned: bool, learns: bool) -> None:
    """By the dataset's graph alone, by the learned one alone; without either, nothing."""
    links, made = 5, torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    config = GraphWaveNetConfig(
        blocks=1, input_steps=4, output_steps=1, dropout=0.0, residual_width=16, dilation_width=16,
        skip_width=16, end_width=16,
    )  # fmt: skip
    net = GraphWaveNet().build(config, shape(links, 4, 1), roads(links, edges))
    if not learned:  # all links are heard alike
        net.learned.requires_grad_(False).hearing.zero_()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.02)
    for _ in range(140):
        x, y = relay(64, links, made)
        loss = (net(x) - y)[..., 1:].square().mean()  # before the first link there is none
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, y = relay(500, links, made)
    error = (net.eval()(x) - y).square().mean(dim=(0, 1))[1:].mean()  # of the noise: 1
    assert error < 0.5 if learns else error > 0.6
