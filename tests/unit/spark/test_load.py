"""Gold's load: Spark's executors into a real PostgreSQL by binary COPY."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.spark.load import copy_to
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.tables import gold_table

pytestmark = pytest.mark.spark

COLUMNS = ["timestamp", "link_id", "speed", "n_obs"]
TABLE = gold_table("tiny", COLUMNS)
SCHEMA = "n_obs int, speed double, link_id string, timestamp timestamp_ntz, unused int"


@pytest.fixture
def dsn() -> Iterator[Dsn]:
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / "postgres")
        yield server.ensure_running()
        server.destroy()


def test_every_row_arrives_from_every_partition(spark, dsn: Dsn) -> None:
    start = datetime(2012, 3, 28)
    rows = [(1, n / 7, f"l{n}", start + timedelta(minutes=5 * n), 0) for n in range(200)]
    rows[3] = (1, None, "l3", start + timedelta(minutes=15), 0)
    frame = spark.createDataFrame(rows, SCHEMA).repartition(3)
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        columns = ", ".join(f'"{c.name}" {c.type}' for c in TABLE.columns)
        cursor.execute(f"CREATE TABLE staged ({columns})")
        assert copy_to(frame, dsn, "staged", TABLE.columns) == 200
        cursor.execute("SELECT n_obs, speed, link_id, timestamp FROM staged ORDER BY timestamp")
        assert cursor.fetchall() == [row[:4] for row in rows]
        assert copy_to(frame.where("false"), dsn, "staged", TABLE.columns) == 0
        # A task that fails leaves none of its rows: each is one transaction.
        cursor.execute("TRUNCATE staged; ALTER TABLE staged ADD CHECK (link_id <> 'l7')")
        with pytest.raises(DataError, match="violates check constraint") as caught:
            copy_to(frame.coalesce(1), dsn, "staged", TABLE.columns)
        assert "\n" not in str(caught.value)  # the server's words, not Spark's traceback
        cursor.execute("SELECT count(*) FROM staged")
        assert cursor.fetchone() == (0,)
