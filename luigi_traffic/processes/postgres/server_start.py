"""Starting the server of a database, by who holds the database's lock."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from luigi_traffic.errors import StoreError
from luigi_traffic.processes.postgres import leftovers, postmaster, server_passwords, upkeep
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.server_record import FORMAT, Owner, ServerRecord, new_name
from luigi_traffic.processes.postgres.server_user import ServerUser

START_TIMEOUT_S = 60
_PORTS_TRIED = 5
_LOG_LINES = 15
_LOG_LIMIT = 10 << 20  # bytes

#: For bulk loads on a laptop. fsync stays on.
SETTINGS = {
    "listen_addresses": postmaster.HOST,
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


@dataclass(frozen=True)
class ServerLog:
    """`server.log`: what the server said."""

    path: Path

    def open(self) -> int:
        """A descriptor to append to; a file that has grown large is put aside before."""
        if self.path.exists() and self.path.stat().st_size > _LOG_LIMIT:
            self.path.replace(self.path.with_suffix(".log.1"))
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tail(self, begin: int = 0) -> str:
        """The last lines after byte `begin`, with the name of the file."""
        with self.path.open("rb") as file:
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
        return f"The end of {self.path}:\n" + "\n".join(lines)


def start(folder: Path, record: ServerRecord, user: ServerUser, lock: int) -> ServerRecord:
    """Start the server of `record`, which inherits the descriptor `lock`; what is true of it now.

    It is recorded in `folder` before. Data of an earlier version is brought up to date. Raises
    SettingsError if the data is of another PostgreSQL or may be in use elsewhere, and StoreError
    with the end of the server's log if it does not start.
    """
    binaries = Binaries.usable_by(user, record.home)
    binaries.must_fit(record.data)
    if record.format < FORMAT:
        upkeep.stop_earlier(record, folder, binaries, user)
    leftovers.clear(record)
    named = record.name if record.format == FORMAT else new_name()
    prepared = record.prepared and server_passwords.complete(folder)
    record = record.model_copy(update={"format": FORMAT, "name": named, "prepared": prepared})
    if not prepared:
        record = _recorded(record, folder)
        upkeep.prepare(record, folder, binaries, user)
        record = record.model_copy(update={"prepared": True})
    for _ in range(_PORTS_TRIED):
        if not postmaster.port_is_free(record.port):
            record = record.model_copy(update={"port": postmaster.free_port()})
        record = _recorded(record, folder)
        failure = _start_once(folder, record, binaries, user, lock)
        if failure is None:
            return record
        if postmaster.port_is_free(record.port):  # else somebody was faster
            break
    raise StoreError(f"PostgreSQL did not start on {record.data}. {failure}")


def pg_ctl(binaries: Binaries, record: ServerRecord) -> list[str]:
    """The beginning of a command that waits for its outcome."""
    program = str(binaries.tool("pg_ctl"))
    return [program, "-D", str(record.data), "-s", "-w", "-t", str(START_TIMEOUT_S)]


def _recorded(record: ServerRecord, folder: Path) -> ServerRecord:
    record = record.model_copy(update={"owner": Owner.here()})
    record.write(folder)
    return record


def _start_once(
    folder: Path, record: ServerRecord, binaries: Binaries, user: ServerUser, lock: int
) -> str | None:
    settings = {**SETTINGS, "port": str(record.port), "cluster_name": record.name}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    # The server inherits the lock, and the log as its output, and nothing else of ours: a pipe
    # that reads our output ends with us. pg_ctl gives it a session of its own (no Ctrl-C).
    log = ServerLog(folder / "server.log")
    output = log.open()
    try:
        begin = os.fstat(output).st_size
        command = [*pg_ctl(binaries, record), "-o", shlex.join(words), "start"]
        answer = user.run(command, output=output, inherited=(lock,))
    finally:
        os.close(output)
    # A recovery may outlast pg_ctl's wait.
    if answer.returncode == 0 or postmaster.lives(record.data, record.name):
        return None
    return log.tail(begin)
