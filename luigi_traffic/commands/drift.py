"""`luigi-traffic drift`: which days were unlike the champion's training, and what followed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.project import Project
from luigi_traffic.warehouse.sql_names import literal

if TYPE_CHECKING:
    from rich.console import Console

_LIVE = "FROM meta.ledger WHERE stage = {stage} AND dataset = {dataset} AND superseded_at IS NULL"


def rows(
    project: Project, dataset: str, target: str, first: date | None, last: date | None
) -> list[Row]:
    """One row a day that was compared, oldest first.

    It has day, drifted, reasons, version, model, checks and report; `retraining` is what
    `RetrainIfNeeded` decided on that day, None if it was not asked. Raises `DataError` if no day
    was compared.
    """
    plugin = project.plugins.dataset(dataset)
    measure = plugin.measure_to_forecast(target, "--target")
    if first and last and first > last:
        raise SettingsError(f"--from {first} is after --to {last}")
    warehouse = existing_reader(project)

    def live(stage: str) -> dict[str, Any]:
        asked = _LIVE.format(stage=literal(stage), dataset=literal(plugin.name))
        found = warehouse.query(f"SELECT part, details {asked} ORDER BY part", None)[1]
        return dict(found)

    # It is asked of the dataset's own measure alone.
    decided = live("retraining") if measure == plugin.target else {}
    made = []
    for part, details in live("drift").items():
        day, _, of = part.partition("/")
        inside = (first is None or day >= str(first)) and (last is None or day <= str(last))
        if of == measure and inside:
            made.append({"day": day} | details | {"retraining": decided.get(day)})
    if not made:
        raise DataError(
            f"no day of {dataset} in this range is compared with a training. Compare one: luigi "
            f"--module luigi_traffic.run Drift --dataset {dataset} --date YYYY-MM-DD"
        )
    return made


def draw(rows: Sequence[Row], console: Console) -> None:
    """A table, and below it the reasons."""
    names = [check["name"] for check in rows[-1]["checks"]]
    shown = table("day", "drift", *names, "version", "retraining", right=names)
    for row in rows:
        by_name = {check["name"]: check for check in row["checks"]}
        shown.add_row(
            text(row["day"]), text("yes" if row["drifted"] else "no"),
            *(text(_value(by_name.get(name))) for name in names),
            text(str(row["version"])), text(_decision(row["retraining"])),
        )  # fmt: skip
    console.print(shown)
    for row in rows:
        if row["reasons"]:
            console.print(text(f"{row['day']}: {row['reasons']}; report {row['report']}"))
        if row["retraining"] and row["retraining"]["needed"]:
            found = row["retraining"]
            console.print(text(f"{row['day']}: trained. {found['reason']}: {found['decision']}"))


def _value(check: Row | None) -> str:
    return "–" if check is None or check["value"] is None else f"{check['value']:.3f}"


def _decision(found: Row | None) -> str:
    if found is None:
        return "–"
    return f"version {found['version']}" if found["needed"] else "none"
