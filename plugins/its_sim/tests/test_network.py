import numpy as np
import pytest

from luigi_traffic_its_sim.network import Road, build_network


@pytest.mark.parametrize("links", [2, 3, 7, 12, 40, 41, 500, 15_000])
def test_any_number_of_links(links):
    network = build_network(links, seed=1)
    assert len(network) == len(set(network.link_id)) == links
    assert all(len(link) == 10 and link.isdigit() for link in network.link_id)
    assert {link[:3] for link in network.link_id} == (
        {"192"} if links <= 14_000 else {"192", "193"}
    )
    assert ((network.length >= 200) & (network.length <= 2000)).all()
    assert ((network.limit_kmh >= 50) & (network.limit_kmh <= 110)).all()
    assert (network.capacity > 0).all()
    for m in range(len(network.turn_from)):
        before, after = network.turn_from[m], network.turn_to[m]
        assert network.end_node[before] == network.start_node[after]
        assert network.start_node[before] != network.end_node[after]  # no U-turn
    out = np.bincount(network.turn_from, network.turn_share, links) + network.exit_share
    assert out == pytest.approx(np.ones(links))
    assert (np.diff(network.turn_from) >= 0).all()
    # No vehicle can be born where none can leave, nor the other way round.
    assert (network.demand > 0).any()
    assert (network.exit_share > 0).any()


def test_kinds_merges_and_diverges():
    network = build_network(40, seed=0)
    assert set(network.road.tolist()) == {Road.EXPRESSWAY, Road.RAMP, Road.ARTERIAL}
    assert (np.bincount(network.turn_from) >= 2).any()
    assert max(len(before) for before in network.upstream.values()) >= 2
    both = set(zip(network.start_node, network.end_node, strict=True))
    arterials = np.flatnonzero(network.road == Road.ARTERIAL)
    assert any((network.end_node[a], network.start_node[a]) in both for a in arterials)


def test_seed_decides():
    first, again, other = (build_network(40, seed) for seed in (1, 1, 2))
    assert first.link_id == again.link_id
    assert np.array_equal(first.capacity, again.capacity)
    assert first.link_id != other.link_id


def test_one_link_is_no_network():
    with pytest.raises(ValueError, match="at least 2"):
        build_network(1, 0)
