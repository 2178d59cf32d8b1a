"""The keys of a declared dataset: what `conf/datasets/<name>.yml` may say under `table`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from luigi_traffic.api.columns import MEASURES
from luigi_traffic.api.dataset import DatasetSettings, SettingStage, setting
from luigi_traffic.api.http_answer import UnknownLength
from luigi_traffic.api.source import Packing
from luigi_traffic.yaml_dataset.expected import Expected
from luigi_traffic.yaml_dataset.graph_settings import Graph
from luigi_traffic.yaml_dataset.times import Moment
from luigi_traffic.yaml_dataset.values import (
    ColumnRef,
    ColumnRefs,
    Delimiter,
    Duration,
    Encoding,
    Interval,
    Missing,
    Section,
    SpeedRange,
    Template,
    TimeZone,
    UrlTemplate,
)

#: What means that nothing was measured, if the table does not say it.
MISSING = ("", "nan")
#: Units of measures, if the table does not say them.
UNITS = {"flow": "veh/h", "occupancy": "%", "travel_time": "s", "density": "veh/km"}
#: A further column of numbers; names of gold's own columns are refused.
ExtraName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class Columns(Section):
    """Which column of the file means what: by its name in the header, or by its position."""

    timestamp: ColumnRef = Field(None, description="Column of the time; or give `date` and `time`")
    date: ColumnRef = Field(
        None, description="Column of the day, if it is separate from the time of day"
    )
    time: ColumnRef = Field(
        None, description="Column of the time of day, if it is separate from the day"
    )
    link_id: ColumnRefs = Field(
        None,
        description="Column of the road link or sensor, text in any script; or a list of columns",
    )
    speed: ColumnRef = Field(None, description="Column of the speed")
    flow: ColumnRef = Field(None, description="Column of the number of vehicles")
    occupancy: ColumnRef = Field(
        None, description="Column of the share of time that a detector is occupied"
    )
    travel_time: ColumnRef = Field(None, description="Column of the time that the link takes")
    density: ColumnRef = Field(None, description="Column of the vehicles on a length of road")
    extra: dict[ExtraName, ColumnRef] = Field(
        {}, description="Further columns of numbers: name → column"
    )

    def by_role(self) -> dict[str, Any]:
        """Meaning → column, of those that are named, extra columns by their own names."""
        times = {k: getattr(self, k) for k in ("timestamp", "date", "time")}
        links = dict(zip(self.link_parts, self._links, strict=True))
        values = {k: getattr(self, k) for k in self.measures}
        return {k: v for k, v in times.items() if v is not None} | links | values | self.extra

    @property
    def _links(self) -> list[Any]:
        several = isinstance(self.link_id, list)
        return self.link_id if several else [] if self.link_id is None else [self.link_id]

    @property
    def link_parts(self) -> list[str]:
        """The columns that say which link, in the order in which their texts are joined."""
        return [f"link_id_{n}" if n > 1 else "link_id" for n in range(1, len(self._links) + 1)]

    @property
    def moment(self) -> list[str]:
        """The columns that say when, in the order in which their texts are joined."""
        return ["timestamp"] if self.timestamp is not None else ["date", "time"]

    @property
    def measures(self) -> list[str]:
        """What is measured, in order."""
        return [name for name in MEASURES if getattr(self, name) is not None]

    @property
    def numbers(self) -> list[str]:
        """All columns of numbers, in order."""
        return [*self.measures, *self.extra]


class Wide(Section):
    """A table with a column a time of day, or a column a link, in place of a row each."""

    by: Literal["time", "link"] = Field(
        description="What the names of the columns say: the time of day, or the link"
    )
    measure: Literal["speed", "flow", "occupancy", "travel_time", "density"] = Field(
        description="What the values are"
    )
    numbered: bool = Field(
        False,
        description="Whether the columns are the intervals of a day in order, whatever their names",
    )
    first: ColumnRef = Field(
        None, description="First of these columns; empty: the first that `columns` does not name"
    )
    last: ColumnRef = Field(
        None, description="Last of these columns; empty: the last that `columns` does not name"
    )


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
        description="Packing of the file: zip, gzip or none; empty: by its name",
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
    format: Literal["csv", "parquet", "xlsx"] = setting(
        "csv", stage="bronze", description="Format of the file"
    )
    sheet: Annotated[str, StringConstraints(min_length=1)] | None = setting(
        None, stage="raw", description="Name of the worksheet (xlsx); empty: the first"
    )
    header: bool = setting(
        True, stage="bronze", description="Whether the first line names the columns (csv, xlsx)"
    )
    delimiter: Delimiter = setting(
        ",", stage="bronze", description="Delimiter between the fields (csv)"
    )
    decimal: Literal[".", ","] = setting(
        ".", stage="bronze", description="Decimal mark of numbers (csv)"
    )
    encoding: Encoding = setting("utf-8", stage="raw", description="Encoding of the text (csv)")
    columns: Columns = setting(..., stage="bronze", description="Meaning of each column")
    wide: Wide | None = setting(
        None, stage="raw", description="Columns that each hold a time of day, or a link; csv"
    )
    time_format: str | None = setting(
        None,
        stage="bronze",
        description="Format of the time: a pattern, unix or unix_ms; empty: ISO 8601",
    )
    time_unit: Literal["seconds", "minutes", "hours"] | None = setting(
        None,
        stage="bronze",
        description="Unit of `time` if it is a number since midnight; empty: it is a text",
    )
    stamp: Literal["start", "end"] = setting(
        "start",
        stage="bronze",
        description="Whether a time is the start or the end of a row's interval",
    )
    interval: Interval = setting(
        ..., stage=None, description="Step of the time grid"  # silver's recipe has it by itself
    )  # fmt: skip
    expected: Expected | None = setting(
        None,
        stage=None,
        description="Times of a day at which each link should report; empty: not stated",
    )
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
    missing: Missing = setting(
        list(MISSING),
        stage="bronze",
        description="Values that mean that nothing was measured: of all columns, or by column",
    )
    units: dict[Literal["flow", "occupancy", "travel_time", "density"], str] = setting(
        {}, stage="bronze", description="Unit of each measure other than speed"
    )
    target: Literal["speed", "flow", "occupancy", "travel_time", "density"] | None = setting(
        # No stage: gold's recipe has the target.
        None, stage=None, description="Measure that is forecast; empty: the first of the table's"
    )  # fmt: skip
    aggregate: dict[str, Literal["mean", "sum"]] = setting(
        {},
        stage="silver",
        description="Rows of an interval as their mean or their sum, by column; others: mean",
    )
    graph: Graph | None = setting(
        # No stage: gold's recipe has the checksum of the graph that comes out of it.
        None, stage=None, description="The road graph; empty: none"
    )  # fmt: skip

    @property
    def measures(self) -> dict[str, str]:
        """What is measured, and the unit of each."""
        units = UNITS | {"speed": self.speed_unit} | self.units
        return {name: units[name] for name in self.long.columns.measures}

    def missing_in(self, column: str) -> list[str]:
        """What means in that column that nothing was measured."""
        found: list[str] = (
            self.missing.get(column, list(MISSING))
            if isinstance(self.missing, dict)
            else self.missing
        )
        return found

    @property
    def moment(self) -> Moment:
        """How a row says when it was observed."""
        return Moment(self.time_format, self.timezone, self.time_unit, self.stamp == "end")

    @property
    def long(self) -> Table:
        """The table with a row a value: what `wide` is turned into, see `yaml_dataset.wide`."""
        if self.wide is None:
            return self
        columns = self.columns
        named = {role: role for role in ("timestamp", "date", "time", *columns.extra)
                 if role in columns.by_role()}  # fmt: skip
        extra = {name: named.pop(name) for name in columns.extra}
        named |= {"time" if self.wide.by == "time" else "link_id": self.wide.by}
        named |= {self.wide.measure: self.wide.measure}
        links = {} if self.wide.by == "link" else {"link_id": columns.link_parts}
        return self.model_copy(
            update={
                "wide": None,
                "header": True,
                "delimiter": ",",
                "columns": Columns(**named, **links, extra=extra),
            }
        )

    @property
    def names_columns(self) -> bool:
        """Whether the first line of its text names the columns."""
        return self.header or self.format == "parquet"

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
