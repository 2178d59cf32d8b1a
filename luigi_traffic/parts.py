"""The parts of the profile, opened once a process where they are first used."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

from luigi_traffic.events.journal import Journal
from luigi_traffic.events.log import EventLog
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.entries import refuse_earlier
from luigi_traffic.lake.index import Index
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.store import ObjectStore
from luigi_traffic.settings.keys import Settings, settings
from luigi_traffic.settings.reading import home

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse
    from luigi_traffic.warehouse.dsn import Dsn
    from luigi_traffic.warehouse.limits import Limits


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
        return Catalog(self.store, Index(home() / "index.sqlite", self.store.describe()))

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
        from luigi_traffic.processes.postgres.embedded import EmbeddedServer

        self.warehouse.migrate()  # which a reader may not
        server = EmbeddedServer(home() / "postgres")
        return Warehouse(lambda: replace(server.ensure_reader(), limits=self._limits()))

    def _limits(self) -> Limits:
        from luigi_traffic.warehouse.limits import Limits

        chosen = self.settings.warehouse
        return Limits(
            connect_s=chosen.connect_timeout_seconds,
            dead_host_s=chosen.dead_host_seconds,
            idle_transaction_s=chosen.idle_transaction_seconds,
            idle_commit_s=chosen.idle_commit_seconds,
            lock_wait_s=chosen.lock_wait_seconds,
            patience_s=chosen.patience_hours * 3600,
            lease_s=chosen.lease_seconds,
        )

    def _dsn(self) -> Dsn:
        from luigi_traffic.warehouse.dsn import Dsn

        chosen = self.settings.warehouse
        if chosen.kind == "embedded":
            from luigi_traffic.processes.postgres.embedded import EmbeddedServer

            server = EmbeddedServer(home() / "postgres")
            if server.is_of_an_earlier_version():
                # Before the database is brought up to date: the older version cannot go back.
                refuse_earlier(self.store)
            return replace(server.ensure_running(), limits=self._limits())
        return Dsn(
            chosen.host, chosen.port, chosen.dbname, chosen.user,
            chosen.secret(), chosen.sslmode, chosen.ca_file, require_auth=chosen.require_auth,
            limits=self._limits(),
        )  # fmt: skip


@cache
def parts() -> Parts:
    """The parts of this process."""
    return Parts(settings())
