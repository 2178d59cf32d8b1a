"""`luigi-traffic listen`: runs the pipeline for every day that is announced."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date as Date

from luigi.task_register import Register

from luigi_traffic.commands.group_filter import filters
from luigi_traffic.errors import SettingsError, did_you_mean
from luigi_traffic.events.announcement import topic_of
from luigi_traffic.events.dead_letters import DeadLetters
from luigi_traffic.events.listener import Listener, Wanted
from luigi_traffic.events.received import DayWanted
from luigi_traffic.events.sending import ensure_topics
from luigi_traffic.events.stream import Stream
from luigi_traffic.processes.heartbeat import Heartbeat
from luigi_traffic.processes.luigi_run import LuigiRun, command
from luigi_traffic.processes.stop_signal import stop_signal
from luigi_traffic.project import Project
from luigi_traffic.tasks import announce, evaluate, gold, insight, pipeline, retrain
from luigi_traffic.warehouse.consumed_events import ConsumedEvents

logger = logging.getLogger("luigi_traffic")

#: All tasks of the pipeline come with these modules: a task is registered when it is imported.
_MODULES = (announce, evaluate, gold, insight, pipeline, retrain)


@dataclass(frozen=True)
class Options:
    """The command line: see `luigi-traffic listen --help`."""

    datasets: Sequence[str] = ()
    task: str = "Gold"
    group: str = ""
    first: Date | None = None
    until_idle: float | None = None
    luigi_arguments: Sequence[str] = field(default_factory=tuple)


def listen(project: Project, options: Options) -> None:
    """Listen until SIGTERM, Ctrl-C or idleness. Raises `TrafficError`."""
    chosen = project.settings
    if chosen.events.kind != "kafka":
        raise SettingsError(
            f"events.kind is {chosen.events.kind!r}: `luigi-traffic listen` reads from Kafka. Set "
            "events.kind to kafka, or use the stack profile (LUIGI_TRAFFIC_PROFILE=stack)."
        )
    check_task(options.task, options.first)
    datasets = list(options.datasets) or sorted(project.plugins.datasets)
    # A name that no plugin provides is told here.
    topic_by_dataset = {n: topic_of(project.plugins.dataset(n), chosen.events) for n in datasets}
    topics = sorted(set(topic_by_dataset.values()))
    group = options.group or chosen.listen.group
    decided = ConsumedEvents(project.warehouse, group)
    decided.agree(filters(topic_by_dataset, options.task, options.first, options.luigi_arguments))
    ensure_topics(chosen.events, topics)

    def run(day: DayWanted) -> LuigiRun:
        return LuigiRun(words(options.task, day, options.luigi_arguments))

    pulse = Heartbeat(project.home, f"listen-{group}")
    with stop_signal() as stop:
        stream = Stream(chosen.events, topics, group)
        logger.info("listening to %s as %s: %s", ", ".join(topics), group, options.task)
        try:
            Listener(
                stream,
                decided,
                DeadLetters(chosen.events, chosen.listen, group).send,
                run,
                chosen.listen,
                Wanted(project.plugins.datasets, datasets, options.first),
                stop,
                chosen.pipeline.run_timeout_hours * 3600,
                pulse,
            ).listen(options.until_idle)
        finally:
            pulse.doing("nothing: the service has ended")
            stream.close()


def words(task: str, day: DayWanted, arguments: Sequence[str]) -> list[str]:
    """The command that works on one announced day."""
    named = ["--dataset", day.dataset, "--date", day.date.isoformat()]
    return command(task, [*named, *arguments])


def check_task(task: str, first: Date | None) -> None:
    """Raises SettingsError for a task that an announced day cannot be given to."""
    known = day_tasks()
    if task not in known:
        raise SettingsError(
            f"--task {task}: expected a task of one day.{did_you_mean(task, known)}"
        )
    if task == pipeline.FullPipeline.__name__ and first is None:
        raise SettingsError(
            f"--task {task} needs --from: a run announces all days of its window that were not "
            "announced before, and each of them would start a run with an even earlier window. "
            "Give the first day to run it for."
        )


def day_tasks() -> list[str]:
    """Names of the pipeline's tasks that can be told a dataset and a date."""
    ours = {module.__package__ for module in _MODULES}
    tasks = [Register.get_task_cls(name) for name in Register.task_names()]
    return sorted(
        task.__name__
        for task in tasks
        if not inspect.isabstract(task)
        and task.__module__.rpartition(".")[0] in ours
        and {"dataset", "date"} <= {name for name, _ in task.get_params()}
    )
