from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError

from luigi_traffic import DAY_OF_WEEK, TIME_OF_DAY, LinkGraph, LinkTable, ModelContext, ModelShape
from luigi_traffic_patchstg import PatchStg, PatchStgConfig, luigi_traffic_models
from luigi_traffic_patchstg.network import Attention, Network
from luigi_traffic_patchstg.patches import NONE, patches, places

CONF = Path(__file__).parents[3] / "conf" / "models" / "patchstg.yml"
SMALL = {"window_width": 8, "link_width": 4, "time_of_day_width": 2, "day_of_week_width": 2,
         "layers": 2, "heads": 2, "forward_width": 16, "dropout": 0.0}  # fmt: skip


def shape(links: int) -> ModelShape:
    return ModelShape(6, 3, links, ("speed", TIME_OF_DAY, DAY_OF_WEEK, "speed:observed"), 288)


def network(links: int, size: int = 4, **changes: object) -> Network:
    torch.manual_seed(0)
    context = ModelContext(tuple(f"{n:02}" for n in range(links)))
    config = PatchStgConfig(patch_size=size, **(SMALL | changes))
    made = PatchStg().build(config, shape(links), context).eval()
    assert isinstance(made, Network)
    return made


def batch(links: int, size: int = 2) -> torch.Tensor:
    torch.manual_seed(1)
    x = torch.randn(size, 6, links, 4)
    x[..., 1], x[..., 2] = 0.5, 3.0
    return x


def test_the_conf_file_holds_the_defaults() -> None:
    assert PatchStgConfig(**yaml.safe_load(CONF.read_text())) == PatchStgConfig()


