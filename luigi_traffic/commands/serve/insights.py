"""What `Insight` has computed: the newest window of a dataset, one of its four kinds of rows."""

from __future__ import annotations

from typing import Any

from luigi_traffic.commands.serve.asked import InsightAsked
from luigi_traffic.commands.serve.catalog import INSIGHT, Catalog, Found
from luigi_traffic.commands.serve.page import Kind, Page
from luigi_traffic.commands.serve.problem import Problem
from luigi_traffic.warehouse.insight_table import columns_of

_KINDS = {
    "travel_times": "period", "sensor_health": "health", "bottlenecks": "bottleneck",
    "typical_weeks": "week",
}  # fmt: skip
_OF_TYPE: dict[str, Kind] = {"integer": "whole", "double precision": "number", "text": "text"}
#: A row has the speeds of a week, so a page has fewer of them.
_WEEKS = 500


def insight(catalog: Catalog, found: Found, asked: InsightAsked, limit: int) -> Page:
    """The rows of a table, by link. Raises `Problem` 404 if there are none of the dataset yet."""
    kind = _KINDS[asked.table]
    rows: list[tuple[Any, ...]] = catalog.pool.rows(
        "SELECT max(part)::date FROM meta.ledger WHERE stage = 'insight' AND dataset = %s"
        " AND superseded_at IS NULL",
        (found.name,),
    )
    ((day,),) = rows
    if day is None or INSIGHT not in found.tables:
        raise Problem(404, f"Nothing is computed of {found.name}: run the task Insight.")
    limit = min(limit, _WEEKS) if kind == "week" else limit
    columns = columns_of(kind)
    where, values = 'WHERE "day" = %s AND kind = %s', [day, kind]
    if asked.link is not None:
        where += " AND link_id = %s"
        values.append(asked.link)
    if asked.after is not None:
        length, _, rest = asked.after.partition(":")
        where += " AND (link_id, period) > (%s, %s)"
        values += [rest[: int(length)], rest[int(length) :]]
    shown = [f"{name}::real[]" if name == "speeds" else f'"{name}"' for name in columns]
    rows = catalog.pool.rows(
        f"SELECT link_id, period, {', '.join(shown)} FROM {found.table(INSIGHT)} {where}"  # noqa: S608
        " ORDER BY link_id, period LIMIT %s",
        (*values, limit + 1),
    )
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    kinds = {name: _kind(name, of) for name, of in columns.items()}
    return Page(
        {"link_id": "text", "period": "text", **kinds},
        rows[:limit],
        head={"day": day, "table": asked.table},
        next=f"{len(last[0])}:{last[0]}{last[1]}" if last else None,
    )


def _kind(name: str, of: str) -> Kind:
    return "numbers" if name == "speeds" else _OF_TYPE[of]
