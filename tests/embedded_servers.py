"""Embedded PostgreSQL servers of tests, and their superuser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from luigi_traffic.processes.postgres import single_user
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.server_record import ServerRecord
from luigi_traffic.processes.postgres.server_roles import SUPERUSER, verifier
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.warehouse.dsn import Dsn


@contextmanager
def new_server() -> Iterator[EmbeddedServer]:
    """A server in a new folder; not created yet."""
    # Not pytest's tmp_path: other users, whom root needs for a server, cannot enter that.
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / "postgres")
        try:
            yield server
        finally:
            if server.folder.exists():
                server.destroy()


def record(server: EmbeddedServer) -> ServerRecord:
    """What the server's folder records."""
    found = ServerRecord.read(server.folder)
    assert found is not None
    return found


def let_superuser_in(server: EmbeddedServer, database: str) -> Dsn:
    """Give the superuser a password, which takes a restart: nobody has one otherwise."""
    server.ensure_running()
    server.stop()
    found, user = record(server), ServerUser.choose()
    statement = f"ALTER ROLE {SUPERUSER} PASSWORD '{verifier('of-a-test')}'"
    binaries = Binaries.usable_by(user, found.home)
    single_user.execute(binaries, found.data, "postgres", [statement], user)
    dsn = server.ensure_running()
    return replace(dsn, user=SUPERUSER, password="of-a-test", dbname=database, password_file=None)
