"""Patches: sets of nearby links, as many as a binary tree over their places has leaves.

Fang et al. 2025 (KDD), section 4.1: a k-d tree (Bentley 1975) splits the links at the median of one
coordinate after the other, so that all leaves have the same number of links, or one less.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from luigi_traffic import ModelContext

#: In a patch: no link, which fills it up to the size of the others.
NONE = -1


def places(context: ModelContext) -> NDArray[np.float64]:
    """`(N, D)`: where the links are, so that a tree can put near ones together.

    Kilometres east and north, if the link table has a longitude and a latitude of any link; a link
    without them is taken to be in the middle of the others. Otherwise the rank of each link in an
    order that keeps neighbours of the road graph together (Cuthill and McKee 1969). Without a graph
    the rank among the ids, which are regional in many countries.
    """
    count = len(context.links)
    known = _coordinates(context)
    if known is not None:
        return known
    order = np.arange(count)
    edges = context.edge_index()
    if edges.size:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import reverse_cuthill_mckee

        ones = np.ones(edges.shape[1], np.int8)
        graph = coo_array((ones, (edges[0], edges[1])), shape=(count, count)).tocsr()
        order = reverse_cuthill_mckee(graph + graph.T, symmetric_mode=True)
    rank = np.empty(count)
    rank[order] = np.arange(count)
    return rank[:, None]


def _coordinates(context: ModelContext) -> NDArray[np.float64] | None:
    if context.link_table is None:
        return None
    pairs = zip(*(context.link_table.column(c) for c in ("longitude", "latitude")), strict=True)
    degrees = np.array([(np.nan, np.nan) if None in pair else pair for pair in pairs], np.float64)
    middle = [np.median(one[~np.isnan(one)]) if not np.isnan(one).all() else np.nan
              for one in degrees.T]  # fmt: skip
    if np.isnan(middle).any():
        return None
    degrees = np.where(np.isnan(degrees), middle, degrees)
    kilometres = 40_000 / 360 * np.array([math.cos(math.radians(middle[1])), 1])
    return (degrees - middle) * kilometres


def patches(at: NDArray[np.float64], largest: int) -> NDArray[np.int64]:
    """`(P, S)`: positions of links, each once, S of at most `largest` in each of P patches.

    `at` is `(N, D)`, see `places`. P is a power of two, and a patch has one `NONE` at most. Links
    at the same place stay in their order.
    """
    parts = [np.arange(len(at))]
    level = 0
    while max(len(part) for part in parts) > largest:
        axis = level % at.shape[1]
        parts = [half for part in parts for half in _halves(part, at[:, axis])]
        level += 1
    size = max(len(part) for part in parts)
    return np.stack([np.pad(part, (0, size - len(part)), constant_values=NONE) for part in parts])


def _halves(part: NDArray[np.int64], at: NDArray[np.float64]) -> tuple[NDArray[np.int64], ...]:
    """Those below the median and those from it on."""
    ordered = part[np.argsort(at[part], kind="stable")]
    middle = -(-len(part) // 2)
    return ordered[:middle], ordered[middle:]
