"""`luigi-traffic status --fail-if-older-than`: do the services of this home show signs of life?

It reads small files and asks no server: a check of health must not depend on what may be ill.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.output import Row, text
from luigi_traffic.processes import heartbeat
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console


def rows(project: Project, now: datetime | None = None) -> list[Row]:
    """One row of `kind` "service" for each heartbeat of this home, by name.

    service, pid, host, at, age_seconds, doing, since, last_success and last_failure (objects
    or null), reason (why the heartbeat cannot be read, or null).
    """
    moment = now or datetime.now(UTC)
    files = sorted(heartbeat.folder(project.home).glob("*.json"))
    return [_row(file.stem, _read(file), moment, str(file)) for file in files]


def too_old(project: Project, rows: Sequence[Row], limit: timedelta) -> list[str]:
    """What is wrong, a sentence each; empty where every service has been alive since `limit`."""
    if not rows:
        return [
            f"there is no heartbeat in {heartbeat.folder(project.home)}: neither `daily` nor "
            "`listen` has run with this home. Start one of them, or set LUIGI_TRAFFIC_HOME to "
            "the right home."
        ]
    told = []
    for row in rows:
        if row["reason"]:
            told.append(row["reason"])
        # A clock that was put back must not make a dead service look alive.
        elif abs(row["age_seconds"]) > limit.total_seconds():
            told.append(
                f"{row['service']} has shown no sign of life since {row['at']} "
                f"({_span(row['age_seconds'])}): process {row['pid']} on {row['host']}, doing "
                f"{row['doing']!r} since {row['since']}. Look at its log and start it again; if "
                f"it should not run any more, remove {row['file']}."
            )
    return told


def draw(rows: Sequence[Row], console: Console) -> None:
    """A line or more for each service."""
    for row in rows:
        if row["reason"]:
            console.print(text(row["reason"], "red"), soft_wrap=True)
            continue
        console.print(
            text(f"{row['service']}: {row['doing']}, {_span(row['age_seconds'])} ago", "bold"),
            soft_wrap=True,
        )
        for name, style in (("last_success", "green"), ("last_failure", "red")):
            if found := row[name]:
                what = ": ".join(str(found[k]) for k in ("what", "reason") if found.get(k))
                label = name.replace("_", " ")
                console.print(text(f"  {label} {found.get('at')}: {what}", style), soft_wrap=True)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _row(name: str, found: dict[str, Any] | None, now: datetime, file: str) -> Row:
    keys = ("service", "pid", "host", "at", "doing", "since", "last_success", "last_failure")
    row: Row = {"kind": "service", **dict.fromkeys(keys), "age_seconds": None}
    row |= {"service": name, "reason": None, "file": file}
    try:
        if found is None:
            raise ValueError
        row |= {key: found[key] for key in keys}
        row["age_seconds"] = round((now - datetime.fromisoformat(found["at"])).total_seconds(), 1)
    except (KeyError, TypeError, ValueError):
        row["reason"] = f"the heartbeat {file} cannot be read, or is of another version"
    return row


def _span(seconds: float) -> str:
    if seconds < 0:
        return f"{_span(-seconds)} ahead of this clock"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
