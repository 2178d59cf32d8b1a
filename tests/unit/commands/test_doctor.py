from __future__ import annotations

import json
import sqlite3
from datetime import date

import pytest

from luigi_traffic.commands.doctor import command, machine, reach
from luigi_traffic.commands.doctor.finding import Problem
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.project import current


def found(rows: list[dict], check: str) -> dict:
    (row,) = [r for r in rows if r["check"] == check]
    return row


def test_a_new_home_is_in_order_and_nothing_is_started(empty):
    rows = command.rows(current(), deep=False)
    assert {r["check"]: r["found"] for r in rows if r["state"] == "problem"} == {}
    assert "the first run creates it" in found(rows, "warehouse")["found"]
    assert not (empty.path / "postgres").exists()
    assert [p for p in (empty.path / "lake").rglob("*") if p.is_file()] == []  # the probe is gone
    assert found(rows, "dataset tiny")["state"] == "ok"


def test_wrong_settings_are_told_and_end_the_search(empty, monkeypatch, anew):
    monkeypatch.setenv("LUIGI_TRAFFIC__LAKE__PAHT", "x")
    anew()
    rows = command.rows(current(), deep=False)
    assert rows[-1]["check"] == "settings"
    assert rows[-1]["state"] == "problem" and "Did you mean 'path'" in rows[-1]["found"]


def test_a_lake_that_cannot_be_written(empty, monkeypatch, anew):
    file = empty.path.parent / "file"
    file.write_text("")
    monkeypatch.setenv("LUIGI_TRAFFIC__LAKE__PATH", str(file / "lake"))
    anew()
    row = found(command.rows(current(), deep=False), "lake")
    assert row["state"] == "problem" and str(file) in row["found"]


def test_a_store_that_overwrites_is_a_problem(empty, monkeypatch):
    def overwrite(self: LocalStore, key: str, data: bytes) -> bool:
        with self.writer(key) as file:
            file.write(data)
        return True

    monkeypatch.setattr(LocalStore, "create", overwrite)
    with pytest.raises(Problem, match="overwrites"):
        reach.lake(current())


def test_a_broken_plugin(empty, anew):
    (empty.plugin_folder / "broken.py").write_text("import no_such_module_at_all")
    anew()
    row = found(command.rows(current(), deep=False), "plugin broken")
    assert row["state"] == "problem" and "no_such_module_at_all" in row["found"]
    assert "plugins.disabled" in row["todo"]


def test_settings_that_nobody_reads(empty, anew):
    for name in ("datasets/tinny.yml", "dataset/tiny.yml", "datasets/old/tiny.yaml"):
        file = empty.conf / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("lake_prefix: x\n")
    anew()
    rows = command.rows(current(), deep=False)
    row = found(rows, "settings datasets.tinny")
    assert row["state"] == "problem"
    assert "tinny.yml" in row["found"] and "Did you mean 'tiny'?" in row["found"]
    assert "tinny.yml" in found(rows, "dataset tiny")["found"]
    valid = found(rows, "settings")
    assert valid["state"] == "note"
    assert str(empty.conf / "dataset" / "tiny.yml") in valid["found"]
    assert str(empty.conf / "datasets" / "old" / "tiny.yaml") in valid["found"]
    (empty.plugin_folder / "broken.py").write_text("1 / 0")
    anew()
    assert found(command.rows(current(), deep=False), "settings datasets.tinny")["state"] == "note"


def test_a_dataset_that_is_not_ready(empty, monkeypatch, anew):
    source = (empty.plugin_folder / "tiny_plugin.py").read_text()
    broken = source.replace("return lt.LinkGraph", "raise OSError('no road')\n        return lt.LinkGraph")  # noqa: E501  # fmt: skip
    (empty.plugin_folder / "tiny_plugin.py").write_text(broken)
    anew()
    row = found(command.rows(current(), deep=False), "dataset tiny")
    assert row["state"] == "problem" and "no road" in row["found"]
    monkeypatch.setenv("LUIGI_TRAFFIC__PIPELINE__DATASET", "other")
    anew()  # one that does not run by default need not be ready
    assert found(command.rows(current(), deep=False), "dataset tiny")["state"] == "note"


def test_the_warehouse_up_and_stopped(empty):
    empty.commit_day(date(2024, 5, 1))
    row = found(command.rows(current(), deep=False), "warehouse")
    assert row["state"] == "ok" and "1 live partitions" in row["found"]
    server = EmbeddedServer(empty.path / "postgres")
    server.stop()
    row = found(command.rows(current(), deep=False), "warehouse")
    assert row["state"] == "note" and "stopped" in row["found"]
    assert not server.running()


def test_mlflow_store(empty):
    assert "first training" in reach.tracking(current().settings.tracking_uri).found
    path = empty.path / "mlflow" / "mlflow.db"
    path.parent.mkdir(parents=True)
    path.write_text("this is no database" * 100)
    with pytest.raises(Problem, match="not readable"):
        reach.tracking(current().settings.tracking_uri)
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("CREATE TABLE model_versions (name TEXT)")
        connection.execute("INSERT INTO model_versions VALUES ('m')")
    connection.close()
    assert "1 registered" in reach.tracking(current().settings.tracking_uri).found


def test_mlflow_server_that_is_down(empty, monkeypatch, anew):
    monkeypatch.setenv("LUIGI_TRAFFIC__TRACKING__URI", "http://me:hush@127.0.0.1:9")
    anew()
    with pytest.raises(Problem, match="does not answer") as caught:
        reach.tracking(current().settings.tracking_uri)
    shown = str(caught.value).partition(" does not answer")[0]
    assert "hush" not in shown


def test_duckdb_needs_no_java(empty, monkeypatch, anew):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    rows = command.rows(current(), deep=False)
    assert found(rows, "engine")["found"].startswith("duckdb")
    assert found(rows, "DuckDB")["state"] == "ok"
    assert "Java" not in {row["check"] for row in rows}


def test_java_and_memory(empty, monkeypatch, anew):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("LUIGI_TRAFFIC__COMPUTE__ENGINE", "spark")
    anew()
    row = found(command.rows(current(), deep=False), "Java")
    assert row["state"] == "problem" and "JAVA_HOME" in row["found"]
    monkeypatch.setenv("LUIGI_TRAFFIC__SPARK__DRIVER_MEMORY", "4000g")
    anew()
    assert found(command.rows(current(), deep=False), "memory")["state"] == "problem"
    monkeypatch.setenv("LUIGI_TRAFFIC__SPARK__DRIVER_MEMORY", "lots")
    anew()
    assert "not a size" in found(command.rows(current(), deep=False), "memory")["found"]


@pytest.mark.parametrize(
    ("text", "size"), [("3g", 3 << 30), ("512m", 512 << 20), ("700", 700 << 20), ("1GB", 1 << 30)]
)
def test_sizes_as_spark_reads_them(text, size):
    assert machine._bytes(text) == size


def test_exit_code_and_json(empty):
    good = empty.command("doctor", "--json")
    assert good.returncode == 0, good.stdout
    assert {"check", "state", "found", "todo"} == set(json.loads(good.stdout)[0])
    bad = empty.command("doctor", "--json", LUIGI_TRAFFIC__LAKE__PAHT="x")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)[-1]["state"] == "problem"
    assert "Traceback" not in bad.stderr
