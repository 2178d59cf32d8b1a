"""`luigi-traffic warehouse dump` and `restore`: all that an embedded database holds, in one file.

A backup, and the way to another PostgreSQL.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg2

from luigi_traffic.commands.warehouse import is_new, nothing_yet
from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.server_record import ServerRecord
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.project import Project
from luigi_traffic.settings.keys import Settings
from luigi_traffic.warehouse.dsn import Dsn


def dump(project: Project, file: Path) -> str:
    """Write it; what to tell. Raises SettingsError if there is no embedded warehouse."""
    server = _embedded(project.settings)
    if is_new(project):
        raise SettingsError(nothing_yet(project))
    return f"{file}: {write(server, file.absolute()):,} bytes"


def restore(project: Project, file: Path) -> str:
    """Read it into an empty warehouse; what to tell."""
    server = _embedded(project.settings)
    read(server, file.absolute())
    project.warehouse.migrate()
    return f"restored the warehouse of {project.home} from {file}"


def _embedded(settings: Settings) -> EmbeddedServer:
    if settings.warehouse.kind != "embedded":
        raise SettingsError(
            "setting 'warehouse.kind' is 'server': dump that server with its own pg_dump."
        )
    return EmbeddedServer(settings.home / "postgres")


def write(server: EmbeddedServer, file: Path) -> int:
    """Write a consistent dump to the new file `file`, mode 0600; its size in bytes.

    Raises SettingsError if there is such a file, StoreError with pg_dump's words if it fails.
    """
    if file.exists():
        raise SettingsError(f"{file} already exists: give the name of a new file.")
    attempt = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        os.close(os.open(attempt, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _run(server, "pg_dump", "--format=custom", f"--file={attempt}")
        os.link(attempt, file)  # unlike a rename it overwrites nothing
    except FileExistsError as error:
        raise SettingsError(f"{file} already exists: give the name of a new file.") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        attempt.unlink(missing_ok=True)
    return file.stat().st_size


def read(server: EmbeddedServer, file: Path) -> None:
    """Fill an empty database from a dump, all of it or nothing.

    Raises SettingsError if there is no such file or the database is not empty, StoreError with
    pg_restore's words if it fails.
    """
    if not file.is_file():
        raise SettingsError(f"{file} is not a file.")
    if _schemas(server.ensure_running()):
        raise SettingsError(
            f"The warehouse of {server.folder} is not empty, and a dump would mix with its "
            "contents. Run `luigi-traffic down` and move that folder away, or set "
            "LUIGI_TRAFFIC_HOME to another home."
        )
    _run(
        server, "pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--no-acl",
        "--dbname=", str(file),
    )  # fmt: skip


def _schemas(dsn: Dsn) -> bool:
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_'"
            " AND nspname NOT IN ('information_schema', 'public')"
        )
        return (cursor.fetchone() or (0,))[0] > 0


def _run(server: EmbeddedServer, tool: str, *words: str) -> None:
    dsn = server.ensure_running()
    record = ServerRecord.read(server.folder)
    home = record.home if record else server.folder
    answer = subprocess.run(
        [Binaries.usable_by(ServerUser.choose(), home).tool(tool), "--no-password", *words],
        env={
            "PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGHOST": dsn.host,
            "PGPORT": str(dsn.port), "PGDATABASE": dsn.dbname, "PGUSER": dsn.user,
            "PGPASSWORD": dsn.password, "PGSSLMODE": dsn.sslmode,
            "PGREQUIREAUTH": dsn.require_auth,
        },
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if answer.returncode != 0:
        raise StoreError(f"{tool} failed on {dsn}: {answer.stderr.strip()}")
