from __future__ import annotations

from collections.abc import Iterator

import pytest

from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse.connection import Warehouse


@pytest.fixture
def warehouse(server: EmbeddedServer) -> Iterator[Warehouse]:
    """An empty database but for the migrations."""
    warehouse = Warehouse(server.ensure_running)
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(
            "TRUNCATE meta.ledger, meta.published, meta.champions, meta.link_versions;"
            " DROP TABLE IF EXISTS links.tiny;"
            " DROP SCHEMA IF EXISTS gold, live, forecast, forecast_versions, forecast_live"
            " CASCADE"
        )
    yield warehouse
    warehouse.close()
