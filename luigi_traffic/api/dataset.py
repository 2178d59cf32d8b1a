"""The contract of a dataset plugin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from luigi_traffic.api import clock
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.api.live import LiveSource
from luigi_traffic.api.raw_archive import RawArchive
from luigi_traffic.api.scope import LinkCell, Scope
from luigi_traffic.api.source import Source
from luigi_traffic.api.stages import LAKE_STAGES
from luigi_traffic.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: Stages whose recipe a setting of a dataset may belong to.
SettingStage = Literal["raw", "bronze", "silver", "gold"]

#: A `reject_reason` of bronze for rows that say "nothing was measured". They are
#: counted and kept like any rejected row, but not held against `max_rejected_share`.
NO_OBSERVATION = "no observation"


def setting(
    default: Any,
    *,
    stage: SettingStage | None,
    description: str,
    unordered: bool = False,
    **more: Any,
) -> Any:
    """A field of `Dataset.Settings` and the stage that its value changes.

    `stage="silver"`: a new value makes silver and its descendants stale, and nothing
    before. `stage="raw"`: the source's own `recipe()` or `address()` says it. `stage=None`: the
    value changes no data (a timeout, a retry count). A field declared without this helper counts
    for bronze: everything but raw becomes stale. `unordered`: of a list only what is in it
    matters, not the order or how often.
    """
    extra: dict[str, Any] = {"stage": stage, "unordered": unordered}
    return Field(default, description=description, json_schema_extra=extra, **more)


class DatasetSettings(BaseModel):
    """Settings every dataset has; a dataset's `Settings` extends it.

    Filled from `conf/datasets/<name>.yml` and `LUIGI_TRAFFIC__DATASETS__<NAME>__<KEY>`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    links: list[str] = setting(
        [],
        stage="silver",
        unordered=True,
        description="Link ids kept in silver; empty: all",
    )
    scope: Literal["all", "links"] = setting(
        "all",
        stage="bronze",
        description="Lines that bronze keeps: all, or those of `links` alone, which takes far less "
        "time and room in a large file; raw keeps all",
    )
    max_rejected_share: float = setting(
        0.2,
        stage=None,
        ge=0,
        le=1,
        description="Largest share of a day's rows that bronze may reject before the stage fails",
    )
    min_rows: int = setting(
        0,
        stage=None,
        ge=0,
        description="Smallest number of silver rows of a day before the stage fails; 0: no check",
    )
    min_coverage: float = setting(
        0.0,
        stage=None,
        ge=0,
        le=1,
        description="Smallest share of the expected values of a day (a link at an interval) before "
        "silver fails; 0: no check",
    )
    topic: str | None = setting(
        # No stage: the recipe of the announcement has the topic that comes out of it.
        None,
        stage=None,
        pattern=r"^([A-Za-z0-9._-]|\{dataset\}){1,200}$",
        description="Topic of the dataset's announcements; empty: events.topic",
    )
    lake_prefix: str | None = setting(
        None,
        stage=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*([./][A-Za-z0-9_-]+)*$",
        description="Folder of the lake for the dataset's data, but not its manifests; empty: none",
    )

    @field_validator("lake_prefix")
    @classmethod
    def _no_stage(cls, given: str | None) -> str | None:
        if given and given.partition("/")[0] in LAKE_STAGES:
            raise ValueError(
                f"{given.partition('/')[0]!r} is the folder of data without a prefix; expected "
                "another name"
            )
        return given


@dataclass(frozen=True)
class RawDay:
    """What bronze reads: the committed raw partition of one day.

    paths        text files that the engine reads, without any header line, LF or CRLF line ends,
                 UTF-8 without a byte-order mark
    archives     files that are kept as they came; `functions.lines` gives their lines as well
    header       the header line that the file began with, None where it had none
    first_line   the first data line ("" where there is none), to tell formats apart
    lines        data lines in all files together
    scope        the links whose lines `functions.lines` gives; None: it gives all lines
    """

    day: date
    paths: tuple[str, ...]
    header: str | None
    first_line: str
    lines: int
    scope: Scope | None = None
    archives: tuple[RawArchive, ...] = ()


