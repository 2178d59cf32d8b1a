"""What `luigi-traffic status` tells of the present: the last tick of each dataset and measure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from luigi_traffic.api import clock
from luigi_traffic.commands.output import Row
from luigi_traffic.warehouse import ticks

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def rows(connection: Connection, dataset: str) -> list[Row]:
    """A row of `kind` "live" for each measure that is forecast: a tick as `meta.ticks` has it, and
    `age_seconds`, how long ago it was due."""
    now = clock.now()
    return [
        {"kind": "live", **asdict(tick), "age_seconds": (now - tick.due_at).total_seconds()}
        for tick in ticks.last(connection, dataset)
    ]


def line(row: Row) -> str:
    """A row in one line, for people."""
    ago = f"{row['age_seconds'] / 60:.0f} min ago"
    said = f"live      {row['outcome']} {ago}, newest interval {row['newest']}, feed {row['feed']}"
    if row["issued_at"]:
        said += f"; forecast issued at {row['issued_at']} by version {row['version']}"
        if row["fallback"]:
            said += f", {row['fallback']:,} of {row['links']:,} links by their profile"
    return said + (f"; {row['message']}" if row["message"] else "")
