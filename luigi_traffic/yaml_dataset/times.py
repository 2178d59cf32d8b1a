"""Text that says when: its formats, and the wall time it stands for.

The engine reads the time of each row (`luigi_traffic.yaml_dataset.timestamps`); the reader here
says its day alone, to cut one day out of a file of many before the engine sees it. Both keep to the
same formats: ISO 8601 if none is named, `unix`, `unix_ms`, or a pattern of letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from luigi_traffic.api import grammar

UNIX = {"unix": 1, "unix_ms": 1000}
#: The day that stands beside a number since midnight, if no format is named.
ISO_DAY = "yyyy-M-d"
#: What a number since midnight counts, in seconds.
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}
DAY_SECONDS = 86_400

_PART = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']")
#: Letters of a pattern: the group of the canonical text that they fill, and what they match.
_LETTERS = {
    "yyyy": ("y", r"\d{4}"), "yy": ("yy", r"\d{2}"),
    "MM": ("m", r"\d{2}"), "M": ("m", r"\d{1,2}"),
    "dd": ("d", r"\d{2}"), "d": ("d", r"\d{1,2}"),
    "HH": ("H", r"\d{2}"), "H": ("H", r"\d{1,2}"), "hh": ("h", r"\d{2}"), "h": ("h", r"\d{1,2}"),
    "mm": ("M", r"\d{2}"), "m": ("M", r"\d{1,2}"), "ss": ("S", r"\d{2}"), "s": ("S", r"\d{1,2}"),
    "a": ("a", r"[AaPp][Mm]"),
}  # fmt: skip
#: A part of an expression that is no part of the day.
_CLOCK = re.compile(r"\(\?P<(?:[HhMSfa]|Hmm|Hmmss)>(?:[^()]|\([^()]*\))*\)\??")
#: `Hmm` is a number as a spreadsheet writes it, without the zeros in front: 5 is 00:05.
_NUMBERS = {
    ("H", "mm"): r"(?P<Hmm>\d{1,4})",
    ("H", "mm", "ss"): r"(?P<Hmmss>\d{1,6})",
}


@dataclass(frozen=True)
class Moment:
    """How a table says when a row was observed.

    time_format  pattern, `unix`, `unix_ms`, or None: ISO 8601
    timezone     IANA zone of the wall time
    unit         if given, the last word is a number since midnight, and the format is of the day
    at_end       the time is that of the interval's end: the moment before it belongs to the row
    """

    time_format: str | None
    timezone: str
    unit: str | None = None
    at_end: bool = False

    def reader(self) -> Callable[[str], datetime | None]:
        """A function from a text to the wall time as it is written; None for what is no time."""
        read = self._reader()

        def wall_time(text: str) -> datetime | None:
            try:
                return read(text)
            except (ValueError, OverflowError):  # a month 13, a year 0
                return None

        return wall_time

    @property
    def said(self) -> str:
        """The format in words, for messages."""
        of = f" with `{self.unit}` since midnight" if self.unit else ""
        return f"{self.time_format or 'ISO 8601'}{of}"

    def day_reader(self) -> Callable[[str], date | None]:
        """A function from the text of a time to its day; None for what says no day.

        A text with a day and no readable time of day is of that day, where it is rejected.
        """
        read, written = self.reader(), self._day_alone()
        earlier = timedelta(microseconds=1 if self.at_end else 0)

        def day(text: str) -> date | None:
            found = read(text)
            return (found - earlier).date() if found else written(text)

        # A time stands in as many lines as there are links.
        return lru_cache(maxsize=1 << 16)(day)

    def _day_alone(self) -> Callable[[str], date | None]:
        if self.time_format in UNIX:
            return lambda text: None
        if self.time_format is None:
            matching = re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:[T ].*)?")
        else:
            # What stands behind the day may be anything, also nothing.
            before, *rest = _CLOCK.split(expression(self.time_format).pattern)
            loose = ".*?".join([before, *rest]) if "(?P<" in "".join(rest) else before
            matching = re.compile(loose + ".*")

        def day(text: str) -> date | None:
            found = matching.fullmatch(text)
            try:
                return _midnight(found.groupdict()).date() if found else None
            except ValueError:  # a month 13
                return None

        return day

    def _reader(self) -> Callable[[str], datetime | None]:
        if self.unit is not None:
            return _since_midnight(self.time_format, UNITS[self.unit])
        if self.time_format in UNIX:
            return _unix(UNIX[self.time_format], ZoneInfo(self.timezone))
        if self.time_format is None:
            return _iso(ZoneInfo(self.timezone))
        return _by_pattern(self.time_format)


def pattern_problem(pattern: str, unit: str | None = None) -> str | None:
    """What is wrong with a time format, None if nothing is. With a `unit` it is of a day alone."""
    if pattern in UNIX:
        return None if unit is None else "time_unit is given, so it must be the pattern of a day"
    try:
        found = set(expression(pattern).groupindex)
    except (ValueError, re.error) as e:
        return str(e)
    lacking = [
        said for said, names in (("year (yyyy)", {"y", "yy"}), ("month (MM)", {"m"}),
                                 ("day (dd)", {"d"}))
        if not names & found
    ]  # fmt: skip
    hour = {"H", "h", "Hmm", "Hmmss"} & found
    if unit is not None and hour:
        return "the pattern has an hour, and time_unit is given too; expected one of them"
    if unit is None and not hour:
        lacking.append("hour (HH)")
    if "h" in found and "a" not in found:
        lacking.append("half of the day (a) beside hh")
    return f"the pattern has no {', no '.join(lacking)}" if lacking else None


def expression(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression with a named group a part, see `functions.pattern_time`.

    Raises ValueError for what is no pattern.
    """
    parts: list[str] = []
    at = 0
    for part in _PART.finditer(pattern):
        if part.start() != at:
            break
        at = part.end()
        parts.append(part[0])
    if at != len(pattern):
        raise ValueError(f"the quote at character {at + 1} is not closed")
    matched = ""
    number = 0
    while number < len(parts):
        for length in (3, 2, 1):
            if length == 1:
                matched += _matching(parts[number])
            elif expected := _NUMBERS.get(tuple(parts[number : number + length])):
                matched += expected
                break
        number += length
    return re.compile(matched)


