"""The file that is stored with each model: what it imports must stay where it is, for years.

And what it refuses: rows that would give a forecast of something else, or none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from training_tiny import AllLinks, PerLink, gold_rows, road, untrained

from luigi_traffic.training import pyfunc
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.series import Series

#: Module, name: what models that are registered already import from us. Never take a line away.
PROMISED = [
    ("luigi_traffic.errors", "DataError"),
    ("luigi_traffic.plugins", "plugins"),
    ("luigi_traffic.training.bundle", "Bundle"),
    ("luigi_traffic.training.forecaster", "Forecaster"),
    ("luigi_traffic.training.series", "Series"),
    ("luigi_traffic.training.serving", "next_steps"),
]


@pytest.mark.parametrize(("module", "name"), PROMISED)
def test_models_that_are_registered_find_what_they_import(module: str, name: str) -> None:
    assert callable(getattr(import_module(module), name))


def test_models_import_nothing_else_of_us() -> None:
    tree = ast.parse(Path(pyfunc.__file__).read_text("utf-8"))
    imported = [
        (str(node.module), name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("luigi_traffic")
        for name in node.names
    ]
    assert set(imported) <= {*PROMISED}


def test_no_other_name_of_the_package_is_made_up() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plugin'"):
        import_module("luigi_traffic.plugins").plugin  # noqa: B018


def served(model: PerLink | AllLinks, series: Series) -> pyfunc.NextSteps:
    """What MLflow calls, with the bundle loaded."""
    made = pyfunc.NextSteps()
    made.forecaster = Forecaster(untrained(model, series), "cpu")
    return made


@pytest.fixture
def rows(series: Series) -> pd.DataFrame:
    """The last eight intervals of five links; the model looks at six."""
    return gold_rows(series, len(series) - 8, len(series))


@pytest.mark.parametrize("model", [PerLink(), AllLinks()])
def test_the_answer_is_the_forecast_that_is_stored(model: PerLink | AllLinks) -> None:
    series = road()
    mine = served(model, series)
    windows = mine.forecaster.rolling(series, 0)
    *_, last = mine.forecaster.predict(series, windows)
    shuffled = gold_rows(series, 0, len(series)).sample(frac=1, random_state=0)
    answer = mine.predict(None, shuffled)
    assert list(answer.columns) == ["timestamp", "link_id", "step", "speed"]
    np.testing.assert_allclose(answer["speed"].to_numpy().reshape(4, 5), last, rtol=0, atol=1e-5)
    assert answer["timestamp"].iloc[[0, -1]].tolist() == [
        pd.Timestamp("2024-01-05T00:00"), pd.Timestamp("2024-01-05T01:30"),
    ]  # fmt: skip
    assert answer["link_id"].tolist() == [*series.links] * 4
    assert answer["step"].tolist() == np.repeat([1, 2, 3, 4], 5).tolist()


def test_a_row_of_nulls_says_where_the_window_ends(series: Series, rows: pd.DataFrame) -> None:
    """As at the end of a day whose last interval no link reported."""
    mine = served(PerLink(), series)
    silent = rows["timestamp"] == rows["timestamp"].max()
    rows.loc[silent, ["speed", "t1"]] = np.nan
    expected = mine.predict(None, rows)
    one_is_enough = rows[~silent | (rows["link_id"] == "L3")]
    pd.testing.assert_frame_equal(mine.predict(None, one_is_enough), expected)


def test_a_link_whose_rows_are_all_older_is_forecast_too(
    series: Series, rows: pd.DataFrame
) -> None:
    mine = served(PerLink(), series)
    old = rows["timestamp"] < rows["timestamp"].min() + pd.Timedelta("1h")
    answer = mine.predict(None, rows[old | (rows["link_id"] != "L2")])
    assert answer["link_id"].tolist() == [*series.links] * 4


def test_a_link_that_training_has_not_seen(series: Series, rows: pd.DataFrame) -> None:
    new = rows["link_id"].replace({"L4": "L9"})
    answer = served(PerLink(), series).predict(None, rows.assign(link_id=new))
    assert set(answer["link_id"]) == {"L0", "L1", "L2", "L3", "L9"}
    with pytest.raises(
        MlflowException, match=r"not among the 5 of the training: 1 \(L9\)\. .*leave"
    ):
        served(AllLinks(), series).predict(None, rows.assign(link_id=new))


def test_numbers_as_link_ids_are_their_text(series: Series, rows: pd.DataFrame) -> None:
    numbers = rows["link_id"].str[1:].astype(int)
    answer = served(PerLink(), series).predict(None, rows.assign(link_id=numbers))
    assert set(answer["link_id"]) == set("01234")
    with pytest.raises(MlflowException, match=r"whose link_id is not text: 40 of 40"):
        served(PerLink(), series).predict(None, rows.assign(link_id=numbers / 2))


def put(column: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        changed = rows.astype({column: object}) if isinstance(value, str) else rows.copy()
        changed.loc[changed.index[row], column] = value
        return changed

    return change


def every(column: str, change: Callable[[pd.Series], pd.Series]) -> Callable[..., pd.DataFrame]:
    return lambda rows: rows.assign(**{column: change(rows[column])})


OFF = pd.Timestamp("2024-01-04T22:03")
REFUSED = {
    "a column is missing": (
        lambda rows: rows.drop(columns="t1"),
        "The rows have no t1. The model needs the columns timestamp, link_id, speed, t1; a value "
        "that was not observed is null.",
    ),
    "the key is missing": (
        lambda rows: rows.drop(columns=["timestamp", "link_id"]),
        "The rows have no timestamp and no link_id. The model needs",
    ),
    "no rows": (
        lambda rows: rows.iloc[:0],
        "There are no rows. Give those of the last 6 intervals of 0:30:00: the forecast is for "
        "the intervals after the last timestamp.",
    ),
    "a time is missing": (
        put("timestamp", 8, pd.NaT),
        "Rows without a timestamp: 1 of 40. The first is row 9 (link L3). Give the local time of "
        "the dataset road without a zone, the start of the interval.",
    ),
    "one time is between two intervals": (
        put("timestamp", 22, OFF),
        "Rows that do not begin an interval of 0:30:00 of the day: 1 of 40. The first is row 23 "
        "(2024-01-04T22:03:00, link L2). Give the start of the interval.",
    ),
    "all times are": (
        every("timestamp", lambda times: times + pd.Timedelta("180s")),
        "do not begin an interval of 0:30:00 of the day: 40 of 40. The first is row 1 (2024-01-04T"
        "20:03:00, link L0)",
    ),
    "by a nanosecond": (
        every("timestamp", lambda times: times + pd.Timedelta("1ns")), "40 of 40. The first is",
    ),
    "times have a zone": (
        every("timestamp", lambda times: times.dt.tz_localize("Asia/Seoul")),
        "The timestamps have the time zone Asia/Seoul. Give the local time of the dataset road "
        "without a zone.",
    ),
    "times are text": (
        every("timestamp", lambda times: times.astype(str)),
        "The timestamps are object, not times. Give the local time",
    ),
    "a link is missing": (
        put("link_id", 3, None),
        "Rows whose link_id is not text: 1 of 40. The first is row 4 (link None). Give the link_id "
        "of gold.",
    ),
    "a row comes twice": (
        lambda rows: pd.concat([rows, rows.iloc[[31]]]),
        "Rows that repeat a link and an interval: 1 of 41. The first is row 41 (2024-01-04T23:00:"
        "00, link L1). Give each link one row for an interval.",
    ),
    "an old row comes twice": (lambda rows: pd.concat([rows, rows.iloc[[0]]]), "L0). Give each"),
    "a value is text": (
        put("t1", 5, "fast"),
        "Rows whose t1 is not a number: 1 of 40. The first is row 6 ('fast'). Give a number, or "
        "null if nothing was observed.",
    ),
    "a value is infinite": (put("speed", 6, np.inf), "Rows whose speed is not a number: 1 of 40."),
    "a value is too large": (put("speed", 6, 1e300), "The first is row 7 (1e+300)"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_rows_that_cannot_be_used_are_refused(
    what: str, series: Series, rows: pd.DataFrame
) -> None:
    change, message = REFUSED[what]
    mine = served(PerLink(), series)
    with pytest.raises(MlflowException, match=re.escape(message)) as raised:
        mine.predict(None, change(rows))
    assert raised.value.get_http_status_code() == 400
