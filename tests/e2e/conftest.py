"""Homes of the local profile, and Luigi's command line in this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import luigi.retcodes
import psycopg2
import pytest
from chromium import browsing
from homes import LocalHome
from playwright.sync_api import BrowserContext
from process_state import forget
from psycopg2 import sql
from small import FOLDER

import luigi_traffic.run  # noqa: F401 - the module that the command line names
from luigi_traffic.processes.postgres.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    homes: list[LocalHome] = []

    def make(name: str, **environment: str) -> LocalHome:
        homes.append(LocalHome(tmp_path_factory.mktemp(name) / FOLDER / "home", environment))
        return homes[-1]

    yield make
    for home in homes:
        home.server.destroy()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with browsing(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """One server for all in-process runs: Spark's Python reads its password from the
    environment that the JVM was started with."""
    server = EmbeddedServer(tmp_path_factory.mktemp("warehouse"))
    dsn = server.ensure_running()
    yield {
        "KIND": "server", "HOST": dsn.host, "PORT": str(dsn.port), "USER": dsn.user,
        "PASSWORD": dsn.password, "DBNAME": dsn.dbname,
    }  # fmt: skip
    server.destroy()


def empty(warehouse: dict[str, str]) -> None:
    """Drop all that a home has made in its database; the next connection makes it anew."""
    words = {key.lower(): value for key, value in warehouse.items() if key != "KIND"}
    with closing(psycopg2.connect(**words)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'"
            " AND nspname NOT IN ('information_schema', 'public')"
        )
        for (schema,) in cursor.fetchall():
            cursor.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


class LuigiHere:
    """Luigi's command line in this process, so that one Spark session serves many runs."""

    def __init__(self, folder: Path, monkeypatch, caplog) -> None:
        self._folder = folder = folder / FOLDER
        self._monkeypatch = monkeypatch
        self._caplog = caplog
        monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(folder / "home"))
        # The tests have just written their files.
        monkeypatch.setenv("LUIGI_TRAFFIC__INGEST__SETTLE_SECONDS", "0")

    @property
    def lake(self) -> Path:
        return self._folder / "home" / "lake"

    def set(self, **variables: str) -> None:
        for key, value in variables.items():
            self._monkeypatch.setenv(f"LUIGI_TRAFFIC__{key}", value)
        forget()

    def run(self, *arguments: str) -> tuple[int, str]:
        forget()
        self._caplog.clear()
        with pytest.raises(SystemExit) as ended:
            luigi.retcodes.run_with_retcodes(
                ["--module", "luigi_traffic.run", *arguments, "--local-scheduler"]
            )
        return int(ended.value.code or 0), self._caplog.text


@pytest.fixture
def luigi_here(tmp_path, monkeypatch, warehouse, caplog) -> Iterator[LuigiHere]:
    # caplog's handler hangs on the root logger.
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    here = LuigiHere(tmp_path, monkeypatch, caplog)
    here.set(**{f"WAREHOUSE__{key}": value for key, value in warehouse.items()})
    empty(warehouse)  # what another home recorded there is damage to this one
    yield here
    forget()
