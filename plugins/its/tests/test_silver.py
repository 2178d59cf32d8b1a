from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pytest

from luigi_traffic_its import Its

LINK, OTHER = "1920161400", "1920161500"
pytestmark = pytest.mark.spark


def silver(engine, raw) -> list[tuple]:
    its = Its(Its.Settings())
    good = its.bronze(engine.session(), raw).where("reject_reason IS NULL")
    return sorted(tuple(row.values()) for row in engine.collect(its.silver(good)))


def test_mean_of_repeated_rows_and_how_many(engine, raw_day) -> None:
    text = "\n".join(
        [
            f"20240101,0005,{LINK},L01,50,1",
            f"20240101,5,{LINK},L02,51,1",
            f"20240101,0005,{LINK},L01,51.0001,1",
            f"20240101,0005,{LINK},L01,999,1",
            f"20240101,0010,{LINK},L01,70,1",
            f"20240101,0005,{OTHER},L01,80,1",
        ]
    )
    assert silver(engine, raw_day(text)) == [
        (datetime(2024, 1, 1, 0, 5), LINK, 50.666700, 3),
        (datetime(2024, 1, 1, 0, 5), OTHER, 80.0, 1),
        (datetime(2024, 1, 1, 0, 10), LINK, 70.0, 1),
    ]


def test_times_go_down_to_the_start_of_their_interval(engine, raw_day) -> None:
    times = ["00:00:00.000", "00:04:59.999", "00:44:00.000", "00:41:00.000", "23:59:59.999"]
    text = "\n".join(f"2020-01-01 {time},{LINK},{50 + n}" for n, time in enumerate(times))
    assert silver(engine, raw_day(text, date(2020, 1, 1))) == [
        (datetime(2020, 1, 1, 0, 0), LINK, 50.5, 2),
        (datetime(2020, 1, 1, 0, 40), LINK, 52.5, 2),
        (datetime(2020, 1, 1, 23, 55), LINK, 54.0, 1),
    ]


def test_the_order_of_the_rows_changes_no_bit(engine, raw_day) -> None:
    # Sums of these doubles differ by their order.
    lines = [f"20240101,0005,{LINK},L01,{0.1 + 7.7 * n},1" for n in range(19)]
    forward = sum(0.1 + 7.7 * n for n in range(19))
    backward = sum(0.1 + 7.7 * n for n in reversed(range(19)))
    assert forward != backward
    first = silver(engine, raw_day("\n".join(lines)))
    assert silver(engine, raw_day("\n".join(reversed(lines)))) == first
    assert first[0][2] == pytest.approx(forward / 19, abs=1e-6)


def test_checks_hold_for_good_rows_and_break_for_others(engine) -> None:
    high, low, once = Its(Its.Settings(min_speed=1, max_speed=100)).checks()
    frame = engine.table(pa.table({"speed": [100.0, 1.0], "n_obs": [1, 2]}))
    named = [check.aggregate.alias(f"c{n}") for n, check in enumerate((high, low, once))]
    (found,) = engine.collect(frame.agg(*named))
    values = tuple(found.values())
    assert values == (100.0, 1.0, 1)
    fails = [check.fails(value) for check, value in zip((high, low, once), values, strict=True)]
    assert fails == [None, None, None]
    assert "100.5 is above 100" in str(high.fails(100.5))
    assert "0.5 is below 1" in str(low.fails(0.5))
    assert once.fails(0) is not None
