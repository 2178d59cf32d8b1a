from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from frames import arrow

from luigi_traffic.api.columns import NEIGHBOURS
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.compute.neighbours import with_neighbours

pytestmark = pytest.mark.spark

SILVER = "timestamp timestamp_ntz, link_id string, speed double, n_obs int"


def naive(rows: list[tuple], graph: LinkGraph) -> dict[tuple, tuple]:
    """(time, link) -> (t2, t1, f1, f2), row by row."""
    speed = {(time, link): value for time, link, value, _ in rows}
    near = graph.neighbours()
    found = {}
    for time, link, _, _ in rows:
        means = []
        for feature in NEIGHBOURS:
            seen = [
                speed[time, other]
                for of, other in near[feature]
                if of == link and (time, other) in speed
            ]
            means.append(sum(seen) / len(seen) if seen else None)
        found[time, link] = tuple(means)
    return found


def test_features_are_those_of_a_naive_computation(engine) -> None:
    rng = random.Random(0)
    links = [f"l{n}" for n in range(12)]
    graph = LinkGraph.from_edges([tuple(rng.sample(links, 2)) for _ in range(20)])
    rows = [
        (datetime(2012, 3, 28) + timedelta(minutes=5 * step), link, round(rng.uniform(1, 99), 3), 1)
        for step in range(6)
        for link in links
        if rng.random() < 0.7
    ]
    frame = with_neighbours(engine, engine.table(arrow(rows, SILVER)), graph, "speed")
    assert frame.columns == ["timestamp", "link_id", "speed", "n_obs", *NEIGHBOURS]
    got = {
        (row["timestamp"], row["link_id"]): tuple(row[f] for f in NEIGHBOURS)
        for row in engine.collect(frame)
    }
    expected = naive(rows, graph)
    assert got.keys() == expected.keys()
    for key, means in expected.items():
        assert got[key] == pytest.approx(means, abs=1e-6), key
    for n in range(len(NEIGHBOURS)):
        values = [means[n] for means in expected.values()]
        assert None in values
        assert any(v is not None for v in values)


@pytest.mark.parametrize("graph", [None, LinkGraph(())])
def test_without_a_graph_all_are_null(engine, graph: LinkGraph | None) -> None:
    silver = engine.table(arrow([(datetime(2012, 3, 28), "a", 50.0, 1)], SILVER))
    (row,) = engine.collect(with_neighbours(engine, silver, graph, "speed"))
    assert [row[f] for f in NEIGHBOURS] == [None] * 4
    assert row["speed"] == 50.0


def test_a_day_of_nothing(engine) -> None:
    graph = LinkGraph.from_edges([("a", "b")])
    frame = with_neighbours(engine, engine.table(arrow([], SILVER)), graph, "speed")
    assert engine.collect(frame) == []
