from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from luigi_traffic.api import hops
from luigi_traffic.api.graph import LinkGraph

names = st.sampled_from("abcdefgh")
edges = st.lists(st.tuples(names, names), max_size=30)


def naive(pairs: list[tuple[str, str]]) -> dict[str, set[tuple[str, str]]]:
    """By asking every pair of links whether a path of one, or of two, edges joins them."""
    links = {link for pair in pairs for link in pair}
    flows = {(a, b) for a, b in pairs if a != b}
    found: dict[str, set[tuple[str, str]]] = {"t1": set(), "t2": set(), "f1": set(), "f2": set()}
    for link in links:
        for other in links - {link}:
            if (other, link) in flows:
                found["t1"].add((link, other))
            elif any((other, via) in flows and (via, link) in flows for via in links):
                found["t2"].add((link, other))
            if (link, other) in flows:
                found["f1"].add((link, other))
            elif any((link, via) in flows and (via, other) in flows for via in links):
                found["f2"].add((link, other))
    return found


@given(edges)
def test_neighbours_are_those_of_a_naive_search(pairs: list[tuple[str, str]]) -> None:
    assert LinkGraph.from_edges(pairs).neighbours() == naive(pairs)


@given(edges, st.integers(1, 12))
def test_pieces_of_any_size_give_the_same(pairs: list[tuple[str, str]], paths: int) -> None:
    with mock.patch.object(hops, "_PATHS", paths):
        assert LinkGraph.from_edges(pairs).neighbours() == naive(pairs)


@given(edges)
def test_downstream_is_upstream_of_the_reversed_graph(pairs: list[tuple[str, str]]) -> None:
    forward = LinkGraph.from_edges(pairs).neighbours()
    backward = LinkGraph.from_edges([(b, a) for a, b in pairs]).neighbours()
    assert (forward["f1"], forward["f2"]) == (backward["t1"], backward["t2"])


@given(edges, st.randoms())
def test_equal_graphs_have_equal_checksums(pairs: list[tuple[str, str]], random) -> None:
    again = [*pairs, ("a", "a"), *pairs[:3]]
    random.shuffle(again)
    one, other = LinkGraph.from_edges(pairs), LinkGraph.from_edges(again)
    assert (one, one.checksum) == (other, other.checksum)
    more = LinkGraph.from_edges([*pairs, ("x", "y")])
    assert more.checksum != one.checksum
    assert len(more) == len(one) + 1


@given(
    st.lists(
        st.tuples(names, st.integers(0, 4), st.integers(0, 4)),
        max_size=12,
        unique_by=lambda r: r[0],
    )
)
def test_links_that_meet_in_a_node_are_joined(rows: list[tuple[str, int, int]]) -> None:
    joined = {
        (a, b): start == far
        for a, start, end in rows for b, begin, far in rows if end == begin and a != b
    }  # fmt: skip
    assert set(LinkGraph.from_nodes(rows, u_turns=True).edges) == set(joined)
    straight = {edge for edge, back in joined.items() if not back}
    assert set(LinkGraph.from_nodes(rows).edges) == straight


def test_the_other_direction_of_a_two_way_road_is_no_neighbour() -> None:
    """Two links each between the nodes 1, 2 and 3."""
    rows = [("12", "1", "2"), ("21", "2", "1"), ("23", "2", "3"), ("32", "3", "2")]
    assert LinkGraph.from_nodes(rows).edges == (("12", "23"), ("32", "21"))
    back = {("12", "21"), ("21", "12"), ("23", "32"), ("32", "23")}
    assert set(LinkGraph.from_nodes(rows, u_turns=True).edges) == {
        ("12", "23"), ("32", "21"), *back,
    }  # fmt: skip


def test_a_link_without_a_node_has_no_neighbours_on_that_side() -> None:
    rows = [("a", "", "1"), ("b", "1", None), ("c", None, ""), ("d", "", "1")]
    assert LinkGraph.from_nodes(rows).edges == (("a", "b"), ("d", "b"))
    assert LinkGraph.from_nodes(rows, u_turns=True).edges == (("a", "b"), ("d", "b"))


def test_the_line_of_the_road() -> None:
    graph = LinkGraph.from_nodes([("up2", 0, 1), ("up1", 1, 2), ("here", 2, 3), ("down1", 3, 4)])
    near = graph.neighbours()
    assert {n for link, n in near["t1"] if link == "here"} == {"up1"}
    assert {n for link, n in near["t2"] if link == "here"} == {"up2"}
    assert {n for link, n in near["f1"] if link == "here"} == {"down1"}
    assert {n for link, n in near["f2"] if link == "here"} == set()
