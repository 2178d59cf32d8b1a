"""What a network is built around, and the graph with weights behind it."""

from __future__ import annotations

import numpy as np
import pytest

from luigi_traffic import DataError, LinkGraph, LinkTable, ModelContext

EDGES = [("a", "b", 0.5), ("b", "c", 2), ("c", "z", 1.0), ("b", "b", 9.0)]


def test_weights_belong_to_their_edges_and_leave_the_checksum_of_gold_as_it_is() -> None:
    graph = LinkGraph.from_edges(reversed(EDGES))
    assert graph.edges == (("a", "b"), ("b", "c"), ("c", "z"))
    assert graph.weights == (0.5, 2.0, 1.0)
    plain = LinkGraph.from_edges((a, b) for a, b, _ in EDGES)
    assert plain.weights is None
    assert graph.checksum == plain.checksum == "9c380f5304068e6d"
    assert plain.weights_checksum is None
    other = LinkGraph.from_edges([("a", "b", 0.6), *EDGES[1:]])
    assert graph.weights_checksum not in (None, other.weights_checksum)


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ([("a", "b", 1.0), ("b", "c")], "weights for 1 of its 2 edges, but none for b -> c"),
        ([("a", "b", 1.0), ("a", "b", 2.0)], "the edge a -> b with the weights 1.0 and 2.0"),
        ([("a", "b", -1.0)], "a -> b of the graph has the weight -1.0; expected a number of 0"),
        ([("a", "b", float("nan"))], "has the weight nan"),
        ([("a", "b", "far")], "has the weight 'far'"),
        ([("a", "b", 1.0, 2.0)], r"has the weight \[1.0, 2.0\]"),
    ],
)
def test_wrong_weights_are_named(edges: list[tuple], said: str) -> None:
    with pytest.raises(DataError, match=said):
        LinkGraph.from_edges(edges)


def test_arrays_are_in_the_order_of_the_links_and_leave_out_others() -> None:
    context = ModelContext(("c", "a", "b"), graph=LinkGraph.from_edges(EDGES))
    index = context.edge_index()
    assert index.dtype == np.int64
    assert index.tolist() == [[1, 2], [2, 0]]  # a -> b, b -> c
    assert context.edge_weights().tolist() == [0.5, 2.0]
    assert context.adjacency().tolist() == [[0, 0, 0], [0, 0, 0.5], [2, 0, 0]]
    assert context.graph is not None and context.graph.edges == (("a", "b"), ("b", "c"))


def test_a_graph_without_weights_has_ones_and_none_has_no_edges() -> None:
    context = ModelContext(("a", "b"), graph=LinkGraph.from_edges([("a", "b")]))
    assert context.edge_weights().tolist() == [1.0]
    without = ModelContext(("a", "b"))
    assert without.edge_index().shape == (2, 0)
    assert without.edge_weights().shape == (0,)
    assert not without.adjacency().any()


def test_the_link_table_has_the_order_of_the_links() -> None:
    table = LinkTable.from_rows([{"link_id": "a", "length": 5}, {"link_id": "other"}])
    context = ModelContext(("b", "a"), link_table=table)
    assert context.link_table is not None
    assert context.link_table.column("link_id") == ("b", "a")
    assert context.link_table.column("length") == (None, 5.0)
