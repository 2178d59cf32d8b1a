from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small import FOLDER
from sqlalchemy import Engine, event
from training_tiny import AllLinks, PerLink, around, config, get_model, road

import luigi_traffic
from luigi_traffic.api.model import ModelShape
from luigi_traffic.errors import StoreError
from luigi_traffic.training import champion, mlflow_runs, registry
from luigi_traffic.training.bundle import Bundle, digest
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.trainer import Trainer
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.ledger import LedgerRow

NAME = "luigi_traffic.road"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    series, model, settings = road(), PerLink(), config()
    shape = ModelShape(6, 4, 1, model.channels(settings), series.steps_per_day)
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("any name")
    Bundle(
        model, settings, shape, Scaler.fit(series, slice(0, 99)), model.build(settings, shape),
        "road", around(series), np.full(5, 60, np.float32),
    ).save(folder)  # fmt: skip
    return folder


FIRST_RUN = """
import os, sys
from pathlib import Path
from luigi_traffic.training import mlflow_runs
sys.stdin.readline()
mlflow_runs.log_run(sys.argv[1], "first", "luigi_traffic.first", Path(sys.argv[2]),
    partition_id=sys.argv[3], columns=["speed"], params={}, history=[], metrics={}, tags={})
assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
"""
#: MLflow's own migrations collide if two trainings are the first of a home.
FIRST = ("p", "q")


@pytest.fixture(scope="module")
def first_runs(
    bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, list[tuple[int, str, str]]]:
    """A database as two users at once get it: (its URI, working directory, what each process said).

    What a process said is its exit status, standard output and standard error. One database for
    all tests of this file, since its creation takes seconds.
    """
    uri = f"sqlite:///{tmp_path_factory.mktemp('tracking')}/{FOLDER}/mlflow.db"
    cwd = tmp_path_factory.mktemp("cwd")
    root = str(Path(luigi_traffic.__file__).parents[1])
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_RUN, uri, str(bundle), partition_id],
            cwd=cwd, env=os.environ | {"PYTHONPATH": root}, stdin=pipe, stdout=pipe, stderr=pipe,
            text=True,
        )
        for partition_id in FIRST
    ]  # fmt: skip
    for one in running:
        assert one.stdin
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate(timeout=250) for one in running]
    return uri, cwd, [(o.returncode, *s) for o, s in zip(running, said, strict=True)]


@pytest.fixture(scope="module")
def store(first_runs: tuple[str, Path, list[tuple[int, str, str]]]) -> str:
    return first_runs[0]


def test_two_first_runs_at_once_make_one_store_and_leave_nothing_else(
    first_runs: tuple[str, Path, list[tuple[int, str, str]]],
) -> None:
    uri, cwd, said = first_runs
    assert said == [(0, "", "")] * len(FIRST)
    assert list(cwd.iterdir()) == []
    for partition_id in FIRST:
        assert registry.find_version(uri, "luigi_traffic.first", partition_id) is not None


def log(
    store: str, bundle: Path, partition_id: str, name: str = NAME, **changes: object
) -> registry.Registered:
    what: dict = {
        "partition_id": partition_id,
        "columns": ["speed", "t1"],
        "params": {f"p{i}": i for i in range(120)},
        "history": [
            {"epoch": e, "train_loss": 9.0 - e, "validation_mae": 5.0 - e} for e in (1, 2, 3)
        ],
        "metrics": {"model_mae_mean": 3.5, "model_f1_mean": None},
        "tags": {"gold_ids_digest": "feed"},
    }
    return mlflow_runs.log_run(store, name, name, bundle, **(what | changes))


