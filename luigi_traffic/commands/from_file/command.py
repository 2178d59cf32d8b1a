"""Look at a file, and write conf/datasets/<name>.yml with what is seen and what is not."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from luigi_traffic.commands.from_file import moments, roles
from luigi_traffic.commands.from_file.opened import Opened, opened
from luigi_traffic.commands.new import check_name, refuse_what_is_taken
from luigi_traffic.commands.output import table, text
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import Project
from luigi_traffic.settings.reading import Layers
from luigi_traffic.yaml_dataset.loading import declared

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_SHOWN_ROWS = 5
#: The end of a day, as hour 24 of it.
_HOUR_24 = re.compile(r"(?:^|[ T])24(:?00){0,2}$")
_FASTEST = {"km/h": 150, "mph": 100, "m/s": 45}


@dataclass
class Seen:
    """What is written: key of `table` → value; `doubts` are its comments, `todo` what is open."""

    table: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    todo: list[str] = field(default_factory=list)
    first: date | None = None


@dataclass(frozen=True)
class Written:
    """The file that was written, what was seen, and why it does not load if it does not."""

    name: str
    file: Path
    seen: Seen
    sample: pd.DataFrame
    problem: str | None


def write(project: Project, name: str, source: Path) -> Written:
    """Look at `source` and write the settings of the dataset `name`.

    Raises `SettingsError` for a name that does not do, a file that is there, or no table;
    `PluginError` for a name that is taken; `SourceError` for what cannot be unpacked.
    """
    check_name("dataset", name)
    folder = project.conf / "datasets"
    for suffix in (".yml", ".yaml"):
        if (there := folder / f"{name}{suffix}").exists():
            raise SettingsError(
                f"{there} exists, and nothing is overwritten. Choose another name, or move it away"
            )
    refuse_what_is_taken("dataset", name, project.plugins)
    found = opened(source)
    seen = look(found)
    content = "".join(f"{line}\n" for line in _lines(seen, source))
    file = folder / f"{name}.yml"
    folder.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as new:
        new.write(content)
    return Written(name, file, seen, _sample(found, seen), _problem(name, file))


def look(found: Opened) -> Seen:
    """What the columns of an opened file mean."""
    seen, rows = Seen(doubts=dict(found.notes)), found.rows
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
    marks = roles.missing_of(rows, list(measures.values()), decimal)
    if marks:
        seen.table["missing"] = ["", "nan", *marks]
        seen.doubts["missing"] = "each of them stands for: nothing was measured. Is it so?"
    seen.table["glob"] = _template(found.path, seen, moments.days_of(t for t in times if t))
    return seen


def _ref(name: str, found: Opened) -> str | int:
    return name if found.header else int(name)


def _file(found: Opened, seen: Seen, decimal: str) -> None:
    """How the text is written; what is the default is left out."""
    if found.packing == "parquet":
        seen.table["format"] = "parquet"
        return
    if not found.header:
        seen.table["header"] = False
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


def _lines(seen: Seen, source: Path) -> Iterator[str]:
    yield f"# Written by luigi-traffic new dataset --from {source}. Every key: docs/yaml-dataset.md"
    yield from (f"# TODO: {what}" for what in seen.todo)
    if "columns" in seen.doubts:
        yield f"# {seen.doubts['columns']}"
    yield "table:"
    order = ("glob", "format", "header", "delimiter", "decimal", "encoding")
    yield from _keys(seen, [key for key in order if key in seen.table])
    yield "  columns:"
    for key, column in seen.columns.items():
        yield f"    {key}: {_value(column)}{_comment(seen.doubts.get(key))}"
    yield from _keys(seen, [key for key in seen.table if key not in order])


def _keys(seen: Seen, keys: list[str]) -> Iterator[str]:
    for key in keys:
        yield f"  {key}: {_value(seen.table[key])}{_comment(seen.doubts.get(key))}"


def _comment(doubt: str | None) -> str:
    return f"  # {doubt}" if doubt else ""


def _value(value: Any) -> str:
    shown = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return shown.removesuffix("\n").removesuffix("\n...")


def _problem(name: str, file: Path) -> str | None:
    """Why the written file does not load."""
    layers = Layers()
    try:
        layers.lay_file(file, ("datasets", name))
        declared(name, layers.values["datasets"][name], layers)
    except SettingsError as e:
        return str(e).partition("\n  looked in")[0]
    return None


def _sample(found: Opened, seen: Seen) -> pd.DataFrame:
    """The first rows under the names of their meanings."""
    names = {str(column): role for role, column in seen.columns.items()}
    return found.rows.loc[: _SHOWN_ROWS - 1, list(names)].rename(columns=names)


def draw(made: Written, console: Console) -> None:
    """What was recognised, the first rows, what is open, and what comes next."""
    shown = table("key", "value", "to check")
    seen = made.seen
    for key, value in itertools.chain(
        ((f"columns.{k}", v) for k, v in seen.columns.items()), seen.table.items()
    ):
        doubt = seen.doubts.get(key.removeprefix("columns."), "")
        shown.add_row(text(key), text(_value(value)), text(doubt, "yellow"))
    console.print(text(f"wrote {made.file}"), soft_wrap=True)
    console.print(shown)
    rows = table(*made.sample.columns)
    for row in made.sample.itertuples(index=False):
        rows.add_row(*map(text, row))
    console.print(text("\nThe first rows as they are read:"))
    console.print(rows)
    for what in seen.todo:
        console.print(text(f"open: {what}", "yellow"), soft_wrap=True)
    day = f" --date {seen.first}" if seen.first else ""
    console.print("\nCheck the marked values in the file. Then make one day of it:")
    console.print(
        text(
            f"  luigi --module luigi_traffic.run Silver --dataset {made.name}{day} "
            "--local-scheduler",
            "bold",
        ),
        soft_wrap=True,
    )
