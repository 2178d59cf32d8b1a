"""Who was champion when: `meta.champions`, one row a change of the alias in MLflow.

A change is written before the alias is given, and marked as done after it. What a crash leaves in
between is settled by a look at the alias: `settled` says what has happened, `repair` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse import locks

TRAINING, PROMOTE, ROLLBACK, FOUND = "training", "promote", "rollback", "found"
_COLUMNS = "name, before, version, kind, reason, who, at, seq, done"


@dataclass(frozen=True)
class Change:
    """The alias went from one version to another; None: no version carries it."""

    name: str
    before: str | None
    version: str | None
    kind: str
    """What changed it: `TRAINING`, `PROMOTE`, `ROLLBACK`; `FOUND`: something else did."""
    reason: str
    who: str
    at: datetime | None = None
    seq: int | None = None
    """None of a change that is not written."""
    done: bool = True


def lock(conn: Connection, name: str) -> None:
    """Let nobody else change the alias of that model until the transaction of `conn` ends."""
    locks.lock_transaction(conn, f"champion:{name}")


def changes(conn: Connection, name: str) -> list[Change]:
    """As they are written, the oldest first; see `settled`."""
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM meta.champions WHERE name = %s ORDER BY seq",  # noqa: S608
            (name,),
        )
        return [Change(*values) for values in cursor.fetchall()]


def settled(written: Sequence[Change], name: str, holder: str | None) -> list[Change]:
    """What has happened, if `holder` is the version that carries the alias now.

    A change that a crash has cut off took place if its version has the alias. If the last change
    led elsewhere, somebody gave the alias in MLflow, or MLflow lost the version: that is a change
    too, of kind `FOUND`. Nothing is found as long as nothing is written: how the present champion
    got the alias is not known then.
    """
    known = [replace(one, done=True) for one in written if one.done or one.version == holder]
    if written and (not known or known[-1].version != holder):
        before = known[-1].version if known else written[-1].before
        if before != holder:
            reason = "changed in MLflow, or the version was lost there"
            known.append(Change(name, before, holder, FOUND, reason, "not known"))
    return known


def repair(conn: Connection, name: str, holder: str | None) -> list[Change]:
    """Write what `settled` says, in the caller's transaction, which has the lock."""
    written = changes(conn, name)
    known = settled(written, name, holder)
    kept = {one.seq for one in known}
    with conn.cursor() as cursor:
        for one in written:
            if one.seq not in kept:
                cursor.execute("DELETE FROM meta.champions WHERE seq = %s", (one.seq,))
            elif not one.done:
                cursor.execute("UPDATE meta.champions SET done = true WHERE seq = %s", (one.seq,))
    for one in known:
        if one.seq is None:
            add(conn, one)
    return known


def add(conn: Connection, change: Change) -> None:
    """Write a change; its time is now."""
    with conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO meta.champions (name, before, version, kind, reason, who, done)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                change.name, change.before, change.version, change.kind, change.reason, change.who,
                change.done,
            ),
        )  # fmt: skip


def before_the_last(known: Sequence[Change]) -> str | None:
    """The version to which a rollback leads; None if the history does not reach that far.

    A rollback takes back the last change that was not taken back yet: two in a row lead further
    back, not forth. A change that is made after a rollback counts from there.
    """
    held: list[str | None] = []
    for change in known:
        if not held:
            held.append(change.before)
        if change.kind == ROLLBACK and change.version in held:
            while held[-1] != change.version:
                held.pop()
        else:
            held.append(change.version)
    others = (version for version in reversed(held[:-1]) if version not in (None, held[-1]))
    return next(others, None)
