"""Binary COPY in pieces: batches that come one by one, and rows found in a stream of bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from binary_rows import create, rows_of

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse import binary_decode
from luigi_traffic.warehouse.binary import Block, copy_batches
from luigi_traffic.warehouse.binary_format import SIGNATURE, TRAILER
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.partitions import Column


def link_batches(*links: list[str | None]) -> list[pa.RecordBatch]:
    """A batch each, with dictionaries of their own, as an engine gives them."""
    return [
        pa.record_batch(
            {
                "speed": pa.array(np.arange(len(each)) / 2),
                "n": pa.array(range(len(each)), pa.int64()),
                "link": pa.array(each).dictionary_encode(),
            }
        )
        for each in links
    ]


LINK_COLUMNS = (Column("link", "text"), Column("speed", "double precision"), Column("n", "integer"))


def test_batches_are_taken_one_by_one_into_one_copy(warehouse: Warehouse) -> None:
    batches = link_batches(["a", "b"], [], ["서울", None, "a"])
    with warehouse.connect() as conn:
        create(conn, LINK_COLUMNS)
        assert copy_batches(conn, "x", LINK_COLUMNS, iter(batches)) == 5
        assert copy_batches(conn, "x", LINK_COLUMNS, iter([])) == 0
        out = rows_of(conn, "SELECT link, speed, n FROM x ORDER BY i")
        with conn.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT cmin::text) FROM x")
            assert cursor.fetchall() == [(1,)]  # one statement made all rows
        conn.rollback()
    assert out["link"] == ["a", "b", "서울", None, "a"]
    assert out["speed"].tolist() == [0, 0.5, 0, 0.5, 1]
    assert out["n"].tolist() == [0, 1, 0, 1, 2]


def test_batches_that_break_off_leave_no_row(warehouse: Warehouse) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from link_batches(["a"] * 100_000)
        raise InterruptedError("the engine died")

    lacking = [*link_batches(["a"]), pa.record_batch({"link": ["b"], "n": [1]})]
    for batches, error, message in (
        (broken(), InterruptedError, "the engine died"),
        (iter(lacking), DataError, "no column speed"),
    ):
        with warehouse.connect() as conn:
            create(conn, LINK_COLUMNS)
            conn.commit()
            with pytest.raises(error, match=message):
                copy_batches(conn, "x", LINK_COLUMNS, batches)
            conn.rollback()
            assert rows_of(conn, "SELECT n FROM x") == {}
            with conn.cursor() as cursor:
                cursor.execute("DROP TABLE x")


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_the_mark_in_the_data_misleads_nobody(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("luigi_traffic.warehouse.binary.BLOCK_BYTES", block)
    # A row begins with 00 04 00 00 00 02. So does `a`; and a row that began with the last two bytes
    # of `a` would have 4 fields, end where the real one does, and be taken for a row, too.
    sql = (
        "SELECT g::int2 AS g, x'0004000000020001'::int8 AS a, 4::int2 AS b, repeat('ü', g) AS t"
        " FROM generate_series(0, 40) g"
    )
    with warehouse.connect() as conn:
        out = rows_of(conn, sql)
    assert out["g"].tolist() == list(range(41))
    assert out["a"].tolist() == [0x0004_0000_0002_0001] * 41
    assert out["b"].tolist() == [4] * 41
    assert out["t"] == ["ü" * n for n in range(41)]


def test_a_false_row_that_ends_where_a_real_one_ends_misleads_nobody(
    warehouse: Warehouse,
) -> None:
    # `a` holds a whole row of 4 fields (2, 2, -1, 4 bytes) whose end is that of the real row.
    inner = bytes.fromhex("00040000 00020001 00000002 0001ffff ffff0000 000401020304")
    blocks: list[Block] = []
    columns = [("n", 21), ("a", 19), ("b", 19), ("t", 25)]

    def row(number: int) -> bytes:
        fields = [number.to_bytes(2, "big"), b"x" * (number % 3), b"", inner]
        parts = [len(each).to_bytes(4, "big") + each for each in fields]
        return b"\0\4" + b"".join(parts)

    stream = SIGNATURE + b"".join(map(row, range(50))) + TRAILER
    decoder = binary_decode.Decoder(columns, blocks.append)
    decoder.write(stream)
    decoder.finish()
    assert np.concatenate([block["n"] for block in blocks]).tolist() == list(range(50))


def test_a_stream_that_breaks_off_is_an_error() -> None:
    row = b"\0\1\0\0\0\2\0\7"
    for stream in (b"", SIGNATURE[:5], SIGNATURE + row, SIGNATURE + row + row[:5] + TRAILER):
        decoder = binary_decode.Decoder([("n", 21)], lambda block: None)
        decoder.write(stream)
        with pytest.raises(DataError, match="broke off"):
            decoder.finish()
