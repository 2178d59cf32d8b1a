"""`luigi-traffic warehouse dump` and `restore`: the embedded warehouse in one file."""

from __future__ import annotations

from pathlib import Path

from luigi_traffic.commands.warehouse import is_new, nothing_yet
from luigi_traffic.errors import SettingsError
from luigi_traffic.layers import home
from luigi_traffic.parts import parts
from luigi_traffic.settings import settings
from luigi_traffic.warehouse import dump as dump_file
from luigi_traffic.warehouse.embedded import EmbeddedServer


def dump(file: Path) -> str:
    """Write it; what to tell. Raises SettingsError if there is no embedded warehouse."""
    server = _embedded()
    if is_new():
        raise SettingsError(nothing_yet())
    return f"{file}: {dump_file.write(server, file.absolute()):,} bytes"


def restore(file: Path) -> str:
    """Read it into an empty warehouse; what to tell."""
    server = _embedded()
    dump_file.restore(server, file.absolute())
    parts().warehouse.migrate()
    return f"the warehouse of {home()} is that of {file}"


def _embedded() -> EmbeddedServer:
    if settings().warehouse.kind != "embedded":
        raise SettingsError(
            "setting 'warehouse.kind' is 'server': dump that PostgreSQL with its own pg_dump."
        )
    return EmbeddedServer(home() / "postgres")
