"""Which datasets the warehouse has, and in which state each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from luigi_traffic.commands.serve.kept import Kept, Recent
from luigi_traffic.commands.serve.pool import Pool
from luigi_traffic.commands.serve.problem import Problem
from luigi_traffic.recipe import short_hash
from luigi_traffic.warehouse.published import LIVE_SCHEMA
from luigi_traffic.warehouse.sql_names import quote

#: Schemas with a table or view a dataset that a question may read.
GOLD, LIVE, LINKS, INSIGHT, FORECAST = "gold", "live", "links", "insight", "forecast"
VERSIONS = "forecast_versions"
_MAKE_A_DATASET = (GOLD, LIVE, LINKS, INSIGHT, FORECAST)
#: So many intervals are looked at for how long one is.
_INTERVALS = 50

_TABLES = """
SELECT n.nspname::text, c.relname::text, array_agg(a.attname::text)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE NOT c.relispartition AND n.nspname = ANY(%s)
AND (c.relkind IN ('p', 'v') OR c.relkind = 'r' AND n.nspname = 'links')
GROUP BY 1, 2 ORDER BY 2, 1
"""
# Whatever changes an answer changes one of these; each is a look into an index of its table, which
# may have years of days and ticks.
_STATE = """
SELECT (SELECT (count(*), max(seq))::text FROM meta.ledger
        WHERE stage IN ('gold', 'forecast', 'insight') AND dataset = %(dataset)s
        AND superseded_at IS NULL),
       (SELECT (count(*), max(champion_at))::text FROM meta.published WHERE dataset = %(dataset)s),
       (SELECT (count(*), max(committed_at))::text FROM meta.live_polls
        WHERE dataset = %(dataset)s),
       (SELECT array_agg(t)::text FROM (VALUES (''), ('speed')) AS of (target),
        LATERAL (SELECT due_at, forecast_at FROM meta.ticks
                 WHERE dataset = %(dataset)s AND target = of.target
                 ORDER BY due_at DESC LIMIT 1) t),
       (SELECT min(part) FROM meta.ledger WHERE stage = 'gold' AND dataset = %(dataset)s
        AND superseded_at IS NULL),
       (SELECT max(part) FROM meta.ledger WHERE stage = 'gold' AND dataset = %(dataset)s
        AND superseded_at IS NULL)
