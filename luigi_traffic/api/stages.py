"""The stages of a day, in order: the one list of them (see docs/add-a-stage.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StageOfDay:
    """What the core must know of a stage besides its task.

    version  of the core's code: part of the stage's recipe. Raise it when its output changes for
             the same input; everything that it made, and all that follows, is then made anew
    after    the stage that it is made from, None: the source
    keeps    files and a manifest in the lake, a manifest alone, or a table of the warehouse
    """

    version: str
    after: str | None
    keeps: Literal["files", "manifest", "table"]


DAY_STAGES = {
    "raw": StageOfDay("2", None, "files"),
    "announce": StageOfDay("1", "raw", "manifest"),
    "bronze": StageOfDay("1", "raw", "files"),
    "silver": StageOfDay("1", "bronze", "files"),
    "gold": StageOfDay("1", "silver", "table"),
}
STAGES = tuple(DAY_STAGES)
#: Stages whose partitions have a manifest in the lake.
LAKE_STAGES = tuple(name for name, stage in DAY_STAGES.items() if stage.keeps != "table")
#: Those of them whose partitions have data files.
DATA_STAGES = tuple(name for name, stage in DAY_STAGES.items() if stage.keeps == "files")


def made_from(stage: str) -> Iterator[str]:
    """The stage itself, the one it is made from, and so on, back to raw."""
    at: str | None = stage
    while at is not None:
        yield at
        at = DAY_STAGES[at].after
