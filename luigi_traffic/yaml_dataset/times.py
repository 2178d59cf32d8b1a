"""Text that says when: its formats, and the day it stands for.

Spark reads the time of each row (`luigi_traffic.yaml_dataset.rows`); the functions here read
its day alone, to cut one day out of a file of many before Spark sees it. Both keep to the
same formats: ISO 8601 where none is named, `unix`, `unix_ms`, or a pattern of letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

UNIX = {"unix": 1, "unix_ms": 1000}
#: Wall time, and wall time with an offset; the same expressions for Spark and for Python.
ISO = r"^\d{4}-\d{1,2}-\d{1,2}[T ]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?$"
ISO_OFFSET = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)? ?(Z|[+-]\d{2}(:?\d{2})?)$"
#: Seconds since 1970 up to the year 2100: what is outside is no time of ours.
UNIX_MOST = 4_102_444_800

_PART = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']")
#: Letters of a pattern, how often they may stand, and what they match.
_LETTERS = {
    "yyyy": r"(?P<y>\d{4})", "yy": r"(?P<yy>\d{2})",
    "MM": r"(?P<m>\d{2})", "M": r"(?P<m>\d{1,2})",
    "dd": r"(?P<d>\d{2})", "d": r"(?P<d>\d{1,2})",
    "HH": r"\d{2}", "H": r"\d{1,2}", "hh": r"\d{2}", "h": r"\d{1,2}",
    "mm": r"\d{2}", "m": r"\d{1,2}", "ss": r"\d{2}", "s": r"\d{1,2}", "a": r"[AaPp][Mm]",
}  # fmt: skip


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with a time format, None where nothing is."""
    if pattern in UNIX:
        return None
    try:
        found = _expression(pattern).groupindex
    except (ValueError, re.error) as e:
        return str(e)
    lacking = [
        said for said, names in (("year (yyyy)", {"y", "yy"}), ("month (MM)", {"m"}),
                                 ("day (dd)", {"d"}))
        if not names & set(found)
    ]  # fmt: skip
    parts = [match[0] for match in _PART.finditer(pattern)]
    if not {"HH", "H", "hh", "h"} & set(parts):
        lacking.append("hour (HH)")
    if {"hh", "h"} & set(parts) and "a" not in parts:
        lacking.append("half of the day (a) beside hh")
    return f"the pattern has no {', no '.join(lacking)}" if lacking else None


def _expression(pattern: str) -> re.Pattern[str]:
    matched = ""
    at = 0
    for part in _PART.finditer(pattern):
        if part.start() != at:
            raise ValueError(f"the quote at character {at + 1} is not closed")
        at = part.end()
        text = part[0]
        if text.startswith("'"):
            matched += re.escape(text[1:-1].replace("''", "'") or "'")
        elif text in _LETTERS:
            matched += _LETTERS[text]
        elif text == "S" * len(text) and len(text) <= 9:
            matched += rf"\d{{{len(text)}}}"
        elif text.isalpha() and text.isascii():
            raise ValueError(
                f"{text!r} is not known in a time pattern; expected {', '.join(_LETTERS)}, S to "
                "SSSSSSSSS, or text in single quotes, for example yyyy-MM-dd HH:mm:ss; or unix "
                "or unix_ms"
            )
        else:
            matched += re.escape(text)
    if at != len(pattern):
        raise ValueError(f"the quote at character {at + 1} is not closed")
    return re.compile(matched)


def day_reader(time_format: str | None, timezone: str) -> Callable[[str], date | None]:
    """A function from the text of a time to its day in that zone; None for what is no time."""
    zone = ZoneInfo(timezone)
    if time_format in UNIX:
        scale = UNIX[time_format]

        def read(text: str) -> date | None:
            try:
                seconds = float(text) / scale
            except ValueError:
                return None
            known = 0 <= seconds <= UNIX_MOST
            return datetime.fromtimestamp(seconds, zone).date() if known else None

    elif time_format is None:
        wall, instant = re.compile(ISO, re.ASCII), re.compile(ISO_OFFSET, re.ASCII)

        def read(text: str) -> date | None:
            try:
                if wall.fullmatch(text):
                    year, month, day = re.split("[T ]", text)[0].split("-")
                    return date(int(year), int(month), int(day))
                if instant.fullmatch(text):
                    return datetime.fromisoformat(_whole(text)).astimezone(zone).date()
            except ValueError:  # a month 13
                pass
            return None

    else:
        pattern = _expression(time_format)

        def read(text: str) -> date | None:
            found = pattern.fullmatch(text)
            if not found:
                return None
            parts = found.groupdict()
            year = int(parts["y"]) if parts.get("y") else 2000 + int(parts["yy"])
            try:
                return date(year, int(parts["m"]), int(parts["d"]))
            except ValueError:
                return None

    # A time stands in as many lines as there are links.
    return lru_cache(maxsize=1 << 16)(read)


def _whole(text: str) -> str:
    """ISO text with an offset as `datetime.fromisoformat` of every Python reads it."""
    clean = text.replace(" Z", "Z").replace("Z", "+00:00")
    head, sign, offset = re.split(r" ?([+-])(?=\d{2}(?::?\d{2})?$)", clean)
    main, _, fraction = head.partition(".")
    offset = offset.replace(":", "").ljust(4, "0")
    return f"{main}.{fraction[:6].ljust(6, '0')}{sign}{offset[:2]}:{offset[2:]}"
