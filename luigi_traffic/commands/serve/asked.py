"""The parameters of a question, and what each of them may be."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(rf"{_DAY.pattern}([T ]\d\d:\d\d(:\d\d)?)?", re.ASCII)
#: Years of traffic data. PostgreSQL and Python agree on them.
_YEARS = range(1900, 2200)
_PLAIN = r"^[^\x00]*$"
# For programs that make requests by the document; whether there is such a day is looked at later.
_DAY_SHOWN = r"(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME_SHOWN = _DAY_SHOWN + r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?"

_LONGEST = 300
Text = Annotated[str, Field(min_length=1, max_length=_LONGEST, pattern=_PLAIN)]
Format = Literal["json", "geojson", "csv", "arrow"]


def _time(given: Any) -> datetime:
    text = str(given)
    if not _TIME.fullmatch(text):
        raise ValueError("expected a local time without an offset, such as 2024-05-31T08:05")
    return _in_range(datetime.fromisoformat(text))


def _day(given: Any) -> date:
    text = str(given)
    if not _DAY.fullmatch(text):
        raise ValueError("expected a day, such as 2024-05-31")
    return _in_range(datetime.fromisoformat(text)).date()


def _in_range(at: datetime) -> datetime:
    if at.year not in _YEARS:
        raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[-1]}")
    return at


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME_SHOWN}$"}),
]
Day = Annotated[
    date, BeforeValidator(_day), WithJsonSchema({"type": "string", "pattern": f"^{_DAY_SHOWN}$"})
]


def _token(shown: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "maxLength": _LONGEST, "pattern": f"^{shown}"})


def _whole(given: str) -> str:
    """`after` of forecasts: a step and a link."""
    step, colon, _ = given.partition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,4}", step):
        raise ValueError("expected the value of `next` of the page before")
    return given


def _moment(given: str) -> str:
    """`after` of speeds: a time and a link."""
    at, bar, _ = given.partition("|")
    if not bar:
        raise ValueError("expected the value of `next` of the page before")
    _time(at)
    return given


def _pair(given: str) -> str:
    """`after` of insight: the length of a link's id, the id, and the rest."""
    length, colon, rest = given.partition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,3}", length) or int(length) > len(rest):
        raise ValueError("expected the value of `next` of the page before")
    return given


class Asked(BaseModel):
    """The parameters of all questions."""

    model_config = ConfigDict(extra="forbid")

    dataset: Text | None = Field(
        None, description="Name of the dataset; may be left out if the server has a default"
    )
    format: Format | None = Field(
        None, description="Format of the answer, before the header Accept (default: json)"
    )
    limit: int | None = Field(
        None, ge=1, le=50_000, description="Largest number of rows (default: 15,000)"
    )


class LinksAsked(Asked):
    """/links."""

    at: Day | None = Field(
        None, description="Day on which the links are valid (default: those of the newest version)"
    )
    after: Text | None = Field(None, description="`next` of the page before")


class SpeedsAsked(Asked):
    """/speeds."""

    at: Time | None = Field(
        None, description="Interval, or the first one (default: the newest); local time"
    )
    until: Time | None = Field(None, description="Last interval (default: `at`)")
    link: Text | None = Field(None, description="Id of a link (default: all)")
    after: Annotated[Text, AfterValidator(_moment), _token(rf"{_TIME_SHOWN}\|")] | None = Field(
        None, description="`next` of the page before"
    )


class ForecastAsked(Asked):
    """/forecast."""

    link: Text | None = Field(None, description="Id of a link (default: all)")
    issued: Time | None = Field(None, description="When it was issued (default: the newest)")
    at: Time | None = Field(None, description="Interval that is forecast (default: all)")
    minutes: int | None = Field(
        None, ge=1, le=10_080, description="The same as minutes ahead; 15: until 15 min after issue"
    )
    kind: Literal["live", "next", "rolling"] | None = Field(
        None,
        description="live: while the day went on; next: at the end of a day; rolling: afterwards, "
        "for times within a day (default: the newest)",
    )
    model: Text | None = Field(None, description="Name of the model (default: any)")
    after: Annotated[Text, AfterValidator(_whole), _token("[0-9]{1,4}:")] | None = Field(
        None, description="`next` of the page before"
    )


class InsightAsked(Asked):
    """/insight, which has no geometry."""

    format: Literal["json", "csv", "arrow"] | None = Field(
        None, description="Format of the answer, before the header Accept (default: json)"
    )
    table: Literal["travel_times", "sensor_health", "bottlenecks", "typical_weeks"] = Field(
        "travel_times", description="What is asked for, see docs/insight.md"
    )
    link: Text | None = Field(None, description="Id of a link (default: all)")
    after: Annotated[Text, AfterValidator(_pair), _token("[0-9]{1,3}:")] | None = Field(
        None, description="`next` of the page before"
    )


class NothingAsked(BaseModel):
    """No parameters."""

    model_config = ConfigDict(extra="forbid")
