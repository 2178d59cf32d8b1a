"""What a listener takes of each topic, in a form that members of a group can compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date as Date
from typing import Any

import luigi
from luigi.interface import core
from luigi.task_register import Register


def filters(
    topics: Mapping[str, str], task: str, first: Date | None, arguments: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Topic → datasets, task, first day and arguments of it; `topics` is dataset → topic.

    Once a topic, because members that read different topics do not get in each other's way: a
    group may take up another dataset, as long as that has a topic of its own.
    """
    shared = {
        "task": task,
        "from": first.isoformat() if first else None,
        "arguments": sorted(_arguments(arguments)),
    }
    return {
        topic: {"datasets": sorted(d for d, t in topics.items() if t == topic), **shared}
        for topic in sorted(set(topics.values()))
    }


def _arguments(words: Sequence[str]) -> Iterator[str]:
    """Each option with its value, but those that only say how a run is carried out."""
    options: list[list[str]] = []
    for word in words:
        if word.startswith("-") or not options:
            options.append(word.split("=", 1))
        else:
            options[-1].append(word)
    for option in options:
        if not _is_luigis_own(option[0].lstrip("-").replace("-", "_")):
            yield " ".join(option)


def _is_luigis_own(name: str) -> bool:
    """`workers`, `local_scheduler`, `worker_keep_alive`, …: members may differ in them."""
    classes = ((n, Register.get_task_cls(n)) for n in Register.task_names())
    sections = tuple(f"{n}_" for n, cls in classes if issubclass(cls, luigi.Config))
    return name in dict(core.get_params()) or name.startswith(sections)
