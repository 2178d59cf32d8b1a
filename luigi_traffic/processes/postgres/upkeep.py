"""Bringing the data of an earlier version, or with passwords that are gone, up to date in place."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import psycopg2

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.processes.postgres import postmaster, server_passwords, server_roles, single_user
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.server_record import ServerRecord
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.warehouse.dsn import Dsn

log = logging.getLogger(__name__)


def stop_earlier(record: ServerRecord, folder: Path, binaries: Binaries, user: ServerUser) -> None:
    """Stop the server of a version that held no lock, if it runs here and nobody uses it.

    Raises SettingsError if it is in use, StoreError if it does not stop.
    """
    if not postmaster.lives(record.data, record.name):
        return
    if others := _sessions(record, folder):
        raise SettingsError(
            f"A server of an earlier luigi_traffic runs on {record.data} and has {others} other "
            "sessions. Wait until they end or run `luigi-traffic down`, then try again."
        )
    pg_ctl = str(binaries.tool("pg_ctl"))
    answer = user.run([pg_ctl, "-D", str(record.data), "-s", "-w", "-m", "fast", "stop"])
    if answer.returncode != 0:
        raise StoreError(f"The database in {record.data} does not stop: {answer.stdout.strip()}")


def prepare(record: ServerRecord, folder: Path, binaries: Binaries, user: ServerUser) -> None:
    """Give data that no server runs on its roles, their passwords and checksums.

    Done again after a kill at any point, it does what is left. Raises StoreError with what
    PostgreSQL's tools said.
    """
    log.info("Updating the roles and passwords of the database in %s.", record.data)
    passwords = server_passwords.ensure(folder)
    for database, statements in (
        ("postgres", server_roles.of_the_server(passwords)),
        (server_roles.DATABASE, server_roles.of_the_database()),
    ):
        single_user.execute(binaries, record.data, database, statements, user)
    if _has_checksums(record.data, binaries, user):
        return
    log.info("Adding checksums to the database in %s; this reads all of it once.", record.data)
    answer = user.run([binaries.tool("pg_checksums"), "--enable", "-D", record.data])
    if answer.returncode != 0:
        raise StoreError(f"No checksums for {record.data}: {answer.stdout.strip()}")


def _sessions(record: ServerRecord, folder: Path) -> int:
    password = (folder / "password").read_text(encoding="utf-8")
    dsn = Dsn(
        postmaster.HOST, record.port, server_roles.DATABASE, server_roles.SUPERUSER, password,
        sslmode="disable", require_auth="scram-sha-256",
    )  # fmt: skip
    try:
        with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return int((cursor.fetchone() or (0,))[0])
    except psycopg2.OperationalError as error:
        raise StoreError(
            f"A server of an earlier luigi_traffic runs on {record.data} and does not answer: "
            f"{str(error).strip()}. Stop it with `luigi-traffic down`, then try again."
        ) from error


def _has_checksums(data: Path, binaries: Binaries, user: ServerUser) -> bool:
    answer = user.run([binaries.tool("pg_controldata"), data])
    prefix = "Data page checksum version:"
    for line in answer.stdout.splitlines():
        if line.startswith(prefix):
            return int(line.removeprefix(prefix)) > 0
    raise StoreError(f"pg_controldata does not report the state of {data}: {answer.stdout.strip()}")
