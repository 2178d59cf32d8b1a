"""A day's live forecasts: by version, apart from profiles, and beside what was published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pytest

from luigi_traffic.commands.evaluation_figures import error_figures
from luigi_traffic.training.evaluation_rows import Columns, EvaluationRows, batches
from luigi_traffic.training.issued import Issued, Issuer
from luigi_traffic.training.issued_live import FALLBACK, LIVE, IssuedLive
from luigi_traffic.training.live_rows import LiveRows
from luigi_traffic.training.series import Series
from luigi_traffic.warehouse.tables import ERROR_SUMS, PAIRED_SUMS, evaluation_table

DAY = date(2024, 5, 31)
FIVE = timedelta(minutes=5)
STEPS, SLOTS = 3, 288
OLD, NEW = Issuer("m", 6), Issuer("m", 7)
#: Nothing was issued at 10:00 to 10:50; until 20:00, version 6 did.
MISSED = set(range(120, 131))
ISSUERS = {at: OLD if at < 240 else NEW for at in range(-STEPS + 1, SLOTS) if at not in MISSED}


def rolling() -> tuple[Issued, Series]:
    """Two links, of which gold has one, a day and the day before; version 7 forecast the day."""
    rng = np.random.default_rng(1)
    actual = rng.uniform(20, 60, (2 * SLOTS, 1, 1)).astype(np.float32)
    start = np.datetime64(DAY - timedelta(days=1), "us")
    series = Series(start, FIVE, ("a",), ("speed",), actual, "speed")
    values = rng.uniform(20, 60, (STEPS, SLOTS, 2)).astype(np.float32)
    return Issued(("a", "unseen"), values, OLD, NEW), series


def live_of(published: Issued) -> IssuedLive:
    """What was published, as far as it was issued; at 21:00 it was the profile of the week."""
    at = np.arange(SLOTS) - np.arange(STEPS)[:, None]
    said = np.where(np.isin(at, list(ISSUERS))[:, :, None], published.values, np.nan)
    weak = (at == 252)[:, :, None]
    return IssuedLive(
        {
            LIVE: (published.links, np.where(weak, np.nan, said)),
            FALLBACK: (("a",), np.where(weak, np.float32(30), np.nan)[:, :, :1]),
        },
        ISSUERS,
    )  # fmt: skip


def of_columns(found: Iterator[Columns]) -> list[dict]:
    made = batches(found, DAY, "speed", evaluation_table("tiny").columns)
    return [row for batch in made for row in batch.to_pylist()]


def rows(forecasts: IssuedLive | None, published: Issued | None, series: Series) -> list[dict]:
    made = LiveRows(SLOTS, 277, forecasts, published, series)
    found = of_columns(made.columns())
    assert made.scored == sum(r["count"] for r in found if r["grouped_by"] == "live")
    return found


def totals(found: list[dict], *by: str) -> dict[tuple, dict[str, float]]:
    sums = defaultdict(lambda: dict.fromkeys((*ERROR_SUMS, *PAIRED_SUMS), 0.0))
    for row in found:
        if row["grouped_by"] == by[0]:
            key = tuple(row[name] for name in by[1:])
            sums[key] = {name: total + row[name] for name, total in sums[key].items()}
    return dict(sums)


def test_live_forecasts_are_scored_as_published_ones_and_stand_ins_apart() -> None:
    published, series = rolling()
    found = rows(live_of(published), published, series)
    ticks = [row for row in found if row["grouped_by"] == "ticks"]
    assert [(row["intervals"], row["issued"], row["count"]) for row in ticks] == [(288, 277, None)]
    by_version = totals(found, "live", "kind", "version")
    # Each of the three steps; a version that published other hours is no pair.
    assert {key: (sums["count"], sums["paired_count"]) for key, sums in by_version.items()} == {
        (LIVE, 6): (3 * 229 + 3, 6), (LIVE, 7): (3 * 47 - 3, 3 * 47 - 3), (FALLBACK, 7): (3, 3),
    }  # fmt: skip
    assert totals(found, "live link", "kind", "version") == {
        key: pytest.approx(sums) for key, sums in by_version.items()
    }
    figures = error_figures({None: by_version[LIVE, 7]})
    assert figures["rolling_excess"] == 0 and figures["rolling_mae"] == figures["mae"]
    assert error_figures({None: by_version[FALLBACK, 7]})["rolling_excess"] > -1
    links = {(r["link_id"], r["free_flow"]) for r in found if r["grouped_by"] == "live link"}
    assert links == {("a", np.float32(np.percentile(series.actual, 85)))}

    # The same values have the same sums as if they had been published.
    all_day = IssuedLive({LIVE: (published.links, published.values)},
                         dict.fromkeys(range(-STEPS + 1, SLOTS), NEW))  # fmt: skip
    ours = totals(rows(all_day, published, series), "live", "step", "congested")
    of_published = of_columns(EvaluationRows.make(published, series, DAY).columns())
    for row in of_published:
        row.update({name: row[name] or 0 for name in PAIRED_SUMS})
    for key, sums in totals(of_published, "hour", "step", "congested").items():
        assert {n: ours[key][n] for n in ERROR_SUMS} == pytest.approx(
            {n: sums[n] for n in ERROR_SUMS}
        )


def test_without_a_published_forecast_there_are_no_pairs_and_without_rows_only_ticks() -> None:
    published, series = rolling()
    alone = totals(rows(live_of(published), None, series), "live", "kind")
    assert alone[LIVE,]["paired_count"] == 0 < alone[LIVE,]["count"]
    assert error_figures({None: alone[LIVE,]})["rolling_mae"] is None
    assert [row["grouped_by"] for row in rows(None, published, series)] == ["ticks"]
