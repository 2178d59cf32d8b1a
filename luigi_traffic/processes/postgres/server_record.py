"""`server.json`: where the data of an embedded server is, its port, and who started it."""

from __future__ import annotations

import json
import os
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes import private_folder
from luigi_traffic.processes.postgres.postmaster import free_port, lives, recorded_port
from luigi_traffic.recipe import short_hash

#: 1: home and port alone; the server ran as superuser, without a lock and without checksums.
FORMAT = 2
FILE = "server.json"


class Owner(BaseModel):
    """The container or machine that a server was started in."""

    model_config = ConfigDict(frozen=True)

    host: str
    boot_id: str
    pid_namespace: str
    started_at: datetime

    @classmethod
    def here(cls) -> Owner:
        """This one. What a system does not have (macOS) is empty."""
        return cls(
            host=socket.gethostname(),
            boot_id=boot_id(),
            pid_namespace=pid_namespace(),
            started_at=datetime.now(UTC).replace(microsecond=0),
        )

    def is_here(self) -> bool:
        """True if its process ids mean something to us."""
        return (self.boot_id, self.pid_namespace) == (boot_id(), pid_namespace())

    def __str__(self) -> str:
        return f"host {self.host}, started {self.started_at:%Y-%m-%d %H:%M:%S} UTC"


class ServerRecord(BaseModel):
    """A database on disk and the server that was started on it last."""

    model_config = ConfigDict(frozen=True)

    format: int = 1
    home: Path  # holds data/
    port: int = Field(ge=1, le=65535)
    name: str = ""
    owner: Owner | None = None
    prepared: bool = False  # it has its roles, their passwords and checksums

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.home / "data"

    def is_here(self) -> bool:
        """True if the server's processes, if it has any, are of this pid namespace."""
        return self.owner.is_here() if self.owner else lives(self.data, self.name)

    @classmethod
    def read(cls, folder: Path) -> ServerRecord | None:
        """What `folder` records; None if it records nothing.

        Raises SettingsError, with what to do, if the file is broken, not ours or of a newer
        version, or if the data is gone.
        """
        path = folder / FILE
        try:
            record = cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise SettingsError(
                f"{path} belongs to another user: run as that user, or set LUIGI_TRAFFIC_HOME to "
                "your own folder."
            ) from error
        except ValueError as error:
            raise SettingsError(
                f"{path}, which says where the warehouse's data is, is broken: {_reason(error)}. "
                "Delete that file: the next command writes it again, and the data is kept."
            ) from error
        if record.format > FORMAT:
            raise SettingsError(
                f"{path} has format {record.format}, but this luigi_traffic knows format "
                f"{FORMAT}: a newer version has used it. Upgrade luigi_traffic here, or use "
                "another home."
            )
        home = folder / record.home
        if not (home / "data").is_dir() and (folder / "data").is_dir():
            home = folder  # the whole folder was moved
        record = record.model_copy(update={"home": home})
        if not record.data.is_dir():
            raise SettingsError(
                f"The database of {folder} was in {record.data} and is missing. Restore it, or "
                f"delete {folder} to begin with an empty warehouse."
            )
        return record if record.name else record.model_copy(update={"name": old_name(home)})

    @classmethod
    def adopted(cls, home: Path) -> ServerRecord:
        """Data that nothing is recorded about; its port is the running server's if there is one."""
        port = recorded_port(home / "data") or free_port()
        return cls(format=1, home=home, port=port, name=old_name(home))

    @classmethod
    def new(cls, home: Path) -> ServerRecord:
        """Data that this version has just made."""
        return cls(format=FORMAT, home=home, port=free_port(), name=new_name(), prepared=True)

    def write(self, folder: Path) -> None:
        """Record it in `folder`, which may be moved with its data in it."""
        content = self.model_dump(mode="json")
        if self.home == folder:
            content["home"] = "."
        private_folder.write_private(folder / FILE, json.dumps(content))


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return ": ".join([*map(str, first["loc"]), first["msg"]])


def boot_id() -> str:
    """This boot of this kernel; empty if it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def pid_namespace() -> str:
    """The pid namespace of this process; empty if the system has none."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path is there: pid:[4026531836]
    except OSError:
        return ""


def new_name() -> str:
    """A `cluster_name`: in the title of every process of a server, which anybody may read."""
    return f"luigi_traffic-{secrets.token_hex(8)}"


def old_name(home: Path) -> str:
    """What servers were called before their names were recorded."""
    return f"luigi_traffic-{short_hash(str(home / 'data'))}"
