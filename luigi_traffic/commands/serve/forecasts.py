"""Which forecast is meant by a question, and its rows.

Tables are asked by the columns of their keys in order, so that each question is a few looks into an
index, whatever the number of links and days.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from luigi_traffic.commands.serve.asked import ForecastAsked
from luigi_traffic.commands.serve.catalog import FORECAST, VERSIONS, Catalog, Found
from luigi_traffic.commands.serve.page import Page
from luigi_traffic.commands.serve.problem import Problem
from luigi_traffic.warehouse.published import LIVE_SCHEMA

LIVE_KIND = "live"
#: Of kinds that were issued at the same time, the first is taken.
_KINDS = (LIVE_KIND, "next", "rolling")
#: Without a model of that name, so many published days are looked through.
_DAYS = 400


@dataclass(frozen=True)
class Issue:
    """What one version of a model forecast at one time.

    part   as in `tables.forecast_table`
    steps  their number
    """

    issued_at: datetime
    kind: str
    model: str
    version: int | None
    part: str
    steps: int
    interval: timedelta | None

    @property
    def schema(self) -> str:
        """Of the table that holds its rows."""
        return LIVE_SCHEMA if self.kind == LIVE_KIND else VERSIONS

    def step_at(self, at: datetime) -> int | None:
        """The step that forecasts the interval that begins at `at`; None: there is none."""
        if at == self.issued_at:
            return 1
        if self.interval is None or (at - self.issued_at) % self.interval:
            return None
        step = (at - self.issued_at) // self.interval + 1
        return step if 1 <= step <= self.steps else None


def forecast(catalog: Catalog, found: Found, asked: ForecastAsked, limit: int) -> Page:
    """The rows of one issue. Raises `Problem` 404 if there is none, 422 for a wrong step."""
    issue = _issue(catalog, found, asked)
    if issue is None:
        wanted = asked.model_dump(include={"issued", "kind", "model"}, exclude_none=True)
        of = ", ".join(f"{name}={value}" for name, value in wanted.items())
        raise Problem(404, f"There is no forecast of {found.name}{of and f' with {of}'}.")
    steps = _steps(issue, asked)
    rows = _rows(catalog, found, issue, steps, asked, limit + 1)
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page(
        {
            "link_id": "text", "target_at": "time", "step": "whole", "speed": "number",
            "low": "number", "high": "number", "observed": "whole", "fallback": "bool",
        },
        rows[:limit],
        head={
            "issued_at": issue.issued_at, "kind": issue.kind, "model": issue.model,
            "version": issue.version,
        },
        next=f"{last[2]}:{last[0]}" if last else None,
        on=issue.issued_at.date(),
    )  # fmt: skip


def newest_issue(catalog: Catalog, found: Found) -> Issue | None:
    """The newest forecast of a dataset; None: it has none."""
    return _issue(catalog, found, ForecastAsked())


def _steps(issue: Issue, asked: ForecastAsked) -> list[int]:
    """The steps that are asked for."""
    name, at = "at", asked.at
    if asked.minutes is not None:
        if at is not None:
            raise Problem(422, "minutes: give this or at, not both.")
        if issue.interval is None:
            raise Problem(422, "minutes: the length of an interval is not known here, give at.")
        name, at = "minutes", issue.issued_at + timedelta(minutes=asked.minutes) - issue.interval
    if at is None:
        return list(range(1, issue.steps + 1))
    step = issue.step_at(at)
    if step is None:
        interval = issue.interval or timedelta()
        end = issue.issued_at + (issue.steps - 1) * interval
        each = interval.total_seconds() / 60
        raise Problem(
            422,
            f"{name}: the forecast issued at {issue.issued_at.isoformat()} has the intervals that "
            f"begin from {issue.issued_at.isoformat()} to {end.isoformat()}, each {each:g} "
            "minutes.",
        )
    return [step]


def _rows(
    catalog: Catalog, found: Found, issue: Issue, steps: list[int], asked: ForecastAsked, most: int
) -> list[tuple[Any, ...]]:
    fallback = "fallback" if found.has(issue.schema, "fallback") else "NULL::boolean"
    where, values = ["issued_at = %s", "part = %s", "step = ANY(%s)"], [
        issue.issued_at, issue.part, steps,
    ]  # fmt: skip
    if asked.link is not None:
        where.append("link_id = %s")
        values.append(asked.link)
    if asked.after is not None:
        step, _, link = asked.after.partition(":")
        where.append("(step, link_id) > (%s, %s)")
        values += [int(step), link]
    return catalog.pool.rows(
        f'SELECT link_id, "timestamp", step, speed, lower, upper, observed, {fallback}'  # noqa: S608
        f" FROM {found.table(issue.schema)} WHERE {' AND '.join(where)}"
        " ORDER BY step, link_id LIMIT %s",
        (*values, most),
    )


def _issue(catalog: Catalog, found: Found, asked: ForecastAsked) -> Issue | None:
    """The newest one that is meant; of those of the same time, the first of `_KINDS`."""
    if not found.has(FORECAST, "speed"):
        return None

    def look() -> Issue | None:
        newest = None
        # "rolling" last: it was issued before the "next" of its day, and takes longer to look for.
        for kind in (asked.kind,) if asked.kind else _KINDS:
            if kind == "rolling" and newest is not None:
                break
            issue = _of_kind(catalog, found, kind, asked.issued, asked.model)
            if issue and (newest is None or issue.issued_at > newest.issued_at):
                newest = issue
        return newest

    key = (found.name, found.token, "issue", asked.issued, asked.kind, asked.model)
    issue: Issue | None = catalog.looked_up.made(key, look)
    return issue


def _of_kind(
    catalog: Catalog, found: Found, kind: str, issued: datetime | None, model: str | None
) -> Issue | None:
    if kind == LIVE_KIND:
        row = _live(catalog, found, issued, model)
    else:
        row = next(_published(catalog, found, kind, issued, model), None)
    if row is None:
        return None
    issued_at, part, name, version = row
    schema = LIVE_SCHEMA if kind == LIVE_KIND else VERSIONS
    ((last, at),) = catalog.pool.rows(
        f'SELECT step, "timestamp" FROM {found.table(schema)}'  # noqa: S608
        " WHERE issued_at = %s AND part = %s ORDER BY step DESC LIMIT 1",
        (issued_at, part),
    )
    interval = (at - issued_at) / (last - 1) if last > 1 else catalog.extent(found).interval
    return Issue(issued_at, kind, name, version, part, last, interval)


def _live(
    catalog: Catalog, found: Found, issued: datetime | None, model: str | None
) -> tuple[Any, ...] | None:
    """Issues are looked through from the newest to the oldest, one look into the index for each."""
    if not found.has(LIVE_SCHEMA, "speed"):
        return None
    table = found.table(LIVE_SCHEMA)
    at = "AND issued_at = %(issued)s" if issued else ""
    one = f"SELECT issued_at, part, model, version, speed FROM {table} l WHERE"  # noqa: S608
    newest = "ORDER BY issued_at DESC, part DESC LIMIT 1"
    wanted = "(speed IS NOT NULL AND (%(model)s::text IS NULL OR model = %(model)s))"
    rows = catalog.pool.rows(
        f"WITH RECURSIVE t AS (({one} true {at} {newest}) UNION ALL SELECT n.* FROM t CROSS JOIN"  # noqa: S608
        f" LATERAL ({one} (l.issued_at, l.part) < (t.issued_at, t.part) {at} {newest}) n"
        f" WHERE NOT (t.speed IS NOT NULL AND (%(model)s::text IS NULL OR t.model = %(model)s)))"
        f" SELECT issued_at, part, model, version FROM t WHERE {wanted} LIMIT 1",
        {"issued": issued, "model": model},
    )
    return rows[0] if rows else None


def _published(
    catalog: Catalog, found: Found, kind: str, issued: datetime | None, model: str | None
) -> Iterator[tuple[Any, ...]]:
    """Newest first: of each published day the newest issue of that kind."""
    if not found.has(VERSIONS, "speed"):
        return
    days = None if issued is None else [issued.date(), issued.date() - timedelta(days=1)]
    parts: list[tuple[date, str]] = catalog.pool.rows(
        "SELECT day, part FROM meta.published WHERE dataset = %s AND target IN ('', 'speed')"
        " AND (%s::date[] IS NULL OR day = ANY(%s::date[])) ORDER BY day DESC LIMIT %s",
        (found.name, days, days, _DAYS),
    )  # type: ignore[assignment]
    for day, part in parts:
        if model is not None and part[11:].rpartition(":")[0] != model:
            continue
        midnight = datetime(day.year, day.month, day.day)
        end = midnight + timedelta(days=1)
        at, values = "issued_at > %s AND issued_at < %s", [midnight, end]
        if issued is not None or kind == "next":
            at, values = "issued_at = %s", [issued if issued is not None else end]
        yield from catalog.pool.rows(
            f"SELECT issued_at, part, model, version FROM {found.table(VERSIONS)}"  # noqa: S608
            f" WHERE {at} AND part = %s AND kind = %s AND speed IS NOT NULL"
            " ORDER BY issued_at DESC LIMIT 1",
            (*values, part, kind),
        )
