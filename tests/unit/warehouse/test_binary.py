from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from binary_rows import create, rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse import binary_decode, binary_encode
from luigi_traffic.warehouse.binary import copy_batches, copy_in
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.partitions import Column

NAN, INF = float("nan"), float("inf")
TYPES = {
    "timestamp": pa.timestamp("us"),
    "text": pa.string(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "date": pa.date32(),
}
COLUMNS = tuple(Column(f"c{i}", kind) for i, kind in enumerate(TYPES))
SCHEMA = pa.schema([(f"c{i}", kind) for i, kind in enumerate(TYPES.values())])


def values_of(kind: str, values: list) -> pa.Array:
    return pa.array(values, TYPES[kind]) if not isinstance(values[0], str) else pa.array(values)


def through(warehouse: Warehouse, kind: str, values: list) -> object:
    """`values` into a column of SQL type `kind` and out again."""
    columns = (Column("v", kind),)
    with warehouse.connect() as conn:
        create(conn, columns)
        sent = copy_in(conn, "x", columns, pa.table({"v": values_of(kind, values)}))
        assert sent == len(values)
        out = rows_of(conn, "SELECT v FROM x ORDER BY i;")["v"]
        conn.rollback()
    return out


def test_text_with_nulls_and_unicode(warehouse: Warehouse) -> None:
    values = ["1920161400", None, "", "울산 ü 🚗", "1920161400", "\\N\t\n'"]
    out = through(warehouse, "text", values)
    assert out == values


@pytest.mark.parametrize("kind", ["real", "double precision"])
def test_floats(warehouse: Warehouse, kind: str) -> None:
    out = through(warehouse, kind, [1.5, NAN, INF, -INF, None, -0.0, 0.1])
    assert isinstance(out, np.ndarray)
    assert out.dtype == (np.float32 if kind == "real" else np.float64)
    np.testing.assert_array_equal(out, np.array([1.5, NAN, INF, -INF, NAN, -0.0, 0.1], out.dtype))
    assert math.copysign(1, out[5]) == -1


def test_nan_is_not_null(warehouse: Warehouse) -> None:
    columns = (Column("v", "real"),)
    with warehouse.connect() as conn:
        create(conn, columns)
        copy_in(conn, "x", columns, pa.table({"v": pa.array([NAN, None], pa.float32())}))
        with conn.cursor() as cursor:
            cursor.execute("SELECT v IS NULL FROM x ORDER BY i")
            assert cursor.fetchall() == [(False,), (True,)]
        conn.rollback()


def test_times_are_what_the_server_calls_them(warehouse: Warehouse) -> None:
    times = [
        datetime(1, 1, 1),
        datetime(1969, 12, 31, 23, 59, 59, 999999),
        datetime(1999, 12, 31, 23, 59, 59, 999999),
        datetime(2000, 1, 1),
        datetime(2012, 3, 28, 23, 55),
        None,
        datetime(9999, 12, 31, 23, 59, 59),
    ]
    columns = (Column("t", "timestamp"), Column("d", "date"))
    days = [t and t.date() for t in times]
    with warehouse.connect() as conn:
        create(conn, columns)
        copy_in(conn, "x", columns, pa.table({"d": days, "t": times}))
        with conn.cursor() as cursor:
            cursor.execute("SELECT t, d FROM x ORDER BY i")
            assert cursor.fetchall() == list(zip(times, days, strict=True))
        out = rows_of(conn, "SELECT t, d FROM x ORDER BY i")
        conn.rollback()
    np.testing.assert_array_equal(out["t"], np.array(times, "datetime64[us]"))
    np.testing.assert_array_equal(out["d"], np.array(days, "datetime64[D]"))
    assert (out["t"].dtype, out["d"].dtype) == ("datetime64[us]", "datetime64[D]")


def test_integers_and_booleans(warehouse: Warehouse) -> None:
    for kind, dtype in [("smallint", np.int16), ("integer", np.int32), ("bigint", np.int64)]:
        ends = [np.iinfo(dtype).min, -1, 0, np.iinfo(dtype).max]
        out = through(warehouse, kind, ends)
        assert isinstance(out, np.ndarray)
        assert out.dtype == dtype
        assert out.tolist() == ends
    with warehouse.connect() as conn:
        out = rows_of(conn, "SELECT b FROM (VALUES (true), (false)) v(b)")["b"]
        assert out.tolist() == [True, False]
        with pytest.raises(DataError, match=r"'n' has a NULL.*coalesce"):
            rows_of(conn, "SELECT NULL::int AS n")


def test_nothing_in_and_nothing_out(warehouse: Warehouse) -> None:
    with warehouse.connect() as conn:
        create(conn, COLUMNS)
        assert copy_in(conn, "x", COLUMNS, SCHEMA.empty_table()) == 0
        assert rows_of(conn, "SELECT * FROM x") == {}
        conn.rollback()


VALUES = {
    "timestamp": st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1)),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    | st.sampled_from(["", "1920161400", "울산 남구", "서울역"]),
    "real": st.floats(width=32) | st.sampled_from([0.0, -0.0, NAN]),
    "double precision": st.floats() | st.sampled_from([0.0, -0.0, NAN]),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "date": st.dates(),
}
NEVER_NULL = {"bigint", "integer", "smallint"}


