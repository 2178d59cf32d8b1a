"""The folder of the stack: what runs, at which ports, and what outlives it.

lock           held while somebody starts or stops servers
servers.json   what was started: id, birth and command of each main process, its port
ports.json     which port each server has
secrets.env    all passwords and keys, made once (mode 0600)
stack.env      what a client needs to know, to be sourced by a shell (mode 0600)
tls/           the certificate authority that clients trust
logs/          one file a server, and one a build
<server>/      its data
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from talk import line

from luigi_traffic.processes import private_folder
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.processes.recorded import Recorded
from luigi_traffic.settings.reading import home


class State:
    """The state in `folder`, which `prepare` creates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._changing = threading.Lock()

    @classmethod
    def of_environment(cls) -> State:
        """The state in LUIGI_TRAFFIC_STACK, or in `stack` below LUIGI_TRAFFIC_HOME."""
        named = os.environ.get("LUIGI_TRAFFIC_STACK")
        return cls(Path(named).expanduser().absolute() if named else home() / "stack")

    def prepare(self) -> None:
        """Create the folder so that only we write there.

        Raises `SettingsError` where that is not safe.
        """
        # PostgreSQL's user passes through it on the way to its data.
        private_folder.prepare(self.folder, traversable=ServerUser.choose().switch)
        (self.folder / "logs").mkdir(mode=0o700, exist_ok=True)

    def data(self, name: str) -> Path:
        """The data folder of a server."""
        path = self.folder / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def log(self, name: str) -> Path:
        """The log of a server or a build."""
        return self.folder / "logs" / f"{name}.log"

    @property
    def tls(self) -> Path:
        """Where the certificates lie."""
        path = self.folder / "tls"
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def records(self) -> dict[str, Recorded]:
        """What was started and not yet stopped, by name. It may have ended since."""
        return {name: Recorded(**record) for name, record in self._read("servers.json").items()}

    def keep(self, record: Recorded) -> None:
        """Write down what was started."""
        with self._changing:
            self._write("servers.json", {**self._read("servers.json"), record.name: asdict(record)})

    def forget(self, name: str) -> None:
        """What was started is gone."""
        with self._changing:
            left = self._read("servers.json")
            left.pop(name, None)
            self._write("servers.json", left)

    def ports(self) -> dict[str, int]:
        """The ports as they were chosen last."""
        return self._read("ports.json")

    def keep_ports(self, ports: dict[str, int]) -> None:
        """Write down which port each server has."""
        self._write("ports.json", ports)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One at a time starts and stops servers; ends with the process that holds it."""
        # Python does not hand the descriptor on to what we start (PEP 446).
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                line("waiting for another command that starts or stops servers")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def delete(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            text = (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        return dict(json.loads(text))

    def _write(self, name: str, content: dict[str, Any]) -> None:
        private_folder.write_private(self.folder / name, json.dumps(content, indent=1) + "\n")
