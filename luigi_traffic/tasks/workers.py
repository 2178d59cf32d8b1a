"""How many processes of Luigi's make sense: one, if Spark lives in the process that uses it.

Luigi forks a process a task as soon as `--workers` is above 1. A Spark session does not survive a
fork, so on the local profile each task would start a JVM of its own. A Spark Connect server
(`spark.remote`) is shared by any number of processes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.interface import core

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.keys import Settings

logger = logging.getLogger("luigi_traffic")
#: Stages that download and announce: they use no Spark.
_WITHOUT_SPARK = {"IngestRaw", "AnnounceRaw"}


class Workers(luigi.IntParameter):
    """Luigi's own `--workers`, lowered to 1 if more would each start a Spark of its own."""

    def __init__(self, settings: Callable[[], Settings], **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings

    def normalize(self, x: int) -> int:
        """Luigi asks before it plans anything."""
        if x > 1 and self._own_spark() and _uses_spark():
            _warn(x)
            return 1
        return x

    def _own_spark(self) -> bool:
        try:
            settings = self._settings()
        except SettingsError:
            return False  # the first task says what is wrong with the settings
        spark = settings.spark
        own = not spark.remote and spark.master.startswith("local")
        return settings.engine == "spark" and own


def limit(settings: Callable[[], Settings]) -> None:
    """Let `luigi --workers` and `luigi.build(workers=…)` go through `Workers`.

    `settings` gives the settings in force when Luigi asks for the number. If it raises
    `SettingsError`, the number stays as it is.
    """
    limited = Workers(settings, default=1, description="Maximum number of parallel tasks to run")
    limited.__set_name__(core, "workers")  # as a class does with what stands in its body
    core.workers = limited


def _uses_spark() -> bool:
    parser = CmdlineParser.get_instance()
    words = vars(parser.known_args) if parser else {}
    # `--of` of RangeDaily and its like, with or without the name of the task.
    asked = {v for name, v in words.items() if name in ("root_task", "of") or name.endswith("_of")}
    return not asked & _WITHOUT_SPARK


@cache
def _warn(workers: int) -> None:
    logger.warning(
        "--workers %d is lowered to 1: each worker would start a Spark of its own, which takes "
        "several times as long. Spark uses all cores for one stage already. To share one Spark, "
        "start a Connect server (python -m luigi_traffic.spark.server) and set spark.remote; see "
        "docs/operate.md",
        workers,
    )