def field(kind: str, nulls: bool) -> st.SearchStrategy:
    return VALUES[kind] if kind in NEVER_NULL or not nulls else st.none() | VALUES[kind]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), nulls=st.booleans(), even=st.booleans())
def test_whatever_goes_in_comes_out(
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
    nulls: bool,
    even: bool,
) -> None:
    # Columns in any order: the first one's length marks the rows.
    columns = data.draw(st.permutations(COLUMNS).map(tuple))
    fields = {column.name: field(column.type, nulls) for column in columns}
    if even:
        fields["c1"] = st.sampled_from(["울산", "123456", "abcdef"])  # six bytes each
    rows = data.draw(st.lists(st.fixed_dictionaries(fields), max_size=30))
    # Tiny blocks, so that they end everywhere in a row; runs of equal layout from a few rows on.
    monkeypatch.setattr(binary_encode, "CHUNK_ROWS", data.draw(st.integers(1, 31)))
    monkeypatch.setattr(
        "luigi_traffic.warehouse.binary.BLOCK_BYTES", data.draw(st.integers(1, 2000))
    )
    monkeypatch.setattr(binary_decode, "_RUN_ROWS", data.draw(st.integers(1, 31)))
    offset = data.draw(st.integers(0, 3))
    table = pa.Table.from_pylist(rows, SCHEMA).slice(offset)  # buffers that begin before the data
    with warehouse.connect() as conn:
        create(conn, columns)
        batches = table.to_batches(max_chunksize=data.draw(st.integers(1, 31)))
        assert copy_batches(conn, "x", columns, iter(batches)) == table.num_rows
        out = rows_of(conn, f"SELECT {', '.join(c.name for c in columns)} FROM x ORDER BY i")
        conn.rollback()
    assert list(out) == ([column.name for column in columns] if table.num_rows else [])
    for column in columns if out else ():
        found, sent = out[column.name], table[column.name]
        if column.type == "text":
            assert found == sent.to_pylist()
        elif column.type in {"timestamp", "date"}:
            np.testing.assert_array_equal(found, np.array(sent.to_pylist(), found.dtype))
        else:
            expected = sent.to_numpy().astype(found.dtype)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_many_rows_over_many_chunks(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luigi_traffic.warehouse.binary.BLOCK_BYTES", 100_000)
    rng = np.random.default_rng(0)
    n = 250_000
    speed = rng.normal(50, 9, n).astype("f4")
    table = pa.table(
        {
            "link": pa.array([f"l{i * i}" for i in range(1000)]).take(
                pa.array(np.arange(n) % 1000)
            ),
            "speed": pa.array(speed, mask=np.arange(n) % 7 == 0),
            "n": pa.array(np.arange(n, dtype="i4")),
        }
    )
    columns = (Column("link", "text"), Column("speed", "real"), Column("n", "integer"))
    with warehouse.connect() as conn:
        create(conn, columns)
        batches = table.to_batches(max_chunksize=120_000)
        assert sum(copy_in(conn, "x", columns, each) for each in batches) == n
        out = rows_of(conn, "SELECT link, speed, n FROM x ORDER BY n")
        conn.rollback()
    np.testing.assert_array_equal(out["n"], np.arange(n))
    np.testing.assert_array_equal(out["speed"], np.where(np.arange(n) % 7 == 0, np.nan, speed))
    assert out["link"] == [f"l{i * i}" for i in range(1000)] * (n // 1000)


def test_dictionaries_large_strings_and_wider_types_are_converted(warehouse: Warehouse) -> None:
    table = pa.table(
        {
            "a": pa.array(["x", None, "x"]).dictionary_encode(),
            "b": pa.array(["y", "z", None], pa.large_string()),
            "c": pa.array([1, 2, 3], pa.int64()),
            "d": pa.array([1, 2, None], pa.int32()),
            "e": pa.nulls(3),
            "f": pa.array([datetime(2012, 3, 28)] * 3, pa.timestamp("ns")),
        }
    )
    kinds = ["text", "text", "smallint", "double precision", "real", "timestamp"]
    columns = tuple(Column(name, kind) for name, kind in zip("abcdef", kinds, strict=True))
    with warehouse.connect() as conn:
        create(conn, columns)
        copy_in(conn, "x", columns, table)
        out = rows_of(conn, "SELECT a, b, c, d, e, f FROM x ORDER BY i")
        conn.rollback()
    assert out["a"] == ["x", None, "x"]
    assert out["b"] == ["y", "z", None]
    assert out["c"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(out["d"], [1, 2, NAN])
    assert np.isnan(out["e"]).all()
    assert out["f"][0] == np.datetime64("2012-03-28", "us")


@pytest.mark.parametrize(
    ("kind", "array", "message"),
    [
        ("smallint", pa.array([1, 40_000]), "'v' does not fit 'smallint'"),
        ("integer", pa.array([1.5]), "'v' does not fit 'integer'"),
        ("real", pa.array(["fast"]), "'v' does not fit 'real'"),
        ("timestamp", pa.array([1], pa.timestamp("ns")), "'v' does not fit 'timestamp'"),
        ("timestamp", pa.array([1], pa.timestamp("us", "UTC")), "zone UTC"),
        ("timestamp", pa.array([-(2**63) + 1], pa.timestamp("us")), "before the common era"),
        ("timestamp", pa.array([-(10**18)], pa.timestamp("us")), "timestamp out of range"),
        ("text", pa.array(["a\0b"]), "0x00"),
        ("numeric", pa.array([1]), "'numeric'"),
    ],
)
def test_what_does_not_fit_is_a_data_error(
    warehouse: Warehouse, kind: str, array: pa.Array, message: str
) -> None:
    columns = (Column("v", kind),)
    with warehouse.connect() as conn:
        create(conn, columns)
        with pytest.raises(DataError, match=message):
            copy_in(conn, "x", columns, pa.table({"v": array}))
        conn.rollback()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1.5 AS v", "'v' has type numeric"),
        ("SELECT now() AS v", "timestamp with time zone"),
        ("SELECT 1 AS a, 2 AS a", "give its columns different names"),
        ("SELECT 'infinity'::timestamp AS v", "infinite time"),
        ("SELECT '-infinity'::date AS v", "infinite time"),
        ("SELECT '294270-01-01'::timestamp AS v", "int64 cannot represent"),
    ],
)
def test_what_cannot_come_out_is_a_data_error(warehouse: Warehouse, sql: str, message: str) -> None:
    with pytest.raises(DataError, match=message), warehouse.connect() as conn:
        rows_of(conn, sql)


def test_a_missing_column_is_named(warehouse: Warehouse) -> None:
    columns = (Column("speed", "real"),)
    with warehouse.connect() as conn:
        create(conn, columns)
        with pytest.raises(DataError, match="no column speed"):
            copy_in(conn, "x", columns, pa.table({"v": [1.0]}))
        conn.rollback()


def test_the_connection_is_usable_after_a_value_that_did_not_fit(warehouse: Warehouse) -> None:
    with pytest.raises(DataError):
        through(warehouse, "real", ["fast"])
    with warehouse.connect() as conn:
        assert rows_of(conn, "SELECT 1 AS one")["one"].tolist() == [1]


def test_days_before_the_epoch(warehouse: Warehouse) -> None:
    days = [date(1999, 12, 31) - timedelta(days=k) for k in (0, 1, 100_000)]
    out = through(warehouse, "date", days)
    assert isinstance(out, np.ndarray)
    assert out.tolist() == days
