"""Gold's neighbour features, against a join of rows and edges, and against plain Python."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import psycopg2
import pyarrow as pa
import pytest
from frames import arrow
from hypothesis import given, settings
from hypothesis import strategies as st

from luigi_traffic import functions as F
from luigi_traffic.api.columns import NEIGHBOURS
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.compute import neighbours
from luigi_traffic.compute.engine import Engine
from luigi_traffic.compute.neighbours import NeighbourMeans, without_neighbours
from luigi_traffic.errors import DataError
from luigi_traffic.warehouse.tables import gold_table

SILVER = "timestamp timestamp_ntz, link_id string, speed double, n_obs int"
START = datetime(2012, 3, 28)
Row = tuple[datetime, str, float | None, int]


def joined(engine: Engine, silver: Any, graph: LinkGraph) -> Any:
    """Silver with the features: an engine joins its rows with all pairs and groups them."""
    features, of, near = zip(
        *[(f, *pair) for f, found in graph.neighbours().items() for pair in found], strict=True
    )
    edges = engine.table(pa.table({"feature": features, "of": of, "near": near}))
    seen = silver.select(
        F.col("timestamp").alias("at"), F.col("link_id").alias("from"), F.col("speed").alias("seen")
    )
    value = {f: F.when(F.col("feature") == f, F.col("seen")) for f in NEIGHBOURS}
    means = (
        edges.join(seen, F.col("near") == F.col("from"))
        .groupBy("at", "of")
        .agg(*[F.exact_mean(value[f]).alias(f) for f in NEIGHBOURS])
    )
    same = (F.col("timestamp") == F.col("at")) & (F.col("link_id") == F.col("of"))
    return silver.join(means, same, "left").select(*silver.columns, *NEIGHBOURS)


def naive(rows: list[Row], graph: LinkGraph) -> dict[tuple, tuple]:
    """(time, link) -> (t2, t1, f1, f2), row by row, of values with at most three decimals."""
    speed = {(time, link): value for time, link, value, _ in rows if value is not None}
    near = graph.neighbours()
    found = {}
    for time, link, _, _ in rows:
        means = []
        for feature in NEIGHBOURS:
            seen = [
                round(speed[time, other] * 1e6)
                for of, other in near[feature]
                if of == link and (time, other) in speed
            ]
            means.append(sum(seen) / len(seen) / 1e6 if seen else None)
        found[time, link] = tuple(means)
    return found


def by_key(rows: list[dict[str, Any]]) -> dict[tuple, tuple]:
    found = {(r["timestamp"], r["link_id"]): tuple(r[f] for f in NEIGHBOURS) for r in rows}
    assert len(found) == len(rows)
    return found


def added(rows: list[Row], graph: LinkGraph, size: int = 1 << 20) -> list[dict[str, Any]]:
    """The rows with the features, handed over in batches of that size."""
    batches = arrow(sorted(rows, key=lambda r: r[0]), SILVER).to_batches(size)
    found = list(NeighbourMeans(graph.hops, "speed")(iter(batches)))
    assert all(b.schema.names == [*batches[0].schema.names, *NEIGHBOURS] for b in found)
    return [row for batch in found for row in batch.to_pylist()]


def fabricated(rng: random.Random) -> tuple[list[Row], LinkGraph]:
    """Forty road networks side by side, sparse to dense, with gaps, NULLs and strangers."""
    edges, links = [], []
    for road in range(40):
        here = [f"{road}-{n}" for n in range(rng.randint(2, 12))]
        edges += [tuple(rng.sample(here, 2)) for _ in range(rng.randint(1, 40))]
        links += here
    links += ["outside-1", "outside-2"]
    rows: list[Row] = [
        (START + timedelta(minutes=5 * step), link, _speed(rng), 1)
        for step in range(7)
        for link in links
        if rng.random() < 0.7
    ]
    rng.shuffle(rows)
    return rows, LinkGraph.from_edges(edges)


def _speed(rng: random.Random) -> float | None:
    # A third has more digits than are added; of these, some lie right between two millionths.
    return rng.choice([
        None, -0.0, round(rng.uniform(-99, 99), 3), rng.uniform(0, 99), rng.randint(-99, 99) / 2**7,
        (2 * rng.randint(0, 99) + 1) / 2e6,
    ])  # fmt: skip


@pytest.mark.spark
@pytest.mark.parametrize("seed", [1, 2])
def test_features_are_bit_for_bit_those_of_a_join(engine, seed: int) -> None:
    rows, graph = fabricated(random.Random(seed))
    expected = engine.collect(joined(engine, engine.table(arrow(rows, SILVER)), graph))
    got = by_key(added(rows, graph, size=100))
    assert {k: list(map(repr, v)) for k, v in got.items()} == {
        k: list(map(repr, v)) for k, v in by_key(expected).items()
    }
    for values in zip(*got.values(), strict=True):
        assert None in values and len(set(values)) > 100


names = st.sampled_from("abcdefg")
speeds = st.none() | st.integers(-99_000, 99_000).map(lambda n: n / 1000)


@settings(deadline=None)  # the first example imports much
@given(
    st.lists(st.tuples(names, names), max_size=30),
    st.dictionaries(st.tuples(st.integers(0, 5), names), speeds, min_size=1),
    st.tuples(*[st.integers(1, 9)] * 3),
)
def test_pieces_of_any_size_give_the_same(
    edges: list[tuple[str, str]], seen: dict[tuple[int, str], float | None], sizes: tuple
) -> None:
    graph = LinkGraph.from_edges(edges)
    rows = [(START + timedelta(hours=at), link, v, 1) for (at, link), v in seen.items()]
    batch, rows_at_once, values_at_once = sizes
    with (
        mock.patch.object(neighbours, "_ROWS", rows_at_once),
        mock.patch.object(neighbours, "_VALUES", values_at_once),
    ):
        assert by_key(added(rows, graph, batch)) == naive(rows, graph)


def test_memory_is_that_of_a_piece() -> None:
    """A piece is handed on before the rows after it are asked for."""
    asked = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal asked
        for step in range(20):
            asked += 1
            at = START + timedelta(minutes=step)
            yield from arrow([(at, "a", 1.0, 1), (at, "b", 2.0, 1)], SILVER).to_batches()

    means = NeighbourMeans(LinkGraph.from_edges([("a", "b")]).hops, "speed")
    with mock.patch.object(neighbours, "_ROWS", 4):
        pieces = [(batch.num_rows, asked) for batch in means(batches())]
    assert pieces == [(4, n) for n in range(3, 20, 2)] + [(4, 20)]


@pytest.mark.spark
def test_rows_get_their_features_on_the_way_to_the_warehouse(engine, server) -> None:
    rows, graph = fabricated(random.Random(3))
    table = gold_table("tiny", ["timestamp", "link_id", "speed", "n_obs", *NEIGHBOURS])
    columns = ", ".join(f'"{c.name}" {c.type}' for c in table.columns)
    dsn = server.ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        cursor.execute(f"DROP TABLE IF EXISTS public.near; CREATE TABLE public.near ({columns})")
        frame = engine.table(arrow(rows, SILVER))
        means = NeighbourMeans(graph.hops, "speed")
        assert engine.load(frame, dsn, "public.near", table.columns, means) == len(rows)
        cursor.execute("SELECT * FROM public.near")
        found = [dict(zip([c.name for c in table.columns], r, strict=True)) for r in cursor]
        cursor.execute("DROP TABLE public.near")
    assert by_key(found) == by_key(added(rows, graph))
    assert {(r["timestamp"], r["link_id"], r["speed"], r["n_obs"]) for r in found} == set(rows)


@pytest.mark.spark
def test_without_a_graph_all_are_null(engine) -> None:
    silver = engine.table(arrow([(START, "a", 50.0, 1)], SILVER))
    (row,) = engine.collect(without_neighbours(silver))
    assert [row[f] for f in NEIGHBOURS] == [None] * 4
    assert row["speed"] == 50.0


def test_a_day_of_nothing() -> None:
    means = NeighbourMeans(LinkGraph.from_edges([("a", "b")]).hops, "speed")
    assert list(means(arrow([], SILVER).to_batches())) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e13])
def test_a_value_that_cannot_be_added_is_an_error(value: float) -> None:
    rows = [(START, "a", value, 1), (START, "b", 1.0, 1)]
    with pytest.raises(DataError, match=r"mean of speed over neighbours.*has the value"):
        added(rows, LinkGraph.from_edges([("a", "b")]))


def test_a_link_that_the_graph_lacks_matters_to_nobody() -> None:
    rows = [(START, "stranger", float("inf"), 1), (START, "a", 2.5, 1), (START, "b", 1.0, 1)]
    found = by_key(added(rows, LinkGraph.from_edges([("a", "b")])))
    assert found[START, "stranger"] == (None,) * 4
    assert found[START, "b"] == (None, 2.5, None, None)


def test_large_values_are_added_exactly() -> None:
    rows = [(START, "a", 3e12, 1), (START, "b", 3e12, 1), (START, "c", 1.0, 1)]
    found = by_key(added(rows, LinkGraph.from_edges([("a", "c"), ("b", "c")])))
    assert found[START, "c"] == (None, 3e12, None, None)


def test_rows_out_of_order_are_an_error_and_no_wrong_means() -> None:
    means = NeighbourMeans(LinkGraph.from_edges([("a", "b")]).hops, "speed")
    later = START + timedelta(hours=1)
    (swapped,) = arrow([(later, "a", 1.0, 1), (START, "b", 1.0, 1)], SILVER).to_batches()
    for batches in ([swapped], [swapped.slice(0, 1), swapped.slice(1)]):
        with pytest.raises(ValueError, match="not in the order"):
            list(means(batches))


def test_what_travels_to_an_executor_is_the_edges() -> None:
    graph = LinkGraph.from_edges((f"{n}", f"{m}") for n in range(60) for m in range(n, n + 20))
    graph.hops.pairs  # noqa: B018 - now they are there
    sent = pickle.dumps(NeighbourMeans(graph.hops, "speed"))
    assert len(sent) < 10 * len(graph) + 2000
    arrived = pickle.loads(sent).hops
    for name, pairs in graph.hops.pairs.items():
        for ours, theirs in zip(pairs, arrived.pairs[name], strict=True):
            assert ours.tolist() == theirs.tolist()
