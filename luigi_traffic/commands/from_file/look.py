"""What the columns of a file mean: keys of a table in YAML, with doubts and open questions."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.from_file import moments, roles
from luigi_traffic.commands.from_file.opened import Opened
from luigi_traffic.commands.from_file.wide import find_wide
from luigi_traffic.yaml_dataset.settings import UNITS

if TYPE_CHECKING:
    import pandas as pd

_SHOWN_ROWS = 5
#: The end of a day, as hour 24 of it.
_HOUR_24 = re.compile(r"(?:^|[ T])24(:?00){0,2}시?$")
_FASTEST = {"km/h": 150, "mph": 100, "m/s": 45}


@dataclass
class Seen:
    """What is written: key of `table` → value; `doubts` are its comments, `todo` what is open.

    sample  the first rows under the names of their meanings, as they are read
    """

    sample: pd.DataFrame

    table: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    todo: list[str] = field(default_factory=list)
    first: date | None = None


def look(found: Opened) -> Seen:
    """What the columns of an opened file mean."""
    wide = find_wide(found)
    if wide is None:
        return _look(found)
    seen = _look(wide.long(found))
    for key in ("time" if wide.by == "time" else "link_id", wide.measure):
        seen.columns.pop(key, None)
        if doubt := seen.doubts.pop(key, None):
            seen.todo.append(f"wide: {doubt.removeprefix('TODO: ')}")
    seen.table["wide"] = wide.key
    seen.doubts["wide"] = wide.guessed
    return seen


def _look(found: Opened) -> Seen:
    """Of a table with a row a value."""
    rows = found.rows
    seen = Seen(rows.head(_SHOWN_ROWS), doubts=dict(found.notes))
    likely = roles.named(found.names if found.header else [])
    moment = moments.find_moment(rows, likely)
    taken = set(moment.columns) if moment else set()
    decimal = roles.decimal_of(rows, found.delimiter)
    measures = roles.find_measures(rows, likely, taken, decimal)
    link = roles.find_link(rows, likely["link_id"], taken | set(measures.values()))
    _file(found, seen, decimal)
    times = _time(seen, moment, found)
    seen.columns |= {"link_id": _ref(link[0], found)} if link else {}
    if link is None:
        seen.todo.append("columns.link_id: which column is the link or sensor?")
    elif not link[1]:
        seen.doubts["link_id"] = "by its values; check it"
    seen.columns |= {measure: _ref(column, found) for measure, column in measures.items()}
    if not measures:
        seen.todo.append("columns.speed (or flow, …): which column has the values?")
    if seen.todo:
        free = [n for n in found.names if _ref(n, found) not in seen.columns.values()]
        seen.doubts["columns"] = f"columns without a meaning yet: {', '.join(map(str, free))}"
    _grid(seen, times, list(rows[link[0]]) if link else [""] * len(rows))
    if "speed" in measures:
        _speed(seen, measures["speed"], rows, decimal)
    for measure, unit in UNITS.items():
        if measure in measures and measure in ("travel_time", "density"):
            seen.doubts[measure] = f"in {unit}? If not, say it: units: {{{measure}: …}}"
    marks = roles.missing_of(rows, list(measures.values()), decimal)
    if marks:
        seen.table["missing"] = ["", "nan", *marks]
        seen.doubts["missing"] = "each of them stands for: nothing was measured. Is it so?"
    seen.table["glob"] = _template(found.path, seen, moments.days_of(t for t in times if t))
    names = {str(column): role for role, column in seen.columns.items()}
    seen.sample = seen.sample[list(names)].rename(columns=names)
    return seen


def _ref(name: str, found: Opened) -> str | int:
    return name if found.header else int(name)


def _file(found: Opened, seen: Seen, decimal: str) -> None:
    """How the text is written; what is the default is left out."""
    if found.packing in ("parquet", "xlsx"):
        seen.table["format"] = found.packing
    if found.packing == "xlsx":
        seen.doubts["format"] = "the first worksheet; name another one by the key sheet"
    if not found.header:
        seen.table["header"] = False
    if "format" in seen.table:
        return
    if found.delimiter != ",":
        seen.table["delimiter"] = "tab" if found.delimiter == "\t" else found.delimiter
    if decimal != ".":
        seen.table["decimal"] = decimal
    if found.encoding != "utf-8":
        seen.table["encoding"] = found.encoding


def _time(seen: Seen, moment: moments.Moment | None, found: Opened) -> list[datetime | None]:
    if moment is None:
        seen.todo.append(
            "columns.timestamp (or columns.date and columns.time), and time_format: which column "
            "says when?"
        )
        return [None] * len(found.rows)
    keys = ("timestamp",) if len(moment.columns) == 1 else ("date", "time")
    seen.columns |= {k: _ref(c, found) for k, c in zip(keys, moment.columns, strict=True)}
    if moment.pattern is not None:
        seen.table["time_format"] = moment.pattern
    if moment.others:
        seen.doubts["time_format"] = f"or {' or '.join(moment.others)}: the rows fit both"
    texts = moments.joined(found.rows, moment.columns)
    times = [moments.moment_of(value, moment.pattern) for value in texts]
    if any(_HOUR_24.search(text) for text in texts):
        seen.table["stamp"] = "end"
        seen.doubts["stamp"] = "it has an hour 24: a time is taken for the end of its interval"
    wrong = [text for text, time in zip(texts, times, strict=True) if time is None]
    if wrong or moment.share < 1:
        share = max(len(wrong) / len(texts), 1 - moment.share)
        example = f", for example {wrong[0]!r}" if wrong else ""
        seen.doubts[keys[-1]] = f"TODO: {share:.1%} of the times do not fit{example}"
    return times


def _grid(seen: Seen, times: list[datetime | None], links: list[str]) -> None:
    pairs = [(t, link) for t, link in zip(times, links, strict=True) if t is not None]
    step = moments.step_of([t for t, _ in pairs], [link for _, link in pairs])
    if step is None:
        seen.doubts["interval"] = "TODO: a guess; how often does a link have a row?"
    elif step < timedelta(minutes=1):
        seen.doubts["interval"] = f"the rows of a link come every {step}: they are averaged"
    if step is None or step < timedelta(minutes=1):
        step = timedelta(minutes=5)
    minutes = step // timedelta(minutes=1)
    seen.table["interval"] = f"{minutes} min" if minutes % 60 else f"{minutes // 60} h"
    korean = any(ord(sign) > 0xABFF for key in seen.columns.values() for sign in str(key))
    zone = "Asia/Seoul" if korean or seen.table.get("encoding") == "cp949" else "UTC"
    seen.table["timezone"] = zone
    seen.doubts["timezone"] = (
        "TODO: the file does not say it; the zone of its wall time, for example Asia/Seoul, "
        "Europe/Berlin, America/Los_Angeles"
    )


def _speed(seen: Seen, column: str, rows: pd.DataFrame, decimal: str) -> None:
    said = (unit for unit, r in roles.UNITS.items() if r.search(column))
    unit = next(said, None)
    seen.table["speed_unit"] = unit or "km/h"
    if unit is None:
        seen.doubts["speed_unit"] = "TODO: the file does not say it; km/h, mph or m/s"
    high = _FASTEST[unit or "km/h"]
    seen.table["speed_range"] = [0, high]
    speeds = roles.numbers(rows[column], decimal)
    above, zero = (speeds > high).mean(), (speeds == 0).mean()
    if above > 0.001:
        seen.doubts["speed_range"] = (
            f"TODO: {above:.1%} of the speeds are above {high}: another unit, or faults?"
        )
    elif zero > 0.05:
        seen.doubts["speed_range"] = (
            f"{zero:.1%} of the speeds are 0: if that means that nothing passed, add 0 to missing"
        )


def _template(path: Path, seen: Seen, days: list[date]) -> str:
    """The path with the placeholders of the day in its name."""
    parts = [part.replace("{", "{{").replace("}", "}}") for part in path.parts]
    parts[-1] = glob.escape(parts[-1])
    seen.first = days[0] if days else None
    name = parts[-1]
    for day in days[:1]:
        for form, placed in (
            ("%Y%m%d", "{date}"), ("%Y-%m-%d", "{year}-{month}-{day}"),
            ("%Y_%m_%d", "{year}_{month}_{day}"), ("%Y%m", "{year}{month}"),
            ("%Y-%m", "{year}-{month}"), ("%Y_%m", "{year}_{month}"), ("%Y", "{year}"),
        ):  # fmt: skip
            if f"{day:{form}}" in name:
                parts[-1] = name.replace(f"{day:{form}}", placed)
                break
        whole = {f"{day:%Y}": "{year}", f"{day:%m}": "{month}", f"{day:%Y%m%d}": "{date}"}
        parts[:-1] = [whole.get(part, part) for part in parts[:-1]]
    made = str(Path(*parts))
    if "{day}" not in made and "{date}" not in made:
        seen.doubts["glob"] = "its name has no day, so it is taken for a file of many days"
    elif len(days) > 1:
        seen.doubts["glob"] = f"TODO: it has rows of {len(days)} days, though its name has one"
    return made
