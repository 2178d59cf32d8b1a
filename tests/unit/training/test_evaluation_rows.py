"""A day's evaluation against the same figures in plain Python, from the definitions alone."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from luigi_traffic.training.error_sums import error_sums, persistence
from luigi_traffic.training.evaluation_rows import EvaluationRows, batches
from luigi_traffic.training.issued import Issued, Issuer
from luigi_traffic.training.metrics import CONGESTED_SHARE
from luigi_traffic.training.onsets import onset_mask, onsets
from luigi_traffic.training.series import Series
from luigi_traffic.warehouse.tables import ERROR_SUMS, evaluation_table

DAY = date(2024, 5, 31)
FIVE = timedelta(minutes=5)
#: A "day" of the arrays is shorter than a day, and there are several before it.
SLOTS, DAYS, STEPS, LINKS = 48, 3, 6, 5


def jams(rng: np.random.Generator, length: int) -> np.ndarray:
    """`(length, LINKS)` of 20 to 60, which stays high or low for a while."""
    turns = rng.random((length, LINKS)) < 0.12
    slow = (np.cumsum(turns, axis=0) + rng.integers(0, 2, LINKS)) % 2
    return np.where(slow, 25, 55) + rng.normal(0, 4, (length, LINKS))


def arrays(seed: int, missing: float = 0.25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecasts that follow the actual values with delays and mistakes, the values, the limits."""
    rng = np.random.default_rng(seed)
    actual = jams(rng, DAYS * SLOTS).astype(np.float32)
    values = np.empty((STEPS, SLOTS, LINKS), np.float32)
    for step in range(STEPS):
        late = np.roll(actual, rng.integers(-2, 4), axis=0)[-SLOTS:]
        wrong = rng.random((SLOTS, LINKS)) < 0.15
        values[step] = np.where(wrong, jams(rng, SLOTS), late)
    values[:, :2] = np.where(rng.random((STEPS, 2, LINKS)) < 0.5, np.nan, values[:, :2])
    actual[rng.random(actual.shape) < missing] = np.nan
    actual[:, -1] = np.nan  # a link that reports nothing
    limit = np.array([40, 40, 38, np.nan, 40], np.float32)
    return values, actual, limit


