"""A user's commands in processes of their own, and what they leave behind, on any profile."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow.parquet as pq
from fork_server import ForkServer

from luigi_traffic.processes.postgres.embedded import EmbeddedServer

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@dataclass
class Home(ABC):
    """One LUIGI_TRAFFIC_HOME, the commands run in it, and what is in lake and warehouse."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    #: Forks the runs of `luigi`; None: each is started as a user does.
    forks: ForkServer | None = field(default=None, repr=False)

    def variables(self, more: dict[str, str]) -> dict[str, str]:
        """The environment of a command."""
        variables = {k: v for k, v in os.environ.items() if not k.startswith("LUIGI_TRAFFIC")}
        variables |= {"LUIGI_TRAFFIC_HOME": str(self.path)} | self.environment | more
        variables["PATH"] = f"{BIN}{os.pathsep}{variables['PATH']}"
        return variables

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=REPOSITORY, env=self.variables(environment), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *command: str, seconds: float = 500, **environment: str) -> tuple[int, str]:
        if self.forks and command[0] == "luigi":
            return self.forks.run(command[1:], REPOSITORY, self.variables(environment))
        process = self.start(*command, **environment)
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output

    @abstractmethod
    def connect(self) -> Any:
        """A connection to the warehouse, past the framework."""

    @abstractmethod
    def objects(self) -> dict[str, object]:
        """Key of every object of the lake → something that changes when it is written anew."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """An object of the lake, past the framework."""

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def manifests(self, stage: str) -> list[dict[str, Any]]:
        keys = sorted(k for k in self.objects() if k.startswith(f"_manifests/{stage}/"))
        return [json.loads(self.read(key)) for key in keys]

    def lake_rows(self, stage: str) -> dict[str, str]:
        """Day → hash over the sorted rows of its committed Parquet files."""
        found = {}
        for manifest in self.manifests(stage):
            rows: list[str] = []
            for file in manifest["files"]:
                rows += map(repr, pq.read_table(io.BytesIO(self.read(file["key"]))).to_pylist())
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

    def checksums(self) -> dict[tuple[str, str], str]:
        """(stage, day) → what the commit says of its rows."""
        found = {
            (stage, manifest["day"]): manifest["checksum"]
            for stage in ("raw", "bronze", "silver")
            for manifest in self.manifests(stage)
        }
        gold = self.sql(
            "SELECT part, checksum FROM meta.ledger WHERE stage = 'gold' AND superseded_at IS NULL"
        )
        return found | {("gold", part): checksum for part, checksum in gold}

    def scores(self) -> dict[str, float]:
        """Every figure of the one model's evaluation by its path, the baselines' too."""
        ((details,),) = self.sql("SELECT details FROM meta.ledger WHERE stage = 'model'")
        return dict(_figures(details["scores"], ""))

    def assert_nothing_partial(self, dataset: str) -> None:
        """Every manifest's files are whole, and what readers see is what the ledger says."""
        for stage in ("raw", "bronze", "silver"):
            for manifest in self.manifests(stage):
                assert manifest["files"]
                for file in manifest["files"]:
                    data = self.read(file["key"])
                    assert len(data) == file["size"]
                    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == file["checksum"]
        for stage, schema in (("gold", "gold"), ("forecast", "forecast_versions")):
            if not self.sql(f"SELECT 1 WHERE to_regclass('{schema}.{dataset}') IS NOT NULL"):
                continue
            part = '"timestamp"::date::text' if stage == "gold" else "part"
            seen = dict(self.sql(f"SELECT {part}, count(*) FROM {schema}.{dataset} GROUP BY 1"))
            said = dict(
                self.sql(
                    "SELECT part, rows FROM meta.ledger WHERE superseded_at IS NULL "
                    f"AND stage = '{stage}' AND dataset = '{dataset}'"
                )
            )
            assert seen == said

    def assert_committed_once(self) -> None:
        """No partition was worked and committed twice."""
        for stage in ("raw", "announce", "bronze", "silver"):
            days = [manifest["day"] for manifest in self.manifests(stage)]
            assert sorted(days) == sorted(set(days)), f"{stage}: more than one commit a partition"
        commits = self.sql("SELECT stage, part, count(*) FROM meta.ledger GROUP BY 1, 2")
        assert {row[2] for row in commits} == {1}, commits


def _figures(value: object, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _figures(inner, f"{path}/{key}")
    elif isinstance(value, int | float):
        yield path, value


class LocalHome(Home):
    """The local profile: the lake is a folder, the database the embedded one."""

    @property
    def server(self) -> EmbeddedServer:
        return EmbeddedServer(self.path / "postgres")

    def connect(self) -> Any:
        return psycopg2.connect(**self.server.ensure_running().kwargs())

    def objects(self) -> dict[str, object]:
        lake = self.path / "lake"
        return {
            p.relative_to(lake).as_posix(): p.stat().st_mtime_ns
            for p in lake.rglob("*")
            if p.is_file()
        }

    def read(self, key: str) -> bytes:
        return (self.path / "lake" / key).read_bytes()
