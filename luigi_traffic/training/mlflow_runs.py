"""One run of MLflow a training, and its bundle as a registered version.

A version's tags say what it is made of: `partition_id`, `digest` (see `bundle`), and
what the caller adds. A version appears only after its run is complete, in one call with
its tags; so a version that exists is whole, and `registry.find_version` tells a rerun after
a crash that the work is done.

Runs go through `MlflowClient` alone: the global tracking URI and the active run of a
process that imports us are left as they are.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi_traffic.training.bundle import digest, file_names
from luigi_traffic.training.mlflow_model import save_model
from luigi_traffic.training.mlflow_store import quoted, store
from luigi_traffic.training.registry import DIGEST, FILES, PARTITION_ID, Registered, registered

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

HOST, PROCESS = "luigi_traffic.host", "luigi_traffic.pid"
#: A run is open for seconds; one of another machine that is open this long was left behind.
ABANDONED_SECONDS = 3600
_BATCH = {"metrics": 1000, "params": 100}  # MLflow's limits of one log_batch


def log_run(
    tracking_uri: str,
    experiment: str,
    registered_name: str,
    bundle: Path,
    *,
    partition_id: str,
    columns: Sequence[str],
    target: str = "speed",
    requirement: str | None = None,
    params: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
    metrics: Mapping[str, float | None],
    tags: Mapping[str, str],
    files: Sequence[Path] = (),
    description: str | None = None,
) -> Registered:
    """Log a training and register its bundle as a new version.

    `columns` of gold go in, `target` comes out; `requirement` is pip's name of the plugin, see
    `save_model`. `history` is one dict an epoch with its number under "epoch"; `metrics` are final
    figures (None is left out); `tags` go to the run and to the version; `files` (report,
    evaluation) become artifacts of the run; `description` is the version's, in Markdown. Call
    `find_version` first. Runs of the same partition that a crash left open are closed as KILLED.
    """
    with store(tracking_uri) as client:
        experiment_id = _experiment(client, tracking_uri, experiment)
        _close_abandoned(client, experiment_id, partition_id)
        all_tags = {
            **tags, PARTITION_ID: partition_id, DIGEST: digest(bundle),
            FILES: " ".join(file_names(bundle)),
        }  # fmt: skip
        run = client.create_run(
            experiment_id,
            tags={**all_tags, HOST: socket.gethostname(), PROCESS: str(os.getpid())},
            run_name=f"{registered_name} {partition_id[:8]}",
        )
        run_id = run.info.run_id
        _log_figures(client, run_id, params, history, metrics)
        for file in files:
            client.log_artifact(run_id, str(file))
        with tempfile.TemporaryDirectory(prefix="luigi-traffic-") as scratch:
            save_model(Path(scratch) / "model", bundle, columns, target, requirement)
            client.log_artifacts(run_id, str(Path(scratch) / "model"), "model")
        client.set_terminated(run_id, "FINISHED")
        _ensure_registered(client, registered_name)
        version = client.create_model_version(
            registered_name,
            f"{run.info.artifact_uri}/model",
            run_id,
            tags=all_tags,
            description=description,
        )
        log.info("Registered %s version %s (run %s).", registered_name, version.version, run_id)
        return registered(client, version)


def _experiment(client: MlflowClient, tracking_uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        # Without a server, MLflow would put artifacts into ./mlruns of whoever runs us.
        location = None
        if tracking_uri.startswith("sqlite:///"):
            database = Path(tracking_uri.removeprefix("sqlite:///")).resolve()
            location = (database.parent / "artifacts" / name).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another runner was faster
            if found is None:
                raise
    return str(found.experiment_id)


def _close_abandoned(client: MlflowClient, experiment_id: str, partition_id: str) -> None:
    """Close open runs of this partition whose process is gone (not those of a live rival)."""
    runs = client.search_runs(
        [experiment_id],
        f"attributes.status = 'RUNNING' and tags.{PARTITION_ID} = '{quoted(partition_id)}'",
    )
    for run in runs:
        here = run.data.tags.get(HOST) == socket.gethostname()
        pid = run.data.tags.get(PROCESS, "")
        age = time.time() - run.info.start_time / 1000
        if age > ABANDONED_SECONDS or (here and pid.isdigit() and not _alive(int(pid))):
            log.info("Closing the MLflow run %s, which was left open by a crash.", run.info.run_id)
            client.set_terminated(run.info.run_id, "KILLED")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _log_figures(
    client: MlflowClient,
    run_id: str,
    params: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
    metrics: Mapping[str, float | None],
) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    figures = [
        Metric(key, float(value), now, int(row["epoch"]))
        for row in history
        for key, value in row.items()
        if key != "epoch"
    ]
    figures += [Metric(k, float(v), now, 0) for k, v in metrics.items() if v is not None]
    settings = [Param(key, str(value)) for key, value in params.items()]
    for begin in range(0, len(settings), _BATCH["params"]):
        client.log_batch(run_id, params=settings[begin : begin + _BATCH["params"]])
    for begin in range(0, len(figures), _BATCH["metrics"]):
        client.log_batch(run_id, metrics=figures[begin : begin + _BATCH["metrics"]])


def _ensure_registered(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
