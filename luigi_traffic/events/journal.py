"""The event log of the local profile: one append-only file of JSON lines a topic."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from luigi_traffic.events.announcement import Announcement
from luigi_traffic.events.log import EventLog
from luigi_traffic.processes import file_lock

#: Writing a line takes milliseconds.
PATIENCE_S = 60.0


class Journal(EventLog):
    """`<folder>/<topic>.jsonl`; each line is {"key": …, "event": …}."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, announcement: Announcement) -> dict[str, Any]:
        """Append the event. Raises StoreError if another process keeps the file to itself."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{announcement.topic}.jsonl"
        line = json.dumps({"key": announcement.key, "event": announcement.event}, sort_keys=True)
        with path.open("ab") as file:
            file_lock.lock(file.fileno(), path, PATIENCE_S)
            offset = file.seek(0, os.SEEK_END)
            # A writer that was killed may have left half a line: end it, so that it stays
            # one unreadable line and does not swallow the next event.
            if offset and not _ends_a_line(path):
                file.write(b"\n")
                offset += 1
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return {"log": "journal", "topic": announcement.topic, "partition": 0, "offset": offset}


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
