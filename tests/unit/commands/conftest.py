"""A home that a pipeline of a tiny dataset has filled, without running the pipeline.

Manifests, objects and ledger rows are written by the same classes as the stages use; the
ids are those that `DayChain` and `TrainingPlan` call for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from plugin_sources import TINY
from process_state import forget

from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.project import current
from luigi_traffic.recipe import Input
from luigi_traffic.settings import keys as settings_module
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.targets.training import TrainingPlan
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.published import now, publish

#: A plugin with a dataset from the web, a model and a command.
PLUGIN = TINY.replace(
    "lt.Files(self.settings.glob)", 'lt.HttpZip("https://example.org/{date}.zip")'
)
PLUGIN += '''

import typer


def greet_people(name: str = "you"):
    """Say hello.

    \\b
    luigi-traffic greet-people
    """
    if name == "nobody":
        raise lt.TrafficError("there is nobody to greet")
    typer.echo(f"hello {name}")


@lt.hookimpl
def luigi_traffic_commands():
    return [greet_people]
'''
DROP_ALL = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT nspname FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
    LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
END $$
"""
FIRST, LAST = date(2024, 5, 1), date(2024, 5, 2)
SCORES = {
    name: {step: {"mae": mae, "rmse": mae, "mape": mae, "wape": mae, "f1": 0.5, "count": 9}
           for step in ("3", "6", "12", "mean")}
    for name, mae in (("model", 3.25), ("persistence", 4.5), ("day before", 6.5),
                      ("historical median", 5.75))
}  # fmt: skip


