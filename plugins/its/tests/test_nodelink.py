import pytest
from luigi_traffic_its import Its, ItsSettings
from luigi_traffic_its.nodelink import node_link_graph, read_node_links

from luigi_traffic import DataError, SettingsError

# 1 → 2 → 3, and 4 leaves where 2 does.
TABLE = (
    "LINK_ID,F_NODE,T_NODE,LENGTH,ROAD_NAME\n"
    "1920000001,10,20,300,가\n1920000002,20,30,300,나\n"
    "1920000003,30,40,300,다\n1920000004,20,50,300,라\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_reads_what_the_ministry_exports(tmp_path, encoding):
    path = tmp_path / "links.csv"
    path.write_bytes(TABLE.replace("LINK_ID", "link_id").replace("\n", "\r\n").encode(encoding))
    assert read_node_links(path)[0] == ("1920000001", "10", "20")
    assert node_link_graph(path, []).edges == (
        ("1920000001", "1920000002"),
        ("1920000001", "1920000004"),
        ("1920000002", "1920000003"),
    )


def test_graph_is_cut_to_the_links_that_silver_keeps(tmp_path):
    path = tmp_path / "links.csv"
    path.write_text(TABLE, encoding="utf-8")
    keep = ["1920000001", "1920000002"]
    assert node_link_graph(path, keep).edges == (("1920000001", "1920000002"),)
    its = Its(ItsSettings(node_link_csv=path, links=keep))
    assert its.graph() == node_link_graph(path, keep)


def test_graph_follows_the_file(tmp_path):
    path = tmp_path / "links.csv"
    path.write_text(TABLE, encoding="utf-8")
    its = Its(ItsSettings(node_link_csv=path, links=[]))
    assert len(its.graph()) == 3
    path.write_text(TABLE + "1920000005,50,60,1,마\n", encoding="utf-8")
    assert len(its.graph()) == 4


def test_no_table_no_graph():
    assert Its(ItsSettings()).graph() is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("LINK_ID,F_NODE\n1,2\n", "no column T_NODE"),
        ("", "an empty file"),
        ("LINK_ID,F_NODE,T_NODE\n1,2,3\n1.92E+09,2,3\n", "line 3, column LINK_ID: '1.92E+09'"),
        ("LINK_ID,F_NODE,T_NODE\n1,2,3\n4,5\n", "line 3: 2 columns"),
        ("LINK_ID,F_NODE,T_NODE\n1,2,3\n4,5,\n", "line 3, column T_NODE: ''"),
        ("LINK_ID,F_NODE,T_NODE\n1,2,3\n1,2,4\n", "line 3, column LINK_ID: 1 is in line 2"),
    ],
)
def test_bad_tables_say_where(tmp_path, content, said):
    path = tmp_path / "links.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_node_links(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_wrong_year_and_missing_file(tmp_path):
    path = tmp_path / "links.csv"
    path.write_text(TABLE, encoding="utf-8")
    with pytest.raises(DataError, match="yearly node-link versions"):
        node_link_graph(path, ["1999999999"])
    with pytest.raises(SettingsError, match="node_link_csv: cannot read"):
        node_link_graph(tmp_path / "absent.csv", [])
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xff\xff")
    with pytest.raises(DataError, match="neither UTF-8 nor CP949"):
        read_node_links(binary)
