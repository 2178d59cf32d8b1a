"""Silver: clean observations, one a link and interval, and what must hold of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from luigi_traffic.api.expected import expected_slots
from luigi_traffic.errors import PluginError
from luigi_traffic.testing.dataset_contract import SPEED_UNITS
from luigi_traffic.testing.sample import advised

if TYPE_CHECKING:
    from luigi_traffic.testing.sample import Sample

_REQUIRED = {"timestamp": "timestamp_ntz", "link_id": "string"}
_NUMBERS = re.compile(r"double|float|decimal.*|bigint|int|smallint|tinyint")
_WHOLE = ("bigint", "int", "smallint", "tinyint")
#: How a header says the unit of a speed column; metres a second in one unit.
_SPOKEN = {
    "mph": re.compile(r"(^|[^a-z])(mph|miles?_?(per|an?)_?hour)([^a-z]|$)", re.I),
    "km/h": re.compile(r"(^|[^a-z])(km/?h|kmph|kph|km_h)([^a-z]|$)", re.I),
    "m/s": re.compile(r"(^|[^a-z])(m/s|mps|m_s)([^a-z]|$)", re.I),
}
#: "0.1 km/h": a scale that only the plugin knows how to apply.
_SCALED = re.compile(r"\d\s*(mph|miles|km|kmph|kph|m/?s|mps)", re.I)
#: With fewer slots than that, a sample written by hand says nothing of the source's step.
_FEW_SLOTS = 12
_METRES_A_SECOND = {"mph": 0.44704, "km/h": 1 / 3.6, "m/s": 1.0}


class SilverChecks:
    """Clean observations of the good rows."""

    sample: Sample

    def test_silver_has_its_columns(self) -> None:
        """The canonical columns, in types that cast without a loss of meaning."""
        types = self.sample.silver.types
        dataset = self.sample.dataset
        measures = [m for m in dataset.measures if m not in dataset.optional_measures]
        wanted = ["timestamp", "link_id", *measures, "n_obs", *dataset.extra_columns]
        for name in wanted:
            assert name in types, (
                f"silver has no column {name!r}; it has {', '.join(types)}. Select timestamp, "
                "link_id, the measures, n_obs, and each of extra_columns."
            )
        for name, kind in _REQUIRED.items():
            assert types[name] == kind, f"silver's {name} is {types[name]}, expected {kind}. " + (
                "Link ids are text: cast('string') in bronze."
                if name == "link_id"
                else "Keep wall time without a zone: window('timestamp', …).getField('start')."
            )
        for name in set(types) - set(_REQUIRED):
            assert _NUMBERS.fullmatch(types[name]), (
                f"silver's {name} is {types[name]}, expected a number. Cast it to double, or leave "
                "it out."
            )
        assert types["n_obs"] in _WHOLE, (
            f"silver's n_obs is {types['n_obs']}. Count rows: F.count(F.lit(1)).alias('n_obs')."
        )

    def test_silver_is_unique(self) -> None:
        """One row a link and interval."""
        seen = Counter((row["timestamp"], row["link_id"]) for row in self.sample.silver.rows)
        twice = [key for key, count in seen.items() if count > 1]
        assert not twice, (
            f"silver has {len(twice):,} pairs of (timestamp, link_id) more than once, for example "
            f"{twice[0]}. Group by both and take the mean: groupBy('timestamp', 'link_id')"
            ".agg(F.exact_mean(…), F.count(…))."
        )

    def test_silver_lies_on_the_grid(self) -> None:
        """Every timestamp is the start of an interval of the day, every row has a link."""
        day, interval = self.sample.suite.day, self.sample.dataset.interval
        midnight = datetime.combine(day, time())
        rows = self.sample.silver.rows
        at = [row["timestamp"] for row in rows]
        wall = [t.replace(tzinfo=None) for t in at if t is not None]
        outside = [t for t in wall if not midnight <= t < midnight + timedelta(days=1)]
        assert len(wall) == len(at) and not outside, (
            f"{len(outside) + len(at) - len(wall):,} rows of silver lie outside {day}, for example "
            f"at {outside[0] if outside else None}. Keep the wall time of the file, without a "
            "conversion between zones."
        )
        off = [t for t in wall if (t - midnight) % interval]
        assert not off, (
            f"{len(off):,} rows of silver are not on the grid of {interval}, for example at "
            f"{off[0]}. Round times down to the start of their interval: "
            "F.interval_start('timestamp', self.interval)."
        )
        assert all(row["link_id"] for row in rows), (
            "silver has rows without a link_id. Reject such rows in bronze, with a reason."
        )

    def test_interval_is_the_step_of_the_data(self) -> None:
        """A finer grid than the source's leaves most of its slots empty for ever."""
        midnight = datetime.combine(self.sample.suite.day, time())
        rows = self.sample.silver.rows
        slots = {row["timestamp"].replace(tzinfo=None) - midnight for row in rows}
        if len(slots) < _FEW_SLOTS:
            pytest.skip(f"the day has only {len(slots)} slots: too few to show their step")
        step = timedelta(seconds=math.gcd(*(int(slot.total_seconds()) for slot in slots)))
        interval = self.sample.dataset.interval
        assert step <= interval, (
            f"interval is {interval}, but the rows of the day come every {step}: between them "
            f"silver has nothing, so that a model would see gaps everywhere. Set interval to "
            f"{step}, the step of the source, and group by it in silver()."
        )

    def test_expected_slots_are_those_of_the_data(self) -> None:
        """What the dataset expects of the day is valid, and the day has some of it."""
        dataset, day = self.sample.dataset_for("silver"), self.sample.suite.day
        with advised(
            f"expected_slots({day})",
            "It says when links should report: answer from the day and the settings alone.",
        ):
            try:
                slots = expected_slots(dataset, day)
            except PluginError as e:
                pytest.fail(str(e))
        if not slots:
            pytest.skip("the dataset does not say when its links are expected to report")
        there = {row["timestamp"].time() for row in self.sample.silver.rows}
        assert there & set(slots), (
            f"silver of {day} has no row at any of the {len(slots)} times of expected_slots(), of "
            f"which the first is {slots[0]}; its own first is {min(there)}. Return starts of "
            "intervals in the wall time of timezone."
        )

    def test_silver_speeds_are_plausible(self) -> None:
        """Neither missing nor NaN, and such as vehicles drive, in the declared unit."""
        measures = self.sample.dataset.measures
        rows = self.sample.silver.rows
        none = [row for row in rows if all(_empty(row.get(m)) for m in measures)]
        assert not none, (
            f"{len(none):,} of {len(rows):,} rows of silver have no value of any measure (NULL or "
            "NaN). Reject them in bronze, with luigi_traffic.NO_OBSERVATION if nothing was "
            "measured; NaN is not NULL: test it with F.isnan."
        )
        speeds = [row["speed"] for row in rows if not _empty(row.get("speed"))]
        unit = measures.get("speed", "")
        most = SPEED_UNITS.get(unit, math.inf)
        wrong = [s for s in speeds if not 0 <= float(s) <= most]
        assert not wrong, (
            f"{len(wrong):,} speeds of silver lie outside 0 to {most:g} {unit}, for example "
            f"{wrong[0]}. Reject them in bronze as implausible; if nearly all are too high, "
            f"the unit {unit!r} in measures is not the unit of the source."
        )

    def test_silver_speed_is_in_the_declared_unit(self) -> None:
        """Where the header names a unit, speeds come in it or are converted from it."""
        sample, header = self.sample, self.sample.taken.header
        if header is None or "speed" not in sample.dataset.measures:
            pytest.skip("the files have no header that could show a unit of speed")
        names = sample.fields(header)
        spoken = {n: unit for n, name in enumerate(names) for unit, r in _SPOKEN.items()
                  if r.search(name) and not _SCALED.search(name)}  # fmt: skip
        if not spoken:
            pytest.skip("no column of the header shows a plain unit of speed")
        line = sample.good_lines[0]
        rows = sample.silver_of(sample.raw_of([line])).rows
        cells = sample.fields(line)
        assert rows, "silver of a day of one good line is empty; see test_one_row_day"
        speed, declared = rows[0]["speed"], sample.dataset.measures["speed"]
        factors = {
            n: _METRES_A_SECOND[unit] / _METRES_A_SECOND[declared] for n, unit in spoken.items()
        }
        values = {n: _number(cells[n]) for n in spoken if n < len(cells)}
        right = any(math.isclose(v * factors[n], speed, rel_tol=0.02) for n, v in values.items())
        column = next(iter(spoken))
        assert right, (
            f"the column {names[column]!r} says {values.get(column)} {spoken[column]}, but silver "
            f"says {speed} {declared}. Declare {spoken[column]!r} in measures, or convert "
            "the speed in bronze."
        )

    def test_silver_conserves_rows(self) -> None:
        """`n_obs` says how many source rows went into each, and none is missing."""
        from pyspark.sql import functions as F

        read = self.sample.silver_input(self.sample.raw).agg(F.count(F.lit(1))).collect()[0][0]
        total = sum(row["n_obs"] or 0 for row in self.sample.silver.rows)
        assert total == read, (
            f"silver read {read:,} good rows, but n_obs sums to {total:,}. Count the rows that "
            "are merged, F.count(F.lit(1)).alias('n_obs'), and drop none: reject unwanted rows "
            "in bronze, with a reason."
        )


def _number(text: str) -> float:
    try:
        return float(text.strip().strip('"'))
    except ValueError:
        return math.nan


def _empty(value: float | None) -> bool:
    return value is None or math.isnan(value)
