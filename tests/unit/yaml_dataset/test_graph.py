from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from declared_tables import declared

from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.errors import DataError, SettingsError


def graph(path: Path, links: tuple[str, ...] = (), **keys) -> tuple[tuple[str, str], ...]:
    kind = keys.pop("kind", "edges_csv")
    dataset = declared(graph={kind: str(path), **keys}, settings={"links": list(links)})
    found = dataset.graph()
    assert found is not None
    return found.edges


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "graph.csv"
        path.write_text(text, encoding=encoding)
        return path

    return write


def test_no_graph() -> None:
    assert declared().graph() is None


def test_edges_by_position_by_name_and_by_weight(file) -> None:
    path = file('\ufeffa,b,w\n"강남, 1",2,0.9\n\n2,3,0.1\n3,3,1\n')
    assert graph(path) == (("2", "3"), ("강남, 1", "2"))
    columns = {"upstream": "b", "downstream": "a", "weight": "w"}
    assert graph(path, columns=columns, min_weight=0.5) == (("2", "강남, 1"),)
    assert graph(path, links=("2", "3")) == (("2", "3"),)
    path = file("x;1;2\ny;2;3\n")
    columns = {"upstream": 1, "downstream": 2}
    assert graph(path, header=False, delimiter=";", columns=columns) == (("1", "2"), ("2", "3"))


def test_a_file_that_changed_is_read_again(file) -> None:
    path = file("a,b\n1,2\n")
    assert graph(path) == (("1", "2"),)
    file("a,b\n2,1\n")
    os.utime(path, ns=(1, 1))
    assert graph(path) == (("2", "1"),)


def test_a_node_link_table(file) -> None:
    path = file("LINK_ID,F_NODE,T_NODE,NAME\nx,1,2,가\ny,2,3,나\nz,3,1,다\n", "cp949")
    edges = (("x", "y"), ("y", "z"), ("z", "x"))
    assert graph(path, kind="node_link_csv", encoding="cp949") == edges
    with pytest.raises(DataError, match=r"is not utf-8; set graph\.encoding"):
        graph(path, kind="node_link_csv")
    path = file("id,from,to\nx,1,2\ny,2,3\n")
    columns = {"link_id": "id", "start": "from", "end": "to"}
    assert graph(path, kind="node_link_csv", columns=columns) == (("x", "y"),)
    expected = LinkGraph.from_nodes([("x", "1", "2"), ("y", "2", "3")])
    assert expected.edges == (("x", "y"),)


def test_rows_without_a_node(file, caplog) -> None:
    """They have no neighbours on that side; rows of other links matter to nobody."""
    path = file("LINK_ID,F_NODE,T_NODE\nx,,2\ny,2,3\nz,3,\n,3,4\n")
    with caplog.at_level(logging.WARNING, "luigi_traffic"):
        assert graph(path, kind="node_link_csv") == (("x", "y"), ("y", "z"))
    assert "in 3 rows a link or node is empty (for example link 'x' in line 2)" in caplog.text
    caplog.clear()
    path = file("LINK_ID,F_NODE,T_NODE\nx,1,2\ny,2,3\nz,,\nz,,\nw\n")
    os.utime(path, ns=(3, 3))
    assert graph(path, ("x", "y"), kind="node_link_csv") == (("x", "y"),)
    assert not caplog.records


def test_the_other_direction_of_a_road_by_option(file) -> None:
    path = file("LINK_ID,F_NODE,T_NODE\nx,1,2\ny,2,1\nz,2,3\n")
    assert graph(path, kind="node_link_csv") == (("x", "z"),)
    edges = (("x", "y"), ("x", "z"), ("y", "x"))
    assert graph(path, kind="node_link_csv", u_turns=True) == edges


def test_a_matrix(file) -> None:
    path = file(",a,b,c\nc,1,0,0\na,1,0.4,0\nb,0,,0.7\n")
    assert graph(path, kind="adjacency_csv") == (("a", "b"), ("b", "c"), ("c", "a"))
    assert graph(path, kind="adjacency_csv", min_weight=0.5) == (("b", "c"), ("c", "a"))


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("edges_csv", "", "is empty"),
        ("edges_csv", "a,b\n1\n", "line 2: 1 columns, expected more"),
        ("node_link_csv", "LINK,F_NODE,T_NODE\n", "line 1: no column 'LINK_ID'"),
        ("node_link_csv", "LINK_ID,F_NODE,T_NODE\nx,1\n", "line 2: 2 columns, expected 3"),
        ("node_link_csv", "LINK_ID,F_NODE,T_NODE\nx,1,2\nx,2,3\n", "'x' is already in line 2"),
        ("adjacency_csv", "0,1\n1,0\n", "line 1: expected an empty field and then the link ids"),
        ("adjacency_csv", ",a,a\na,0,1\n", "line 1: expected an empty field"),
        ("adjacency_csv", ",a,b\na,0\n", "line 2: 1 weights, expected 2"),
        ("adjacency_csv", ",a,b\na,0,x\nb,0,0\n", "line 2: 'x' is not a number"),
        ("adjacency_csv", ",a,b\na,0,1\n", "no row for 1 links, for example 'b'"),
        ("adjacency_csv", ",a,b\na,0,1\nc,0,0\n", "line 3: 'c' is not in the first row"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_line(file, kind: str, text: str, told: str) -> None:
    path = file(text)
    with pytest.raises(DataError, match=told) as caught:
        graph(path, kind=kind)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.csv cannot be read: No such file"):
        graph(tmp_path / "none.csv")


def test_a_graph_that_knows_none_of_the_links(file) -> None:
    with pytest.raises(DataError, match=r"has none of the 1 links .* 'z'; it has '1', '2'"):
        graph(file("a,b\n1,2\n"), links=("z",))
