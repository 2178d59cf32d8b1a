from __future__ import annotations

import csv
import io
import json

import pytest

from luigi_traffic.commands import query
from luigi_traffic.commands.output import plain
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.project import current


def test_rows_limit_and_more(filled):
    names, rows, more = query.rows(
        current(), "SELECT n, n * 2 AS twice FROM generate_series(1, 5) n", 2
    )
    assert names == ["n", "twice"]
    assert rows == [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}]
    assert more
    assert not query.rows(current(), "SELECT n FROM generate_series(1, 5) n", 5)[2]
    assert len(query.rows(current(), "SELECT n FROM generate_series(1, 5) n", None)[1]) == 5


def test_names_that_come_twice(filled):
    names, rows, _ = query.rows(current(), "SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a", 1)
    assert len(set(names)) == 4 and names[0] == "a" and names[2] == "a_2"
    assert list(rows[0].values()) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM gold.nowhere", "does not exist"),
        ("DELETE FROM meta.ledger", "refused"),
        ("SELECT 1; DROP TABLE meta.ledger", "refused"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied"),
    ],
)
def test_refused(filled, sql, said):
    with pytest.raises(DataError, match=said):
        query.rows(current(), sql, 10)
    assert query.rows(current(), "SELECT count(*) AS n FROM meta.ledger", 1)[1] == [{"n": 4}]


def test_it_asks_as_the_reader(filled):
    _, rows, _ = query.rows(current(), "SELECT session_user::text, current_user::text", 1)
    assert set(rows[0].values()) == {"luigi_traffic_reader"}


def test_a_home_without_a_run_gets_no_database(empty):
    with pytest.raises(SettingsError, match="no pipeline has run"):
        query.rows(current(), "SELECT 1", 1)
    assert not empty.path.exists()


def test_json_of_all_types(filled):
    _, (row,), _ = query.rows(
        current(),
        "SELECT 'NaN'::float8 AS nan, 1.50::numeric AS price, 7::numeric AS whole,"
        " timestamp '2024-05-01 08:05' AS at, date '2024-05-01' AS day, NULL AS nothing,"
        " '{\"a\": 1}'::jsonb AS tree, true AS yes, ARRAY[1, 2] AS list",
        1,
    )
    text = json.dumps(plain(row), allow_nan=False)
    assert json.loads(text) == {
        "nan": "nan", "price": 1.5, "whole": 7, "at": "2024-05-01T08:05:00", "day": "2024-05-01",
        "nothing": None, "tree": {"a": 1}, "yes": True, "list": [1, 2],
    }  # fmt: skip


def test_command(filled):
    done = filled.command("query", "SELECT 1 AS a, NULL AS b, 'x,y' AS c", "--csv")
    assert done.returncode == 0, done.stderr
    assert list(csv.reader(io.StringIO(done.stdout))) == [["a", "b", "c"], ["1", "", "x,y"]]
    bad = filled.command("query", "SELEC 1")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "syntax error" in bad.stderr and "Traceback" not in bad.stderr
