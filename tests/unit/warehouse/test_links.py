"""`links.<dataset>`: versions by dates, each replaced in one transaction."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.recipe import Input
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.links import LinkImport, replace_version, versions
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

PAGE = Path(__file__).parents[3] / "docs" / "links.md"
OLD, NEW, LATER = date(2023, 1, 1), date(2024, 1, 1), date(2025, 1, 1)


def batch(*links: str, name: str = "세종대로", wkb: bytes | None = b"\1\2") -> pa.RecordBatch:
    n = len(links)
    return pa.RecordBatch.from_pydict(
        {"row": range(1, n + 1), "link_id": links, "name": [name] * n, "length_m": [12.5] * n,
         "speed_limit": [None] * n, "road_class": [None] * n, "lanes": [2.0] * n,
         "start_node": ["1"] * n, "end_node": ["2"] * n, "geometry": [wkb] * n}
    )  # fmt: skip


def put(warehouse: Warehouse, day: date, *links: str, **more) -> LinkImport:
    only_known = more.pop("only_known", False)
    with warehouse.connect() as conn:
        return replace_version(
            conn, "tiny", day, "a.shp", [batch(*links, **more)], only_known=only_known
        )


def rows(warehouse: Warehouse, columns: str = "link_id, valid_from, valid_to, name") -> list:
    return warehouse.query(f"SELECT {columns} FROM links.tiny ORDER BY link_id, valid_from", None)[
        1
    ]


def test_versions_follow_each_other_in_any_order_of_imports(warehouse) -> None:
    assert put(warehouse, OLD, "a", "b") == LinkImport(2, 0, True)
    assert put(warehouse, LATER, "a") == LinkImport(1, 0, True)
    assert put(warehouse, NEW, "a", "c", name="new", wkb=None) == LinkImport(2, 0, True)
    found = [
        ("a", OLD, NEW, "세종대로"), ("a", NEW, LATER, "new"), ("a", LATER, None, "세종대로"),
        ("b", OLD, NEW, "세종대로"), ("c", NEW, LATER, "new"),
    ]  # fmt: skip
    assert rows(warehouse) == found
    facts = (
        "length_m, speed_limit, road_class, lanes, start_node, end_node, encode(geometry, 'hex')"
    )
    assert rows(warehouse, facts)[:2] == [
        (12.5, None, None, 2, "1", "2", "0102"), (12.5, None, None, 2, "1", "2", None)
    ]  # fmt: skip
    # The same again writes nothing, not even the same rows.
    before = rows(warehouse, "xmin::text, xmax::text, ctid::text")
    assert put(warehouse, OLD, "b", "a") == LinkImport(2, 0, False)
    assert rows(warehouse, "xmin::text, xmax::text, ctid::text") == before
    # Another content of the same date takes its place, and the others stay as they are.
    assert put(warehouse, NEW, "c", name="newer").changed
    assert rows(warehouse) == [found[0], found[2], found[3], ("c", NEW, LATER, "newer")]
    with warehouse.connect() as conn:
        known = [
            (v.valid_from, v.valid_to, v.links, v.with_geometry) for v in versions(conn, "tiny")
        ]
    assert known == [(OLD, NEW, 2, 2), (NEW, LATER, 1, 1), (LATER, None, 1, 1)]


def test_a_link_that_comes_twice_and_none_at_all_are_refused(warehouse) -> None:
    with pytest.raises(DataError, match=r"a\.shp: rows 2 and 4 are of the same link 'b'\. Give"):
        put(warehouse, OLD, "a", "b", "c", "b")
    with pytest.raises(DataError, match="it has no links, so nothing was imported"):
        put(warehouse, OLD)
    with pytest.raises(DataError, match="gold has no day of tiny"):
        put(warehouse, OLD, "a", only_known=True)
    assert warehouse.query("SELECT to_regclass('links.tiny')", None)[1] == [(None,)]


def test_a_day_joins_the_version_that_is_valid_then(warehouse) -> None:
    (documented,) = re.findall(r"^SELECT.*?(?=^WHERE)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    documented = documented.replace("gold.its", "gold.tiny").replace("links.its", "links.tiny")
    table = gold_table("tiny", ["timestamp", "link_id", "speed"])
    for day in (date(2023, 12, 31), NEW):
        with warehouse.connect() as conn:
            table.ensure(conn)
            staged = table.stage(conn, "x")
            times = pa.array([day] * 2, pa.date32()).cast(pa.timestamp("us"))
            given = {"timestamp": times, "link_id": ["a", "b"], "speed": [50.0, 60.0]}
            copy_in(conn, staged, table.columns, pa.RecordBatch.from_pydict(given))
        with warehouse.connect() as conn:
            row = LedgerRow(
                "gold", "tiny", str(day), f"id {day}", {}, [Input("silver", "", "")], 2, "", {}
            )
            assert table.commit(conn, staged, Bounds.day(day), row)
    put(warehouse, OLD, "a", "b", name="old")
    assert put(warehouse, NEW, "a", "c", name="new", only_known=True) == LinkImport(1, 1, True)
    found = warehouse.query(
        f"SELECT timestamp::date, link_id, name FROM ({documented}) d ORDER BY 1, 2", None
    )[1]
    last = date(2023, 12, 31)
    assert found == [(last, "a", "old"), (last, "b", "old"), (NEW, "a", "new"), (NEW, "b", None)]
    with pytest.raises(DataError, match="none of its 1 links is in gold"):
        put(warehouse, LATER, "z", only_known=True)


def test_two_imports_at_once_leave_one_of_them_whole(server, warehouse) -> None:
    put(warehouse, OLD, "a")
    others = [Warehouse(server.ensure_running) for _ in range(4)]
    names = ["one", "two", "one", "two"]
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda w, n: put(w, NEW, "a", "b", name=n), others, names))
    for other in others:
        other.close()
    assert any(one.changed for one in done)
    assert len({name for *_, name in rows(warehouse)[1:]}) == 1 and len(rows(warehouse)) == 3


def test_an_import_that_is_killed_leaves_the_old_version(server, warehouse) -> None:
    put(warehouse, OLD, "a", "b")
    put(warehouse, LATER, "a")
    before = rows(warehouse)

    def replace_and_die() -> None:
        mine = Warehouse(server.ensure_running)
        with mine.connect() as conn:
            replace_version(conn, "tiny", OLD, "b.shp", [batch("c")])
            with conn.cursor() as cursor:
                cursor.execute("SELECT link_id FROM links.tiny WHERE valid_from = %s", (OLD,))
                assert cursor.fetchall() == [("c",)]
            os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=replace_and_die)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert rows(warehouse) == before
    assert put(warehouse, OLD, "c").changed  # the lock is free
