"""Types of the values of a declared dataset's settings: each says what was expected there."""

from __future__ import annotations

import codecs
import re
from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from luigi_traffic.api.builtin_sources import fill
from luigi_traffic.errors import SettingsError, did_you_mean

_LARGEST_SPEED = 1_000_000
_DAY = timedelta(days=1)
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
}  # fmt: skip

_DAYS = dict.fromkeys(("d", "day", "days"), 86_400)


def _interval(given: Any) -> Any:
    if isinstance(given, timedelta):
        return given
    found = re.fullmatch(r"(\d+)\s*([a-z]+)", str(given).strip().lower())
    if not found or found[2] not in _UNITS or not int(found[1]):
        raise ValueError("expected a number and a unit, for example 5 min, 10min or 1 h")
    interval = timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    if interval > _DAY or _DAY % interval:
        raise ValueError(
            "it does not divide a day; expected for example 5 min, 10 min, 15 min or 1 h"
        )
    return interval


def _duration(given: Any) -> Any:
    if isinstance(given, timedelta):
        return given
    found = re.fullmatch(r"(\d+)\s*([a-z]*)", str(given).strip().lower())
    unit = found[2] if found else None
    if not found or (unit not in _UNITS | _DAYS and found[0] != "0"):
        raise ValueError("expected a number and a unit, for example 90 min, 6 h or 1 day")
    return timedelta(seconds=int(found[1]) * (_UNITS | _DAYS).get(found[2], 1))


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            "expected an IANA time zone, for example Asia/Seoul."
            + did_you_mean(name, available_timezones())[:200]
        ) from None
    return name


def _column(given: Any) -> Any:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise ValueError("expected the name of a column, or its position from 0")
    if isinstance(given, int) and given < 0:
        raise ValueError("expected a position from 0")
    if isinstance(given, str) and not given.strip():
        raise ValueError("expected the name of a column, not an empty text")
    return given.strip() if isinstance(given, str) else given


def _columns(given: Any) -> Any:
    if not isinstance(given, list):
        return _column(given)
    if not given:
        raise ValueError("expected the name of a column, or a list of at least one")
    return [_column(one) for one in given]


def _missing(given: Any) -> Any:
    """A list of texts, or such a list a column."""
    if isinstance(given, dict):
        return {str(column): _missing(values) for column, values in given.items()}
    if not isinstance(given, list) or not all(isinstance(v, str | int | float) for v in given):
        raise ValueError(
            'expected a list of values, for example ["", -1], or such a list by column, for '
            'example {speed: ["", -1, 0], flow: ["", -1]}'
        )
    return [str(value) for value in given]


def _template(given: str) -> str:
    try:
        fill(given, date(2024, 1, 1))
    except SettingsError as e:
        raise ValueError(str(e)) from None
    except (ValueError, IndexError, KeyError, AttributeError) as e:
        raise ValueError(
            f"its braces do not match ({e}); expected {{year}}, {{month}}, {{day}}, {{date}}"
        ) from None
    return given


def _url(given: str) -> str:
    scheme, _, rest = given.partition("://")
    if scheme not in ("http", "https", "file") or not rest:
        raise ValueError(
            "expected an address with http, https or file, for example "
            "file:///data/city/{date}.csv. For files of a folder, use `glob`"
        )
    return given


def _delimiter(given: Any) -> Any:
    found = "\t" if given in ("tab", "\\t") else given
    if not isinstance(found, str) or len(found) != 1 or found in '"\r\n':
        raise ValueError('expected one character, for example "," or ";", or tab')
    return found


def _encoding(given: str) -> str:
    try:
        name = codecs.lookup(given).name
    except LookupError:
        raise ValueError(
            "expected an encoding that Python knows, for example utf-8, cp949 or latin-1"
        ) from None
    return "utf-8" if name == "utf-8-sig" else name


def _range(given: tuple[float, float]) -> tuple[float, float]:
    low, high = given
    if not low < high:
        raise ValueError(f"the lower bound {low:g} is not below the upper bound {high:g}")
    if max(-low, high) > _LARGEST_SPEED:
        raise ValueError(f"expected bounds up to {_LARGEST_SPEED:,}")
    return given


def _bounds(given: Any) -> Any:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise ValueError("expected two numbers, for example [0, 150]")
    return given


Interval = Annotated[timedelta, BeforeValidator(_interval)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
TimeZone = Annotated[str, AfterValidator(_zone)]
#: A list of texts, or such lists by column.
Missing = Annotated[Any, AfterValidator(_missing)]
#: Name in the header, or position from 0.
ColumnRef = Annotated[Any, AfterValidator(_column)]
#: One of them, or a list.
ColumnRefs = Annotated[Any, AfterValidator(_columns)]
Template = Annotated[str, AfterValidator(_template)]
UrlTemplate = Annotated[str, AfterValidator(_url), AfterValidator(_template)]
Delimiter = Annotated[str, BeforeValidator(_delimiter)]
Encoding = Annotated[str, AfterValidator(_encoding)]
SpeedRange = Annotated[tuple[float, float], BeforeValidator(_bounds), AfterValidator(_range)]


class Section(BaseModel):
    """Base of the sections: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)
