"""The keys of a declared dataset: what `conf/datasets/<name>.yml` may say under `table`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from luigi_traffic.api.columns import RESERVED
from luigi_traffic.api.dataset import DatasetSettings, SettingStage, setting
from luigi_traffic.api.http_answer import UnknownLength
from luigi_traffic.api.source import Packing
from luigi_traffic.yaml_dataset.values import (
    ColumnRef,
    Delimiter,
    Duration,
    Encoding,
    Interval,
    SpeedRange,
    Template,
    TimeFormat,
    TimeZone,
    UrlTemplate,
)

#: A further column of numbers; names of gold's own columns are refused.
ExtraName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
GRAPH_FILES = ("edges_csv", "node_link_csv", "adjacency_csv")


class Section(BaseModel):
    """Base of the sections: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Columns(Section):
    """Which column of the file means what: by its name in the header, or by its position."""

    timestamp: ColumnRef = Field(None, description="Column of the time; or give `date` and `time`")
    date: ColumnRef = Field(
        None, description="Column of the day, if it is separate from the time of day"
    )
    time: ColumnRef = Field(
        None, description="Column of the time of day, if it is separate from the day"
    )
    link_id: ColumnRef = Field(description="Column of the road link or sensor, text in any script")
    speed: ColumnRef = Field(description="Column of the speed, in `speed_unit`")
    flow: ColumnRef = Field(
        None, description="Column of the number of vehicles; it is averaged, so give a rate"
    )
    occupancy: ColumnRef = Field(
        None, description="Column of the share of time that a detector is occupied"
    )
    extra: dict[ExtraName, ColumnRef] = Field(
        {}, description="Further columns of numbers: name → column"
    )

    def by_role(self) -> dict[str, Any]:
        """Meaning → column, of those that are named, extra columns by their own names."""
        named = {k: v for k, v in self if k != "extra" and v is not None}
        return named | self.extra

    @property
    def moment(self) -> list[str]:
        """The columns that say when, in the order in which their texts are joined."""
        return ["timestamp"] if self.timestamp is not None else ["date", "time"]

    @property
    def numbers(self) -> list[str]:
        """The numbers besides speed, in order."""
        optional = [n for n in ("flow", "occupancy") if getattr(self, n) is not None]
        return [*optional, *self.extra]


class GraphColumns(Section):
    """Columns of the graph's file."""

    upstream: ColumnRef = Field(
        None, description="Column of the link that traffic leaves (edges_csv); empty: the first"
    )
    downstream: ColumnRef = Field(
        None, description="Column of the link that traffic enters (edges_csv); empty: the second"
    )
    weight: ColumnRef = Field(
        None, description="Column of the weight, used with `min_weight` (edges_csv)"
    )
    link_id: ColumnRef = Field("LINK_ID", description="Column of the link id (node_link_csv)")
    start: ColumnRef = Field(
        "F_NODE", description="Column of the link's start node (node_link_csv)"
    )
    end: ColumnRef = Field("T_NODE", description="Column of the link's end node (node_link_csv)")


class Graph(Section):
    """The road graph: exactly one of the three files."""

    edges_csv: Path | None = Field(
        None, description="CSV file with one row per edge: upstream, downstream"
    )
    node_link_csv: Path | None = Field(
        None, description="CSV file with one row per link: its id, start node, end node"
    )
    adjacency_csv: Path | None = Field(
        None,
        description=(
            "CSV file with a matrix, link ids in first row and column; rows flow into columns"
        ),
    )
    columns: GraphColumns = Field(GraphColumns(), description="Columns of the graph's file")
    header: bool = Field(True, description="Whether the first line is a header (edges_csv)")
    min_weight: float | None = Field(
        None, description="Smallest weight that makes an edge; empty: every weight but 0"
    )
    u_turns: bool = Field(
        False,
        description="Whether the other direction of a two-way road is a neighbour (node_link_csv)",
    )
    delimiter: Delimiter = Field(",", description="Delimiter between the fields")
    encoding: Encoding = Field("utf-8", description="Encoding of the file")

    @property
    def named(self) -> list[str]:
        """The keys of the files that are named."""
        return [kind for kind in GRAPH_FILES if getattr(self, kind) is not None]


