"""While a plugin builds its plan: nothing runs, nothing is an RDD, no session is made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import Any

import pytest

#: What runs a job in the driver, or writes, in the middle of a transform.
_ACTIONS = (
    "collect", "toPandas", "toArrow", "count", "first", "take", "head", "tail", "isEmpty", "show",
    "foreach", "foreachPartition", "toLocalIterator", "cache", "persist", "checkpoint",
    "localCheckpoint",
)  # fmt: skip
_FRAMES = ("pyspark.sql.classic.dataframe", "pyspark.sql.connect.dataframe")
_SESSIONS = ("pyspark.sql.session", "pyspark.sql.connect.session")
_RUNS = (
    "it runs a job in the driver. Build one lazy plan using only DataFrame expressions; the core "
    "writes and counts in the same pass"
)
_RDD = "RDDs do not exist on Spark Connect. Write it with DataFrame expressions"
_CONTEXT = "there is no SparkContext on Spark Connect. Use the session that bronze() is given"
_OWN = (
    "the session belongs to the core. Use the `spark` that bronze() is given, or "
    "`frame.sparkSession`"
)


class NotLazy(AssertionError):
    """A plugin did in a transform what must not be done there."""


@contextmanager
def only_plans(what: str) -> Iterator[None]:
    """Raise `NotLazy`, naming `what`, where something but a plan is asked for in this block.

    Also where the plugin catches the error: it is raised again at the end.
    """
    broken: list[NotLazy] = []

    def refusal(name: str, why: str, original: Any) -> Callable[..., Any]:
        def refuse(*args: Any, **named: Any) -> Any:
            # PySpark itself may: `createDataFrame` of a list goes through an RDD.
            if sys._getframe(1).f_globals.get("__name__", "").startswith("pyspark."):
                return original(*args, **named)
            broken.append(NotLazy(f"{what} uses {name}: {why}."))
            raise broken[-1]

        return refuse

    with pytest.MonkeyPatch.context() as patch:
        for owner, name, why in _refused():
            original = vars(owner).get(name)
            shown = f"{owner.__qualname__.replace('.Builder', '.builder')}.{name}"
            if isinstance(original, property | cached_property):
                getter = original.fget if isinstance(original, property) else original.func
                patch.setattr(owner, name, property(refusal(shown, why, getter)))
            elif isinstance(original, classmethod):
                inner = original.__func__
                patch.setattr(owner, name, classmethod(refusal(shown, why, inner)))
            elif callable(original):
                patch.setattr(owner, name, refusal(shown, why, original))
        yield
    if broken:
        raise broken[0]


def _refused() -> Iterator[tuple[type, str, str]]:
    """(class, attribute, why not) of all that is refused, as far as it is installed."""
    for module in _FRAMES:
        if frame := _found(module, "DataFrame"):
            yield from ((frame, name, _RUNS) for name in _ACTIONS)
            yield frame, "rdd", _RDD
            yield frame, "write", _RUNS
    for module in _SESSIONS:
        if session := _found(module, "SparkSession"):
            yield session, "sparkContext", _CONTEXT
            yield session, "newSession", _OWN
            yield session.Builder, "getOrCreate", _OWN
            yield session.Builder, "create", _OWN
    if context := _found("pyspark.core.context", "SparkContext"):
        yield context, "getOrCreate", _CONTEXT
        yield context, "__init__", _CONTEXT


def _found(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name, None)
    except ImportError:  # the client of Spark Connect needs packages that classic Spark does not
        return None