@dataclass
class Home:
    path: Path
    conf: Path
    plugin_folder: Path

    @property
    def environment(self) -> dict[str, str]:
        ours = {k: v for k, v in os.environ.items() if not k.startswith("LUIGI_TRAFFIC")}
        return ours | {
            "LUIGI_TRAFFIC_HOME": str(self.path),
            "LUIGI_TRAFFIC_CONF": str(self.conf),
            "PYTHONPATH": str(Path(settings_module.__file__).parents[2]),
        }

    def command(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`luigi-traffic …` as a user runs it, output piped."""
        return subprocess.run(
            [sys.executable, "-m", "luigi_traffic.cli", *words],
            env=self.environment | more, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def commit_day(self, day: date, rows: int = 100) -> None:
        """raw, announce, bronze, silver and gold of a day."""
        links = DayChain(current(), "tiny", day)
        catalog = current().catalog
        archives = [
            {"name": "a.zip", "origin": f"https://example.org/{day:%Y%m%d}.zip", "bytes": 2048,
             "sha256": f"{day.day:064x}"}
        ]  # fmt: skip
        raw_id = links.lineage.raw.partition_id([day.isoformat(), f"{day.day:064x}"])
        details = {"archives": archives, "address": links.lineage.address}
        self._manifest(links, "raw", raw_id, [], rows, details)
        before = {"announce": "raw", "bronze": "raw", "silver": "bronze"}
        for stage, made_of in before.items():
            inputs = [Input(made_of, day.isoformat(), links.id(made_of))]
            self._manifest(links, stage, links.id(stage), inputs, rows, {})
        row = ledger.LedgerRow(
            "gold", "tiny", day.isoformat(), links.id("gold") or "",
            links.lineage.gold.as_dict(),
            [Input("silver", day.isoformat(), links.id("silver"))],
            rows, "sum", {"seconds": 1.5},
        )  # fmt: skip
        with current().warehouse.connect() as connection:
            ledger.write(connection, row)
        catalog.days("raw", "tiny")

    def _manifest(
        self, links: DayChain, stage: str, partition_id: str | None, inputs: list[dict[str, Any]],
        rows: int, details: dict[str, Any],
    ) -> None:  # fmt: skip
        catalog, prefix, files = current().catalog, "", []
        if stage != "announce":
            prefix = catalog.attempt(stage, "tiny", links.day).prefix
            with catalog.store.writer(f"{prefix}part-0") as file:
                file.write(b"x" * rows)
            sealed = catalog.store.seal(f"{prefix}part-0")
            files = [{"key": sealed.key, "size": sealed.size, "checksum": sealed.checksum}]
        assert catalog.commit(
            Manifest.start(
                links.recipe(stage), links.day, partition_id or "", inputs=inputs, prefix=prefix,
                files=files, rows_in=rows, rows_out=rows, seconds=0.5, details=details,
            )
        )  # fmt: skip

    def commit_absence(self, day: date, reason: str) -> None:
        lineage = DayChain(current(), "tiny", day).lineage
        at = datetime.now(UTC)
        current().catalog.record_absence(lineage.raw, day, lineage.address, reason, at)

    def commit_model(
        self, last: date, window_days: int, version: str, target: str = "",
        scores: dict[str, Any] = SCORES,
    ) -> str:  # fmt: skip
        """A model of that window and its forecast; the model's id."""
        training = {"epochs": 3} | ({"target": target} if target else {})
        plan = TrainingPlan(current(), "tiny", "tiny_model", last, window_days, training)
        ids, made = plan.gold_ids() or {}, plan.partition_id() or ""
        details = {
            "name": "luigi_traffic.tiny", "version": version, "run_id": "r", "digest": "d",
            "model": "tiny_model", "last_day": max(ids), "unit": "km/h", "interval_seconds": 300,
            "scores": scores, "windows_scored": [5, 5],
            "samples": {"total": 200, "drawn": 50, "seen": 50}, "epochs": 3, "best_epoch": 2,
            "device": "cpu", "seconds": 12.0, "promoted": True,
            "decision": "champion as the first version",
            "report": str(self.path / "reports" / "tiny.html"),
        }  # fmt: skip
        inputs = [Input("gold", d, i) for d, i in ids.items()]
        model = ledger.LedgerRow(
            "model", "tiny", made, made, plan.recipe.as_dict(), inputs, 200, "d", details
        )
        with current().warehouse.connect() as connection:
            assert ledger.write(connection, model)
        self.commit_forecast(last, version, made, inputs[-2:], target)
        return made

    def commit_forecast(
        self, day: date, version: str, made: str, gold: list[Input], target: str = ""
    ) -> None:
        """The forecast of a day by that version, the model of the id `made`: published."""
        part = f"{day}/tiny_model{':' if target else ''}{target}:{version}"
        forecast = ledger.LedgerRow(
            "forecast", "tiny", part, f"forecast of {day} by {made}", {},
            [Input("model", made, made), *gold], 24, "f", {"seconds": 2.5},
        )  # fmt: skip
        with current().warehouse.connect() as connection:
            assert ledger.write(connection, forecast)
            publish(connection, "tiny", target, day, part, now(connection))


def make_home(folder: Path) -> Home:
    home = Home(folder / "home", folder / "conf", folder / "plugins")
    home.conf.mkdir()
    home.plugin_folder.mkdir()
    (home.plugin_folder / "tiny_plugin.py").write_text(PLUGIN)
    base = {
        "plugins": {"path": [str(home.plugin_folder)]},
        "pipeline": {"dataset": "tiny", "model": "tiny_model"},
    }
    (home.conf / "base.yml").write_text(json.dumps(base))
    return home


def enter(home: Home, patch: pytest.MonkeyPatch) -> None:
    """Make it this process's home, with nothing of the caller's environment."""
    for name in [k for k in os.environ if k.startswith("LUIGI_TRAFFIC")]:
        patch.delenv(name)
    patch.setenv("LUIGI_TRAFFIC_HOME", str(home.path))
    patch.setenv("LUIGI_TRAFFIC_CONF", str(home.conf))
    forget()


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home that nothing has run in."""
    home = make_home(tmp_path)
    enter(home, monkeypatch)
    yield home
    forget()
    EmbeddedServer(home.path / "postgres").destroy()


@pytest.fixture(scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = make_home(tmp_path_factory.mktemp("served"))
    yield home
    EmbeddedServer(home.path / "postgres").destroy()


@pytest.fixture
def cleared(_served: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """As `empty`, but for a server that runs already, without a table."""
    enter(_served, monkeypatch)
    yield _served
    forget()
    dsn = EmbeddedServer(_served.path / "postgres").ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as connection:
        connection.autocommit = True
        connection.cursor().execute(DROP_ALL)
    for place in _served.path.iterdir():
        if place.name != "postgres":
            shutil.rmtree(place) if place.is_dir() else place.unlink()


@pytest.fixture(scope="module")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = make_home(tmp_path_factory.mktemp("filled"))
    with pytest.MonkeyPatch.context() as patch:
        enter(home, patch)
        for n in range((LAST - FIRST).days + 1):
            home.commit_day(FIRST + timedelta(days=n))
        home.commit_model(LAST, 2, "1")
        forget()
        yield home
        forget()
    EmbeddedServer(home.path / "postgres").destroy()


@pytest.fixture
def filled(_filled: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Two days, a model of both and its forecast. Tests of a module share it: leave it so."""
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(_filled.path))
    monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(_filled.conf))
    forget()
    yield _filled
    forget()


@pytest.fixture
def anew() -> Any:
    """Call it after the environment or the lake changed."""
    return forget
