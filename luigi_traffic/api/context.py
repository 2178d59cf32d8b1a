"""What a network is built around: the links, the roads between them, the target, the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ModelContext:
    """The third argument of `Model.build`: what the dataset says beyond the numbers of gold.

    links       ids in the order of the network's link axis (N links); position -> id
    graph       edges between these links, with or without weights; None: the dataset has no graph
    link_table  what is known of these links, in the same order; None: the dataset has no table
    target      the measure that is forecast, a column of gold
    unit        its unit, as the dataset declares it
    interval    length of a step
    timezone    IANA name of the zone whose wall time the calendar channels are

    It is stored with the trained model, so a forecast builds the network from the same context.
    """

    links: tuple[str, ...]
    graph: LinkGraph | None = None
    link_table: LinkTable | None = None
    target: str = "speed"
    unit: str = ""
    interval: timedelta = timedelta(minutes=5)
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Edges to other links are left out; the table gets the order of `links`."""
        if self.graph is not None:
            object.__setattr__(self, "graph", self.graph.between(self.links))
        if self.link_table is not None:
            object.__setattr__(self, "link_table", self.link_table.of(self.links))

    def edge_index(self) -> NDArray[np.int64]:
        """`(2, E)`: positions of the upstream and of the downstream link of each edge.

        `(2, 0)` without a graph.
        """
        import numpy as np

        position = {link: n for n, link in enumerate(self.links)}
        edges = self.graph.edges if self.graph else ()
        pairs = [(position[a], position[b]) for a, b in edges]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2).T

    def edge_weights(self) -> NDArray[np.float32]:
        """`(E,)`, in the order of `edge_index`; 1 for each edge of a graph without weights."""
        import numpy as np

        if self.graph is None or self.graph.weights is None:
            return np.ones(len(self.graph or ()), dtype=np.float32)
        return np.array(self.graph.weights, dtype=np.float32)

    def adjacency(self) -> NDArray[np.float32]:
        """`(N, N)`: the weight of the edge from link i to link j in row i, column j; 0: no edge.

        The diagonal is 0. It has N x N numbers: for many thousand links use `edge_index`.
        """
        import numpy as np

        size = len(self.links)
        matrix = np.zeros((size, size), dtype=np.float32)
        start, end = self.edge_index()
        matrix[start, end] = self.edge_weights()
        return matrix
