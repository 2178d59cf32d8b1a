"""Bottlenecks and typical weeks, by hand, by pandas, and as Valhalla decodes them."""

from __future__ import annotations

import base64
import hashlib
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from insight_window import FIVE, metr_la_window, rows_of, speeds

from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.compute.insight import typical_week as weeks
from luigi_traffic.compute.insight.bottlenecks import Bottleneck
from luigi_traffic.compute.insight.speeds import Speeds
from luigi_traffic.errors import DataError
from luigi_traffic.settings.insight_keys import InsightSettings

NONE = float("nan")


@pytest.fixture(scope="module")
def la(metr_la_file: Path) -> tuple[Speeds, pd.Series]:
    return metr_la_window(metr_la_file)


def bottleneck(value, after, at=None, least: float = 15) -> Bottleneck | None:
    array = np.array(value, np.float32)
    place = np.arange(len(array)) if at is None else np.array(at)
    return Bottleneck.of(array, np.array(after, np.float32).T, place, FIVE, 64, 32, least)


def test_a_bottleneck_is_slow_while_all_that_follows_is_fast() -> None:
    n = NONE
    value = [30, 30, 30, 90, 30, 30, 65, 30, 30, 30]
    fast, other = [90] * 10, [90, 62, 62, 90, 90, 90, 100, 90, 61, n]
    # Three intervals, then two; the last three are two with a slow link after the second.
    assert bottleneck(value, [fast, other]) == Bottleneck(1, 1, 1.0, 1, 15.0)
    assert bottleneck(value, [fast, other], least=10) == Bottleneck(1, 1, 1.0, 2, 12.5)
    assert bottleneck(value, [fast], least=16) is None
    assert bottleneck([n, 0], [[90, 90]]) is None and bottleneck([30], [[n]]) is None


def test_what_was_not_observed_is_bridged_for_a_while() -> None:
    n = NONE
    value, fast = [30, n, n, n, 30, 90], [90] * 6
    assert bottleneck(value, [fast], least=25) == Bottleneck(1, 1, 1.0, 1, 25.0)
    assert bottleneck([30, n, n, n, n, 30], [fast], least=10) is None
    # Days that gold does not have are no days without an activation.
    found = bottleneck([30, 30, 90, 30, 30, 90], [fast], [0, 1, 288, 864, 865, 1200], least=10)
    assert found == Bottleneck(4, 2, 0.5, 2, 10.0)


def test_a_week_is_of_medians_from_monday_on() -> None:
    hours = 24 * 15
    values = np.full((hours, 2), 50.0)
    values[:, 0] = np.arange(hours) // 24  # the day: Wednesday is 0
    values[0, 0] = NONE
    found = weeks.typical_week(
        speeds(values, "2024-01-03", timedelta(hours=1)), slice(0, 2)
    )  # fmt: skip
    assert found.shape == (168, 2) and (found[:, 1] == 50).all()
    wednesday, thursday, monday = found[48:72, 0], found[72:96, 0], found[:24, 0]
    assert (wednesday[1:] == 10.5).all() and wednesday[0] == 10.5  # of 0 (no speed), 7, 14
    assert (thursday == 4.5).all() and (monday == 8.5).all()
    text = weeks.as_array_text(np.array([61.25, NONE, 3]))
    assert text == "{61.250,NULL,3.000}"
    np.testing.assert_array_equal(weeks.from_array_text(text), [61.25, NONE, 3])


def test_the_buckets_of_valhalla_begin_on_sunday() -> None:
    hour = weeks.buckets(np.arange(168.0), timedelta(hours=1))
    assert hour[:13].tolist() == [144.0] * 12 + [145.0] and hour[288] == 0
    minute = weeks.buckets(np.append(np.full(10079, 2.0), NONE), timedelta(minutes=1))
    assert len(minute) == 2016 and (minute == 2).all()
    with pytest.raises(DataError, match="those of 9 minutes do not fit"):
        weeks.buckets(np.zeros(7 * 160), timedelta(minutes=9))
    gaps = np.full(2016, NONE)
    gaps[[10, 2006]] = 10, 30
    assert weeks.filled(gaps)[[0, 10, 2015]].tolist() == [20, 10, 21]
    assert weeks.by_night_and_day(np.arange(2016) % 288) == (71.5, 155.5)


