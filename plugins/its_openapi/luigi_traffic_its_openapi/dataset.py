"""The ITS OpenAPI as a dataset: what a collector has kept of the present, day by day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from luigi_traffic import DatasetSettings, LiveSource, RawDay, Source
from luigi_traffic_its import Its
from luigi_traffic_its_openapi.rows import REASONS, check_first_line, parse
from luigi_traffic_its_openapi.settings import LATE, NODES, ItsOpenApiSettings
from luigi_traffic_its_openapi.source import CollectedPolls

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class ItsOpenApi(Its):
    """Links, units and zone of ITS, and its silver: the mean of each link and interval.

    A link that the service did not renew between two polls comes twice with the same time and
    speed: silver averages both into one row.
    """

    name: ClassVar[str] = "its_openapi"
    version: ClassVar[str] = "2"
    settles_after: ClassVar[timedelta] = LATE
    reject_reasons: ClassVar[tuple[str, ...]] = REASONS
    Settings: ClassVar[type[DatasetSettings]] = ItsOpenApiSettings

    def source(self) -> Source:
        """The polls of a day."""
        return CollectedPolls(self.settings.polls_folder, self.now)

    def live(self) -> LiveSource:
        """The same polls, while the day goes on."""
        # Here and not above: a pipeline run has no use for requests.
        from luigi_traffic_its_openapi.live import LivePolls

        return LivePolls(self.settings, self.now)

    @classmethod
    def now(cls) -> datetime:
        """Wall time where the roads are."""
        return cls.local_now()

    def header(self, first_line: str) -> bool:
        """No file has one; see `luigi_traffic_its_openapi.rows.check_first_line`."""
        check_first_line(first_line)
        return False

    def bronze(self, spark: SparkSession, raw: RawDay) -> DataFrame:
        """See `luigi_traffic_its_openapi.rows.parse`."""
        return parse(spark, raw, self.settings.min_speed, self.settings.max_speed)

    def link_cell(self, raw: RawDay) -> None:
        """None: a line is a JSON object."""

    def expected_slots(self, day: date) -> list[time] | None:
        """None: how often the service is polled is not known here."""
        return None

    def node_links(self) -> Path | None:
        """The node table that was collected with the polls; None before the first one."""
        path: Path = self.settings.polls_folder / NODES
        return path if path.exists() else None
