"""Where a PostgreSQL server is and who we are there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.reading import Layers
from luigi_traffic.warehouse.limits import Limits

APPLICATION = "luigi_traffic"
_LONGEST = 63  # bytes of a name in PostgreSQL


@dataclass(frozen=True)
class Dsn:
    """One PostgreSQL database and the user to open it as. Printing it never shows the password.

    A pickled one, as Spark sends it to its executors, holds no password either: it is read
    where it arrives, from `password_file` or the environment of the settings.
    """

    host: str
    port: int
    dbname: str
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"
    ca_file: Path | None = None
    password_file: Path | None = None
    require_auth: str = ""  # ways to log in that are accepted, as libpq has it; empty: any
    limits: Limits = field(default_factory=Limits)

    def kwargs(self) -> dict[str, Any]:
        """Arguments for `psycopg2.connect`, password included."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "user": self.user,
            "password": self.password,
            "sslmode": self.sslmode,
            **({"sslrootcert": str(self.ca_file)} if self.ca_file else {}),
            **({"require_auth": self.require_auth} if self.require_auth else {}),
            # Whoever waits for us should know whom to look for.
            "application_name": f"{APPLICATION} {os.getpid()}@{socket.gethostname()}"[:_LONGEST],
            **self.limits.kwargs(),
        }

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{self.user}@{host}:{self.port}/{self.dbname}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "password": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, password=_password(state["password_file"]))


def _password(file: Path | None) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8")
    variable = Layers.variable("warehouse.password")
    if variable not in os.environ:
        raise SettingsError(
            f"{variable} is missing from the environment of this process: Spark's executors load "
            "gold into PostgreSQL. Set it for the Spark workers when they are started."
        )
    return os.environ[variable]
