"""The warehouse's own tables, by numbered SQL files that run once each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.resources import files

import psycopg2.errors
from psycopg2.extensions import connection as Connection

from luigi_traffic.errors import TerminalError
from luigi_traffic.warehouse import locks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Migration:
    """One file `migrations/0001_name.sql`."""

    number: int
    name: str
    sql: str


def known() -> list[Migration]:
    """The migrations this code brings, in order.

    Raises TerminalError if their numbers are not 1, 2, 3, …
    """
    found = []
    for file in files("luigi_traffic.warehouse").joinpath("migrations").iterdir():
        if file.name.endswith(".sql"):
            number, _, rest = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), rest, file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise TerminalError(
            f"The installed migrations of the warehouse are {numbers or 'missing'}, "
            "expected 1, 2, 3, …: install luigi_traffic again."
        )
    return found


def migrate(conn: Connection) -> list[int]:
    """Bring the database up to date; return the numbers of the migrations that ran.

    One query when there is nothing to do. Runs and commits in a transaction of its own;
    two starters wait for each other. Raises TerminalError if the database was migrated
    by a newer luigi_traffic.
    """
    migrations = known()
    if _check(_applied(conn), migrations):
        conn.rollback()
        return []
    locks.lock_transaction(conn, "migrations")
    with conn.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS meta")
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS meta.migrations ("
            " number integer PRIMARY KEY, name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        # Again, now that nobody else can be at it.
        cursor.execute("SELECT coalesce(max(number), 0) FROM meta.migrations")
        applied = (cursor.fetchone() or (0,))[0]
        _check(applied, migrations)
        todo = [migration for migration in migrations if migration.number > applied]
        for migration in todo:
            log.info("Updating the warehouse: migration %d, %s", migration.number, migration.name)
            cursor.execute(migration.sql)
            cursor.execute(
                "INSERT INTO meta.migrations (number, name) VALUES (%s, %s)",
                (migration.number, migration.name),
            )
    conn.commit()
    return [migration.number for migration in todo]


def _applied(conn: Connection) -> int:
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(number), 0) FROM meta.migrations")
            return int((cursor.fetchone() or (0,))[0])
    except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
        conn.rollback()
        return 0


def _check(applied: int, migrations: list[Migration]) -> bool:
    """True if the database is up to date."""
    if applied > migrations[-1].number:
        raise TerminalError(
            f"The warehouse is at migration {applied}, but this luigi_traffic knows "
            f"{migrations[-1].number}: a newer version has used it. Upgrade luigi_traffic here, "
            "or use another database."
        )
    return applied == migrations[-1].number
