"""What is wrong across the keys of a declared table: each alone is right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from luigi_traffic.api.columns import MEASURES, RESERVED
from luigi_traffic.api.dataset import slots_of_a_day
from luigi_traffic.errors import did_you_mean
from luigi_traffic.yaml_dataset.expected import slot_problems
from luigi_traffic.yaml_dataset.graph_settings import GRAPH_FILES, Graph
from luigi_traffic.yaml_dataset.settings import Table
from luigi_traffic.yaml_dataset.times import UNIX, pattern_problem

#: Keys that say how text is written.
OF_CSV = ("header", "delimiter", "decimal", "encoding", "packing", "members")
Problem = tuple[str, str]


def problems(table: Table) -> Iterator[Problem]:
    """(dotted key below `table`, what is wrong and what was expected) across the keys."""
    given = table.model_fields_set
    if table.url_template is None and table.glob is None:
        yield "", "neither `url_template` nor `glob` is given: one of them must name the files"
    if table.url_template is not None and table.glob is not None:
        yield "glob", "`url_template` is given too; expected only one of the two"
    if table.absent_when and table.url_template is None:
        yield "absent_when", "expected only with url_template"
    if table.members is not None and table.packing not in (None, "zip"):
        yield "members", f"the packing is {table.packing}; expected only with packing: zip"
    if table.format == "csv" and table.packing in ("parquet", "xlsx"):
        yield (
            "packing",
            f"the format is csv; expected zip, gzip or none, or format: {table.packing}",
        )
    for key in OF_CSV if table.format != "csv" else ():
        if key in given and (key, table.format) != ("header", "xlsx"):
            what = "a Parquet file" if table.format == "parquet" else "an Excel workbook"
            yield key, f"{what} has none; expected only with format: csv"
    if table.sheet is not None and table.format != "xlsx":
        yield "sheet", "expected only with format: xlsx"
    yield from _wide_problems(table)
    yield from _time_problems(table)
    yield from _column_problems(table)
    if table.expected is not None:
        yield from slot_problems(table.expected, slots_of_a_day(table.interval))
    if table.graph is not None:
        yield from _graph_problems(table.graph)


def _time_problems(table: Table) -> Iterator[Problem]:
    """Of the columns that say when, once `wide` has given its own."""
    columns = table.long.columns
    parts = [name for name in ("date", "time") if getattr(columns, name) is not None]
    if columns.timestamp is not None and parts:
        yield f"columns.{parts[0]}", "`timestamp` is given too; expected it, or `date` and `time`"
    elif columns.timestamp is None and len(parts) == 1:
        other = "time" if parts == ["date"] else "date"
        yield f"columns.{parts[0]}", f"`{other}` is missing; expected `date` and `time` together"
    elif columns.timestamp is None and not parts:
        yield "columns", "the time is missing; expected `timestamp`, or `date` and `time`"
    if table.time_unit is not None and columns.timestamp is not None:
        yield "time_unit", "it is the unit of `time`; expected the columns `date` and `time`"
    if table.time_format is None:
        return
    if problem := pattern_problem(table.time_format, table.time_unit):
        yield "time_format", problem
    elif len(parts) == 2 and table.time_format in UNIX:
        yield "time_format", "date and time are two columns; expected a pattern for both, joined"


def _wide_problems(table: Table) -> Iterator[Problem]:
    wide, columns = table.wide, table.columns
    if wide is None:
        return
    if table.format == "parquet" or not table.header:
        yield (
            "wide",
            "the names of the columns are needed; expected csv or xlsx with a header",
        )
    if wide.numbered and wide.by != "time":
        yield "wide.numbered", "the intervals of a day are numbered; expected only with by: time"
    if wide.numbered and table.interval % timedelta(minutes=1):
        yield "wide.numbered", "expected an interval of whole minutes"
    given = {"time": columns.time or columns.timestamp, "link": columns.link_id}[wide.by]
    if given is not None:
        key = "link_id" if wide.by == "link" else "time" if columns.time else "timestamp"
        hint = "; expected `date` alone" if wide.by == "time" else ""
        yield f"columns.{key}", f"the names of the wide columns say it{hint}"
    for measure in columns.measures:
        yield f"columns.{measure}", f"the wide columns are the values: {wide.measure}"


def _column_problems(table: Table) -> Iterator[Problem]:
    columns = table.columns
    if columns.link_id is None and table.long.columns.link_id is None:
        yield "columns", "`link_id` is missing; expected the column that says which link"
    numbers = table.long.columns.numbers
    if not table.long.columns.measures:
        yield "columns", f"nothing is measured; expected one of {', '.join(MEASURES)}"
    for key, names in (("missing", table.missing), ("aggregate", table.aggregate)):
        for name in names if isinstance(names, dict) else ():
            if name not in numbers:
                hint = did_you_mean(name, numbers)
                yield (
                    f"{key}.{name}",
                    f"no such column; expected one of {', '.join(numbers)}.{hint}",
                )
    if table.target is not None and table.target not in table.measures:
        yield "target", f"it is not measured; expected one of {', '.join(table.measures)}"
    by_name = table.names_columns
    seen: dict[Any, str] = {}
    for role, column in columns.by_role().items():
        key = f"columns.extra.{role}" if role in columns.extra else f"columns.{role}"
        if role in columns.extra and role in {*RESERVED, "date", "time"}:
            yield key, "a column with that name already exists; expected another name"
        if by_name and not isinstance(column, str):
            yield (
                key,
                (
                    f"{column} is a position, but the file names its columns; expected a name (in "
                    "quotes if it is a number), or header: false"
                ),
            )
        elif not by_name and not str(column).isdecimal():
            yield key, f"{column!r} is a name, but header is false; expected a position from 0"
        elif column in seen:
            yield key, f"column {column!r} is {seen[column]} already"
        seen.setdefault(column, role)


def _graph_problems(graph: Graph) -> Iterator[Problem]:
    named = graph.named
    if len(named) != 1:
        said = f"it names {' and '.join(named) or 'no file'}"
        yield "graph", f"{said}; expected exactly one of {', '.join(GRAPH_FILES)}"
        return
    columns = graph.columns
    if "u_turns" in graph.model_fields_set and graph.node_link_csv is None:
        yield "graph.u_turns", "expected only with node_link_csv: the other files name the edges"
    if graph.min_weight is not None and graph.node_link_csv is not None:
        yield "graph.min_weight", "a node-link table has no weights; expected another kind of file"
    if graph.min_weight is not None and graph.edges_csv is not None and columns.weight is None:
        yield "graph.min_weight", "expected `weight` under `columns`, the column that contains it"
    if graph.edges_csv is not None and not graph.header:
        for name in ("upstream", "downstream", "weight"):
            column = getattr(columns, name)
            if column is not None and not str(column).isdecimal():
                yield (
                    f"graph.columns.{name}",
                    f"{column!r} is a name, but header is false; expected a position from 0",
                )
