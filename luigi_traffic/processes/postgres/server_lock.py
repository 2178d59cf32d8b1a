"""The lock of a database: held exactly as long as any process of a server uses it.

It is an flock on the file PG_VERSION of the data folder. The server inherits the descriptor,
and its children from it, so the kernel releases the lock when the last of them has ended,
whoever was killed, and in whichever container. Why so: docs/decisions/0025-server-lock.md.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import psutil

from luigi_traffic.errors import SettingsError

#: File systems that one kernel alone has mounted.
_OF_ONE_KERNEL = {
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "overlay",
    "apfs", "hfs",
}  # fmt: skip
_NFS = {"nfs", "nfs4"}  # sends locks to its server, but for these mount options
_LOCAL_LOCKS = {"nolock", "local_lock=all", "local_lock=flock"}


class DataLock:
    """The lock of the data folder `data`."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def take(self) -> int | None:
        """A descriptor that holds the lock, or None if somebody else does.

        The lock is released when all copies of the descriptor are closed, those of child
        processes too. Raises SettingsError if the file system has no locks, or the data is
        not ours.
        """
        file = self.data / "PG_VERSION"
        try:
            # Open for writing, because NFS asks for that.
            descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise SettingsError(
                f"{self.data} is not a complete database: {file.name} is missing. Restore it."
            ) from error
        except PermissionError as error:
            raise SettingsError(
                f"{file} belongs to another user: run as that user, or set LUIGI_TRAFFIC_HOME to "
                "your own folder."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise SettingsError(
                f"The file system of {file} does not support locks ({error.strerror}), and "
                "without them two servers could destroy the database. Set LUIGI_TRAFFIC_HOME to "
                "a folder on another file system."
            ) from error
        return descriptor

    def held(self) -> bool:
        """True if a process of a server lives, here or elsewhere."""
        descriptor = self.take()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False


def is_of_one_kernel(path: Path) -> bool:
    """True if no other machine can have the file system of `path` mounted."""
    return _mount(path)[0] in _OF_ONE_KERNEL


def locks_reach_all(path: Path) -> bool:
    """True if a lock on `path` is seen by all machines that can have the file system mounted."""
    kind, options = _mount(path)
    return kind in _OF_ONE_KERNEL or (kind in _NFS and not options & _LOCAL_LOCKS)


def _mount(path: Path) -> tuple[str, set[str]]:
    """Type and options of the file system; an empty type if it is not known."""
    above = [
        mount
        for mount in psutil.disk_partitions(all=True)
        if path.resolve().is_relative_to(mount.mountpoint)
    ]
    if not above:
        return "", set()
    # Of two that are mounted at the same place the later one is seen.
    mount = max(enumerate(above), key=lambda pair: (len(pair[1].mountpoint), pair[0]))[1]
    return mount.fstype, set(mount.opts.split(","))
