"""What every dated stage has in common: parameters, completeness, one runner at a time."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import luigi

from luigi_traffic.errors import extras_named
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.project import Project, current
from luigi_traffic.recipe import Recipe
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.targets.stage_input import StageInput
from luigi_traffic.targets.warehouse import ledger_view
from luigi_traffic.tasks.attempt import attempt
from luigi_traffic.tasks.time_limit import time_limit
from luigi_traffic.warehouse.attempts import Work

if TYPE_CHECKING:
    from luigi_traffic.compute.engine import Engine

logger = logging.getLogger("luigi_traffic")
#: Progress goes to luigid as it comes, and into the log this often.
_TELL_SECONDS = 5.0


class OfProject:
    """For tasks: the project that they work on. Luigi makes a task of its parameters alone."""

    @property
    def project(self) -> Project:
        """The project of this process."""
        return current()


class OfADay(OfProject):
    """For tasks whose one positional parameter is a day, so that Luigi's RangeDaily takes them."""

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[Any]) -> list[Any]:
        """Those of the days that are complete: one listing a stage for all of them."""
        make: Any = cls  # RangeDaily hands in a partial of the class
        project = current()
        with project.catalog.snapshot():
            ledger_view(project).forget()
            return [p for p in parameter_tuples if _task(make, p).complete()]


class Stage(OfProject, luigi.Task):
    """A stage that two runners may want at once: one works, the other finds it done.

    The lock only saves work; what makes the result right is the conditional commit.
    """

    stage: ClassVar[str]
    #: When the log last had a line of progress.
    _told = 0.0
    #: Of the partition that it made, if it counts them. (An annotation would make it a parameter.)
    rows = cast("int | None", None)

    @classmethod
    def get_params(cls) -> list[tuple[str, luigi.Parameter[Any]]]:
        """As Luigi has it, which looks for them four times a task: half the time of a long plan."""
        return list(_parameters(cls))

    @property
    def worker_timeout(self) -> None:  # type: ignore[override]
        """None. Luigi asks for it when it is about to run the task, before it looks whether what
        the task requires is complete: from there on another runner's commits must be seen."""
        self.project.catalog.begin_work()

    @property
    def lock_name(self) -> str:
        """What two runners of the same work agree on."""
        return str(self.task_id)

    @property
    def label(self) -> str:
        """This work in a few words, for the log."""
        return str(self)

    @abstractmethod
    def work(self) -> str:
        """Do it; the answer says in a few words what was made."""

    def run(self) -> None:
        """Take the lock, look again, work."""

        def waiting() -> None:
            self.tell("another runner is working on it: waiting")
            logger.info("%s: another runner is working on it, waiting", self.label)

        limit = self.project.settings.pipeline.stage_timeout_hours * 3600
        self.project.catalog.begin_work()
        # A holder that works ends within this time; the commit decides if it goes on after it.
        with (
            extras_named(),
            self.project.warehouse.lock(self.lock_name, waiting, limit),
            time_limit(self.label, limit, "pipeline.stage_timeout_hours"),
        ):
            self._told = time.monotonic()
            if self.complete():
                logger.info("%s: another runner has done it", self.label)
                return
            started = time.monotonic()
            with attempt(self.project.warehouse, self.tried, self._show) as outcome:
                outcome.message = made = self.work()
                outcome.rows = self.rows
            logger.info("%s: %s (%.1f s)", self.label, made, time.monotonic() - started)
            self._told = time.monotonic()
            self.tell(made)

    @property
    def tried(self) -> Work:
        """What an attempt of it is called in the warehouse."""
        of: Any = self  # every stage has a parameter for the day and one for the dataset
        day = of.date.isoformat()
        return Work(str(self.task_id), self.stage, of.dataset, day, self.lock_name)

    def _show(self, message: str) -> None:
        if self.set_status_message is not None:
            self.set_status_message(message)

    def tell(self, message: str, percent: float | None = None) -> None:
        """A status message, and progress in percent, for those who watch luigid."""
        self._show(message)
        now = time.monotonic()
        if now - self._told > _TELL_SECONDS:
            self._told = now
            logger.info("%s: %s", self.label, message)
        if percent is not None and self.set_progress_percentage is not None:
            self.set_progress_percentage(round(percent))


@cache
def _parameters(stage: type[Stage]) -> list[tuple[str, luigi.Parameter[Any]]]:
    found: list[tuple[str, luigi.Parameter[Any]]] = super(Stage, stage).get_params()
    return found


class DayStage(OfADay, Stage):
    """A stage of one dataset and day."""

    date = luigi.DateParameter(description="Day, in the dataset's local time")
    dataset = luigi.Parameter(positional=False, description="Name of the dataset plugin")

    #: Whether it needs an engine.
    computes: ClassVar[bool] = False

    @property
    def worker_timeout(self) -> None:  # type: ignore[override]
        """As for each stage. With more than one worker Luigi forks a process for the task now."""
        if self.computes and self.project.settings.engine == "duckdb":
            with suppress(ModuleNotFoundError):  # the stage itself says which extra is missing
                self.engine.before_fork()
        return super().worker_timeout

    @property
    def chain(self) -> DayChain:
        """The ids of this day."""
        return DayChain(self.project, self.dataset, self.date)

    @property
    def label(self) -> str:  # noqa: D102
        return f"{self.stage} {self.dataset} {self.date}"

    @cached_property
    def engine(self) -> Engine:
        """What computes the stage."""
        from luigi_traffic.compute.engine import engine_of

        return engine_of(self.project.settings)

    def work(self) -> str:
        """Gather what shapes the output, then make it of that alone."""
        return self.make(self.given())

    @abstractmethod
    def make(self, given: Any) -> str:
        """Make the day's partition of what is `given`; in a few words, what was made.

        What else it reads shapes nothing: stores, limits, progress.
        """

    def given(self) -> Any:
        """What `make` reads: for raw the source, see there; for others the upstream partition."""
        lineage, stage = self.chain.lineage, self.stage
        return StageInput(
            day=self.date,
            dataset=lineage.dataset_for(stage),
            recipe=self.chain.recipe(stage),
            upstream=self.input().whole(),
            graph=lineage.graph if stage == "gold" else None,
        )

    def next_generation(self, recipe: Recipe, partition_id: str | None = None) -> int:
        """The number to commit the day's partition under; asked for before the work begins."""
        return self.project.catalog.next_generation(
            self.stage, self.dataset, self.date, recipe.hash, partition_id
        )

    def commit(self, manifest: Manifest, attempt: Attempt | None = None) -> bool:
        """Commit a lake partition; False, and our attempt removed, if another was first.

        `attempt` holds its data, None if it has none.
        """
        self.rows = manifest.rows_out
        if self.project.catalog.commit(manifest):
            return True
        if attempt is not None:
            self.project.catalog.discard(attempt)
        logger.info("%s: another runner committed it first", self.label)
        return False


def _task(make: Any, parameters: Any) -> Any:
    return make(*parameters) if isinstance(parameters, tuple | list) else make(parameters)
