"""The road graph of a dataset: which link flows into which."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from luigi_traffic.errors import DataError
from luigi_traffic.recipe import short_hash

if TYPE_CHECKING:
    from luigi_traffic.api.hops import Hops


@dataclass(frozen=True)
class LinkGraph:
    """Directed edges between links: `(a, b)` says that what leaves `a` enters `b`.

    Self-loops and repeated edges are dropped; edges are kept sorted, so equal
    graphs have equal `checksum`.
    """

    edges: tuple[tuple[str, str], ...]
    #: One for each edge, 0 or more: a length, a distance, an entry of an adjacency matrix; for
    #: models alone (gold weighs all neighbours alike). None: the dataset has no weights.
    weights: tuple[float, ...] | None = None

    @classmethod
    def from_edges(cls, edges: Iterable[tuple[str, str] | tuple[str, str, float]]) -> LinkGraph:
        """A graph from (upstream link, downstream link) or (upstream, downstream, weight) rows.

        Raises `DataError` if only some edges have a weight, if a weight is negative or not a
        number, or if an edge comes with two weights.
        """
        found: dict[tuple[str, str], float | None] = {}
        for a, b, *more in edges:
            edge = str(a), str(b)
            weight = _weight(edge, more)
            if edge[0] != edge[1] and found.setdefault(edge, weight) != weight:
                raise DataError(
                    f"The graph has the edge {a} -> {b} with the weights {found[edge]} and "
                    f"{weight}. Give each edge once."
                )
        kept = tuple(sorted(found))
        known = [weight for edge in kept if (weight := found[edge]) is not None]
        if known and len(known) < len(found):
            (a, b) = next(edge for edge in kept if found[edge] is None)
            raise DataError(
                f"The graph has weights for {len(known)} of its {len(found)} edges, but none for "
                f"{a} -> {b}. Give all edges a weight, or none."
            )
        return cls(kept, tuple(known) if known else None)

    @classmethod
    def from_nodes(
        cls, links: Iterable[tuple[str, str | None, str | None]], *, u_turns: bool = False
    ) -> LinkGraph:
        """A graph from (link, start node, end node) rows of a node-link table.

        An edge a → b exists where a ends in the node that b starts from. One that leads straight
        back to where a starts, as the other direction of a two-way road does, is left out unless
        `u_turns` is true. An empty node or None: no neighbours on that side.
        """
        rows = [(str(link), _node(start), _node(end)) for link, start, end in links]
        starts: dict[str, list[tuple[str, str]]] = {}
        for link, start, end in rows:
            if start:
                starts.setdefault(start, []).append((link, end))
        return cls.from_edges(
            (link, after)
            for link, start, end in rows
            for after, leads_to in starts.get(end, ())
            if u_turns or not start or leads_to != start
        )

    def __len__(self) -> int:
        return len(self.edges)

    @cached_property
    def checksum(self) -> str:
        """16 hex digits over the sorted edges, without weights: part of gold's recipe."""
        return short_hash(*(f"{a}>{b}" for a, b in self.edges))

    @cached_property
    def weights_checksum(self) -> str | None:
        """16 hex digits over edges and weights: part of the recipe of models that see the graph.

        None if there are no weights: then the edges say all, and gold's recipe has them.
        """
        if self.weights is None:
            return None
        rows = zip(self.edges, self.weights, strict=True)
        return short_hash(*(f"{a}>{b}:{weight!r}" for (a, b), weight in rows))

    def between(self, links: Iterable[str]) -> LinkGraph:
        """The edges whose two ends are among `links`, with their weights."""
        known = set(links)
        kept = [n for n, (a, b) in enumerate(self.edges) if a in known and b in known]
        weights = None if self.weights is None else tuple(self.weights[n] for n in kept)
        return LinkGraph(tuple(self.edges[n] for n in kept), weights)

    def neighbours(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Pairs (link, neighbour) for each of t2, t1, f1, f2.

        t1: links that flow into the link; t2: one hop further up; f1 and f2 the
        same downstream. The link itself is never its own neighbour, and a link one
        hop away is not counted again two hops away.
        """
        names = self.hops.links
        return {
            feature: frozenset((names[of], names[near]) for of, near in zip(*pairs, strict=True))
            for feature, pairs in self.hops.pairs.items()
        }

    @cached_property
    def hops(self) -> Hops:
        """The same pairs in arrays, which take a tenth of the time and of the memory."""
        from luigi_traffic.api.hops import Hops  # numpy, which a run without work does not need

        return Hops.of_edges(self.edges)


def _weight(edge: tuple[str, str], more: list[float]) -> float | None:
    if not more:
        return None
    try:
        (weight,) = (float(given) for given in more)
    except (TypeError, ValueError):
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        given = more[0] if len(more) == 1 else more
        raise DataError(
            f"The edge {edge[0]} -> {edge[1]} of the graph has the weight {given!r}; expected a "
            "number of 0 or more."
        )
    return weight


def _node(given: str | None) -> str:
    return "" if given is None else str(given)
