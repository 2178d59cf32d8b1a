"""What the server answered, as an error of ours: one place for every SQLSTATE.

Who knows more of a case (a table, a partition, a column) catches psycopg2's error where it
happens and says more; what nobody caught comes through here. Codes: PostgreSQL's documentation,
appendix A.
"""

from __future__ import annotations

import psycopg2

from luigi_traffic.errors import DataError, SettingsError, StoreError, TrafficError
from luigi_traffic.warehouse.dsn import Dsn

#: SQLSTATE, or its first two digits for the class → kind of error, and what to do. The longer wins.
_KINDS: dict[str, tuple[type[TrafficError], str]] = {
    "53100": (StoreError, "Free disk space on the server, then run again: nothing was committed."),
    "53200": (
        StoreError,
        "If the message mentions shared memory, too many partitions were in use at once: raise "
        "max_locks_per_transaction on the server (`luigi-traffic doctor` shows the value) and "
        "restart it.",
    ),
    "53300": (StoreError, "Raise max_connections on the server, or run fewer workers at once."),
    "53": (StoreError, "The server has too little of a resource: give it more, then run again."),
    "08": (StoreError, "Run again."),
    "25P03": (StoreError, "The transaction was idle for too long. Run again."),
    "25P04": (StoreError, "The transaction took too long. Run again."),
    "40": (StoreError, "It conflicted with other transactions; nothing was committed. Run again."),
    "55": (StoreError, "Another session uses what it needs. Run again when that session is done."),
    "57": (StoreError, "Run again; if the error comes back, see in the server's log who ended it."),
    "58": (StoreError, "See the server's log, and check its disk."),
    "XX": (StoreError, "See the server's log. If data is damaged, restore it from a backup."),
    "25006": (SettingsError, "Set warehouse.user to a role that may write."),
    "42501": (
        SettingsError,
        (
            "Set warehouse.user to a role that may do that. docker/postgres/roles.sql creates the "
            "roles."
        ),
    ),
    "42804": (
        DataError,
        "A table of the warehouse was changed by hand: undo that with ALTER TABLE.",
    ),
    "22": (DataError, "The rows do not fit the table."),
    "23": (DataError, "The rows violate a constraint of the table."),
}
_OTHER = (
    DataError,
    "The database is not as luigi_traffic created it: undo what was changed there by hand, or "
    "report this as a bug.",
)


def translated(error: psycopg2.Error, dsn: Dsn | None) -> TrafficError | None:
    """The error of ours; None where the server said nothing: then the fault is in our own code."""
    if not error.pgcode:
        return None
    digits = (error.pgcode, error.pgcode[:2])
    kind, todo = next((_KINDS[code] for code in digits if code in _KINDS), _OTHER)
    return kind(f"The warehouse {dsn} refused: {server_message(error)} ({error.pgcode}) {todo}")


def server_message(error: psycopg2.Error) -> str:
    """What the server said, with its detail and hint, on one line."""
    diag = error.diag
    parts = [diag.message_primary or str(error).strip(), diag.message_detail, diag.message_hint]
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)