def decoded(text: str) -> np.ndarray:
    """As Valhalla's `decompress_speed_bucket`: DCT-III of the coefficients."""
    found = np.frombuffer(base64.b64decode(text), ">i2").astype(float)
    assert len(found) == 200
    bucket = np.arange(2016)[:, None] + 0.5
    waves = np.cos(np.pi / 2016 * bucket * np.arange(200))
    waves[:, 0] = np.sqrt(0.5)
    return np.sqrt(2 / 2016) * waves @ found


def test_what_is_encoded_is_what_valhalla_decodes() -> None:
    day = 2 * np.pi * np.arange(2016) / 288
    week = 60 - 20 * np.sin(day) + 8 * np.cos(2 * day)
    text = weeks.encoded(week)
    assert np.abs(decoded(text) - week).max() < 1
    assert hashlib.sha256(text.encode()).hexdigest() == OF_PYVALHALLA
    try:
        from valhalla.baldr import utils as valhalla
    except ImportError:
        return  # it has no wheel for each version of Python
    coefficients = valhalla.decode_compressed_speeds(text)
    theirs = [valhalla.decompress_speed_bucket(coefficients, n) for n in range(2016)]
    np.testing.assert_allclose(theirs, decoded(text), atol=1e-3)


#: Of what pyvalhalla 3.9.1 makes of the same speeds, compressed and encoded.
OF_PYVALHALLA = "f4910c5e4c823b1aca69529962f805eb4009f837dae1d47a020edee80118ca91"


def test_weeks_and_bottlenecks_of_metr_la_are_those_of_pandas(la) -> None:
    found, speed = la
    links = found.links
    graph = LinkGraph.from_edges(
        (a, b) for n, a in enumerate(links) for b in (links[n - 1], links[n - 4])
    )
    chosen = InsightSettings(bottleneck_minutes=20)
    rows = rows_of(found, chosen, LinkTable(()), date(2012, 3, 14), graph)
    table = speed.unstack(level=0)
    week = table.groupby([table.index.weekday, table.index.time]).median()
    own = weeks.typical_week(found, slice(0, len(links)))
    np.testing.assert_allclose(own, week, rtol=1e-9)
    kept = rows[rows.kind == "week"].speeds.map(weeks.from_array_text)
    np.testing.assert_allclose(np.stack(list(kept)).T, week, atol=0.000501)

    ours = rows[rows.kind == "bottleneck"].set_index("link_id")
    expected, days = {}, {}
    for n, link in enumerate(links):
        slowest = table[[links[n - 1], links[n - 4]]].min(axis=1)
        known = (table[link].notna() & slowest.notna()).to_numpy()
        value, slowest = table.loc[known, link], slowest[known]
        days[link] = len(np.unique(value.index.date))
        active = (value < 64 / 1.609344) & (slowest - value >= 32 / 1.609344)
        new = (active != active.shift()) | (value.index.to_series().diff() > timedelta(minutes=20))
        for _, run in active[active].groupby(new.cumsum()[active]):
            lasts = (run.index[-1] - run.index[0]) / timedelta(minutes=1) + 5
            if lasts >= 20:
                expected.setdefault(link, []).append((run.index[0].date(), lasts))
    assert len(expected) >= 3 and list(ours.index) == sorted(expected)
    for link, runs in expected.items():
        row = ours.loc[link]
        assert row.activations == len(runs) and row.active_days == len({day for day, _ in runs})
        assert row.mean_minutes == pytest.approx(np.mean([lasts for _, lasts in runs]), rel=1e-9)
        assert row.persistence == pytest.approx(row.active_days / days[link], rel=1e-9)
