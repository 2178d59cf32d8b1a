"""Backfill: one stage, and what it needs, for each day of a range."""

from __future__ import annotations

from datetime import date as Date
from datetime import timedelta
from functools import cached_property
from typing import Any

import luigi

from luigi_traffic.api.settled import last_settled_day
from luigi_traffic.api.stages import STAGES
from luigi_traffic.errors import SettingsError
from luigi_traffic.tasks import announce, gold  # noqa: F401 - the stages of a day
from luigi_traffic.tasks.base import DayStage, OfProject


def task_of(stage: str) -> Any:
    """The class of tasks that make a stage of a day."""
    found: list[Any] = [DayStage]
    for task in found:
        if getattr(task, "stage", None) == stage:
            return task
        found += task.__subclasses__()
    raise SettingsError(f"no module that is loaded has a task of the stage {stage}")


class Backfill(OfProject, luigi.WrapperTask):
    """Make a stage of each day of a range that lacks it, with the stages and events before it.

    `luigi-traffic backfill` shows what that would be, and runs a long range a part at a time.
    """

    first = luigi.DateParameter(description="First day of the range")
    last = luigi.DateParameter(description="Last day of the range")
    dataset = luigi.Parameter(
        default="", positional=False, description="Dataset plugin; empty: pipeline.dataset"
    )
    upto = luigi.ChoiceParameter(
        choices=STAGES, default=STAGES[-1], positional=False, description="The last stage to make"
    )
    newest_first = luigi.BoolParameter(
        positional=False, description="Begin with the last day of the range"
    )

    @cached_property
    def days(self) -> list[Date]:
        """The range, oldest first. Raises `SettingsError` if it is none, or not over yet."""
        if self.first > self.last:
            raise SettingsError(f"--first {self.first} is after --last {self.last}")
        newest = last_settled_day(self.project.plugins.dataset(self._dataset))
        if self.last > newest:
            raise SettingsError(
                f"--last {self.last}: the newest day of {self._dataset} that may be asked for is "
                f"{newest}"
            )
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @property
    def _dataset(self) -> str:
        return str(self.dataset or self.project.settings.pipeline.dataset)

    @cached_property
    def missing(self) -> list[Any]:
        """The tasks that are not complete, found once: what this run makes does not change it."""
        found = []
        for stage in dict.fromkeys((self.upto, *(("announce",) if self.upto != "raw" else ()))):
            make = task_of(stage)
            done = make.bulk_complete.__func__(self._made_by(make), self.days)
            found += [(day, make) for day in self.days if day not in set(done)]
        # A worker of Luigi begins with what it was told last.
        ordered = sorted(found, key=lambda one: one[0], reverse=not self.newest_first)
        return [self._made_by(make)(day) for day, make in ordered]

    def _made_by(self, make: Any) -> Any:
        return lambda day: make(day, dataset=self._dataset)

    def requires(self) -> list[Any]:
        """`missing`."""
        return self.missing
