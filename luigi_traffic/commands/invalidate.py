"""`luigi-traffic invalidate`: let a partition count as missing, so that the next run makes it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from luigi_traffic.api.stages import LAKE_STAGES
from luigi_traffic.commands.output import Row, text
from luigi_traffic.commands.warehouse import existing_warehouse
from luigi_traffic.errors import DataError, did_you_mean
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.project import Project
from luigi_traffic.warehouse import ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from luigi_traffic.warehouse.connection import Warehouse

#: Stages whose commit is a row of the ledger.
LEDGER_STAGES = ("gold", "forecast", "evaluation", "drift", "insight", "retraining", "model")
KNOWN = (*LAKE_STAGES, *LEDGER_STAGES)


def invalidate(project: Project, stage: str, dataset: str, part: str, reason: str) -> Row:
    """Mark what is committed of a part; what was made of it is left as it is.

    part    a day ("2024-05-31"); a day and a version ("2024-05-31/stid:7") of a forecast; a
            day and a measure ("2024-05-31/speed") of an evaluation and of a drift; the day of a
            retraining; a model's partition id
    reason  kept beside the mark

    The files and rows stay: of a lake partition for `lineage`, of gold until the day is replaced.
    Raises `DataError`, and marks nothing, if nothing of that part is committed, `SettingsError` if
    no run was ever made here.
    """
    warehouse = existing_warehouse(project)
    if stage in LAKE_STAGES:
        count = _lake(project.catalog, stage, dataset, part, reason)
    elif stage in LEDGER_STAGES:
        count = _ledger(warehouse, stage, dataset, part, reason)
    else:
        raise DataError(f"there is no stage {stage!r}.{did_you_mean(stage, KNOWN)}")
    return {"stage": stage, "dataset": dataset, "part": part, "reason": reason, "marked": count}


def _lake(catalog: Catalog, stage: str, dataset: str, part: str, reason: str) -> int:
    try:
        day = date.fromisoformat(part)
    except ValueError:
        raise DataError(f"{part!r} is not a day like 2024-05-31, which {stage} needs") from None
    commits = catalog.day(stage, dataset, day, ask_again=True).commits
    if not commits:
        known = [d.isoformat() for d, e in catalog.days(stage, dataset).items() if e.commits]
        raise DataError(_nothing(stage, dataset, part, known))
    for commit in commits:
        catalog.void(commit, reason)
    return len(commits)


def _ledger(warehouse: Warehouse, stage: str, dataset: str, part: str, reason: str) -> int:
    with warehouse.connect() as connection:
        if ledger.void(connection, stage, dataset, part, reason):
            return 1
        known = ledger.current_ids(connection, stage, dataset)
    raise DataError(_nothing(stage, dataset, part, known))


def _nothing(stage: str, dataset: str, part: str, known: Sequence[str] | dict[str, str]) -> str:
    if not known:
        return f"nothing is committed for {stage} of {dataset}. See `luigi-traffic status`."
    return f"nothing is committed for {stage} {dataset} {part}.{did_you_mean(part, known)}"


def draw(row: Row, console: Console) -> None:
    """One line."""
    console.print(
        text(
            f"{row['stage']} {row['dataset']} {row['part']} counts as missing: the next run that "
            "needs it makes it again"
        )
    )
