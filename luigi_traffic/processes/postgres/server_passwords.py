"""The generated passwords of an embedded server's roles: one file each, mode 0600."""

from __future__ import annotations

import secrets
from pathlib import Path

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes import private_folder
from luigi_traffic.processes.postgres.server_roles import PASSWORD_FILES


def path(folder: Path, role: str) -> Path:
    """The file of `role`'s password."""
    return folder / PASSWORD_FILES[role]


def read(folder: Path, role: str) -> str | None:
    """The password of `role`; None if its file is missing or empty.

    Raises SettingsError if what it holds cannot be one.
    """
    try:
        text = path(folder, role).read_bytes()
    except FileNotFoundError:
        return None
    if not text:
        return None
    if not text.isascii() or b"\n" in text or b"\0" in text:
        raise SettingsError(f"{path(folder, role)} contains no password. {to_do(folder, role)}")
    return text.decode("ascii")


def complete(folder: Path) -> bool:
    """True if each role has one."""
    return all(read(folder, role) for role in PASSWORD_FILES)


def ensure(folder: Path) -> dict[str, str]:
    """The password of each role, made if it is missing."""
    found = {}
    for role in PASSWORD_FILES:
        password = read(folder, role)
        if password is None:
            password = secrets.token_urlsafe(24)
            private_folder.write_private(path(folder, role), password)
        found[role] = password
    return found


def to_do(folder: Path, role: str) -> str:
    """How to get a new one."""
    return (
        f"Delete {path(folder, role)} and run `luigi-traffic down`: "
        "the next command gives the database a new password, and the data is kept."
    )
