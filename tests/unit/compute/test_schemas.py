from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from frames import arrow

from luigi_traffic import functions as F
from luigi_traffic.api.functions import exact_mean
from luigi_traffic.compute import schemas
from luigi_traffic.errors import DataError

pytestmark = pytest.mark.spark


def measuring(*measures: str, extra: tuple[str, ...] = ()) -> Any:
    """What the core reads of a dataset with these measures."""
    return SimpleNamespace(
        measures=dict.fromkeys(measures, "1"), optional_measures=frozenset(), extra_columns=extra
    )


def literals(engine, *columns: Any) -> Any:
    """A frame of one row."""
    return engine.table(arrow([(0,)], "zero int")).select(*columns)


def types(engine, frame: Any) -> list[tuple[str, str]]:
    return [(column["name"], column["type"]) for column in engine.schema(frame)]


def test_silver_has_its_columns_in_their_order_and_types(engine) -> None:
    frame = literals(
        engine,
        F.lit(1).cast("bigint").alias("n_obs"), F.lit(50).cast("float").alias("speed"),
        F.lit(7).alias("link_id"), F.lit(3).alias("flow"),
        F.lit("2012-03-28 08:00:00").cast("timestamp_ntz").alias("timestamp"),
    )  # fmt: skip
    found = schemas.canonical_silver(frame, measuring("speed", "flow"))
    with pytest.raises(DataError, match="'flow', which would be lost: add it to measures"):
        schemas.canonical_silver(frame, measuring("speed"))
    assert types(engine, found) == [
        ("timestamp", "timestamp_ntz"), ("link_id", "string"), ("speed", "double"),
        ("flow", "double"), ("n_obs", "int"),
    ]  # fmt: skip


def test_a_missing_column_is_named_with_the_nearest(engine) -> None:
    names = ["n_obs", "sped", "link_id", "timestamp"]
    frame = literals(engine, *[F.lit(1).alias(name) for name in names])
    with pytest.raises(
        DataError, match=r"silver\(\) returned no column 'speed'\. Did you mean 'sped'"
    ):
        schemas.canonical_silver(frame, measuring("speed"))
    with pytest.raises(DataError, match=r"bronze\(\) returned no column 'reject_reason'"):
        schemas.checked_bronze(frame)


@pytest.mark.parametrize("turn", [list, sorted, lambda v: v[::-1]])
def test_the_exact_mean_does_not_depend_on_the_order(engine, turn) -> None:
    values = [0.1, 0.2, 0.3, 1e6, 99.999999, 3.3]
    frame = engine.table(arrow([(v,) for v in [*turn(values), None]], "v double"))
    (row,) = engine.collect(frame.agg(exact_mean(F.col("v")).alias("m")))
    assert row["m"] == 1_000_103_899_999 / 6 / 1e6 == pytest.approx(sum(values) / 6, abs=1e-6)


def test_the_exact_mean_of_nothing_is_null(engine) -> None:
    empty = engine.table(arrow([(None,)], "v double"))
    assert engine.collect(empty.agg(exact_mean(F.col("v")).alias("m"))) == [{"m": None}]


def test_extra_columns_are_kept_as_numbers_behind_the_canonical_ones(engine) -> None:
    frame = literals(
        engine,
        F.lit("2012-03-28 00:00:00").cast("timestamp_ntz").alias("timestamp"),
        F.lit("a").alias("link_id"), F.lit(50).alias("speed"), F.lit(3).alias("rain"),
        F.lit(1).alias("n_obs"),
    )  # fmt: skip
    kept = schemas.canonical_silver(frame, measuring("speed", extra=("rain",)))
    assert types(engine, kept)[2:] == [("speed", "double"), ("n_obs", "int"), ("rain", "double")]
    with pytest.raises(DataError, match=r"no column 'rian'\. Did you mean 'rain'\?"):
        schemas.canonical_silver(frame, measuring("speed", extra=("rian",)))
    with pytest.raises(DataError, match=r"'rain', which would be lost: add it to extra_columns"):
        schemas.canonical_silver(frame, measuring("speed"))
