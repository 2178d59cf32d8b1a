"""The tables of the warehouse that hold traffic: gold, forecasts and evaluations, one a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from luigi_traffic.api.columns import COUNTS
from luigi_traffic.warehouse.partitions import Bounds, Column, PartitionedTable

_GOLD_TYPES = {"timestamp": "timestamp", "link_id": "text"} | dict.fromkeys(
    ("n_obs", *COUNTS.values()), "integer"
)


def gold_table(dataset: str, columns: Sequence[str]) -> PartitionedTable:
    """`gold.<dataset>`: one row a link and interval; a partition is a day."""
    return PartitionedTable(
        schema="gold",
        name=dataset,
        columns=tuple(Column(c, _GOLD_TYPES.get(c, "double precision")) for c in columns),
        key=("timestamp", "link_id"),
        by="timestamp",
    )


def forecast_table(dataset: str, target: str = "speed") -> PartitionedTable:
    """`forecast_versions.<dataset>`: all forecasts; a partition is a day and a model's version.

    Those that are published are in the view `forecast.<dataset>`, see `published`. `target` is the
    measure that is forecast, and the name of its column. A table that was made for another one gets
    the column as well; a row has one of them, the others are NULL.

    part       the ledger's name of the partition, "2012-03-28/<model>:7" (see `forecast_part`)
    model      its name, with the target if that is not the dataset's own, such as "<model>:flow"
    issued_at  end of the last interval that the model has seen
    step       1 … output_steps; `timestamp` is the start of the interval forecast
    kind       "next": issued at the day's end; "rolling": at an interval within the day
    version    of the registered model; NULL in rows of earlier versions, as is `observed`
    observed   how many of the model's input intervals had an observed target of the link
    lower, upper  ends of the prediction interval, in the target's unit; NULL if it is not known
    """
    return PartitionedTable(
        schema="forecast_versions",
        name=dataset,
        columns=(
            Column("part", "text"),
            Column("model", "text"),
            Column("issued_at", "timestamp"),
            Column("kind", "text"),
            Column("step", "smallint"),
            Column("timestamp", "timestamp"),
            Column("link_id", "text"),
            Column(target, "real"),
            Column("version", "integer"),
            Column("observed", "smallint"),
            Column("lower", "real"),
            Column("upper", "real"),
        ),
        key=("issued_at", "step", "link_id"),
        by="issued_at",
        then_by="part",
        narrow=("timestamp",),
    )


def forecast_part(day: date, model: str, version: str) -> str:
    """The ledger's name of a version's forecast of a day."""
    return f"{day.isoformat()}/{model}:{version}"


def forecast_bounds(day: date, part: str) -> Bounds:
    """What a version issues on a day: after its midnight, and up to the next with it.

    The forecast issued at the day's end belongs to the day that it has seen.
    """
    # A timestamp counts microseconds: the first one after midnight.
    low, high = (f"{day + timedelta(days=n)} 00:00:00.000001" for n in (0, 1))
    return Bounds(low, high, value=part)


#: Of the values that were both forecast and observed: their number, the sums of the errors' sizes,
#: of their squares, of the errors (forecast minus actual) and of the sizes of what was observed.
#: Then the numbers of them for which a baseline has a value, and the sums of its errors' sizes.
ERROR_SUMS = (
    "count", "absolute", "squared", "error", "actual",
    "persistence_count", "persistence_absolute", "day_before_count", "day_before_absolute",
)  # fmt: skip
#: Of the live forecasts that the same version made again when the day was over: their number, and
#: the sums of the sizes of both errors.
PAIRED_SUMS = ("paired_count", "paired_absolute", "rolling_absolute")


def evaluation_table(dataset: str) -> PartitionedTable:
    """`evaluation.<dataset>`: how good forecasts were; a partition is a day and target.

    A value is scored once for its hour and once for its link: choose one `grouped_by`. Of what was
    published when the day was over ("hour" to "lead"), and of what was issued while it went on
    ("live" to "ticks").

    day          that is forecast, not the one on which it was issued
    target       the measure that is forecast
    number       of the row in its partition
    grouped_by   "hour": sums by model, version, kind, step, hour of day and congested
                 "link": sums by model, version, step, link and congested
                 "onset": onsets of congestion by step
                 "lead": onsets by the minutes between the first forecast of each and the onset
                 "live", "live link": as "hour" and "link", by kind, too: "live", or "fallback" of
                 what is the link's profile of the week and not the model's
                 "ticks": at how many of the day's intervals a live forecast was issued
    congested    whether the actual value was; NULL for another target than speed
    count …      see `ERROR_SUMS`; NULL in "onset", "lead" and "ticks"
    free_flow    of the link, from the last days of gold; in "link" and "live link"
    onsets …     see `onsets`; only in "onset" and "lead"
    paired_…     see `PAIRED_SUMS`; only in "live" and "live link"
    intervals    of the day, and `issued`, those at which a live forecast was; only in "ticks"
    """
    return PartitionedTable(
        schema="evaluation",
        name=dataset,
        columns=(
            Column("day", "date"),
            Column("target", "text"),
            Column("number", "integer"),
            Column("grouped_by", "text"),
            Column("model", "text"),
            Column("version", "integer"),
            Column("kind", "text"),
            Column("step", "smallint"),
            Column("link_id", "text"),
            Column("hour", "smallint"),
            Column("congested", "boolean"),
            *(
                Column(name, "integer" if name.endswith("count") else "double precision")
                for name in ERROR_SUMS
            ),
            Column("free_flow", "real"),
            Column("onsets", "integer"),
            Column("hits", "integer"),
            Column("forecast_onsets", "integer"),
            Column("false_alarms", "integer"),
            Column("persistence_hits", "integer"),
            Column("persistence_forecast_onsets", "integer"),
            Column("persistence_false_alarms", "integer"),
            Column("lead_minutes", "real"),
            *(
                Column(name, "integer" if name.endswith("count") else "double precision")
                for name in PAIRED_SUMS
            ),
            Column("intervals", "integer"),
            Column("issued", "integer"),
        ),
        key=("day", "number"),
        by="day",
        then_by="target",
    )


def evaluation_part(day: date, target: str) -> str:
    """The ledger's name of a day's evaluation."""
    return f"{day.isoformat()}/{target}"


def evaluation_bounds(day: date, target: str) -> Bounds:
    """What a day's evaluation holds."""
    return replace(Bounds.day(day), value=target)
