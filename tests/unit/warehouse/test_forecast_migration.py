"""Forecasts of a database of an earlier version: taken over as they are, by migrations 3 and 6."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from luigi_traffic.errors import TrafficError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.recipe import Input
from luigi_traffic.warehouse import ledger, schema
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.published import published
from luigi_traffic.warehouse.tables import forecast_bounds, forecast_table

DAY = date(2012, 3, 28)
TABLE = forecast_table("tiny")
COLUMNS = "part, model, issued_at, kind, step, timestamp, link_id, speed"
MODELS = ("a", "o'model\\x", "m" * 63)


def run(conn: Connection, sql: str, values: tuple = ()) -> list[tuple]:
    with conn.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []


def old_table(conn: Connection) -> None:
    """As version 1 made it."""
    run(
        conn,
        "CREATE SCHEMA forecast; CREATE TABLE forecast.tiny (part text, model text,"
        " issued_at timestamp, kind text, step smallint, timestamp timestamp, link_id text,"
        " speed real) PARTITION BY LIST (part)",
    )


def old_part(
    conn: Connection, day: date, model: str, *, late: int = 0, empty: bool = False, of: str = ""
) -> str:
    """A forecast issued at the day's end, or `late` days after, of a model; its partition id."""
    part, name = f"{day}/{model}", f"forecast.tiny_{day:%Y%m%d}_{abs(hash(model)):x}"
    run(conn, f"CREATE TABLE {name} (LIKE forecast.tiny)")
    run(conn, f"ALTER TABLE {name} ADD PRIMARY KEY (part, issued_at, step, link_id)")
    run(conn, f"ALTER TABLE {name} ADD CONSTRAINT partition_bounds CHECK (part IS NOT NULL AND part = %s)", (part,))  # noqa: E501  # fmt: skip
    at = datetime(day.year, day.month, day.day) + timedelta(days=1 + late)
    if not empty:
        run(conn, f"INSERT INTO {name} VALUES (%s, %s, %s, 'next', 1, %s, 'l', 7)", (part, model, at, at))  # noqa: E501  # fmt: skip
    run(conn, f"ALTER TABLE forecast.tiny ATTACH PARTITION {name} FOR VALUES IN (%s)", (part,))
    inputs = [Input("model", of, of)] if of else []
    ledger.write(conn, LedgerRow("forecast", "tiny", part, f"id {part}", {}, inputs, 1, "", {}))
    return f"id {part}"


@pytest.fixture
def before(warehouse: Warehouse, server: EmbeddedServer) -> Iterator[Connection]:
    """A database at migration 2."""
    conn = psycopg2.connect(**server.ensure_running().kwargs())
    run(conn, "DELETE FROM meta.migrations WHERE number >= 3")
    run(conn, "DROP TABLE meta.consumer_filter, meta.published, meta.champions")
    run(conn, "DROP TABLE meta.ticks, meta.live_polls, meta.link_versions, meta.attempts")
    run(conn, "ALTER TABLE meta.ledger DROP COLUMN damage")
    old_table(conn)
    conn.commit()
    yield conn
    conn.rollback()
    run(conn, "DROP SCHEMA IF EXISTS forecast, forecast_versions CASCADE")
    schema.migrate(conn)
    conn.commit()
    conn.close()


def commit(warehouse: Warehouse, day: date, model: str) -> bool:
    with warehouse.connect() as conn:
        TABLE.ensure(conn)
        staged = TABLE.stage(conn, "x")
    with warehouse.connect() as conn:
        row = LedgerRow("forecast", "tiny", f"{day}/{model}", "new", {}, [], 0, "", {})
        return TABLE.commit(conn, staged, forecast_bounds(day, f"{day}/{model}"), row)


def test_rows_and_ledger_stay_and_new_commits_replace_the_old(
    before: Connection, server: EmbeddedServer
) -> None:
    parts = [(DAY + timedelta(days=n), model) for n in range(2) for model in MODELS]
    ids = {old_part(before, day, model) for day, model in parts}
    old_part(before, DAY + timedelta(days=2), "a", empty=True)
    before.commit()
    rows = run(before, f"SELECT {COLUMNS} FROM forecast.tiny ORDER BY part")
    before.rollback()

    warehouse = Warehouse(server.ensure_running)
    warehouse.migrate()
    asked = f"SELECT {COLUMNS} FROM forecast_versions.tiny ORDER BY part"
    assert warehouse.query(asked, None)[1] == rows
    with warehouse.connect() as conn:
        assert ids < set(ledger.current_ids(conn, "forecast", "tiny").values())
    plan = "EXPLAIN SELECT * FROM forecast_versions.tiny WHERE issued_at > '2012-03-28 12:00' AND issued_at <= '2012-03-29'"  # noqa: E501  # fmt: skip
    narrow = "EXPLAIN SELECT * FROM forecast_versions.tiny WHERE timestamp = '2012-03-29' AND part = '2012-03-28/a'"  # noqa: E501  # fmt: skip
    with warehouse.connect() as conn:
        assert str(run(conn, plan)).count("Scan on tiny_") == len(MODELS)
        read = re.findall(r"Scan (?:using \S+ )?on (tiny_\w+?)(?:_pkey)? ", str(run(conn, narrow)))
        assert len(set(read)) == 1
        left = "SELECT count(*) FROM pg_class WHERE relname LIKE '/%' OR relname LIKE 'tiny/a%'"
        assert run(conn, left) == [(0,)]
    # The partition of the old table is found by its bounds, and replaced.
    for model in MODELS:
        assert commit(warehouse, DAY, model)
    assert len(warehouse.query(asked, None)[1]) == len(MODELS)
    ranges = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'forecast_versions.tiny'::regclass"
    assert warehouse.query(ranges, 1)[1] == [(3,)]
    warehouse.close()


