"""Which links of a road graph are one and two hops away: arrays, for half a million links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

#: Paths of two edges that are looked at together: 8 MB an array.
_PATHS = 1 << 20


class Pairs(NamedTuple):
    """The neighbour `near[i]` of the link `of[i]`: positions in `Hops.links`, sorted by `of`."""

    of: NDArray[np.int32]
    near: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Hops:
    """The edges of a graph, `before[i]` to `after[i]`, as positions (int32) in `links`.

    Pairs are made when they are first asked for. They are not part of what is pickled, because
    there are far more of them than edges.
    """

    links: tuple[str, ...]
    before: NDArray[np.int32]
    after: NDArray[np.int32]

    @classmethod
    def of_edges(cls, edges: Sequence[tuple[str, str]]) -> Self:
        """From edges between two links each, every edge once."""
        at: dict[str, int] = {}
        ends = (at.setdefault(end, len(at)) for edge in edges for end in edge)
        found = np.fromiter(ends, np.int32, 2 * len(edges)).reshape(-1, 2)
        return cls(tuple(at), found[:, 0].copy(), found[:, 1].copy())

    def __getstate__(self) -> dict[str, Any]:
        return {"links": self.links, "before": self.before, "after": self.after}

    @cached_property
    def pairs(self) -> Mapping[str, Pairs]:
        """Those of t2, t1, f1 and f2; see `LinkGraph.neighbours`."""
        count = len(self.links)
        one = _sorted(self.before, self.after, count)
        two = _two_hops(one, count)
        # What is ahead of a link at some distance has that link behind it at the same distance.
        behind = [_sorted(ahead.near, ahead.of, count) for ahead in (one, two)]
        return {"t2": behind[1], "t1": behind[0], "f1": one, "f2": two}

    @cached_property
    def most(self) -> int:
        """The largest number of neighbours that a mean is of, 0 without edges."""
        return max(int(np.bincount(p.of).max()) if len(p.of) else 0 for p in self.pairs.values())


def _sorted(of: NDArray[np.int32], near: NDArray[np.int32], count: int) -> Pairs:
    return _pairs(np.sort(_key(of, near, count)), count)


def _key(of: NDArray[np.int32], near: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """A number for each pair, which sort as they do."""
    return of.astype(np.int64) * count + near


def _pairs(keys: NDArray[np.int64], count: int) -> Pairs:
    of, near = np.divmod(keys, max(count, 1))
    return Pairs(of.astype(np.int32), near.astype(np.int32))


def _two_hops(one: Pairs, count: int) -> Pairs:
    """The links that two edges lead to, without the link itself and those that one leads to."""
    first = np.searchsorted(one.of, np.arange(count + 1))
    onward = np.diff(first)[one.near]
    found = [np.empty(0, np.int64)]
    for begin, end in _pieces(one.of, first, np.cumsum(onward)):
        of, near, steps = one.of[begin:end], one.near[begin:end], onward[begin:end]
        # The edges that go on from each: onward[i] of them, from first[near[i]].
        nth = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
        far = one.near[np.repeat(first[near], steps) + nth]
        start = np.repeat(of, steps)
        paths = np.sort(_key(start, far, count)[start != far])
        # Not `np.unique`, which takes ten times as long.
        paths = paths[np.diff(paths, prepend=-1) > 0]
        found.append(np.setdiff1d(paths, _key(of, near, count), assume_unique=True))
    return _pairs(np.concatenate(found), count)


def _pieces(
    of: NDArray[np.int32], first: NDArray[np.int64], paths: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """Ranges of edges with about `_PATHS` paths each. All edges of a link are in one range, so
    that each pair is found in one alone."""
    begin = 0
    while begin < len(of):
        done = int(paths[begin - 1]) if begin else 0
        last = max(int(np.searchsorted(paths, done + _PATHS)), begin)
        end = int(first[of[min(last, len(of) - 1)] + 1])
        yield begin, end
        begin = end
