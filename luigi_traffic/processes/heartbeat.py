"""Signs of life of a service: a small file in the home that says when it last went round its loop.

`<home>/heartbeats/<service>.json`, replaced as a whole:

    service, pid, host     who it is
    at                     when it was written, UTC
    doing, since           what it is at
    last_success           {"at": …, "what": …}, or null; kept over restarts
    last_failure           the same, with "reason"

Only the loop itself writes it, no thread: a service that hangs is not alive.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

logger = logging.getLogger("luigi_traffic")

#: A loop may call `beat` as often as it likes.
EVERY_S = 15.0


def folder(home: Path) -> Path:
    """Where the heartbeats of a home are."""
    return home / "heartbeats"


class Pulse:
    """What a loop tells about itself; this one keeps it to itself."""

    def doing(self, what: str) -> None:
        """It is at something else now."""

    def beat(self) -> None:
        """It went round once more."""

    def succeeded(self, what: str) -> None:
        """A piece of work is done."""

    def failed(self, what: str, reason: str) -> None:
        """A piece of work has failed."""


class Heartbeat(Pulse):
    """A pulse that is written down. What cannot be written is reported and stops no service."""

    def __init__(self, home: Path, service: str) -> None:
        self.path = folder(home) / f"{quote(service, safe='')}.json"
        earlier = self._earlier()
        self._said: dict[str, Any] = {
            "service": service,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "at": None,
            "doing": "starting",
            "since": _now(),
            "last_success": earlier.get("last_success"),
            "last_failure": earlier.get("last_failure"),
        }
        self._written = 0.0
        self._trouble = False
        self._write()

    def doing(self, what: str) -> None:  # noqa: D102
        self._said |= {"doing": what, "since": _now()}
        self._write()

    def beat(self) -> None:  # noqa: D102
        if time.monotonic() - self._written >= EVERY_S:
            self._write()

    def succeeded(self, what: str) -> None:  # noqa: D102
        self._said["last_success"] = {"at": _now(), "what": what}
        self._write()

    def failed(self, what: str, reason: str) -> None:  # noqa: D102
        self._said["last_failure"] = {"at": _now(), "what": what, "reason": reason}
        self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        self._said["at"] = _now()
        attempt = self.path.with_suffix(f".{os.getpid()}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            attempt.write_text(json.dumps(self._said, ensure_ascii=False), encoding="utf-8")
            attempt.replace(self.path)
        except OSError as error:
            if not self._trouble:
                logger.error("the heartbeat %s cannot be written: %s", self.path, error)
            self._trouble = True
        else:
            self._trouble = False

    def _earlier(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none yet, or damaged: it is about to be replaced
            return {}
        return found if isinstance(found, dict) else {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
