"""The front door: a home with its settings, plugins, stores and services.

Who is handed a `Project` needs nothing global. `current()` is that of this process: it is for the
places where a program begins, which `tests/unit/test_project.py` lists. All others say in their
signature what they need: a project, or the part of it that is enough.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from luigi_traffic.errors import extras_named
from luigi_traffic.events.journal import Journal
from luigi_traffic.events.log import EventLog
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.entries import refuse_earlier
from luigi_traffic.lake.index import Index
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.store import ObjectStore
from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.processes.services import Services
from luigi_traffic.settings.keys import Settings, read_settings
from luigi_traffic.settings.reading import Layers, conf_folder, home, profile

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse
    from luigi_traffic.warehouse.dsn import Dsn
    from luigi_traffic.warehouse.limits import Limits

T = TypeVar("T")


class Project:
    """A home with its settings; everything is read or opened when it is first used.

    home     folder of all local state
    conf     folder of the settings files
    profile  which of them is laid over base.yml
    environ  whose variables LUIGI_TRAFFIC__… are laid over the files
    """

    def __init__(self, home: Path, conf: Path, profile: str, environ: Mapping[str, str]) -> None:
        self.home = home
        self.conf = conf
        self.profile = profile
        self._environ = environ
        self._kept: dict[Hashable, Any] = {}

    @cached_property
    def layers(self) -> Layers:
        """The layers of the settings, and where each was set."""
        return Layers.read(self.conf, self.profile, self._environ)

    @cached_property
    def settings(self) -> Settings:
        """The settings in force. Raises `SettingsError`, see `read_settings`."""
        return read_settings(self.layers, self.home)

    @cached_property
    def plugins(self) -> Plugins:
        """The plugins and what they provide."""
        return Plugins.load(self.settings, self.layers)

    @cached_property
    def services(self) -> Services:
        """luigid and the MLflow UI."""
        return Services(self.settings)

    @cached_property
    def store(self) -> ObjectStore:
        """The object store of the lake."""
        chosen = self.settings.lake
        if chosen.kind == "s3":
            with extras_named():  # Luigi asks here when it plans, outside of any task's run
                from luigi_traffic.lake.s3 import S3Store

            return S3Store(chosen)
        return LocalStore(self.settings.lake_path)

    @cached_property
    def catalog(self) -> Catalog:
        """The manifests of the lake."""
        return Catalog(self.store, Index(self.home / "index.sqlite", self.store.describe()))

    @cached_property
    def events(self) -> EventLog:
        """The event log."""
        if self.settings.events.kind == "kafka":
            with extras_named():
                from luigi_traffic.events.kafka import KafkaLog

            return KafkaLog(self.settings.events)
        return Journal(self.home / "events")

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
        self.warehouse.migrate()  # which a reader may not
        return Warehouse(self.reader_dsn)

    def reader_dsn(self) -> Dsn:
        """Where `reader` is and who it is there; starts an embedded server."""
        if self.settings.warehouse.kind != "embedded":
            return self._dsn()
        from luigi_traffic.processes.postgres.embedded import EmbeddedServer

        server = EmbeddedServer(self.home / "postgres")
        return replace(server.ensure_reader(), limits=self._limits())

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

            server = EmbeddedServer(self.home / "postgres")
            if server.is_of_an_earlier_version():
                # Before the database is brought up to date: the older version cannot go back.
                refuse_earlier(self.store)
            return replace(server.ensure_running(), limits=self._limits())
        return Dsn(
            chosen.host, chosen.port, chosen.dbname, chosen.user,
            chosen.secret(), chosen.sslmode, chosen.ca_file, require_auth=chosen.require_auth,
            limits=self._limits(),
        )  # fmt: skip

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave when it was first asked for under that key."""
        if key not in self._kept:
            self._kept[key] = make()
        found: T = self._kept[key]
        return found

    def close(self) -> None:
        """Close the connections that are open."""
        for name in ("warehouse", "reader"):
            if name in vars(self):
                vars(self)[name].close()


#: What `current` is to answer when it is asked next, see `in_place_of_current`.
_next: Project | None = None


@cache
def current() -> Project:
    """The project of this process, as its environment has it."""
    return _next or Project(home(), conf_folder(), profile(), os.environ)


@contextmanager
def in_place_of_current(project: Project) -> Iterator[None]:
    """For tests: inside, `project` is that of this process."""
    before = current() if current.cache_info().currsize else None
    _put(project)
    try:
        yield
    finally:
        _put(before)


def _put(project: Project | None) -> None:
    global _next
    current.cache_clear()
    _next = project
    if project is not None:
        current()
    _next = None
