"""PostgreSQL's single-user mode: the superuser's work on a database that no server runs on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luigi_traffic.errors import StoreError
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.server_user import ServerUser

# A transaction over years of daily partitions locks each of them.
_SETTINGS = ("-c", "max_locks_per_transaction=1024")


def execute(
    binaries: Binaries, data: Path, database: str, statements: Sequence[str], user: ServerUser
) -> None:
    """Run statements of one line each, and stop cleanly; recovers what a killed server left.

    Raises StoreError with what PostgreSQL said, without the statements, if one fails.
    """
    answer = user.run(
        [binaries.tool("postgres"), "--single", "-D", data, *_SETTINGS, database],
        stdin="".join(f"{statement}\n" for statement in statements),
    )
    said = [line for line in answer.stdout.splitlines() if _tells(line)]
    if answer.returncode != 0 or any("ERROR:" in line for line in said):
        raise StoreError(f"The database in {data} could not be prepared:\n" + "\n".join(said))


def _tells(line: str) -> bool:
    return any(word in line for word in ("ERROR:", "FATAL:", "PANIC:", "DETAIL:", "HINT:"))
