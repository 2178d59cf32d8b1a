"""The system user an embedded server runs as: we ourselves, or, for root, somebody else."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luigi_traffic.errors import SettingsError

_STAND_INS = ("postgres", "nobody")  # for root, which PostgreSQL refuses to run as


@dataclass(frozen=True)
class ServerUser:
    """Who runs initdb and the server. `switch` is True where we are root and they are not."""

    name: str
    uid: int
    gid: int
    switch: bool

    @classmethod
    def choose(cls) -> ServerUser:
        """Ourselves, or the first stand-in there is if we are root.

        Raises SettingsError if root finds no stand-in.
        """
        uid = os.geteuid()
        if uid != 0:
            return cls(str(uid), uid, os.getegid(), switch=False)
        for name in _STAND_INS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(name, entry.pw_uid, entry.pw_gid, switch=True)
        raise SettingsError(
            f"PostgreSQL refuses to run as root, and there is no user {' or '.join(_STAND_INS)} "
            "to run it as. Create one, run as a normal user, or set `warehouse` to your own "
            "server."
        )

    def own(self, path: Path) -> None:
        """Give a path that we have just created to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def identity(self) -> dict[str, Any]:
        """What makes `subprocess` start a command as this user."""
        mask = {"umask": 0o077}
        if not self.switch:
            return mask
        return {"user": self.uid, "group": self.gid, "extra_groups": [], **mask}

    def run(
        self,
        command: Sequence[str | Path],
        output: int = subprocess.PIPE,
        stdin: str = "",
        inherited: Sequence[int] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, out of reach of the terminal's Ctrl-C.

        It and its children keep the descriptors `inherited` open.
        Its status is the caller's to check. Raises PermissionError if the user may not execute it.
        """
        return subprocess.run(
            [str(word) for word in command],
            input=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            # PGDATA, PGPORT, PGOPTIONS and the like of the caller must not steer this server.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            start_new_session=True,
            pass_fds=inherited,
            text=True,
            errors="replace",
            check=False,
            **self.identity(),
        )

    def can_enter(self, folder: Path) -> bool:
        """True if this user can traverse `folder` and all above it."""
        return self.run(["/bin/sh", "-c", 'cd "$1"', "sh", folder]).returncode == 0

    def can_run(self, program: Path, data_file: Path) -> bool:
        """True if this user can execute `program` and read `data_file`."""
        try:
            if self.run([program, "--version"]).returncode != 0:
                return False
        except PermissionError:
            return False
        return self.run(["/bin/sh", "-c", 'test -r "$1"', "sh", data_file]).returncode == 0