def _matching(part: str) -> str:
    if part.startswith("'"):
        return re.escape(part[1:-1].replace("''", "'") or "'")
    if part in _LETTERS:
        name, digits = _LETTERS[part]
        return f"(?P<{name}>{digits})"
    if part == "S" * len(part) and len(part) <= 9:
        return rf"(?P<f>\d{{{len(part)}}})"
    if part.isalpha() and part.isascii():
        raise ValueError(
            f"{part!r} is not known in a time pattern; expected {', '.join(_LETTERS)}, S to "
            "SSSSSSSSS, or text in single quotes, for example yyyy-MM-dd HH:mm:ss; or unix "
            "or unix_ms"
        )
    return re.escape(part)


def _unix(scale: int, zone: ZoneInfo) -> Callable[[str], datetime | None]:
    def read(text: str) -> datetime | None:
        seconds = float(text) / scale
        if not 0 <= seconds <= grammar.UNIX_MOST:
            return None
        return datetime.fromtimestamp(seconds, zone).replace(tzinfo=None)

    return read


def _iso(zone: ZoneInfo) -> Callable[[str], datetime | None]:
    wall, instant = re.compile(grammar.ISO, re.ASCII), re.compile(grammar.ISO_OFFSET, re.ASCII)

    def read(text: str) -> datetime | None:
        if wall.fullmatch(text):
            day, clock = re.split("[T ]", text)
            hour, minute, *rest = clock.split(":")
            second, _, fraction = (rest[0] if rest else "0").partition(".")
            midnight = _midnight(dict(zip("ymd", day.split("-"), strict=True)))
            return _moment(midnight, hour, minute, second, fraction)
        if instant.fullmatch(text):
            return datetime.fromisoformat(_whole(text)).astimezone(zone).replace(tzinfo=None)
        return None

    return read


def _by_pattern(pattern: str) -> Callable[[str], datetime | None]:
    matching = expression(pattern)

    def read(text: str) -> datetime | None:
        found = matching.fullmatch(text)
        if not found:
            return None
        part = {name: value or "0" for name, value in found.groupdict().items()}
        for name in {"Hmm", "Hmmss"} & set(part):
            digits = part[name].zfill(len(name) + 1)
            part |= dict(zip("HMS", re.findall("..", digits), strict=False))
        hour = part.get("H", "0")
        if "h" in part:
            if not 1 <= int(part["h"]) <= 12:
                return None
            hour = str(int(part["h"]) % 12 + (12 if part["a"][0] in "Pp" else 0))
        return _moment(
            _midnight(part), hour, part.get("M", "0"), part.get("S", "0"), part.get("f", "")
        )

    return read


def _since_midnight(pattern: str | None, factor: int) -> Callable[[str], datetime | None]:
    matching = expression(pattern or ISO_DAY)

    def read(text: str) -> datetime | None:
        day, _, number = text.rpartition(" ")
        found = matching.fullmatch(day)
        seconds = float(number) * factor
        if not found or not 0 <= seconds <= DAY_SECONDS:
            return None
        return _midnight(found.groupdict()) + timedelta(seconds=seconds)

    return read


def _midnight(part: Mapping[str, str]) -> datetime:
    return datetime(int(part.get("y") or f"20{part['yy']}"), int(part["m"]), int(part["d"]))


def _moment(
    midnight: datetime, hour: str, minute: str, second: str, fraction: str = ""
) -> datetime:
    clock = (int(hour), int(minute), int(second), int(fraction[:6].ljust(6, "0")))
    if clock == (24, 0, 0, 0):
        return midnight + timedelta(days=1)
    hours, minutes, seconds, micros = clock
    return midnight.replace(hour=hours, minute=minutes, second=seconds, microsecond=micros)


def _whole(text: str) -> str:
    """ISO text with an offset as `datetime.fromisoformat` of every Python reads it."""
    clean = text.replace(" Z", "Z").replace("Z", "+00:00")
    head, sign, offset = re.split(r" ?([+-])(?=\d{2}(?::?\d{2})?$)", clean)
    main, _, fraction = head.partition(".")
    offset = offset.replace(":", "").ljust(4, "0")
    return f"{main}.{fraction[:6].ljust(6, '0')}{sign}{offset[:2]}:{offset[2:]}"
