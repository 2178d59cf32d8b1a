"""The parts of the profile, opened once a process where they are first used."""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING

from luigi_traffic.events.journal import Journal
from luigi_traffic.events.log import EventLog
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.store import ObjectStore
from luigi_traffic.layers import home
from luigi_traffic.settings import Settings, settings

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse
    from luigi_traffic.warehouse.dsn import Dsn


class Parts:
    """Lake, events and warehouse as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def store(self) -> ObjectStore:
        """The object store of the lake."""
        chosen = self.settings.lake
        if chosen.kind == "s3":
            from luigi_traffic.lake.s3 import S3Store

            return S3Store(chosen)
        return LocalStore(self.settings.lake_path)

    @cached_property
    def catalog(self) -> Catalog:
        """The manifests of the lake."""
        return Catalog(self.store)

    @cached_property
    def events(self) -> EventLog:
        """The event log."""
        if self.settings.events.kind == "kafka":
            from luigi_traffic.events.kafka import KafkaLog

            return KafkaLog(self.settings.events)
        return Journal(home() / "events")

    @cached_property
    def warehouse(self) -> Warehouse:
        """The PostgreSQL of gold, forecasts and the ledger; started if it is embedded."""
        from luigi_traffic.warehouse.connection import Warehouse

        return Warehouse(self._dsn)

    @cached_property
    def reader(self) -> Warehouse:
        """The same for questions: as the role that may only read, if it is embedded."""
        from luigi_traffic.warehouse.connection import Warehouse

        if self.settings.warehouse.kind != "embedded":
            return self.warehouse
        from luigi_traffic.warehouse.embedded import EmbeddedServer

        self.warehouse.migrate()  # which a reader may not
        return Warehouse(EmbeddedServer(home() / "postgres").ensure_reader)

    def _dsn(self) -> Dsn:
        from luigi_traffic.warehouse.dsn import Dsn

        chosen = self.settings.warehouse
        if chosen.kind == "embedded":
            from luigi_traffic.warehouse.embedded import EmbeddedServer

            return EmbeddedServer(home() / "postgres").ensure_running()
        return Dsn(
            chosen.host, chosen.port, chosen.dbname, chosen.user,
            chosen.secret(), chosen.sslmode, chosen.ca_file, require_auth=chosen.require_auth,
        )  # fmt: skip


@cache
def parts() -> Parts:
    """The parts of this process."""
    return Parts(settings())
