"""Creating the files of a server of our own."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from luigi_traffic.errors import StoreError
from luigi_traffic.processes import private_folder
from luigi_traffic.processes.postgres import server_roles, single_user
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.server_user import ServerUser

_OPTIONS = (
    "--auth-host=scram-sha-256",
    "--auth-local=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-sync",
)


def create(data: Path, password: str, user: ServerUser, superuser: str) -> None:
    """Create the data folder `data` of a server with that superuser and no database of ours.

    The folder gets its name when all is done, so one of that name is whole. Raises
    StoreError with what PostgreSQL's tools said.
    """
    # initdb reads the password from a file of its own user's.
    handed_over = data.parent / "initdb-password"
    private_folder.write_private(handed_over, password)
    try:
        user.own(handed_over)
        attempt = _initdb(data, user, f"--username={superuser}", f"--pwfile={handed_over}")
    finally:
        handed_over.unlink()
    attempt.rename(data)


def create_with_roles(data: Path, passwords: dict[str, str], user: ServerUser) -> None:
    """Create the data folder `data` with the roles of `passwords` and their empty database.

    The superuser cannot log in. Whole and raises as `create`.
    """
    attempt = _initdb(data, user, f"--username={server_roles.SUPERUSER}")
    binaries = Binaries.usable_by(user, data.parent)
    create_database = f"CREATE DATABASE {server_roles.DATABASE}"
    first = [create_database, *server_roles.of_the_server(passwords)]
    single_user.execute(binaries, attempt, "postgres", first, user)
    database, second = server_roles.DATABASE, server_roles.of_the_database()
    single_user.execute(binaries, attempt, database, second, user)
    attempt.rename(data)


def _initdb(data: Path, user: ServerUser, *options: str) -> Path:
    home = data.parent
    binaries = Binaries.usable_by(user, home)
    for leftover in home.glob(f"{data.name}.new-*"):
        shutil.rmtree(leftover)
    attempt = home / f"{data.name}.new-{secrets.token_hex(4)}"
    attempt.mkdir(mode=0o700)
    user.own(attempt)
    answer = user.run([binaries.tool("initdb"), f"--pgdata={attempt}", *options, *_OPTIONS])
    if answer.returncode != 0:
        raise StoreError(f"initdb could not create {data}:\n{answer.stdout.strip()}")
    return attempt
