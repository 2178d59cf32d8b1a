"""Registered models in MLflow: their versions, their files, and the champion.

`mlflow_runs` makes them. Errors of the store are `StoreError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi_traffic.errors import DataError, StoreError
from luigi_traffic.training.bundle import CARD, WEIGHTS, intact
from luigi_traffic.training.mlflow_store import quoted, store

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
PARTITION_ID = "partition_id"
DIGEST = "digest"
#: Tag of a version: the names of its bundle's files, separated by blanks.
FILES = "files"
#: Folder of a bundle among the files of its MLflow model.
BUNDLE = "bundle"


class ModelLost(DataError):
    """The files of a registered model are gone, or are not those that were registered."""


@dataclass(frozen=True)
class Registered:
    """A registered version and its run; no `experiment_id` if MLflow has lost the run."""

    name: str
    version: str
    run_id: str
    experiment_id: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Listed:
    """A version as a list of all of them shows it; tags of one registered by hand may lack."""

    version: str
    run_id: str
    tags: Mapping[str, str]
    registered_at: datetime


def registered_name(dataset: str, target: str = "") -> str:
    """The name under which all models of a dataset's own target, or of another, are registered.

    One champion a dataset and target: errors in different units cannot be compared.
    """
    return f"luigi_traffic.{dataset}.{target}" if target else f"luigi_traffic.{dataset}"


def find_version(tracking_uri: str, name: str, partition_id: str) -> Registered | None:
    """The version of that partition id, the first where two runners registered one each."""
    with store(tracking_uri) as client:
        found = client.search_model_versions(
            f"name = '{quoted(name)}' and tag.{PARTITION_ID} = '{quoted(partition_id)}'"
        )
        if not found:
            return None
        return registered(client, min(found, key=lambda v: int(v.version)))


def get_version(tracking_uri: str, name: str, version: str) -> Registered:
    """A version by its number. Raises StoreError where there is none."""
    with store(tracking_uri) as client:
        return registered(client, client.get_model_version(name, version))


def champion(tracking_uri: str, name: str) -> Registered | None:
    """The version that carries the alias `champion`."""
    with store(tracking_uri) as client:
        return champion_of(client, name)


def versions(tracking_uri: str, name: str) -> list[str]:
    """The numbers of all versions, the newest first; none if there is no such model."""
    with store(tracking_uri) as client:
        found = client.search_model_versions(f"name = '{quoted(name)}'")
        return sorted((str(one.version) for one in found), key=int, reverse=True)


def listed(tracking_uri: str, name: str) -> list[Listed]:
    """All versions, the newest first, by one request; none if there is no such model."""
    with store(tracking_uri) as client:
        found = [
            Listed(
                str(one.version),
                one.run_id or "",
                dict(one.tags),
                datetime.fromtimestamp(one.creation_timestamp / 1000, UTC),
            )
            for one in client.search_model_versions(f"name = '{quoted(name)}'")
        ]
        return sorted(found, key=lambda one: int(one.version), reverse=True)


def run_of(tracking_uri: str, run_id: str) -> tuple[dict[str, str], dict[str, float]] | None:
    """The parameters and the final figures of a run, None if MLflow does not have it."""
    from mlflow.exceptions import MlflowException

    with store(tracking_uri) as client:
        try:
            data = client.get_run(run_id).data
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return dict(data.params), dict(data.metrics)


def load_version(tracking_uri: str, name: str, version: str, into: Path) -> Path:
    """Copy a version's bundle below `into`; returns its folder, for `Bundle.load`.

    Pass the version's `digest` tag to `Bundle.load` as `expected`. Raises `ModelLost` if MLflow
    answers, and has no such version or not its files.
    """
    with store(tracking_uri) as client:
        import mlflow

        source = _files(client, tracking_uri, name, version)
        if source is None:
            raise ModelLost(f"version {version} of {name}, or its files, are missing from MLflow")
        into.mkdir(parents=True, exist_ok=True)
        try:
            found = mlflow.artifacts.download_artifacts(
                artifact_uri=source,
                dst_path=str(into),
                tracking_uri=tracking_uri,
            )
        except OSError as e:
            raise StoreError(
                f"the files of version {version} of {name} are not readable: {e}"
            ) from e
        return Path(found)


def has_bundle(tracking_uri: str, name: str, version: str) -> bool:
    """Whether MLflow has that version and the files of its bundle."""
    with store(tracking_uri) as client:
        return _files(client, tracking_uri, name, version) is not None


def bundle_folder(tracking_uri: str, details: Mapping[str, Any], local: Path) -> Path:
    """The folder of a bundle whose digest is the one in the ledger row's `details`.

    `local` is where the training left it; elsewhere, or if it was changed, it comes
    from MLflow. Raises `ModelLost` if it is not there either, `StoreError` if MLflow does not
    answer.
    """
    if intact(local, details["digest"]):
        return local
    into = local.with_name(f"{local.name}-registered")
    return intact_version(
        tracking_uri, details["name"], details["version"], details["digest"], into
    )


def intact_version(
    tracking_uri: str, name: str, version: str, digest: str | None, into: Path
) -> Path:
    """`load_version`, if its files are those of that digest; None: whatever they are.

    Raises `ModelLost` if they are not, `StoreError` if MLflow does not answer.
    """
    found = load_version(tracking_uri, name, version, into)
    if digest is not None and not intact(found, digest):
        raise ModelLost(
            f"version {version} of {name} in MLflow is not the one that was registered: its files "
            "were changed"
        )
    return found


def champion_of(client: MlflowClient, name: str) -> Registered | None:
    """`champion`, with a client that is there."""
    from mlflow.exceptions import MlflowException

    try:
        return registered(client, client.get_model_version_by_alias(name, CHAMPION))
    except MlflowException as error:
        # No such model yet, or no such alias: which of the two codes depends on the store.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def registered(client: MlflowClient, version: Any) -> Registered:
    """What MLflow says of a version, and of its run."""
    from mlflow.exceptions import MlflowException

    experiment_id = ""
    if version.run_id:  # one that somebody registered by hand may have none
        try:
            experiment_id = str(client.get_run(version.run_id).info.experiment_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise  # else deleted, and `mlflow gc` ran: the version is still there
    return Registered(
        version.name,
        str(version.version),
        version.run_id or "",
        experiment_id,
        dict(version.tags),
    )


def _files(client: MlflowClient, tracking_uri: str, name: str, version: str) -> str | None:
    """The address of a version's bundle, None if it, or a file of it, is not there."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        source = client.get_model_version_download_uri(name, version)
        tags = client.get_model_version(name, version).tags
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    place = f"{source}/artifacts/{BUNDLE}"
    found = mlflow.artifacts.list_artifacts(artifact_uri=place, tracking_uri=tracking_uri) or ()
    there = {Path(file.path).name for file in found}
    wanted = tags.get(FILES, f"{CARD} {WEIGHTS}").split()  # earlier versions have no tag
    return place if there.issuperset(wanted) else None