def slow_sums(values, actual, limit):
    """(what is grouped) → sums, one value after the other."""
    found = defaultdict(lambda: np.zeros(len(ERROR_SUMS)))
    first = len(actual) - SLOTS
    for step in range(STEPS):
        for t in range(SLOTS):
            issued = t - step  # the first interval that it has not seen
            for link in range(LINKS):
                said, was = float(values[step, t, link]), float(actual[first + t, link])
                if math.isnan(said) or math.isnan(was):
                    continue
                before = [float(v) for v in actual[: first + issued, link] if not math.isnan(v)]
                days = [float(actual[first + t - n * SLOTS, link]) for n in range(1, DAYS)]
                days = [v for v in days if not math.isnan(v)]
                error = said - was
                terms = np.array([
                    1, abs(error), error**2, error, abs(was),
                    bool(before), abs(before[-1] - was) if before else 0,
                    bool(days), abs(days[0] - was) if days else 0,
                ])  # fmt: skip
                which = 0 if issued < 0 else 1 if issued == 0 else 2
                jam = int(was < limit[link])
                found["hour", step, which, t * 24 // SLOTS, jam] += terms
                found["link", step, which, link, jam] += terms
    return found


def slow_begins(value_at, t, limit):
    """Whether an onset is at t; `value_at` gives NaN outside."""
    near = [value_at(t + n) for n in range(-3, 3)]
    before = [v for v in near[:3] if not math.isnan(v)]
    after = [v for v in near[3:] if not math.isnan(v)]
    return (
        not math.isnan(near[3])
        and all(v < limit for v in after)
        and len(after) >= 2
        and bool(before)
        and not any(v < limit for v in before)
    )


def slow_onsets(values, actual, limit):
    first = len(actual) - SLOTS
    by_step, leads = [[0, 0, 0, 0] for _ in range(STEPS)], []

    def actual_at(link):
        return lambda t: float(actual[first + t, link]) if first + t < len(actual) else math.nan

    def said_at(step, link):
        return lambda t: float(values[step, t, link]) if 0 <= t < SLOTS else math.nan

    for link in range(LINKS):
        at = actual_at(link)
        begun = [t for t in range(-3, SLOTS) if slow_begins(at, t, limit[link])]
        for t in [t for t in begun if t >= 0]:
            issues = defaultdict(list)  # lead → what was said for intervals near t
            for step in range(STEPS):
                near = [n for n in range(t - 3, t + 4) if n - step <= t]
                said = {n: said_at(step, link)(n) for n in near}
                known = [v for v in said.values() if not math.isnan(v)]
                by_step[step][0] += bool(known)
                by_step[step][1] += any(v < limit[link] for v in known)
                for n, v in said.items():
                    if not math.isnan(v):
                        issues[t - (n - step)].append(v)
            if not issues:
                continue
            warned = {lead for lead, said in issues.items() if min(said) < limit[link]}
            if not warned:
                leads.append(-1)
                continue
            lead = min(warned)
            while lead + 1 in warned:
                lead += 1
            leads.append(lead)
        for step in range(STEPS):
            for t in range(SLOTS):
                near = range(t - 3, t + 4)
                if not slow_begins(said_at(step, link), t, limit[link]):
                    continue
                if all(math.isnan(at(n)) for n in near):
                    continue
                by_step[step][2] += 1
                by_step[step][3] += not set(near) & set(begun)
    return by_step, sorted(leads)


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_those_of_one_value_after_the_other(seed: int) -> None:
    values, actual, limit = arrays(seed)
    fast = error_sums(values, actual, limit)
    slow = slow_sums(values, actual, limit)
    assert len(slow) > 100
    for name, array in (("hour", fast.by_hour), ("link", fast.by_link)):
        wanted = np.zeros_like(array)
        for (grouped_by, *at), terms in slow.items():
            if grouped_by == name:
                wanted[(slice(None), *at)] = terms
        np.testing.assert_allclose(array, wanted, rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_onsets_are_those_of_one_interval_after_the_other(seed: int) -> None:
    values, actual, limit = arrays(seed, missing=0.3 if seed % 2 else 0.0)
    found = onsets(values, actual, limit, FIVE)
    by_step, leads = slow_onsets(values, actual, limit)
    assert found.by_step.tolist() == by_step
    assert sorted(found.leads.tolist()) == leads
    assert max(leads) > 0 and sum(row[3] for row in by_step) > 0


def test_onsets_of_persistence_are_those_of_the_last_value_at_each_issue() -> None:
    values, actual, limit = arrays(7)
    last = np.full_like(values, np.nan)
    for step, t, link in np.ndindex(last.shape):
        seen = actual[: len(actual) - SLOTS + t - step, link]
        seen = seen[~np.isnan(seen)]
        last[step, t, link] = seen[-1] if len(seen) else np.nan
    np.testing.assert_array_equal(persistence(actual, STEPS, SLOTS), last)
    found = onsets(last, actual, limit, FIVE)
    assert found.by_step.tolist() == slow_onsets(last, actual, limit)[0]


@pytest.mark.parametrize(
    ("speeds", "at"),
    [
        ("9999222222", [4]),  # 2 is congested, 9 is free, - was not observed
        ("9999229999", []),  # ten minutes are no jam
        ("222222", []),  # nobody saw it begin
        ("9-2-2-2-2", [2]),  # missing intervals are neither
        ("222---222", []),  # nor do they end a jam
        ("999---222", []),  # and nobody saw when it began
        ("9992929222", []),  # it has not been free for a while
        ("99922", [3]),  # the day ends
        ("9992", []),
    ],
)
def test_an_onset_is_a_jam_that_lasts(speeds: str, at: list[int]) -> None:
    values = np.array([[math.nan if c == "-" else float(c)] for c in speeds])
    found = onset_mask(values < 5, ~np.isnan(values), FIVE)
    assert np.flatnonzero(found[:, 0]).tolist() == at


def test_an_hour_is_long_enough_for_an_onset() -> None:
    values = np.array([[9.0], [2.0], [9.0]])
    assert onset_mask(values < 5, values > 0, timedelta(hours=1))[:, 0].tolist() == [
        False,
        True,
        False,
    ]


def series(target: str = "speed") -> tuple[Issued, Series]:
    """Two links, one of which gold has never seen, a day and the day before."""
    rng = np.random.default_rng(1)
    actual = rng.uniform(20, 60, (2 * 288, 1, 1)).astype(np.float32)
    start = np.datetime64(DAY - timedelta(days=1), "us")
    made = Series(start, FIVE, ("a",), (target,), actual, target)
    values = rng.uniform(20, 60, (3, 288, 2)).astype(np.float32)
    return Issued(("a", "unseen"), values, Issuer("m", 6), Issuer("m", 7)), made


def rows(issued: Issued, of: Series) -> pa.Table:
    table = evaluation_table("tiny")
    made = EvaluationRows.make(issued, of, DAY)
    found = batches(made.columns(), DAY, of.target, table.columns)
    return [row for batch in found for row in batch.to_pylist()]


def test_each_version_has_rows_of_what_it_issued_and_both_groupings_agree() -> None:
    issued, of = series()
    found = rows(issued, of)
    assert [row["number"] for row in found] == list(range(len(found)))
    totals = defaultdict(float)
    for row in found:
        totals[row["grouped_by"], row["version"], row["kind"]] += row["count"] or 0
    # Of three steps: for 00:00 all three, for 00:05 two and so on were issued by midnight.
    assert totals["hour", 6, "rolling"] == 3 and totals["hour", 6, "next"] == 3
    assert totals["hour", 7, "rolling"] == 3 * 288 - 6 == totals["link", 7, None]
    assert totals["link", 6, None] == 6
    assert {row["link_id"] for row in found if row["grouped_by"] == "link"} == {"a"}
    flow = np.float32(np.percentile(of.actual, 85))
    assert {row["free_flow"] for row in found if row["grouped_by"] == "link"} == {flow}
    slow = sum(row["count"] for row in found if row["congested"] and row["grouped_by"] == "link")
    assert slow == 3 * (of.actual[288:] < CONGESTED_SHARE * flow).sum()
    of_onsets = [row for row in found if row["grouped_by"] == "onset"]
    assert {row["version"] for row in of_onsets} == {7}
    assert len(of_onsets) == 3 and all(row["persistence_hits"] >= 0 for row in of_onsets)


def test_without_a_speed_there_is_no_congestion_and_without_the_day_before_no_rows_of_it() -> None:
    issued, of = series("flow")
    found = rows(Issued(issued.links, issued.values, None, issued.own), of)
    assert {row["grouped_by"] for row in found} == {"hour", "link"}
    assert {row["congested"] for row in found} == {row["free_flow"] for row in found} == {None}
    assert {(row["version"], row["kind"]) for row in found if row["hour"] is not None} == {
        (7, "rolling")
    }


def test_a_day_before_of_the_same_version_is_summed_with_the_day() -> None:
    issued, of = series()
    found = rows(Issued(issued.links, issued.values, issued.own, issued.own), of)
    assert sum(row["count"] for row in found if row["grouped_by"] == "link") == 3 * 288
