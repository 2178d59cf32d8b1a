"""Names in SQL: quoted, and no longer than PostgreSQL keeps."""

from __future__ import annotations

from luigi_traffic.api.columns import MAX_NAME


def quote(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as pg_get_expr quotes it: never E'…', which quote_literal makes of a backslash."""
    return "'" + text.replace("'", "''") + "'"


def cut_to_fit(name: str, suffix: str) -> str:
    """`name` and all of `suffix` in 63 bytes: PostgreSQL would cut off the end, silently."""
    room = MAX_NAME - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix
