"""A client of MLflow whose failures are `StoreError`, and the making of MLflow's own tables."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from luigi_traffic.errors import StoreError
from luigi_traffic.processes import file_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: How long another process may take to make MLflow's tables: some 5 s on a quiet machine.
_MAKING_S = 120.0


@contextmanager
def store(tracking_uri: str) -> Iterator[MlflowClient]:
    """A client whose failures are `StoreError`; quiet, and without telemetry."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    logging.getLogger("alembic").setLevel(logging.ERROR)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # its import sets another
    try:
        _make_database(tracking_uri)
        yield MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    except MlflowException as error:
        # MLflow's message quotes the URI with its password, and so would a chained traceback.
        text = str(error).replace(tracking_uri, _redacted(tracking_uri))
        raise StoreError(
            f"MLflow at {_redacted(tracking_uri)} failed: {text}. Check tracking.uri and, if it "
            "is a server, that the server is running."
        ) from None


def quoted(text: str) -> str:
    """`text`, for a search between single quotes. Raises ValueError if it holds one."""
    if "'" in text:
        raise ValueError(f"{text!r} cannot be part of a search in MLflow")
    return text


@cache
def _make_database(tracking_uri: str) -> None:
    """Let MLflow make its tables in a file of SQLite, one process at a time: its own collide."""
    if not tracking_uri.startswith("sqlite:///"):
        return
    from mlflow import MlflowClient

    database = Path(tracking_uri.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True, exist_ok=True)
    place = database.with_name(f"{database.name}.lock")
    with place.open("wb") as file:
        file_lock.lock(file.fileno(), place, _MAKING_S)
        client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)


def _redacted(uri: str) -> str:
    """The URI without user and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
