"""`luigi-traffic links show`: the versions of a dataset's links, and what gold has of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.errors import DataError
from luigi_traffic.project import Project
from luigi_traffic.warehouse.links import GOLD_DAYS, known_links, link_table, versions

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from rich.console import Console

    from luigi_traffic.warehouse.links import LinkVersion


def rows(project: Project, dataset: str, at: date | None) -> list[Row]:
    """A row for each version, the oldest first; with `at` the one that is valid then.

    gold_links          how many links gold has on its newest days; None: it has no day
    gold_with_geometry  of how many of these the version has the geometry

    Raises `DataError` if there is no version, `SettingsError` if there is no warehouse.
    """
    name = project.plugins.dataset(dataset).name
    with existing_reader(project).connect() as connection:
        found = valid(connection, name, at)
        gold, with_geometry = _of_gold(connection, name)
    return [
        {
            "valid_from": version.valid_from, "valid_to": version.valid_to,
            "links": version.links, "with_geometry": version.with_geometry, "gold_links": gold,
            "gold_with_geometry":
                None if gold is None else with_geometry.get(version.valid_from, 0),
            "source": version.source, "imported_at": version.imported_at,
        }
        for version in found
    ]  # fmt: skip


def valid(connection: Connection, dataset: str, at: date | None) -> list[LinkVersion]:
    """The versions, with `at` the one that is valid on that day. Raises `DataError` for none."""
    there = versions(connection, dataset)
    found = [
        version
        for version in there
        if at is None or (version.valid_from <= at and (version.valid_to or date.max) > at)
    ]
    if not found:
        first = f" (the first are valid from {there[0].valid_from})" if there else ""
        raise DataError(
            f"there are no links of {dataset}{f' on {at}' if at else ''}{first}. Import them: "
            f"luigi-traffic links import FILE --dataset {dataset} --valid-from YYYY-MM-DD"
        )
    return found


def _of_gold(connection: Connection, dataset: str) -> tuple[int | None, dict[date, int]]:
    known = known_links(connection, dataset)
    if known is None:
        return None, {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH known AS MATERIALIZED ({known})"  # noqa: S608
            " SELECT NULL, count(*) FROM known UNION ALL"
            f" SELECT l.valid_from, count(l.geometry) FROM {link_table(dataset)} l"
            " JOIN known USING (link_id) GROUP BY 1"
        )
        found = dict(cursor.fetchall())
    return found.pop(None), found


def draw(dataset: str, rows: Sequence[Row], console: Console) -> None:
    """A table."""
    shown = table(
        "valid from", "until before", "links", "with geometry", "of gold's links", "source",
        "imported", right=("links", "with geometry", "of gold's links"),
    )  # fmt: skip
    for row in rows:
        gold = row["gold_links"]
        shown.add_row(
            text(row["valid_from"]), text(row["valid_to"] or "–"),
            text(f"{row['links']:,}"), text(f"{row['with_geometry']:,}"),
            text("–" if gold is None else f"{row['gold_with_geometry']:,} of {gold:,}"),
            text(row["source"]), text(f"{row['imported_at']:%Y-%m-%d %H:%M}"),
        )  # fmt: skip
    console.print(shown)
    console.print(
        text(
            f"links.{dataset}; of gold's links: those of its newest {GOLD_DAYS} days of "
            "which the version has the geometry"
        )
    )
