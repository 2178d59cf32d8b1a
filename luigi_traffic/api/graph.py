"""The road graph of a dataset: which link flows into which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from luigi_traffic.recipe import short_hash


@dataclass(frozen=True)
class LinkGraph:
    """Directed edges between links: `(a, b)` says that what leaves `a` enters `b`.

    Self-loops and repeated edges are dropped; edges are kept sorted, so equal
    graphs have equal `checksum`.
    """

    edges: tuple[tuple[str, str], ...]

    @classmethod
    def from_edges(cls, edges: Iterable[tuple[str, str]]) -> LinkGraph:
        """A graph from (upstream link, downstream link) pairs."""
        return cls(tuple(sorted({(str(a), str(b)) for a, b in edges if a != b})))

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

    @property
    def checksum(self) -> str:
        """16 hex digits over the sorted edges: part of gold's recipe."""
        return short_hash(*(f"{a}>{b}" for a, b in self.edges))

    def neighbours(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Pairs (link, neighbour) for each of t2, t1, f1, f2.

        t1: links that flow into the link; t2: one hop further up; f1 and f2 the
        same downstream. The link itself is never its own neighbour, and a link one
        hop away is not counted again two hops away.
        """
        before: dict[str, set[str]] = {}
        after: dict[str, set[str]] = {}
        for a, b in self.edges:
            after.setdefault(a, set()).add(b)
            before.setdefault(b, set()).add(a)

        def hops(step: dict[str, set[str]]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
            one = {(link, n) for link, near in step.items() for n in near}
            two = {
                (link, far)
                for link, near in step.items()
                for n in near
                for far in step.get(n, ())
                if far != link and far not in near
            }
            return one, two

        t1, t2 = hops(before)
        f1, f2 = hops(after)
        return {"t2": frozenset(t2), "t1": frozenset(t1), "f1": frozenset(f1), "f2": frozenset(f2)}


def _node(given: str | None) -> str:
    return "" if given is None else str(given)
