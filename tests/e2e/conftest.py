"""A user's commands in processes of their own, and what they leave behind."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import luigi.retcodes
import psycopg2
import pyarrow.parquet as pq
import pytest
from process_state import forget

import luigi_traffic.run  # noqa: F401 - the module that the command line names
from luigi_traffic.warehouse.embedded import EmbeddedServer

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@dataclass
class Home:
    """One LUIGI_TRAFFIC_HOME and the commands run in it."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        variables = {k: v for k, v in os.environ.items() if not k.startswith("LUIGI_TRAFFIC")}
        variables |= {"LUIGI_TRAFFIC_HOME": str(self.path)} | self.environment | environment
        variables["PATH"] = f"{BIN}{os.pathsep}{variables['PATH']}"
        return subprocess.Popen(
            command, cwd=REPOSITORY, env=variables, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *command: str, **environment: str) -> tuple[int, str]:
        process = self.start(*command, **environment)
        output, _ = process.communicate(timeout=500)
        return process.returncode, output

    def sql(self, statement: str) -> list[tuple]:
        """Rows, read past the framework."""
        dsn = EmbeddedServer(self.path / "postgres").ensure_running()
        connection = psycopg2.connect(**dsn.kwargs())
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    def manifests(self, stage: str) -> list[dict]:
        paths = sorted((self.path / "lake" / "_manifests" / stage).glob("*/*/*.json"))
        return [json.loads(path.read_bytes()) for path in paths]

    def lake_rows(self, stage: str) -> dict[str, str]:
        """Day → hash over the sorted rows of its committed Parquet files."""
        found = {}
        for manifest in self.manifests(stage):
            rows: list[str] = []
            for file in manifest["files"]:
                rows += map(repr, pq.read_table(self.path / "lake" / file["key"]).to_pylist())
            assert manifest["day"] not in found, f"two {stage} partitions of {manifest['day']}"
            found[manifest["day"]] = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
        return found

    def table_rows(self, table: str, order: str) -> str:
        """Hash over the rows of a table, in an order of their own."""
        rows = self.sql(f"SELECT t::text FROM {table} t ORDER BY {order}")
        return hashlib.sha256("\n".join(row[0] for row in rows).encode()).hexdigest()

    def content(self, dataset: str) -> dict[str, object]:
        """What a finished pipeline holds, apart from names, times and file layout."""
        return {
            "silver": self.lake_rows("silver"),
            "gold": self.table_rows(f"gold.{dataset}", '"timestamp", link_id'),
            "forecast": self.table_rows(f"forecast.{dataset}", "part, issued_at, step, link_id"),
        }

    def assert_nothing_partial(self, dataset: str) -> None:
        """Every manifest's files are whole, and what readers see is what the ledger says."""
        for stage in ("raw", "bronze", "silver"):
            for manifest in self.manifests(stage):
                assert manifest["files"]
                for file in manifest["files"]:
                    data = (self.path / "lake" / file["key"]).read_bytes()
                    assert len(data) == file["size"]
                    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == file["checksum"]
        for schema in ("gold", "forecast"):
            if not self.sql(f"SELECT 1 WHERE to_regclass('{schema}.{dataset}') IS NOT NULL"):
                continue
            part = '"timestamp"::date::text' if schema == "gold" else "part"
            seen = dict(self.sql(f"SELECT {part}, count(*) FROM {schema}.{dataset} GROUP BY 1"))
            said = dict(
                self.sql(
                    "SELECT part, rows FROM meta.ledger WHERE superseded_at IS NULL "
                    f"AND stage = '{schema}' AND dataset = '{dataset}'"
                )
            )
            assert seen == said


@pytest.fixture(scope="module")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    homes: list[Home] = []

    def make(name: str, **environment: str) -> Home:
        homes.append(Home(tmp_path_factory.mktemp(name) / "home", environment))
        return homes[-1]

    yield make
    for home in homes:
        EmbeddedServer(home.path / "postgres").destroy()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """One server for all in-process runs of a file."""
    server = EmbeddedServer(tmp_path_factory.mktemp("warehouse"))
    dsn = server.ensure_running()
    yield {
        "KIND": "server", "HOST": dsn.host, "PORT": str(dsn.port), "USER": dsn.user,
        "PASSWORD": dsn.password, "DBNAME": dsn.dbname,
    }  # fmt: skip
    server.destroy()


class LuigiHere:
    """Luigi's command line in this process, so that one Spark session serves many runs."""

    def __init__(self, folder: Path, monkeypatch, caplog) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._caplog = caplog
        monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(folder / "home"))

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
    yield here
    forget()
