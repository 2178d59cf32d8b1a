"""A folder that holds a secret: who may write to it, and to what leads there."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from luigi_traffic.errors import SettingsError


def prepare(folder: Path, traversable: bool) -> None:
    """Create `folder` so that only we write there, or make it so.

    Mode 0711 if another user must pass through it (`traversable`), else 0700. Raises
    SettingsError if it is somebody else's, or if anybody could replace a folder above it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for above in folder.parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise SettingsError(
                f"{folder} would contain a database and its password, but anybody may rename what "
                f"is in {above}. Run `chmod o-w {above}`, or set LUIGI_TRAFFIC_HOME to your own "
                "folder."
            )
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise SettingsError(
            f"{folder} belongs to user {status.st_uid}, and this is user {os.geteuid()}. Run as "
            "that user, or set LUIGI_TRAFFIC_HOME to your own folder."
        )
    wanted = 0o711 if traversable else 0o700
    if stat.S_IMODE(status.st_mode) != wanted:
        folder.chmod(wanted)


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, all of it or nothing."""
    attempt = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(attempt, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        attempt.replace(path)
    except BaseException:
        attempt.unlink(missing_ok=True)
        raise