def test_the_hook_gives_the_model_without_loading_torch_or_scipy() -> None:
    assert luigi_traffic_models() == [PatchStg]
    code = (
        "import sys, luigi_traffic_patchstg; sys.exit(len({'torch', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_heads_that_cannot_share_the_width() -> None:
    with pytest.raises(ValidationError, match=r"add up to 128, which 5 heads cannot share"):
        PatchStgConfig(heads=5)


@pytest.mark.parametrize(("links", "largest"), [(1, 2), (2, 2), (207, 64), (1_000, 7)])
def test_patches_hold_each_link_once_and_are_of_one_size(links: int, largest: int) -> None:
    at = np.random.default_rng(0).normal(size=(links, 2))
    found = patches(at, largest)
    assert found.shape[1] <= largest
    assert sorted(found[found != NONE].tolist()) == list(range(links))
    assert ((found == NONE).sum(axis=1) <= 1).all()
    assert len(found).bit_count() == 1
    if links > largest:
        assert 2 * found.shape[1] > largest - 1  # no more patches than needed


def test_a_patch_holds_links_that_are_near() -> None:
    """A box of a quarter of the links has a quarter of the area."""
    at = np.random.default_rng(0).uniform(size=(4_096, 2))
    boxes = [np.ptp(at[part], axis=0) for part in patches(at, 64)]
    assert np.mean(boxes) == pytest.approx(1 / 8, rel=0.1)


def test_places_are_kilometres_if_the_table_has_coordinates() -> None:
    rows = [{"link_id": "a", "longitude": 127.0, "latitude": 37.5},
            {"link_id": "b", "longitude": 127.1, "latitude": 37.5},
            {"link_id": "c", "longitude": 127.1, "latitude": 37.6}]  # fmt: skip
    context = ModelContext(("c", "a", "b", "d"), link_table=LinkTable.from_rows(rows))
    c, a, b, d = places(context)
    assert np.hypot(*(b - a)) == pytest.approx(8.8, abs=0.1)
    assert np.hypot(*(c - b)) == pytest.approx(11.1, abs=0.1)
    np.testing.assert_allclose(d, [0, 0])  # not known: in the middle
    nothing = LinkTable.from_rows([{"link_id": "a", "longitude": 127.0, "length": 3.0}])
    np.testing.assert_array_equal(places(ModelContext(("x", "a"), link_table=nothing)), [[0], [1]])


def test_without_coordinates_neighbours_of_the_graph_are_near() -> None:
    """A road of 64 links whose ids are in no order."""
    names = [f"{n:02}" for n in np.random.default_rng(3).permutation(64)]
    graph = LinkGraph(tuple(itertools.pairwise(names)))
    context = ModelContext(tuple(sorted(names)), graph=graph)
    for part in patches(places(context), 8):
        along = sorted(names.index(context.links[link]) for link in part)
        assert along == list(range(along[0], along[0] + 8))


def test_attention_does_not_see_what_is_not_there() -> None:
    torch.manual_seed(0)
    attention = Attention(8, 2).eval()
    x = torch.randn(3, 5, 8)
    there = torch.tensor([[True] * 4 + [False]] * 3)
    changed = x.clone()
    changed[:, 4] = 99
    torch.testing.assert_close(attention(x, there)[:, :4], attention(changed, there)[:, :4])
    torch.testing.assert_close(attention(x, there)[:, :4], attention(x[:, :4], there[:, :4]))


def test_attention_is_the_one_of_the_paper() -> None:
    """Equal to PyTorch's own layer with the same weights."""
    torch.manual_seed(0)
    attention, x = Attention(8, 2).eval(), torch.randn(3, 5, 8)
    other = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    with torch.no_grad():
        other.in_proj_weight.copy_(attention.asked.weight)
        other.in_proj_bias.copy_(attention.asked.bias)
        other.out_proj.load_state_dict(attention.answer.state_dict())
    expected, _ = other(x, x, x, need_weights=False)
    torch.testing.assert_close(attention(x, torch.ones(3, 5, dtype=torch.bool)), expected)


def listeners(net: Network, links: int, to: int) -> set[int]:
    """The links whose forecast changes with the window of link `to`."""
    x = batch(links)
    changed = x.clone()
    changed[:, :, to, 0] += 1
    off = (net(changed) - net(x)).abs().amax(dim=(0, 1))
    return set(np.flatnonzero(off.detach().numpy() > 1e-7).tolist())


def test_links_hear_their_patch_then_those_of_their_place_then_all() -> None:
    """13 links in patches of 4: three of 3 and one of 4, so three places are of no link."""
    net = network(13, layers=1)
    assert net.members.shape == (4, 4)
    assert int((~net.there).sum()) == 3
    members = np.where(net.there, net.members, NONE)
    patch, _place = (int(found[0]) for found in np.nonzero(members == 5))
    within = [place for place in range(4) if members[patch, place] != NONE]
    # Across patches, a link passes on what it heard within its own.
    heard = {int(n) for n in members[:, within].ravel() if n != NONE}
    assert listeners(net, 13, 5) == heard
    assert listeners(network(13, layers=2), 13, 5) == set(range(13))
    alone = network(13, layers=1)
    for layer in alone.across:
        torch.nn.init.zeros_(layer.attention.answer.weight)
    assert listeners(alone, 13, 5) == {int(n) for n in members[patch] if n != NONE}


def test_the_order_of_links_does_not_matter() -> None:
    """Links in another order, with their places and identities, are forecast alike."""
    at = np.random.default_rng(0).normal(size=(11, 2))
    order = np.random.default_rng(1).permutation(11)
    torch.manual_seed(0)
    one = Network(shape(11), patches(at, 4), **SMALL).eval()
    other = Network(shape(11), patches(at[order], 4), **SMALL).eval()
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        other.link.copy_(one.link[order])
    x = batch(11)
    torch.testing.assert_close(other(x[:, :, order]), one(x)[:, :, order])


def test_calendar_and_flags_are_used() -> None:
    net, x = network(6), batch(6)
    for channel, value in ((1, 0.25), (2, 5.0), (3, 2.0)):
        changed = x.clone()
        changed[..., channel] = value
        assert (net(changed) - net(x)).abs().max() > 1e-4, channel


def test_the_number_of_parameters_of_metr_la() -> None:
    net = PatchStg().build(
        PatchStgConfig(),
        ModelShape(12, 12, 207, ("speed", TIME_OF_DAY, DAY_OF_WEEK, "speed:observed"), 288),
        ModelContext(tuple(f"{n:03}" for n in range(207))),
    )
    # Of a layer: two norms, attention of 4 matrices, two linear layers.
    layer = 4 * 128 + 4 * (128 * 128 + 128) + (128 * 256 + 256) + (256 * 128 + 128)
    embedded = (24 * 64 + 64) + 207 * 32 + 288 * 16 + 7 * 16
    expected = 6 * layer + embedded + 2 * 128 + (128 * 12 + 12)
    assert sum(p.numel() for p in net.parameters()) == expected == 809_628