def test_a_run_holds_what_was_logged(store: str, bundle: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    report = tmp_path / "report.html"
    report.write_text("<p>fine")
    version = log(store, bundle, "a1", files=[report])
    client = MlflowClient(store)
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["p119"] == "119"
    assert run.data.metrics == {"train_loss": 6.0, "validation_mae": 2.0, "model_mae_mean": 3.5}
    steps = [m.step for m in client.get_metric_history(version.run_id, "validation_mae")]
    assert steps == [1, 2, 3]
    assert [f.path for f in client.list_artifacts(version.run_id)] == ["model", "report.html"]
    assert version.tags["gold_ids_digest"] == "feed"
    assert version.tags["digest"] == digest(bundle)
    database = Path(store.removeprefix("sqlite:///"))
    assert run.info.artifact_uri.startswith((database.parent / "artifacts").as_uri())


def test_a_version_is_found_by_its_partition(store: str, bundle: Path) -> None:
    name = "luigi_traffic.found"
    assert registry.find_version(store, name, "b1") is None
    one = log(store, bundle, "b1", name)
    two = log(store, bundle, "b2", name)
    assert registry.find_version(store, name, "b1") == one
    assert registry.find_version(store, name, "b2") == two
    assert registry.find_version(store, name, "b3") is None
    assert registry.find_version(store, "luigi_traffic.other", "b1") is None
    rival = log(store, bundle, "b1", name)  # what a race of two runners leaves
    assert rival.version != one.version
    assert registry.find_version(store, name, "b1") == one
    assert registry.get_version(store, name, two.version) == two


def test_the_bundle_comes_back_whole(store: str, bundle: Path, tmp_path: Path) -> None:
    (bundle / "network.pt.1.tmp").write_text("what a crash left")
    version = log(store, bundle, "c1")
    (bundle / "network.pt.1.tmp").unlink()
    folder = registry.load_version(store, NAME, version.version, tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "network.pt"]
    assert folder.is_relative_to(tmp_path)
    loaded = Bundle.load(folder, get_model, expected=version.tags[registry.DIGEST])
    assert loaded.links == road().links


def test_the_mlflow_model_forecasts_from_rows_of_gold(
    store: str, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from mlflow import MlflowClient

    class Installed:
        model = staticmethod(get_model)

    monkeypatch.setattr("luigi_traffic.plugins.plugins", Installed, raising=False)
    version = log(store, bundle, "d1")
    client = MlflowClient(store)
    source = client.get_model_version_download_uri(NAME, version.version)
    model = mlflow.pyfunc.load_model(source)
    assert [c.name for c in model.metadata.signature.inputs] == [
        "timestamp",
        "link_id",
        "speed",
        "t1",
    ]
    series = road()
    rows = pd.DataFrame(
        {
            "timestamp": np.repeat(series.timestamps[:30], 5),
            "link_id": np.tile(series.links, 30),
            "speed": series.actual[:30].ravel().astype(float),
            "t1": series.column("t1")[:30].ravel().astype(float),
        }
    ).sample(frac=1, random_state=0)
    got = model.predict(rows)
    expected = Forecaster(Bundle.load(bundle, get_model), "cpu").predict(series, np.array([24]))[0]
    np.testing.assert_allclose(got["speed"].to_numpy().reshape(4, 5), expected, rtol=1e-5)
    assert got["timestamp"].iloc[0] == pd.Timestamp("2024-01-01T15:00")
    assert got["timestamp"].iloc[-1] == pd.Timestamp("2024-01-01T16:30")
    assert got["step"].tolist() == [s for s in (1, 2, 3, 4) for _ in range(5)]


def test_what_mlflow_answers_is_named_as_the_target(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from mlflow import MlflowClient

    class Installed:
        model = staticmethod(get_model)

    monkeypatch.setattr("luigi_traffic.plugins.plugins", Installed, raising=False)
    series = replace(road(), columns=("flow", "t2", "t1", "f1", "f2"), target="flow")
    model, settings = AllLinks(), config()
    shape = ModelShape(6, 4, 5, ("flow",), series.steps_per_day)
    Bundle(
        model,
        settings,
        shape,
        Scaler.fit(series, slice(0, 99)),
        model.build(settings, shape),
        "road",
        replace(around(series), target="flow", unit="veh/h"),
        np.full(5, np.nan, np.float32),
    ).save(tmp_path / "b")
    version = log(
        store, tmp_path / "b", "flow", "luigi_traffic.flow", columns=["flow"], target="flow"
    )
    source = MlflowClient(store).get_model_version_download_uri(
        "luigi_traffic.flow", version.version
    )
    loaded = mlflow.pyfunc.load_model(source)
    rows = pd.DataFrame(
        {
            "timestamp": np.repeat(series.timestamps[:30], 5),
            "link_id": np.tile(series.links, 30),
            "flow": series.actual[:30].ravel().astype(float),
        }
    )
    got = loaded.predict(rows)
    assert list(got.columns) == ["timestamp", "link_id", "step", "flow"]
    assert [c.name for c in loaded.metadata.signature.outputs] == list(got.columns)
    expected = Forecaster(Bundle.load(tmp_path / "b", get_model), "cpu").predict(
        series, np.array([24])
    )[0]
    np.testing.assert_allclose(got["flow"].to_numpy().reshape(4, 5), expected, rtol=1e-5)


def test_runs_that_a_crash_left_open_are_closed_and_a_rivals_is_not(
    store: str, bundle: Path
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(store)
    name = "luigi_traffic.crashed"
    experiment = client.get_experiment(log(store, bundle, "e0", name).experiment_id)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    import socket

    def open_run(pid: int, partition: str, host: str) -> str:
        tags = {"partition_id": partition, mlflow_runs.HOST: host, mlflow_runs.PROCESS: str(pid)}
        return client.create_run(experiment.experiment_id, tags=tags).info.run_id

    here = socket.gethostname()
    dead, alive = open_run(gone.pid, "e1", here), open_run(os.getppid(), "e1", here)
    elsewhere, other = open_run(gone.pid, "e1", "elsewhere"), open_run(gone.pid, "e2", here)
    log(store, bundle, "e1", name)
    status = {run: client.get_run(run).info.status for run in (dead, alive, elsewhere, other)}
    assert status == {dead: "KILLED", alive: "RUNNING", elsewhere: "RUNNING", other: "RUNNING"}


def test_promotion_is_recorded_repeatable_and_follows_the_decision(
    store: str, bundle: Path
) -> None:
    name = "luigi_traffic.champions"
    assert registry.champion(store, name) is None
    one, two, three = (log(store, bundle, f"f{i}", name) for i in range(3))
    assert registry.champion(store, name) is None
    first = champion.decide_first(4.0)
    assert champion.promote(store, one, first)
    worse = champion.Decision(False, "not champion", 4.2, 4.0, one.version)
    assert not champion.promote(store, two, worse)
    holder = registry.champion(store, name)
    assert holder is not None
    assert holder.version == one.version
    found = registry.find_version(store, name, "f1")
    assert found is not None
    assert champion.recorded(found) == worse
    assert champion.recorded(one) is None  # as it was before the decision

    better = champion.Decision(True, "champion", 3.0, 4.0, one.version)
    assert champion.promote(store, three, better)
    assert champion.promote(store, three, better)  # a rerun
    assert not champion.promote(store, one, first)  # too late: the alias has moved on
    holder = registry.champion(store, name)
    assert holder is not None
    assert holder.version == three.version


def lose_run_by_gc(store: str, version: registry.Registered, _files: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(store).delete_run(version.run_id)
    # As `mlflow gc` does it, without the seconds that its process takes.
    tracking = MlflowClient(store)._tracking_client.store
    tracking._hard_delete_run(version.run_id)
    shutil.rmtree(_files.parents[1])


def lose_files(_store: str, _version: registry.Registered, files: Path) -> None:
    files.rename(files.with_name("moved"))


def alter_weights(_store: str, _version: registry.Registered, files: Path) -> None:
    (files / "network.pt").write_bytes(b"other")


def lose_version(store: str, version: registry.Registered, _files: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(store).delete_model_version(version.name, version.version)


def store_fails(store: str, version: registry.Registered, files: Path) -> None:
    """The server of the files answers with an error."""


def scored(mae: float) -> Any:
    """An evaluation of that error."""
    return SimpleNamespace(mae=lambda: mae)


LOSSES = [lose_run_by_gc, lose_files, alter_weights, lose_version, store_fails]


@pytest.mark.parametrize(
    ("lose", "mine", "promoted"), [*((x, 6.861, False) for x in LOSSES), (lose_files, 1.5, True)]
)
def test_a_lost_champion_is_reported_and_gives_way_to_a_better_one_alone(
    store: str, bundle: Path, caplog, monkeypatch, lose, mine: float, promoted: bool
) -> None:
    name = registry.registered_name(f"{lose.__name__}_{promoted}".lower())
    version = log(store, bundle, "h1", name)
    assert champion.promote(store, version, champion.decide_first(1.927))
    database = Path(store.removeprefix("sqlite:///"))
    run = database.parent / "artifacts" / name / version.run_id
    lose(store, version, run / "artifacts" / "model" / "artifacts" / "bundle")
    if lose is store_fails:

        def fail(*_: object, **_more: object) -> Path:
            raise StoreError("MLflow at http://x failed: 500")

        monkeypatch.setattr(registry, "load_version", fail)
    details = {
        "promoted": True, "name": name, "version": version.version,
        "scores": {"model": {"mean": {"mae": 1.927}}},
    }  # fmt: skip
    row = LedgerRow("model", "x", "h1", "h1", {}, [], 1, "", details)
    monkeypatch.setattr(ledger, "current", lambda *_: {"h1": row})
    nothing: Any = SimpleNamespace()

    def scored(mae: float) -> Any:
        return SimpleNamespace(mae=lambda: mae)

    trainer = Trainer(
        **dict.fromkeys((f.name for f in fields(Trainer)), nothing)
        | {
            "tracking_uri": store,
            "dataset": SimpleNamespace(name=name.removeprefix("luigi_traffic."), target="speed"),
            "target": "speed",
            "get_model": get_model,
            "partition_id": "h2",
            "warehouse": SimpleNamespace(connect=lambda: nullcontext()),
        }
    )
    with caplog.at_level(logging.WARNING, "luigi_traffic"):
        monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
        decision, compared = trainer._decide(nothing, nothing, scored(mine), nothing)
    assert decision.promoted is promoted and compared is None
    assert f"version {version.version}, which is lost in MLflow" in decision.reason
    assert "1.9270, recorded" in decision.reason
    assert f"the champion of {name}, version {version.version}, is lost: " in caplog.text
    assert "Restore it in MLflow" in caplog.text
    # Vehicles an hour cannot be compared with what is recorded of a champion of speeds.
    of_flow = replace(trainer, target="flow")
    assert of_flow._decide(nothing, nothing, scored(99.0), nothing)[0].promoted
    # The same training once more, as the warning says: its MAE is the recorded one, not smaller.
    again = replace(trainer, partition_id="h1")
    assert again._decide(nothing, nothing, scored(1.927), nothing)[0].promoted
    next_one = log(store, bundle, "h2", name)
    assert champion.promote(store, next_one, decision) is promoted
    holder = registry.champion(store, name)
    assert (holder.version if holder else None) == (
        next_one.version if promoted else decision.champion_version
    )


def test_a_lost_champion_without_a_record_gives_way_and_it_is_said() -> None:
    decision = champion.decide_lost(9.0, champion.Lost("n", "3", None, "gone", "3"))
    assert decision.promoted and decision.champion_version == "3"
    assert "version 3 is lost in MLflow and no MAE of it is recorded" in decision.reason
    assert champion.lost_before([]) is None


RIVAL = {
    "model_version_tags": (
        "insert into model_version_tags (workspace, name, version, key, value) "
        "values ('default', ?, ?, 'decision', '{}')"
    ),
    "registered_model_aliases": (
        "insert into registered_model_aliases (workspace, name, version, alias) "
        "values ('default', ?, ?, 'champion')"
    ),
}


@pytest.mark.parametrize(
    ("table", "of_rival"),
    [
        ("model_version_tags", False),
        ("registered_model_aliases", False),
        ("registered_model_aliases", True),
    ],
)
def test_a_rival_that_writes_between_mlflows_read_and_its_insert(
    store: str, bundle: Path, table: str, of_rival: bool
) -> None:
    """MLflow refuses the second insert; two runners of one training must both succeed."""
    name = f"luigi_traffic.{table}.{of_rival}"
    ours, rivals = (log(store, bundle, "g", name) for _ in range(2))
    theirs = rivals if of_rival else ours
    writes = []

    def write_first(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.upper().startswith(f"INSERT INTO {table.upper()}") and not writes:
            writes.append(statement)
            with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as rival, rival:
                rival.execute(RIVAL[table], (name, int(theirs.version)))

    event.listen(Engine, "before_cursor_execute", write_first)
    try:
        promoted = champion.promote(store, ours, champion.decide_first(4.0))
    finally:
        event.remove(Engine, "before_cursor_execute", write_first)
    assert writes
    holder = registry.champion(store, name)
    assert holder is not None
    assert holder.version == theirs.version
    assert promoted == (theirs == ours)
    found = registry.get_version(store, name, ours.version)
    assert champion.recorded(found) == champion.decide_first(4.0)


def test_a_store_that_does_not_answer_is_a_store_error_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreError, match=r"MLflow at http://127.0.0.1:9 failed") as raised:
        registry.champion("http://someone:hunter2@127.0.0.1:9", "x")
    assert "hunter2" not in str(raised.value)
