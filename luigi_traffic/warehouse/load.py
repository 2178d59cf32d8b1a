"""Record batches into a table, over a connection of their own, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import psycopg2

from luigi_traffic.warehouse.binary import copy_batches
from luigi_traffic.warehouse.connect import connect_patiently
from luigi_traffic.warehouse.connection import RETRY_AGAIN_S
from luigi_traffic.warehouse.server_errors import translated

if TYPE_CHECKING:
    import pyarrow as pa

    from luigi_traffic.warehouse.dsn import Dsn
    from luigi_traffic.warehouse.partitions import Column


def load_batches(
    dsn: Dsn, table: str, columns: Sequence[Column], batches: Iterable[pa.RecordBatch]
) -> int:
    """Copy all rows into the table (quoted for SQL); how many there were.

    Raises StoreError, SettingsError or DataError for what the server refuses.
    """
    connection: Any = connect_patiently(dsn, RETRY_AGAIN_S)
    try:
        with connection:
            return copy_batches(connection, table, columns, batches)
    except psycopg2.Error as error:
        raise translated(error, dsn) or error from error
    finally:
        connection.close()
