"""How long anything on a connection to the warehouse may last.

Some limits are libpq's, some the server's own (it holds the locks of a client that is gone), and
some ours. All travel with the `Dsn`, so Spark's executors have them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import connection as Connection

#: A host that is gone is asked this often before it is given up.
_PROBES = 3


@dataclass(frozen=True)
class Limits:
    """Seconds, as the settings `warehouse.*` have them."""

    #: To open a connection.
    connect_s: int = 5
    #: Until the other side is given up whose host does not answer at all, by us or by the server.
    dead_host_s: int = 120
    #: For which a transaction may do nothing.
    idle_transaction_s: float = 600.0
    #: The same, for a transaction that keeps readers out of a table.
    idle_commit_s: float = 30.0
    #: For which a statement may wait for a lock.
    lock_wait_s: float = 600.0
    #: For which the work waits for readers of a table, or for a writer of the same partition.
    patience_s: float = 6 * 3600.0
    #: After which a lock is free whose holder shows no sign of life.
    lease_s: float = 300.0

    def kwargs(self) -> dict[str, Any]:
        """Arguments for `psycopg2.connect`: libpq's limits, and those it hands to the server."""
        idle, interval = self.dead_host_s // 4, max(1, self.dead_host_s // 4)
        server = {
            "idle_in_transaction_session_timeout": milliseconds(self.idle_transaction_s),
            "lock_timeout": milliseconds(self.lock_wait_s),
            # Without these the server notices after two hours that a client's host is gone.
            "tcp_keepalives_idle": max(1, idle),
            "tcp_keepalives_interval": interval,
            "tcp_keepalives_count": _PROBES,
            "tcp_user_timeout": self.dead_host_s * 1000,
        }
        return {
            "connect_timeout": self.connect_s,
            # They also keep a firewall from forgetting a connection that idles under a training.
            "keepalives": 1,
            "keepalives_idle": max(1, idle),
            "keepalives_interval": interval,
            "keepalives_count": _PROBES,
            "tcp_user_timeout": self.dead_host_s * 1000,
            "options": " ".join(f"-c {name}={value}" for name, value in server.items()),
        }


class LimitedConnection(Connection):
    """A connection that knows its limits."""

    limits = Limits()


def limits_of(conn: Connection) -> Limits:
    """The limits of a connection; the defaults if it was opened past `connect.connect`."""
    return conn.limits if isinstance(conn, LimitedConnection) else Limits()


def milliseconds(seconds: float) -> int:
    """For PostgreSQL's timeouts, where 0 would mean no limit."""
    return max(1, round(seconds * 1000))
