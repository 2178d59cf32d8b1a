"""How `luigi-traffic status` is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from luigi_traffic.commands import freshness
from luigi_traffic.commands.live import state
from luigi_traffic.commands.output import Row, short, table, text
from luigi_traffic.commands.status import ABSENT, DONE, MISSING, SHOWN, STALE
from luigi_traffic.commands.warehouse import nothing_yet
from luigi_traffic.project import Project
from luigi_traffic.training.scores import MODEL, Win, win_lines, win_title

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES = {DONE: "green", ABSENT: "dim", STALE: "yellow"}


def draw(project: Project, rows: Sequence[Row], console: Console) -> None:
    """Of each dataset a table of days, the reasons for what is not done, and its models; then the
    services."""
    services = [row for row in rows if row["kind"] == "service"]
    of_datasets = [row for row in rows if row["kind"] != "service"]
    if not of_datasets:
        console.print(text(nothing_yet(project)))
        freshness.draw(services, console)
        return
    for dataset, group in groupby(of_datasets, key=lambda row: str(row["dataset"])):
        found = list(group)
        partitions = [row for row in found if row["kind"] == "partition"]
        _days(dataset, partitions, console)
        _reasons(partitions, console)
        for model in (row for row in found if row["kind"] == "model"):
            _model(model, console)
        for tick in (row for row in found if row["kind"] == "live"):
            console.print(text(state.line(tick)), soft_wrap=True)
    freshness.draw(services, console)
    console.print("luigid and the MLflow UI: luigi-traffic up")


def _days(dataset: str, rows: Sequence[Row], console: Console) -> None:
    shown = table("day", *SHOWN, title=f"{dataset}: state, rows, seconds")
    for day, group in groupby(rows, key=lambda row: row["day"]):
        of_day = list(group)
        cells = [_cell([r for r in of_day if r["stage"] == stage]) for stage in SHOWN]
        shown.add_row(text(day), *cells)
    shown.columns[0].no_wrap = True
    console.print(shown)
    console.print()


def _cell(rows: Sequence[Row]) -> Text:
    cell = text("")
    for row in rows:
        cell.append("\n" if cell else "")
        # A day that is not done and is not taken as left out stops the pipeline.
        style = "red" if not row["complete"] and row["state"] == ABSENT else None
        state = row["state"]
        if row["stage"] == "forecast" and state == MISSING:
            state, style = "–", "dim"  # only the last day of a run is forecast
        cell.append(state, style=style or _STYLES.get(row["state"], "red"))
        if len(rows) > 1:
            cell.append(f" {row['model']}", style="dim")
        if row["state"] == DONE:
            rows_made = "" if row["rows"] is None else short(row["rows"])
            seconds = f"{_seconds(row['seconds'])}s" if row["seconds"] else ""
            cell.append("\n" + f"{rows_made} {seconds}".strip(), style="dim")
    return cell


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _reasons(rows: Sequence[Row], console: Console) -> None:
    """Why, or what is to be known of it, once for stages of one day that share the reason."""
    told = [
        r for r in rows if r["reason"] and (r["state"] in (ABSENT, DONE, STALE) or r["attempt"])
    ]
    for (day, reason), group in groupby(told, key=lambda r: (r["day"], _why(r))):
        stages = ", ".join(dict.fromkeys(r["stage"] for r in group))
        console.print(text(f"{day} {stages}: {reason}", "yellow"))
    if told:
        console.print()


def _why(row: Row) -> str:
    # Ids differ by stage; --json has them.
    return str(row["reason"]).partition("; expected is")[0]


def draw_errors(row: Row, console: Console) -> None:
    """A table of the errors of a model and its baselines, and where a baseline is better.

    `row` has model, mae and baseline_wins as `model_rows` gives them.
    """
    horizons = list(row["mae"]["model"])
    shown = table("", *horizons, right=horizons)
    for key, errors in row["mae"].items():
        name = row["model"] if key == MODEL else key.replace("_", " ")
        cells = [text("" if errors[h] is None else f"{errors[h]:.3f}") for h in horizons]
        shown.add_row(text(name), *cells)
    console.print(shown)
    wins = [Win(**win) for win in row["baseline_wins"]]
    console.print(text(win_title(wins)))
    for line in win_lines(wins):
        console.print(text(f"  {line}"))


def _model(row: Row, console: Console) -> None:
    days = f"{row['days']} day{'' if row['days'] == 1 else 's'}"
    title = (
        f"{row['model']}, version {row['version']}, trained on {days}, "
        f"{row['first_day']} to {row['last_day']}: MAE of {row['target']} in {row['unit']}"
    )
    console.print(text(title, "bold"))
    draw_errors(row, console)
    seen = "" if row["windows_seen"] is None else f"{row['windows_seen']:.1%} of "
    epochs = f"{row['epochs']} epoch{'' if row['epochs'] == 1 else 's'}"
    how = f"{epochs} on {row['device']} in {_seconds(row['seconds'])} s"
    console.print(text(f"seen      {seen}{row['windows']:,} training windows, {how}"))
    outcome = "became champion" if row["promoted"] else "did not become champion"
    why = str(row["decision"]).removeprefix("not ").removeprefix("champion")
    console.print(text(f"champion  {outcome}{why}"))
    if row["reason"]:
        console.print(text(f"stale     {row['reason']}", "yellow"))
    # Never broken over lines: a path is there to be copied.
    console.print(text(f"report    {row['report']}"), soft_wrap=True)
    console.print()
