"""Creating the files of a server of our own: superuser, password, and an empty database."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from luigi_traffic.errors import StoreError
from luigi_traffic.warehouse import private_folder
from luigi_traffic.warehouse.postgres_wheel import Binaries
from luigi_traffic.warehouse.server_user import ServerUser

USER = "luigi_traffic"
DATABASE = "luigi_traffic"


def create(
    data: Path,
    password: str,
    user: ServerUser,
    superuser: str = USER,
    database: str | None = DATABASE,
) -> None:
    """Create the data folder `data` of a server with that superuser and an empty `database`.

    The folder gets its name when all is done, so one of that name is whole. Raises
    StoreError with what PostgreSQL's tools said.
    """
    home = data.parent
    binaries = Binaries.usable_by(user, home)
    for leftover in home.glob(f"{data.name}.new-*"):
        shutil.rmtree(leftover)
    attempt = home / f"{data.name}.new-{secrets.token_hex(4)}"
    # initdb reads the password from a file of its own user's.
    handed_over = home / "initdb-password"
    private_folder.write_private(handed_over, password)
    try:
        user.own(handed_over)
        attempt.mkdir(mode=0o700)
        user.own(attempt)
        answer = user.run(
            [
                binaries.tool("initdb"),
                f"--pgdata={attempt}",
                f"--username={superuser}",
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
        raise StoreError(f"initdb could not create {data}:\n{answer.stdout.strip()}")
    if database is not None:
        # Single-user mode: no server has to run for it.
        answer = user.run(
            [binaries.tool("postgres"), "--single", "-D", attempt, "postgres"],
            stdin=f"CREATE DATABASE {database}\n",
        )
        if answer.returncode != 0 or "ERROR:" in answer.stdout:
            raise StoreError(f"No database could be made in {data}:\n{answer.stdout.strip()}")
    attempt.rename(data)