def test_of_each_day_the_last_forecast_by_a_champion_is_published(
    before: Connection, server: EmbeddedServer
) -> None:
    """A rejected model had overwritten the rows of its plugin's name: these are not published."""
    for model, promoted in (("first", True), ("second", True), ("bad", False)):
        details = {"promoted": promoted}
        ledger.write(before, LedgerRow("model", "tiny", model, model, {}, [], 1, "", details))
    old_part(before, DAY, "a", of="first")
    old_part(before, DAY, "b", of="second")
    old_part(before, DAY, "c", of="bad")
    old_part(before, DAY, "a:flow", of="first")
    old_part(before, DAY + timedelta(days=1), "a", of="bad")
    before.commit()
    schema.migrate(before)
    assert run(before, "SELECT part FROM forecast.tiny ORDER BY part") == [
        ("2012-03-28/a:flow",), ("2012-03-28/b",),
    ]  # fmt: skip
    assert run(before, "SELECT count(*) FROM forecast_versions.tiny") == [(5,)]
    at = "SELECT bool_and(p.champion_at = l.committed_at) FROM meta.published p JOIN meta.ledger l USING (dataset, part)"  # noqa: E501  # fmt: skip
    assert run(before, at) == [(True,)]
    assert {len(published(before, "tiny", target)) for target in ("", "flow")} == {1}


def test_a_partition_of_other_rows_is_dropped_and_the_ledger_says_so(
    before: Connection, server: EmbeddedServer
) -> None:
    good = old_part(before, DAY, "a")
    old_part(before, DAY, "b", late=3)
    before.commit()
    schema.migrate(before)
    assert set(ledger.current_ids(before, "forecast", "tiny").values()) == {good}
    assert run(before, "SELECT part FROM forecast_versions.tiny") == [("2012-03-28/a",)]


def test_a_partition_that_is_not_ours_stops_it_and_is_named(
    before: Connection, server: EmbeddedServer
) -> None:
    run(before, "CREATE TABLE forecast.rest PARTITION OF forecast.tiny DEFAULT")
    before.commit()
    with pytest.raises(TrafficError, match=r"forecast\.rest.*DETACH PARTITION"):
        Warehouse(server.ensure_running).migrate()
    before.rollback()
    run(before, "DROP TABLE forecast.rest")
    before.commit()


def test_a_view_on_it_stops_it_and_all_stays_as_it_was(
    before: Connection, server: EmbeddedServer
) -> None:
    old_part(before, DAY, "a")
    run(before, "CREATE VIEW forecast.newest AS SELECT * FROM forecast.tiny")
    before.commit()
    with pytest.raises(TrafficError, match="Views or functions"):
        Warehouse(server.ensure_running).migrate()
    assert run(before, "SELECT part FROM forecast.newest") == [("2012-03-28/a",)]
    assert run(before, "SELECT max(number) FROM meta.migrations") == [(2,)]


def test_who_could_read_it_still_can(before: Connection) -> None:
    run(before, "GRANT SELECT ON forecast.tiny TO pg_monitor, PUBLIC")
    before.commit()
    schema.migrate(before)
    for who in ("pg_monitor", "public"):
        for table in ("forecast.tiny", "forecast_versions.tiny"):
            asked = f"SELECT has_table_privilege('{who}', '{table}', 'SELECT')"
            assert run(before, asked) == [(True,)]


def test_a_home_of_the_early_form_of_migration_6_goes_on(before: Connection) -> None:
    schema.migrate(before)
    run(before, "DELETE FROM meta.migrations WHERE number >= 8")
    run(before, "DROP TABLE meta.ticks, meta.live_polls, meta.link_versions, meta.attempts")
    run(before, "ALTER TABLE meta.published RENAME COLUMN champion_at TO published_at")
    run(before, "ALTER TABLE meta.published ALTER COLUMN published_at SET DEFAULT now()")
    run(before, "INSERT INTO meta.published VALUES (%s, '', %s, 'p')", ("tiny", DAY))
    before.commit()
    assert schema.migrate(before) == [8, 9, 10, 11]
    ((at, default),) = run(
        before,
        "SELECT champion_at, (SELECT column_default FROM information_schema.columns"
        " WHERE table_schema = 'meta' AND table_name = 'published' AND column_name = 'champion_at')"
        " FROM meta.published WHERE day = %s", (DAY,),
    )  # fmt: skip
    assert at is not None and default is None
