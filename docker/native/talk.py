"""What the person who runs it reads."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

LOG_LINES = 20
_lock = threading.Lock()


def say(name: str, text: str) -> None:
    """One line of progress about one server; servers start side by side."""
    with _lock:
        sys.stdout.write(f"[{name}] {text}\n")
        sys.stdout.flush()


def line(text: str = "") -> None:
    """One line of an answer."""
    with _lock:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def tail(log: Path, begin: int = 0) -> str:
    """The last lines of a log from byte `begin` on, with its name."""
    try:
        with log.open("rb") as file:
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()[-LOG_LINES:]
    except FileNotFoundError:
        lines = []
    return f"The end of {log}:\n" + ("\n".join(f"    {text}" for text in lines) or "    (empty)")
