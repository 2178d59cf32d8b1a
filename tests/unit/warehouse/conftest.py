"""One real PostgreSQL server for these tests, in a folder of its own."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    # Not pytest's tmp_path: other users, whom root needs for a server, cannot enter that.
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / "postgres")
        try:
            server.ensure_running()
            yield server
        finally:
            server.destroy()


@pytest.fixture
def warehouse(server: EmbeddedServer) -> Iterator[Warehouse]:
    """An empty database but for the migrations."""
    warehouse = Warehouse(server.ensure_running)
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("TRUNCATE meta.ledger; DROP SCHEMA IF EXISTS gold, forecast CASCADE")
    yield warehouse
    warehouse.close()


@pytest.fixture
def said() -> Iterator[list[logging.LogRecord]]:
    """What we log, whether our logger is set up for the terminal already or not."""
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, logger = Kept(), logging.getLogger("luigi_traffic")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)