@dataclass(frozen=True)
class Check:
    """What must hold before silver commits: an aggregate and the bounds of its value.

    Computed in the pass that writes the data; no second scan. Spark allows no DISTINCT
    there: count with `F.approx_count_distinct`.

    >>> Check("one speed above zero", F.max("speed"), low=0.1)      # doctest: +SKIP
    """

    name: str
    aggregate: Column
    low: float | None = None
    high: float | None = None

    def fails(self, value: float | None) -> str | None:
        """Why this value breaks the check, None where it holds.

        No rows, no value (a mean, a maximum): it holds. A count of no rows is 0, and fails a
        `low` above it.
        """
        if value is None:
            return None
        if self.low is not None and value < self.low:
            return f"{self.name}: {value:g} is below {self.low:g}"
        if self.high is not None and value > self.high:
            return f"{self.name}: {value:g} is above {self.high:g}"
        return None


def slots_of_a_day(interval: timedelta) -> list[time]:
    """The wall times at which the intervals of a day begin, in order."""
    midnight = datetime(2000, 1, 1)
    return [(midnight + n * interval).time() for n in range(timedelta(days=1) // interval)]


class Dataset(ABC):
    """A dataset: where its data comes from and what its columns mean.

    Subclass, set the class attributes, return the class from the hook
    `luigi_traffic_datasets`. Transforms use the DataFrame API alone (no RDD, no loop in
    the driver, no session of their own), so that they run on Spark Connect as well.
    """

    name: ClassVar[str]
    #: Part of the recipe of bronze: raise it when the meaning of a parsed row changes.
    version: ClassVar[str]
    #: Part of the recipe of raw: raise it when `header()` or the source makes other text of the
    #: same bytes.
    source_version: ClassVar[str] = "1"
    #: Part of the recipe of silver alone: raise it when only the cleaning rule changes.
    silver_version: ClassVar[str] = "1"
    #: Length of one step of the time grid; divides a day.
    interval: ClassVar[timedelta]
    #: IANA name of the zone whose wall time the timestamps are.
    timezone: ClassVar[str]
    #: What silver has of a link and interval, with the unit of each: some of `MEASURES`, at least
    #: one, for example {"speed": "km/h", "flow": "veh/h"}.
    measures: ClassVar[Mapping[str, str]] = {}
    #: The measure that is forecast, and that gold has of the links around one; empty: the first.
    target: ClassVar[str] = ""
    #: Version 1 of the API: the unit of the speed, the only measure that had to be there.
    speed_unit: ClassVar[str] = ""
    #: Measures that silver may leave out: those of version 1.
    optional_measures: ClassVar[frozenset[str]] = frozenset()
    #: How long after its end (midnight in `timezone`) a day may be asked for: what the source
    #: still adds or corrects until then would be missed.
    settles_after: ClassVar[timedelta] = timedelta(0)
    #: Further numbers that silver has for a link and interval (a temperature, a lane count):
    #: carried to gold, where models find them as channels of these names.
    extra_columns: ClassVar[tuple[str, ...]] = ()
    #: Every value that `reject_reason` may have; each is counted in the pass that writes.
    reject_reasons: ClassVar[tuple[str, ...]] = ()
    Settings: ClassVar[type[DatasetSettings]] = DatasetSettings

    def __init_subclass__(cls, **more: Any) -> None:
        """A class of version 1 says `speed_unit` alone, and may have flow and occupancy."""
        super().__init_subclass__(**more)
        if cls.speed_unit and (not cls.measures or "speed_unit" in vars(cls)):
            cls.measures = {"speed": cls.speed_unit, "flow": "", "occupancy": ""}
            cls.optional_measures = frozenset({"flow", "occupancy"})
        if cls.measures and not cls.target:
            cls.target = next(iter(cls.measures))

    def __init__(self, settings: Any) -> None:
        """`settings` is an instance of this class's `Settings`."""
        self.settings = settings

    @property
    def unit(self) -> str:
        """The unit of the measure that is forecast."""
        return self.measures[self.target]

    def measure_to_forecast(self, wanted: str | None, key: str) -> str:
        """The measure of that name, without one `target`.

        Raises `SettingsError`, which names `key`, for one that the dataset does not measure.
        """
        measure = wanted or self.target
        if measure not in self.measures:
            raise SettingsError(
                f"{key} is {measure!r}, which {self.name} does not measure. It measures "
                f"{', '.join(self.measures)}: choose one, or leave the key empty for "
                f"{self.target}.{did_you_mean(measure, self.measures)}"
            )
        return measure

    @abstractmethod
    def source(self) -> Source:
        """Where the bytes of a day come from."""

    def live(self) -> LiveSource | None:
        """What the source says now; None if it has whole days alone."""
        return None

    def header(self, first_line: str) -> bool:
        """Whether the first line of a file is a header.

        Raises `DataError` where it is neither a header nor a row this dataset knows:
        the day is then refused before anything is committed.
        """
        return False

    @abstractmethod
    def bronze(self, spark: SparkSession, raw: RawDay) -> DataFrame:
        """Every source row, typed; bad rows flagged, not dropped.

        One output row for each line of `functions.lines`. Needs the column `reject_reason` (string,
        NULL for a good row) and whatever `silver` reads; timestamps are TIMESTAMP_NTZ in
        wall time; a rejected row keeps its text in `raw_line`.
        """

    def link_cell(self, raw: RawDay) -> LinkCell | None:
        """Where a line of that day has its link id, for the setting `scope: links`.

        None if a line is not made of cells, or has no link: the setting is then refused.
        """
        return None

    @abstractmethod
    def silver(self, bronze: DataFrame) -> DataFrame:
        """Clean observations from the good rows of bronze that pass the link filter.

        Columns `timestamp` (TIMESTAMP_NTZ, start of the interval), `link_id` (string), the
        `measures` (double, in their units), `n_obs` (how many source rows are in it), and all of
        `extra_columns` (double); unique per (timestamp, link_id). A measure may be NULL, but not
        all of a row. `n_<measure>` (int) may say of how many rows the mean of that measure is.
        The sum of `n_obs` must equal the number of rows read: nothing may be lost on the way.
        """

    def graph(self) -> LinkGraph | None:
        """Directed edges between links, None where the dataset has no graph."""
        return None

    def links(self) -> LinkTable | None:
        """What is known of the links, for models and people; None where there is no such table."""
        return None

    def checks(self) -> list[Check]:
        """What must hold of silver before it commits."""
        return []

    def expected_slots(self, day: date) -> Sequence[time] | None:
        """Wall times at which a link is expected to report on a complete day.

        Each is the start of an interval, and stands once. A time that a clock change leaves out
        that day may stand among them: the core removes it. Empty: nothing is expected that day.
        None: the dataset does not say, and how much of a day is there is not judged.
        """
        return None

    def day_slots(self, minutes: Collection[int] | None = None) -> list[time]:
        """The wall times at which the intervals of a day begin, in order.

        With `minutes` only those at that minute of an hour: a help for `expected_slots`.
        """
        found = slots_of_a_day(self.interval)
        return [at for at in found if minutes is None or at.minute in minutes]

    @classmethod
    def local_now(cls) -> datetime:
        """Now, aware, in `timezone`; in a trial, the time of its clock (docs/operate.md)."""
        return clock.now().astimezone(ZoneInfo(cls.timezone))

    def recipe_terms(self, stage: SettingStage) -> dict[str, Any]:
        """The settings declared for that stage, as JSON values."""
        values = self.settings.model_dump(mode="json")
        fields = type(self.settings).model_fields

        def declared(name: str) -> dict[str, Any]:
            extra = fields[name].json_schema_extra
            return extra if isinstance(extra, dict) else {}

        terms = {
            name: sorted(set(value)) if declared(name).get("unordered") else value
            for name, value in values.items()
            if declared(name).get("stage", "bronze") == stage
        }
        if terms.pop("scope", "all") == "links" and self.settings.links:
            terms["scope_links"] = sorted(set(self.settings.links))
        return terms
