"""The links of a dataset, and their geometry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from luigi_traffic.commands.serve.asked import LinksAsked
from luigi_traffic.commands.serve.catalog import GOLD, INSIGHT, LINKS, LIVE, Catalog, Found
from luigi_traffic.commands.serve.page import Kind, Page

_COLUMNS: dict[str, Kind] = {
    "name": "text", "length_m": "number", "speed_limit": "number", "road_class": "text",
    "lanes": "whole", "start_node": "text", "end_node": "text",
}  # fmt: skip
_TYPES = {"text": "text", "number": "double precision", "whole": "integer"}
_FREE_FLOW = """
LEFT JOIN (SELECT link_id AS of_link, max(free_flow) AS free_flow FROM {table}
           WHERE "day" = (SELECT max(part)::date FROM meta.ledger WHERE stage = 'insight'
                          AND dataset = %s AND superseded_at IS NULL)
           AND kind = 'period' GROUP BY 1) f ON f.of_link = l.link_id
"""


def links(catalog: Catalog, found: Found, asked: LinksAsked, limit: int) -> Page:
    """The links that are valid on a day (without one: still valid), by id.

    Of a dataset without a table of links, those that have a value in the newest interval.
    """
    source, values = _source(catalog, found, asked.at)
    free_flow = "NULL::double precision"
    if found.has(INSIGHT, "free_flow"):
        source += _FREE_FLOW.format(table=found.table(INSIGHT))
        values.append(found.name)
        free_flow = "f.free_flow"
    where = ""
    if asked.after is not None:
        where = " WHERE l.link_id > %s"
        values.append(asked.after)
    rows = catalog.pool.rows(
        f"SELECT l.link_id, {', '.join(f'l.{name}' for name in _COLUMNS)}, {free_flow}"  # noqa: S608
        f" FROM {source}{where} ORDER BY l.link_id LIMIT %s",
        (*values, limit + 1),
    )
    more = len(rows) > limit
    return Page(
        {"link_id": "text", **_COLUMNS, "free_flow": "number"},
        rows[:limit], name="links", next=rows[limit - 1][0] if more else None, on=asked.at,
    )  # fmt: skip


def count(catalog: Catalog, found: Found) -> int:
    """How many links `links` gives."""

    def look() -> int:
        source, values = _source(catalog, found, None)
        ((number,),) = catalog.pool.rows(f"SELECT count(*) FROM {source}", values)  # noqa: S608
        return int(number)

    number: int = catalog.looked_up.made((found.name, found.token, "links"), look)
    return number


def geometries(
    catalog: Catalog, found: Found, ids: Sequence[str], on: date | None
) -> dict[str, bytes]:
    """Link → its geometry as WKB: that of the day, or the newest of a link that was not valid then.

    Links without one are left out.
    """
    if not found.has(LINKS, "geometry"):
        return {}
    rows = catalog.pool.rows(
        f"SELECT DISTINCT ON (link_id) link_id, geometry FROM {found.table(LINKS)}"  # noqa: S608
        " WHERE link_id = ANY(%(ids)s) AND geometry IS NOT NULL ORDER BY link_id,"
        " (valid_from <= %(on)s::date AND (valid_to IS NULL OR valid_to > %(on)s)) IS TRUE DESC,"
        " valid_from DESC",
        {"ids": list(ids), "on": on},
    )
    return {link: bytes(wkb) for link, wkb in rows}


def _source(catalog: Catalog, found: Found, on: date | None) -> tuple[str, list[Any]]:
    """What stands after FROM, as `l`, and its values."""
    if found.has(LINKS, "link_id"):
        table = found.table(LINKS)
        if on is None:
            return f"(SELECT * FROM {table} WHERE valid_to IS NULL) l", []  # noqa: S608
        valid = "valid_from <= %s AND (valid_to IS NULL OR valid_to > %s)"
        return f"(SELECT * FROM {table} WHERE {valid}) l", [on, on]  # noqa: S608
    empty = ", ".join(f"NULL::{_TYPES[kind]} AS {name}" for name, kind in _COLUMNS.items())
    last = catalog.extent(found).last
    tables = [found.table(schema) for schema in (GOLD, LIVE) if found.has(schema, "speed")]
    if last is None or not tables:
        return f"(SELECT ''::text AS link_id, {empty} WHERE false) l", []
    seen = " UNION ".join(
        f'SELECT link_id FROM {table} WHERE "timestamp" = %s'  # noqa: S608
        for table in tables
    )
    return f"(SELECT link_id, {empty} FROM ({seen}) s) l", [last] * len(tables)  # noqa: S608
