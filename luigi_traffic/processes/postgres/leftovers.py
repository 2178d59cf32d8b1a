"""The pid file that a killed server left: may it be removed?"""

from __future__ import annotations

import platform
import socket

import psutil

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.postgres import postmaster
from luigi_traffic.processes.postgres.server_lock import is_of_one_kernel, locks_reach_all
from luigi_traffic.processes.postgres.server_record import (
    FORMAT,
    ServerRecord,
    boot_id,
    pid_namespace,
)

#: The kernel's own: all processes of the machine are in it.
FIRST_NAMESPACE = "pid:[4026531836]"


def clear(record: ServerRecord) -> None:
    """Remove it. To be called by who holds the data's lock, and before a server is started.

    Raises SettingsError if a server on another machine or in another container may still
    use the data: one of a version that held no lock, or one that our lock does not reach.
    """
    pid_file = record.data / "postmaster.pid"
    if not pid_file.exists():
        return
    dead = _held_the_lock(record) if record.format >= FORMAT else _cannot_be_alive(record)
    if not dead:
        where = f" ({record.owner})" if record.owner else ""
        raise SettingsError(
            f"The last server on {record.data}{where} was not stopped, and it is unknown whether "
            "it still runs in another container or on another host: two servers would destroy "
            f"the database. Make sure that none runs there, then delete {pid_file}."
        )
    pid_file.unlink(missing_ok=True)


def _held_the_lock(record: ServerRecord) -> bool:
    # We hold the lock now, so the server is dead, unless it was on a machine that locks for itself.
    if record.owner is None:
        return locks_reach_all(record.data)
    same_machine = boot_id() == record.owner.boot_id or socket.gethostname() == record.owner.host
    return same_machine or locks_reach_all(record.data)


def _cannot_be_alive(record: ServerRecord) -> bool:
    """Of a server that held no lock."""
    begin = postmaster.recorded_begin(record.data)
    if not is_of_one_kernel(record.data):
        return False
    if begin is not None and begin < psutil.boot_time():
        return True
    sees_all = platform.system() != "Linux" or pid_namespace() == FIRST_NAMESPACE
    return sees_all and not postmaster.processes(record.name)
