from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from luigi_traffic import DataError, Link, LinkGraph, SettingsError
from luigi_traffic_its import Its, read_node_links

#: a → b → d and a → c, b ← → back.
TABLE = """LINK_ID,F_NODE,T_NODE,ROAD_NAME,MAX_SPD
1920000001,1,2,산업로,80
1920000002,2,3,산업로,80
1920000003,2,4,번영로,60
1920000004,3,5,번영로,60
"""
A, B, C, D = "1920000001", "1920000002", "1920000003", "1920000004"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "MOCT_LINK.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def graph(path: Path | None, links: list[str]) -> LinkGraph | None:
    return Its(Its.Settings(node_link_csv=path, links=links)).graph()


def test_edges_follow_the_nodes(table: Path) -> None:
    assert graph(table, []) == LinkGraph.from_edges([(A, B), (A, C), (B, D)])


def test_only_links_of_the_filter_are_neighbours(table: Path) -> None:
    assert graph(table, [A, B]) == LinkGraph.from_edges([(A, B)])


def test_no_table_no_graph() -> None:
    assert graph(None, []) is None


def test_a_table_that_changed_is_read_again(table: Path) -> None:
    before = graph(table, [])
    table.write_text(TABLE.replace(f"{D},3,5", f"{D},6,5"), encoding="utf-8")
    os.utime(table, ns=(1, 1))
    assert graph(table, []) != before
    assert len(graph(table, [])) == 2


def test_the_link_table_has_what_the_file_says(table: Path) -> None:
    text = TABLE.replace("MAX_SPD", "MAX_SPD,LENGTH,LANES").replace(",80\n", ",80,350.5,2\n")
    table.write_text(text.replace(",60\n", ",0,,x\n"), encoding="utf-8")
    first, *_, last = Its(Its.Settings(node_link_csv=table, links=[])).links()
    assert first == Link(
        A, name="산업로", length=350.5, speed_limit=80, lanes=2, start_node="1", end_node="2"
    )
    assert last == Link(D, name="번영로", start_node="3", end_node="5")  # 0 is "not known"
    assert len(Its(Its.Settings(node_link_csv=table, links=[A])).links()) == 1
    assert Its(Its.Settings()).links() is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_line_ends_and_cases(table: Path, encoding: str, end: str) -> None:
    text = TABLE.replace("LINK_ID", "link_id").replace("\n", end) + end
    table.write_bytes(text.encode(encoding))
    assert read_node_links(table)[:2] == [(A, "1", "2"), (B, "2", "3")]


def test_columns_in_any_order(table: Path) -> None:
    table.write_text(f"T_NODE,LENGTH,LINK_ID,F_NODE\n2,9.5,{A},1\n", encoding="utf-8")
    assert read_node_links(table) == [(A, "1", "2")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column LINK_ID, F_NODE, T_NODE.*found an empty file"),
        ("LINK_ID,FROM,T_NODE\n", "line 1: no column F_NODE;.*found LINK_ID, FROM, T_NODE"),
        (TABLE + f"{A},8,9,x,50\n", f"line 6, column LINK_ID: {A} is already in line 2"),
        (TABLE.replace(B, "1.92E+09"), "line 3, column LINK_ID: '1.92E\\+09' is not a number"),
        (TABLE.replace(f"{C},2,4", f"{C},2,x"), "line 4, column T_NODE: 'x'"),
        (TABLE + "1920000005,7\n", "line 6: 2 columns, expected 5"),
    ],
)
def test_what_is_wrong_and_where(table: Path, text: str, said: str) -> None:
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said) as e:
        graph(table, [])
    assert str(table) in str(e.value)


def test_a_link_without_a_node_has_no_neighbours_on_that_side(
    table: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table.write_text(TABLE.replace(f"{B},2,3", f"{B},2,") + ",7,8,x,50\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING, "luigi_traffic"):
        assert graph(table, []) == LinkGraph.from_edges([(A, B), (A, C)])
    assert f"no start or end node for 1 of 4 links (for example {B} in line 3)" in caplog.text
    assert "1 rows without a LINK_ID (for example line 6)" in caplog.text


@pytest.mark.parametrize("row", [
    "1000000301,,1000000400,세종대로,50", ",,,,", "1.01E+09,1,2,x,50", "1000000302", "x,y,z,,",
    "1000000301,1.0E+9,2,x,50", f"{D},3,5,x,50",
])  # fmt: skip
def test_rows_of_other_links_matter_to_nobody(table: Path, caplog, row: str) -> None:
    table.write_text(f"{TABLE}{row}\n{row}\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING, "luigi_traffic"):
        assert graph(table, [A, B]) == LinkGraph.from_edges([(A, B)])
    assert not caplog.records


@pytest.mark.parametrize("damaged", ["1.92E+09", "1920000002.0", "1.92E9", "1.920000E+09"])
def test_a_damaged_id_that_may_be_ours_is_refused(table: Path, damaged: str) -> None:
    table.write_text(TABLE.replace(B, damaged), encoding="utf-8")
    with pytest.raises(DataError, match=r"line 3, column LINK_ID: .* is not a number in digits"):
        graph(table, [A, B])


def test_nodes_that_a_tool_wrote_as_decimals(table: Path) -> None:
    table.write_text(f"LINK_ID,F_NODE,T_NODE\n{A},NaN,2.0\n{B},2.0,3.0\n", encoding="utf-8")
    assert graph(table, []) == LinkGraph.from_edges([(A, B)])


def test_the_other_direction_by_option(table: Path) -> None:
    table.write_text(f"LINK_ID,F_NODE,T_NODE\n{A},1,2\n{B},2,1\n{C},2,3\n", encoding="utf-8")
    assert graph(table, []) == LinkGraph.from_edges([(A, C)])
    settings = Its.Settings(node_link_csv=table, links=[], node_link_u_turns=True)
    assert Its(settings).graph() == LinkGraph.from_edges([(A, B), (A, C), (B, A)])


def test_neither_encoding(table: Path) -> None:
    table.write_bytes(TABLE.encode() + b"\xff\xff\n")
    with pytest.raises(DataError, match="neither UTF-8 nor CP949"):
        graph(table, [])


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"node_link_csv: cannot read .*none\.csv"):
        graph(tmp_path / "none.csv", [])


def test_another_years_ids(table: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match=r"none of the 23 links.*it has 1920000001, 19.*yearly"):
        Its(Its.Settings(node_link_csv=table)).graph()
    with caplog.at_level(logging.WARNING, "luigi_traffic"):
        graph(table, [A, B, "1929999999"])
    assert "does not contain 1 of 3 links (1929999999" in caplog.text
