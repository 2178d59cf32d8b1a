"""What a served model does: rows of gold, as a client sends them, in; the next steps out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray

from luigi_traffic.api.model import gold_columns
from luigi_traffic.errors import DataError
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.series import Series

#: How many names a message shows of many.
_SHOWN = 5


def next_steps(forecaster: Forecaster, rows: pd.DataFrame) -> pd.DataFrame:
    """The forecast for the intervals after the last timestamp of `rows`, see `last_window`.

    `output_steps * N` rows (timestamp, link_id, step, target) by step, then link. Its numbers are
    those of the forecast that the pipeline stores. Raises DataError as `last_window` does.
    """
    series = last_window(forecaster.bundle, rows)
    only = np.array([0])
    forecast = forecaster.predict(series, only)[0]
    links, steps = forecaster.links(series), np.arange(1, len(forecast) + 1)
    interval = np.timedelta64(series.interval // timedelta(microseconds=1), "us")
    timestamps = forecaster.issued(series, only) + (steps - 1) * interval
    return pd.DataFrame(
        {
            "timestamp": np.repeat(timestamps.astype("datetime64[ns]"), len(links)),
            "link_id": np.tile(links, len(steps)),
            "step": np.repeat(steps, len(links)),
            series.target: forecast.ravel().astype(np.float64),
        }
    )


def last_window(bundle: Bundle, rows: pd.DataFrame) -> Series:
    """The `input_steps` intervals that end with the last timestamp of `rows`.

    `rows` are in any order: timestamp, the local start of an interval without a zone; link_id; and
    the columns of gold that the model needs, NaN if nothing was observed. Other columns are
    ignored. Older rows are checked, too; they give their links to the forecast, not their values.

    Raises DataError that says what is wrong, in which row, and what to do: a missing column, no
    rows, a timestamp that is missing, has a zone or is not the start of an interval, a link that
    is missing or unknown to a model of all links together, a link and interval that come twice, a
    value that is not a number.
    """
    columns = list(dict.fromkeys([bundle.target, *gold_columns(bundle.shape.channels)]))
    _check_columns(rows, columns)
    interval, steps = bundle.interval, bundle.shape.input_steps
    if rows.empty:
        raise DataError(
            f"There are no rows. Give those of the last {steps} intervals of {interval}: the "
            "forecast is for the intervals after the last timestamp."
        )
    timestamp = _timestamps(rows, bundle)
    codes, links = _links(rows, bundle)
    values = {name: _numbers(rows[name]) for name in columns}
    twice = pd.DataFrame({"timestamp": timestamp, "link": codes}).duplicated().to_numpy()
    _refuse(
        twice, "that repeat a link and an interval", lambda row: _place(timestamp, row, rows),
        "Give each link one row for an interval.",
    )  # fmt: skip
    step = np.timedelta64(interval // timedelta(microseconds=1), "us")
    end = timestamp.max() + step
    start = end - steps * step
    here = timestamp >= start
    return Series.from_columns(
        timestamp[here], codes[here], links, {name: of[here] for name, of in values.items()},
        start, end, interval, bundle.target,
    )  # fmt: skip


def _check_columns(rows: pd.DataFrame, columns: list[str]) -> None:
    needed = ["timestamp", "link_id", *columns]
    if missing := [name for name in needed if name not in rows.columns]:
        raise DataError(
            f"The rows have no {' and no '.join(missing)}. The model needs the columns "
            f"{', '.join(needed)}; a value that was not observed is null."
        )


def _timestamps(rows: pd.DataFrame, bundle: Bundle) -> NDArray[np.datetime64]:
    """datetime64[us] `(R,)`."""
    column = rows["timestamp"]
    wanted = f"Give the local time of the dataset {bundle.dataset} without a zone"
    if not pd.api.types.is_datetime64_dtype(column):
        zone = getattr(column.dtype, "tz", None)
        found = f"have the time zone {zone}" if zone else f"are {column.dtype}, not times"
        raise DataError(f"The timestamps {found}. {wanted}.")
    _refuse(
        column.isna().to_numpy(), "without a timestamp", lambda row: f"link {_link(rows, row)}",
        f"{wanted}, the start of the interval.",
    )  # fmt: skip
    # In nanoseconds, so that no part of an interval is lost before it is seen.
    exact = column.to_numpy("datetime64[ns]")
    step = np.timedelta64(bundle.interval // timedelta(microseconds=1), "us")
    between = (exact - exact.astype("datetime64[D]")) % step != np.timedelta64(0)
    _refuse(
        between, f"that do not begin an interval of {bundle.interval} of the day",
        lambda row: _place(exact, row, rows), "Give the start of the interval.",
    )  # fmt: skip
    return np.asarray(exact.astype("datetime64[us]"))


def _links(rows: pd.DataFrame, bundle: Bundle) -> tuple[NDArray[Any], list[str]]:
    """`(R,)` positions in the links, which are sorted."""
    column = rows["link_id"]
    nameless = ~column.map(lambda link: isinstance(link, str | Integral)).to_numpy(bool)
    _refuse(
        nameless, "whose link_id is not text", lambda row: f"link {_link(rows, row)}",
        "Give the link_id of gold.",
    )  # fmt: skip
    codes, found = pd.factorize(column.astype(str), sort=True)
    links = [str(link) for link in found]
    unknown = sorted({*links} - {*bundle.links})
    if unknown and not bundle.model.per_link:
        more = ", …" if len(unknown) > _SHOWN else ""
        raise DataError(
            f"Links that are not among the {len(bundle.links):,} of the training: {len(unknown):,} "
            f"({', '.join(unknown[:_SHOWN])}{more}). The model {bundle.model.name} forecasts the "
            "links of its training together: leave the others out, or train it on days that have "
            "them."
        )
    return codes, links


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    """float64 `(R,)`, NaN for null."""
    found = pd.to_numeric(column, errors="coerce")
    numbers = np.asarray(found.to_numpy("float64", na_value=np.nan))
    with np.errstate(over="ignore"):
        infinite = np.isinf(numbers.astype(np.float32))  # as the network reads it
    _refuse(
        (found.isna() & column.notna()).to_numpy(bool) | infinite,
        f"whose {column.name} is not a number", lambda row: repr(column.tolist()[row]),
        "Give a number, or null if nothing was observed.",
    )  # fmt: skip
    return numbers


def _refuse(wrong: NDArray[np.bool_], which: str, shown: Callable[[int], str], advice: str) -> None:
    """Raise DataError if a row is wrong: how many there are, the first of them, what to do."""
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"Rows {which}: {np.count_nonzero(wrong):,} of {len(wrong):,}. The first is row "
            f"{first + 1} ({shown(first)}). {advice}"
        )


def _place(timestamp: NDArray[np.datetime64], row: int, rows: pd.DataFrame) -> str:
    return f"{pd.Timestamp(timestamp[row]).isoformat()}, link {_link(rows, row)}"


def _link(rows: pd.DataFrame, row: int) -> str:
    return str(rows["link_id"].iloc[row])
