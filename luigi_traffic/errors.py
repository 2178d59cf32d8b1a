"""Errors a person is meant to read: what is wrong, where, and what to do.

Transient and terminal are separate classes, so that nobody matches strings to
decide on a retry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

#: Package that is imported -> the extra of luigi-traffic that brings it (setup.cfg).
_EXTRAS = {
    "pyspark": "spark", "grpc": "spark",
    "duckdb": "duckdb", "sqlframe": "duckdb", "xxhash": "duckdb",
    "torch": "training", "mlflow": "training", "matplotlib": "training",
    "pyogrio": "geo", "pyproj": "geo", "shapely": "geo",
    "minio": "stack", "kafka": "stack",
    "fastapi": "serve", "orjson": "serve", "uvicorn": "serve",
    "prometheus_client": "serve", "numpy": "all", "pandas": "all", "pyarrow": "all",
}  # fmt: skip


class TrafficError(Exception):
    """Base of every error this framework raises on purpose.

    Logged as one message without a traceback (see `luigi_traffic.commands.logs`).
    """


class TransientError(TrafficError):
    """Trying again may help: a timeout, a 5xx answer, a server that restarts."""


class TerminalError(TrafficError):
    """Trying again will not help until somebody changes something."""


class SettingsError(TerminalError):
    """A setting is missing, unknown or of the wrong type."""


class PluginError(TerminalError):
    """A plugin is missing, broken, or returned what its contract does not allow."""


class SourceError(TerminalError):
    """The source answered, but not with what it promised (HTML, a truncated archive)."""


class SourceAbsent(TerminalError):
    """The source has nothing for that day (404); see the setting `missing_days`."""


class DayNotOver(TerminalError):
    """The day is not over in the dataset's zone, or has not settled: it may be asked for later."""


class DataError(TerminalError):
    """The data breaks its contract (columns, day, encoding, too many rejected rows)."""


class DamageError(TransientError):
    """What was committed is lost or altered. It is marked: the next run makes it anew."""


class StoreError(TransientError):
    """The lake, the warehouse, the event log or the tracking store does not answer, or is full."""


def missing_extra(error: BaseException) -> str | None:
    """What to install, if a package is missing that an extra of luigi-traffic brings."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    package = (name or "").partition(".")[0]
    if package not in _EXTRAS:
        return None
    return (
        f"the package {package!r} is not installed. Install it: "
        f"pip install 'luigi-traffic[{_EXTRAS[package]}]'"
    )


@contextmanager
def extras_named() -> Iterator[None]:
    """Raises `SettingsError` that names the extra if a package of one is missing."""
    try:
        yield
    except ModuleNotFoundError as e:
        if (missing := missing_extra(e)) is None:
            raise
        raise SettingsError(missing) from e


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the nearest known word, or the list of known ones."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(names)}." if names else ""
