"""Times of Parquet files: instants keep their offset, wall time has none."""

from __future__ import annotations

import io
import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luigi_traffic.ingest.archive import Limits
from luigi_traffic.ingest.parquet import parquet_lines

AT = datetime(2024, 5, 29, 15)  # 00:00 of the next day in Korea
WALL, INSTANT = "2024-05-29 15:00:00", "2024-05-29 15:00:00.000000Z"
SPARK = "org.apache.spark.sql.parquet.row.metadata"


def spark_says(kind: str) -> dict[str, str]:
    return {SPARK: json.dumps({"type": "struct", "fields": [{"name": "t", "type": kind}]})}


def lines(kind: pa.DataType, metadata: dict[str, str] | None, **options: object) -> list[str]:
    table = pa.table({"t": pa.array([AT, None], kind)}).replace_schema_metadata(metadata)
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return b"".join(parquet_lines(file, "x", Limits(1 << 20, 100))).decode().splitlines()


@pytest.mark.parametrize(
    ("kind", "metadata", "options", "text"),
    [
        (pa.timestamp("us", "UTC"), None, {}, INSTANT),
        (pa.timestamp("us"), None, {}, WALL + ".000000"),
        (pa.timestamp("us"), spark_says("timestamp_ntz"), {}, WALL + ".000000"),
        (pa.timestamp("us"), None, {"use_deprecated_int96_timestamps": True}, INSTANT),
        (pa.timestamp("us"), spark_says("timestamp"), {"use_deprecated_int96_timestamps": True},
         INSTANT),
    ],
)  # fmt: skip
def test_a_time_says_whether_it_is_an_instant(kind, metadata, options, text) -> None:
    header, first, empty = lines(kind, metadata, **options)
    assert (header, first, empty) == ("t", text, "")
