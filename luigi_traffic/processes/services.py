"""The services of a home that outlive a command: luigid and the MLflow UI, on loopback.

What lies in `<home>/services`:

    lock               held while somebody starts or stops a service
    <name>.json        process id, when the process began, its command, its port
    <name>.log         what it said
    luigid.pickle      luigid's own state, kept when it stops

Whose process is whose: `luigi_traffic.processes.recorded`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from luigi_traffic.errors import StoreError, did_you_mean
from luigi_traffic.processes import file_lock, recorded
from luigi_traffic.processes.postgres.postmaster import free_port, port_is_free
from luigi_traffic.processes.recorded import Recorded
from luigi_traffic.settings.keys import Settings

logger = logging.getLogger("luigi_traffic")

HOST = "127.0.0.1"
LUIGID, MLFLOW = "luigid", "mlflow"
DEFAULT_PORTS = {LUIGID: 8082, MLFLOW: 5000}
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 10
_PROBES = {LUIGID: "/static/visualiser/index.html", MLFLOW: "/health"}
_LOG_LINES = 15


@dataclass(frozen=True)
class Service(Recorded):
    """One started service."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def answers(self) -> bool:
        """Whether it serves pages."""
        connection = HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", _PROBES[self.name])
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def _port(name: str) -> int:
    default = DEFAULT_PORTS[name]
    return default if port_is_free(default) else free_port()


class Services:
    """luigid and the MLflow UI of a home."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def folder(self) -> Path:
        """Where the records and logs of this home's services are."""
        return self._settings.home / "services"

    def running(self, name: str) -> Service | None:
        """The service of this home, None where its process is not there."""
        service = self._recorded(name)
        return service if service and service.process() else None

    def start(self, name: str) -> tuple[Service, bool]:
        """The service, up and answering; True with it where this call started it.

        Takes the default port, or another one where somebody has that. Raises `StoreError` with
        the end of its log if it does not come up.
        """
        if name not in DEFAULT_PORTS:
            raise ValueError(f"there is no service {name!r}.{did_you_mean(name, DEFAULT_PORTS)}")
        with self._locked():
            service = self.running(name)
            fresh = service is None
            if service is None:
                self._end(name)  # what a killed one left
                service = self._launch(name)
            self._wait(service)
            return service, fresh

    def stop(self, name: str) -> bool:
        """Stop the service with all its processes; True where something ran.

        Raises `StoreError` if it does not end.
        """
        if self._recorded(name) is None:
            return False
        with self._locked():
            return self._end(name)

    def ui_url(self) -> str:
        """Address of the MLflow UI: the server's of `tracking.uri`, the running one's of this home,
        or the one that `luigi-traffic up` would most likely give it."""
        uri = self._settings.tracking_uri
        if uri.startswith(("http://", "https://")):
            scheme, _, rest = uri.partition("://")
            authority, slash, path = rest.partition("/")
            return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}".rstrip("/")
        service = self.running(MLFLOW)
        return service.url if service else f"http://{HOST}:{DEFAULT_PORTS[MLFLOW]}"

    def ui_run_url(self, experiment_id: str, run_id: str) -> str:
        """Address of a run in the MLflow UI."""
        return f"{self.ui_url()}/#/experiments/{experiment_id}/runs/{run_id}"

    def log_file(self, name: str) -> Path:
        """What the service said."""
        return self.folder() / f"{name}.log"

    def _record(self, name: str) -> Path:
        return self.folder() / f"{name}.json"

    def _recorded(self, name: str) -> Service | None:
        try:
            return Service(**json.loads(self._record(name).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder().mkdir(parents=True, exist_ok=True)
        # Python does not hand the descriptor on to what we start (PEP 446).
        descriptor = os.open(self.folder() / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            file_lock.lock(descriptor, self.folder() / "lock", 2 * START_TIMEOUT_S)
            yield
        finally:
            os.close(descriptor)

    def _launch(self, name: str) -> Service:
        port = _port(name)
        command, environment = self._command(name, port)
        started: list[Service] = []

        def record(pid: int, began: float) -> None:
            started.append(Service(name, pid, began, command, port))
            attempt = self._record(name).with_suffix(".new")
            attempt.write_text(json.dumps(asdict(started[0])), encoding="utf-8")
            attempt.replace(self._record(name))

        self.log_file(name).unlink(missing_ok=True)
        recorded.start(
            command, record, self.log_file(name), self.folder(), {**os.environ, **environment}
        )
        return started[0]

    def _command(self, name: str, port: int) -> tuple[list[str], dict[str, str]]:
        """Command and environment. Addresses with passwords go by the environment: command lines
        are everybody's to read."""
        if name == LUIGID:
            words = ["-c", "from luigi.cmdline import luigid; luigid()", "--address", HOST]
            words += ["--port", str(port), "--state-path", str(self.folder() / "luigid.pickle")]
            # It runs in another folder, and should read the luigi.cfg of this one.
            config = Path("luigi.cfg").absolute()
            wanted = config.is_file() and "LUIGI_CONFIG_PATH" not in os.environ
            return [sys.executable, *words], {"LUIGI_CONFIG_PATH": str(config)} if wanted else {}
        uri = self._settings.tracking_uri
        artifacts = self._settings.home / "mlflow" / "artifacts"
        artifacts.mkdir(parents=True, exist_ok=True)
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        words = ["-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
        words += ["--artifacts-destination", artifacts.as_uri()]
        environment = {
            "MLFLOW_BACKEND_STORE_URI": uri,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        return [sys.executable, *words], environment

    def _wait(self, service: Service) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not service.answers():
            gone = service.process() is None
            if gone or time.monotonic() > deadline:
                log = self.log_file(service.name)
                tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
                if gone:
                    self._end(service.name)
                raise StoreError(
                    f"{service.name} {'ended' if gone else 'does not answer'} at {service.url}. "
                    f"The end of {log}:\n" + "\n".join(tail)
                )
            time.sleep(0.2)

    def _end(self, name: str) -> bool:
        service = self._recorded(name)
        if service is None:
            return False
        mine = service.processes()
        left = recorded.end(mine, STOP_TIMEOUT_S)
        if left:
            raise StoreError(f"{name} does not end: process {', '.join(str(p.pid) for p in left)}")
        self._record(name).unlink(missing_ok=True)
        return bool(mine)
