"""Where a PostgreSQL server is and who we are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CONNECT_TIMEOUT_S = 5
APPLICATION = "luigi_traffic"


@dataclass(frozen=True)
class Dsn:
    """One PostgreSQL database and the user to open it as. Printing it never shows the password."""

    host: str
    port: int
    dbname: str
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"

    def kwargs(self) -> dict[str, Any]:
        """Arguments for `psycopg2.connect`, password included."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "user": self.user,
            "password": self.password,
            "sslmode": self.sslmode,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": APPLICATION,
            # A firewall must not forget a connection that idles under a long training,
            # and a lock's connection must notice that its server is gone.
            "keepalives_idle": 60,
        }

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{self.user}@{host}:{self.port}/{self.dbname}"
