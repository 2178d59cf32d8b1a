"""The context of a training: made from a series, stored with the model, read back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.recipe import canonical_json, short_hash
from luigi_traffic.training.series import Series

#: What bundles and models of version 1 of the API forecast.
SPEED = "speed"


def plain_context(series: Series) -> ModelContext:
    """Of a series alone: no graph, no link table, no unit."""
    return ModelContext(series.links, target=series.target, interval=series.interval)


def context_as_dict(context: ModelContext, *, with_roads: bool) -> dict[str, Any]:
    """JSON values, the inverse of `context_from_dict`.

    `with_roads`: also graph and link table, which models of version 1 do not see.
    """
    card: dict[str, Any] = {
        "target": context.target,
        "unit": context.unit,
        "interval_seconds": context.interval.total_seconds(),
        "timezone": context.timezone,
        "links": list(context.links),
    }
    if with_roads and context.graph is not None:
        weights = context.graph.weights
        card["graph"] = {
            "edges": context.edge_index().T.tolist(),  # positions in `links`
            "weights": None if weights is None else list(weights),
        }
    if with_roads and context.link_table is not None:
        card["link_table"] = context.link_table.as_dicts()
    return card


def context_from_dict(card: Mapping[str, Any]) -> ModelContext:
    """The context that `context_as_dict` described, or a card of version 1, which had speeds."""
    links = tuple(card["links"])
    graph, table = card.get("graph"), card.get("link_table")
    edges: LinkGraph | None = None
    if graph is not None:
        pairs = [(links[a], links[b]) for a, b in graph["edges"]]
        weights = graph["weights"]
        edges = LinkGraph(tuple(pairs), None if weights is None else tuple(weights))
    return ModelContext(
        links=links,
        graph=edges,
        link_table=None if table is None else LinkTable.from_rows(table),
        target=card.get("target", SPEED),
        unit=card["unit"] if "unit" in card else card["speed_unit"],
        interval=timedelta(seconds=card["interval_seconds"]),
        timezone=card.get("timezone", "UTC"),
    )


def context_digest(context: ModelContext, *, with_roads: bool) -> str:
    """32 hex digits over all that a network is built around."""
    card = context_as_dict(context, with_roads=with_roads)
    return short_hash(canonical_json(card), length=32)
