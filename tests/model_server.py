"""`mlflow models serve`, as a user types it, until it is stopped with all that it has started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

#: How long it may take until it answers: some 10 s on a quiet machine.
START_S = 120


@contextmanager
def model_server(command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address that takes rows. `command` is a line of a shell with {port} in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = folder / "model_server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["bash", "-c", command.format(port=port)], cwd=folder, stdout=out, stderr=out,
            start_new_session=True,
            env={**environment, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
    try:
        _wait(process, f"http://127.0.0.1:{port}/ping", log)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        with suppress(ProcessLookupError):  # it could not start
            os.killpg(process.pid, signal.SIGTERM)  # the server is a child of the command
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"the server does not answer:\n{log.read_text(encoding='utf-8')}")
