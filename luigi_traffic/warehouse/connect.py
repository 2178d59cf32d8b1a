"""Opening a connection: what is worth another try, and why the server would not let us in."""

from __future__ import annotations

import re

import psycopg2
from psycopg2.extensions import connection as Connection
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.reading import Layers
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.limits import LimitedConnection

#: What the server or libpq says → what to do. There is no error code to go by before a session
#: begins. A server that speaks another language than English (`lc_messages`) is not understood:
#: then we try again, in vain, and pass its words on.
_FINAL = {
    r"password authentication failed|no password supplied": (
        "Set {password} to the password of {user}. docker/postgres/roles.sql creates the roles."
    ),
    r"authentication method requirement": (
        "The server asks for a way to log in that warehouse.require_auth ({require_auth}) does "
        "not accept, so the password was not sent: make sure that it is your server, then store "
        "its passwords as SCRAM, or change that setting."
    ),
    r'role ".*" (does not exist|is not permitted to log in)': (
        "Set warehouse.user to a role that may log in. docker/postgres/roles.sql creates the roles."
    ),
    r'database ".*" does not exist': (
        "Set warehouse.dbname, or create the database with docker/postgres/roles.sql."
    ),
    r"permission denied for database": (
        "Set warehouse.user to a role that may connect. docker/postgres/roles.sql grants this "
        "right."
    ),
    r"no pg_hba\.conf entry|pg_hba\.conf rejects": (
        "The server's pg_hba.conf does not admit this user from here, or not with "
        "warehouse.sslmode {sslmode}: correct one of them."
    ),
    r"server does not support SSL": (
        "Turn on TLS on the server (ssl = on), or, if nobody else can listen, set "
        "warehouse.sslmode (now {sslmode}) to disable."
    ),
    r"root certificate file .* does not exist|could not (read|load) root certificate": (
        "Set warehouse.ca_file to the PEM file of the CA that signed the server's certificate."
    ),
    r"server certificate for .* does not match host name": (
        "Set warehouse.host to a name that the server's certificate is for."
    ),
    # The end of the connection is what a server that is killed causes.
    r"SSL error: (?!unexpected eof)": (
        "The server's certificate has expired, or was not issued by the CA in warehouse.ca_file "
        "({ca_file}): correct one of them."
    ),
}


def connect(dsn: Dsn) -> Connection:
    """One try to open a connection.

    Raises `SettingsError` where another try cannot help: a wrong password, user or database,
    TLS that does not fit; psycopg2's OperationalError where it may.
    """
    try:
        made: LimitedConnection = psycopg2.connect(
            **dsn.kwargs(), connection_factory=LimitedConnection
        )
    except psycopg2.OperationalError as error:
        if todo := _todo(str(error), dsn):
            said = " ".join(str(error).split())
            raise SettingsError(
                f"The warehouse {dsn} does not let {dsn.user} in: {said}. {todo}"
            ) from error
        raise
    made.limits = dsn.limits
    return made


def connect_patiently(dsn: Dsn, patience_s: float) -> Connection:
    """As `connect`, and again for that long while the server does not answer."""
    return retrying(patience_s)(connect, dsn)


def retrying(patience_s: float) -> Retrying:
    """Tries again what raises OperationalError; at the end it raises the last one."""
    return Retrying(
        retry=retry_if_exception_type(psycopg2.OperationalError),
        stop=stop_after_delay(patience_s),
        wait=wait_exponential(multiplier=0.1, max=2),
        reraise=True,
    )


def _todo(said: str, dsn: Dsn) -> str | None:
    for pattern, todo in _FINAL.items():
        if re.search(pattern, said):
            return todo.format(
                password=Layers.variable("warehouse.password"),
                user=dsn.user,
                sslmode=dsn.sslmode,
                require_auth=dsn.require_auth,
                ca_file=dsn.ca_file or "none set",
            )
    return None
