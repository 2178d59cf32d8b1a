"""A dataset of YAML with two lines a day, what is committed of it, and runs in this process."""

from __future__ import annotations

from datetime import date

import luigi
from luigi.task_register import Register

from luigi_traffic.api.stages import LAKE_STAGES
from luigi_traffic.project import current
from luigi_traffic.warehouse import ledger

YAML = """\
table:
  glob: {folder}/{{date}}.csv
  columns: {{timestamp: time, link_id: link, speed: speed}}
  time_format: yyyy-MM-dd HH:mm
  interval: 5min
  timezone: UTC
  speed_unit: km/h
"""
ROWS = "time,link,speed\n{day} 00:00,a,50\n{day} 00:05,a,51\n"


class InThisProcess:
    """A run as `LuigiRun` is one."""

    def __init__(self, words: list[str]) -> None:
        self.words = words[words.index("luigi_traffic.run") + 1 :]

    def start(self) -> None:
        Register.clear_instance_cache()  # as in a new process
        luigi.run([*self.words, "--local-scheduler", "--no-lock"])

    def wait(self, stop: object, seconds: float) -> int:
        return 0


def committed() -> dict[tuple[str, date], object]:
    """(stage, day) → what is committed there, and since when."""
    project = current()
    found: dict[tuple[str, date], object] = {}
    for stage in LAKE_STAGES:
        for day in project.catalog.days(stage, "town"):
            if commits := project.catalog.day(stage, "town", day).commits:
                found[stage, day] = commits
    with project.warehouse.connect() as connection:
        for part, row in ledger.current(connection, "gold", "town").items():
            found["gold", date.fromisoformat(part)] = row.committed_at
    return found
