"""What was observed: gold, and live rows of the days that have no gold yet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from luigi_traffic.commands.serve.asked import SpeedsAsked
from luigi_traffic.commands.serve.catalog import GOLD, LIVE, Catalog, Found
from luigi_traffic.commands.serve.page import Page
from luigi_traffic.commands.serve.problem import Problem

#: Longest time that one question may be about.
_LONGEST = timedelta(days=31)
_NO_GOLD = (
    " AND NOT EXISTS (SELECT FROM meta.ledger WHERE stage = 'gold' AND dataset = %s"
    " AND part = to_char(\"timestamp\", 'YYYY-MM-DD') AND superseded_at IS NULL)"
)


def speeds(catalog: Catalog, found: Found, asked: SpeedsAsked, limit: int) -> Page:
    """The rows of one interval, or of those from `at` until `until`, by time and link.

    Raises `Problem` 404 if the dataset has no speeds, 422 for a wrong time.
    """
    extent = catalog.extent(found)
    at = asked.at or extent.last
    if at is None:
        raise Problem(404, f"{found.name} has no speeds yet.")
    interval = extent.interval or timedelta(minutes=5)
    at = at - (at - datetime(at.year, at.month, at.day)) % interval  # the interval that has it
    until = asked.until or at
    if until < at:
        raise Problem(422, f"until: {until.isoformat()} is before at, {at.isoformat()}.")
    if until - at > _LONGEST:
        raise Problem(422, f"until: expected at most {_LONGEST.days} days after at.")
    rows = _rows(catalog, found, asked, (at, until, interval), limit + 1)
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page(
        {"link_id": "text", "at": "time", "speed": "number", "n_obs": "whole"},
        rows[:limit],
        head={"at": at},
        next=f"{last[1].isoformat()}|{last[0]}" if last else None,
        on=at.date(),
    )


def _rows(
    catalog: Catalog, found: Found, asked: SpeedsAsked,
    span: tuple[datetime, datetime, timedelta], most: int,
) -> list[tuple[Any, ...]]:  # fmt: skip
    at, until, interval = span
    if asked.link is not None:
        # Times one by one: each is then one look into the index (timestamp, link_id).
        where = '"timestamp" = ANY(%s) AND link_id = %s'
        values: list[Any] = [
            [at + n * interval for n in range((until - at) // interval + 1)], asked.link,
        ]  # fmt: skip
    else:
        where, values = '"timestamp" >= %s AND "timestamp" <= %s', [at, until]
    if asked.after is not None:
        time, _, link = asked.after.partition("|")
        where += ' AND ("timestamp", link_id) > (%s, %s)'
        values += [datetime.fromisoformat(time), link]
    selects, everything = [], []
    for schema in (GOLD, LIVE):
        if found.has(schema, "speed"):
            count = "n_obs" if found.has(schema, "n_obs") else "NULL::integer"
            beside = _NO_GOLD if schema == LIVE else ""
            selects.append(
                f'SELECT link_id, "timestamp", speed, {count} FROM {found.table(schema)}'  # noqa: S608
                f" WHERE {where}{beside}"
            )
            everything += [*values, *([found.name] if beside else [])]
    if not selects:
        return []
    return catalog.pool.rows(
        f'{" UNION ALL ".join(selects)} ORDER BY "timestamp", link_id LIMIT %s',
        (*everything, most),
    )