class Table(Section):
    """Where the table is and how it is read. Each key names the stage that its value changes."""

    url_template: UrlTemplate | None = setting(
        None, stage="raw", description="Address of a day's file: http, https or file"
    )
    glob: Template | None = setting(
        None, stage="raw", description="Path of a day's files, with * in its last part"
    )
    packing: Packing | None = setting(
        None,
        stage="raw",
        description="Packing of the file: zip, gzip, parquet or none; empty: by its name",
    )
    members: Annotated[str, StringConstraints(min_length=1)] | None = setting(
        None,
        stage="raw",
        description="Pattern of the wanted files of a ZIP, for example *.csv; empty: it has one",
    )
    timeout: float = setting(
        60.0,
        stage=None,
        gt=0,
        description="Seconds without a byte before a download is tried again",
    )
    unknown_length: UnknownLength = setting(
        "refuse",
        stage=None,
        description="Refuse or accept a text if the server does not state its length",
    )
    absent_when: list[Annotated[str, StringConstraints(min_length=1)]] = setting(
        [],
        stage=None,
        description="Texts of a short answer (up to 4 KiB) that mean that the day has no data",
    )
    format: Literal["csv", "parquet"] = setting(
        "csv", stage="bronze", description="Format of the file"
    )
    header: bool = setting(
        True, stage="bronze", description="Whether the first line names the columns (csv)"
    )
    delimiter: Delimiter = setting(
        ",", stage="bronze", description="Delimiter between the fields (csv)"
    )
    decimal: Literal[".", ","] = setting(
        ".", stage="bronze", description="Decimal mark of numbers (csv)"
    )
    encoding: Encoding = setting("utf-8", stage="raw", description="Encoding of the text (csv)")
    columns: Columns = setting(..., stage="bronze", description="Meaning of each column")
    time_format: TimeFormat | None = setting(
        None,
        stage="bronze",
        description="Format of the time: a pattern, unix or unix_ms; empty: ISO 8601",
    )
    interval: Interval = setting(
        ..., stage=None, description="Step of the time grid"  # silver's recipe has it by itself
    )  # fmt: skip
    timezone: TimeZone = setting(..., stage="bronze", description="Time zone of the wall time")
    settles_after: Duration = setting(
        timedelta(0),
        stage=None,
        description="Time after the end of a day before the source is asked for it",
    )
    speed_unit: Literal["km/h", "mph", "m/s"] = setting(
        "km/h", stage="bronze", description="Unit of the speed"
    )
    speed_range: SpeedRange = setting(
        (0.0, 150.0),
        stage="bronze",
        description="Smallest and largest plausible speed, both included",
    )
    missing: list[str] = setting(
        ["", "nan"], stage="bronze", description="Values that mean that nothing was measured"
    )
    graph: Graph | None = setting(
        # No stage: gold's recipe has the checksum of the graph that comes out of it.
        None, stage=None, description="The road graph; empty: none"
    )  # fmt: skip

    @property
    def measures(self) -> dict[str, str]:
        """What is measured, and the unit of each."""
        known = {"speed": self.speed_unit, "flow": "veh/h", "occupancy": "%"}
        named = self.columns.by_role()
        return {measure: unit for measure, unit in known.items() if measure in named}

    @property
    def many_days(self) -> bool:
        """Whether a file holds more than one day: its name has no {day} and no {date}."""
        name = self.url_template or self.glob or ""
        return "{day}" not in name and "{date}" not in name

    def stage_terms(self, stage: SettingStage) -> dict[str, Any]:
        """The values that belong to that stage, as JSON values."""
        fields = type(self).model_fields
        wanted = {
            name for name, field in fields.items()
            if isinstance(field.json_schema_extra, dict)
            and field.json_schema_extra.get("stage") == stage
        }  # fmt: skip
        return self.model_dump(mode="json", include=wanted)


class DeclaredSettings(DatasetSettings):
    """Settings of a dataset that has no Python: `table`, and what every dataset has."""

    table: Table = setting(..., stage=None, description="the table, its columns, its graph")


def problems(table: Table) -> Iterator[tuple[str, str]]:
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
    if table.format == "parquet":
        for key in ("header", "delimiter", "decimal", "encoding", "packing", "members"):
            if key in given:
                yield key, "a Parquet file has none; expected only with format: csv"
    elif table.packing == "parquet":
        yield "packing", "the format is csv; expected zip, gzip or none, or format: parquet"
    yield from _column_problems(table)
    if table.graph is not None:
        yield from _graph_problems(table.graph)


def _column_problems(table: Table) -> Iterator[tuple[str, str]]:
    columns = table.columns
    parts = [name for name in ("date", "time") if getattr(columns, name) is not None]
    if columns.timestamp is not None and parts:
        yield f"columns.{parts[0]}", "`timestamp` is given too; expected it, or `date` and `time`"
    elif columns.timestamp is None and len(parts) == 1:
        other = "time" if parts == ["date"] else "date"
        yield f"columns.{parts[0]}", f"`{other}` is missing; expected `date` and `time` together"
    elif columns.timestamp is None and not parts:
        yield "columns", "the time is missing; expected `timestamp`, or `date` and `time`"
    if len(parts) == 2 and table.time_format in ("unix", "unix_ms"):
        yield "time_format", "date and time are two columns; expected a pattern for both, joined"
    by_name = table.header or table.format == "parquet"
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


def _graph_problems(graph: Graph) -> Iterator[tuple[str, str]]:
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