"""
# Of a dataset that has a table of links; then there is this one as well.
_LINKS_STATE = "SELECT count(*), max(imported_at)::text FROM meta.link_versions WHERE dataset = %s"


@dataclass(frozen=True)
class About:
    """What the plugin of a dataset knows of it, and the warehouse does not."""

    timezone: str
    units: str | None


@dataclass(frozen=True)
class Found:
    """A dataset at a time: its tables with their columns, and a text that changes with its data."""

    name: str
    tables: Mapping[str, frozenset[str]]
    token: str
    first_gold: date | None
    last_gold: date | None

    def has(self, schema: str, column: str) -> bool:
        """Whether the dataset has a table in that schema, with that column."""
        return column in self.tables.get(schema, ())

    def table(self, schema: str) -> str:
        """The name of its table in that schema, quoted for SQL."""
        return f"{quote(schema)}.{quote(self.name)}"


@dataclass(frozen=True)
class Extent:
    """Which intervals have speeds, as wall time of the dataset; None if there are none."""

    first: datetime | None
    last: datetime | None
    interval: timedelta | None


class Catalog:
    """The datasets of a warehouse; it is asked once in `state_seconds`, whoever asks us.

    `about` is of the datasets whose plugin is installed. `default` is the dataset of a question
    that names none.
    """

    def __init__(
        self, pool: Pool, about: Mapping[str, About], default: str | None, state_seconds: float
    ) -> None:
        self.pool, self.about, self.default = pool, about, default
        self._seconds = state_seconds
        self._tables = Recent(self._read_tables, state_seconds)
        self._states: Kept[Recent[Found]] = Kept(1000)
        self._extents: Kept[Extent] = Kept(1000)
        #: What was looked up of a state, by whoever looks: a key begins with name and token.
        self.looked_up: Kept[Any] = Kept(10_000)

    def names(self) -> list[str]:
        """All datasets."""
        return list(self._tables.get())

    def find(self, name: str | None) -> Found:
        """A dataset as it is now.

        Raises `Problem` 422 if none is named and there is no default, 404 if there is none of that
        name.
        """
        name = name if name is not None else self.default
        known = self._tables.get()
        if name is None:
            raise Problem(422, f"dataset: name one. {_listed(known)}.")
        if name not in known:
            raise Problem(404, f"dataset: there is none of that name. {_listed(known)}.")
        state = self._states.made(name, lambda: Recent(lambda: self._read(name), self._seconds))
        return state.get()

    def extent(self, found: Found) -> Extent:
        """Which intervals of a dataset have speeds."""
        return self._extents.made((found.name, found.token), lambda: self._read_extent(found))

    def _read_tables(self) -> dict[str, dict[str, frozenset[str]]]:
        schemas = [*_MAKE_A_DATASET, VERSIONS, LIVE_SCHEMA]
        tables: dict[str, dict[str, frozenset[str]]] = {}
        for schema, name, columns in self.pool.rows(_TABLES, (schemas,)):
            tables.setdefault(name, {})[schema] = frozenset(columns)
        return {n: t for n, t in tables.items() if not t.keys().isdisjoint(_MAKE_A_DATASET)}

    def _read(self, name: str) -> Found:
        tables = self._tables.get().get(name, {})
        ((*state, first, last),) = self.pool.rows(_STATE, {"dataset": name})
        if LINKS in tables:
            state += self.pool.rows(_LINKS_STATE, (name,))
        days = [date.fromisoformat(day) if day else None for day in (first, last)]
        shown = repr(sorted((schema, sorted(columns)) for schema, columns in tables.items()))
        return Found(name, tables, short_hash(shown, repr(state)), days[0], days[1])

    def _read_extent(self, found: Found) -> Extent:
        """Gold is looked at on its first and last day alone: it may have years of partitions."""
        ends: list[datetime] = []
        newest: tuple[str, datetime] | None = None
        for schema, days in ((GOLD, (found.first_gold, found.last_gold)), (LIVE, (None, None))):
            if not found.has(schema, "speed") or (schema == GOLD and days[0] is None):
                continue
            for function, day in zip(("min", "max"), days, strict=True):
                within, values = _of_day(day)
                ((at,),) = self.pool.rows(
                    f'SELECT {function}("timestamp") FROM {found.table(schema)}{within}',  # noqa: S608
                    values,
                )
                if at is not None:
                    ends.append(at)
                    if newest is None or at > newest[1]:
                        newest = schema, at
        if newest is None:
            return Extent(None, None, None)
        return Extent(min(ends), max(ends), self._interval(found, *newest))

    def _interval(self, found: Found, schema: str, last: datetime) -> timedelta | None:
        """The shortest time between two intervals that follow each other."""
        table, day = found.table(schema), datetime(last.year, last.month, last.day)
        rows = self.pool.rows(
            f"WITH RECURSIVE t AS (SELECT %(last)s::timestamp AS at, 1 AS n UNION ALL SELECT"  # noqa: S608
            f' (SELECT "timestamp" FROM {table} WHERE "timestamp" >= %(day)s'
            '   AND "timestamp" < t.at AND "timestamp" < %(next)s ORDER BY "timestamp" DESC'
            "   LIMIT 1), n + 1"
            f" FROM t WHERE at IS NOT NULL AND n < {_INTERVALS})"
            " SELECT at FROM t WHERE at IS NOT NULL ORDER BY at",
            {"last": last, "day": day, "next": day + timedelta(days=1)},
        )
        times = [at for (at,) in rows]
        return min((b - a for a, b in pairwise(times)), default=None)


def _of_day(day: date | None) -> tuple[str, tuple[date, ...]]:
    if day is None:
        return "", ()
    return ' WHERE "timestamp" >= %s AND "timestamp" < %s', (day, day + timedelta(days=1))


def _listed(names: Mapping[str, object]) -> str:
    return f"There are: {', '.join(names)}" if names else "There are none yet"
