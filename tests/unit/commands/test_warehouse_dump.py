"""A dump holds all of an embedded warehouse, and fills an empty one."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from embedded_servers import new_server

from luigi_traffic.commands import warehouse_dump
from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.tables import gold_table

TABLE = gold_table("tiny", ["timestamp", "link_id", "speed", "n_obs"])


@pytest.fixture(scope="module")
def full() -> Iterator[EmbeddedServer]:
    with new_server() as server:
        warehouse = Warehouse(server.ensure_running)
        with warehouse.connect() as conn, conn.cursor() as cursor:
            TABLE.ensure(conn)
            cursor.execute(
                "CREATE TABLE gold.tiny_of_a_test PARTITION OF gold.tiny"
                " FOR VALUES FROM ('2012-03-28') TO ('2012-03-29')"
            )
            cursor.execute("INSERT INTO gold.tiny VALUES ('2012-03-28 08:00', 'a', 50.5, 1)")
        warehouse.close()
        yield server


@pytest.fixture(scope="module")
def other() -> Iterator[EmbeddedServer]:
    with new_server() as server:
        yield server


def ask(server: EmbeddedServer, sql: str, reader: bool = False) -> list[tuple]:
    dsn = server.ensure_reader() if reader else server.ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_another_home_holds_the_same_with_the_same_rights(
    full: EmbeddedServer, other: EmbeddedServer, tmp_path: Path
) -> None:
    file = tmp_path / "warehouse.dump"
    assert warehouse_dump.write(full, file) == file.stat().st_size > 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(SettingsError, match="already exists"):
        warehouse_dump.write(full, file)
    with pytest.raises(SettingsError, match="is not empty"):
        warehouse_dump.read(full, file)

    broken = tmp_path / "broken.dump"
    broken.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(StoreError, match="pg_restore failed"):
        warehouse_dump.read(other, broken)
    warehouse_dump.read(other, file)  # so nothing of the broken one had stayed

    for sql in (
        "SELECT * FROM gold.tiny", "SELECT number, name FROM meta.migrations ORDER BY 1",
        "SELECT schemaname, tablename, tableowner FROM pg_tables WHERE schemaname IN"
        " ('gold', 'meta') ORDER BY 1, 2",
    ):  # fmt: skip
        assert ask(other, sql) == ask(full, sql) != []
    assert ask(other, "SELECT count(*) FROM gold.tiny", reader=True) == [(1,)]
    warehouse = Warehouse(other.ensure_running)
    warehouse.migrate()
    with warehouse.connect() as conn:
        TABLE.ensure(conn)
    warehouse.close()


def test_a_file_that_cannot_be_written_or_is_not_there(
    full: EmbeddedServer, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="cannot be written: No such file"):
        warehouse_dump.write(full, tmp_path / "no" / "folder")
    with pytest.raises(SettingsError, match="is not a file"):
        warehouse_dump.read(full, tmp_path / "nothing")
