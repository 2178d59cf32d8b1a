"""Polls on disk: a folder a day, a file of JSON lines a poll, and the table of nodes.

    <folder>/20240531/20240531T100507.123456.jsonl    one line a link, as the service gave it
    <folder>/nodes.csv                                LINK_ID, F_NODE, T_NODE of all links seen

A file is there whole or not at all: it is written under a name that begins with a dot, synced,
then renamed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from luigi_traffic import SettingsError
from luigi_traffic_its import read_node_links
from luigi_traffic_its_openapi.api import Item
from luigi_traffic_its_openapi.settings import LATE, NODES

#: Ends of file names. What has the second one is not finished, and left out.
POLL, UNFINISHED = ".jsonl", ".part"


class Claimed(SettingsError):
    """Another process fills the folder."""


class Polls:
    """The folder that a collector fills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """For one collector alone. Raises `Claimed` if another one is at work."""
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Claimed(
                    f"another collector is running in {self.folder}. Stop it, or set another "
                    "folder (datasets.its_openapi.folder)"
                ) from None
            with _writing(self.folder):
                # Left by one that was killed while it wrote.
                for file in [*self.folder.glob(f"*/.*{UNFINISHED}"),
                             *self.folder.glob(f".*{UNFINISHED}")]:  # fmt: skip
                    file.unlink()
            yield

    def store(self, items: Sequence[Item], at: datetime) -> list[Path]:
        """One file for each day that the items are of; the node table learns their nodes.

        `at` is the time of the poll in the zone of the items. Items that are equal, as two
        overlapping areas give them, are kept once.
        """
        lines: dict[date, dict[str, None]] = {}
        for item in items:
            # In ASCII: what is no character in UTF-8 would make the whole day unreadable.
            line = json.dumps(item, separators=(",", ":"))
            lines.setdefault(_day(item, at), {})[line] = None
        written = []
        with _writing(self.folder):
            for day, rows in sorted(lines.items()):
                path = self.folder / f"{day:%Y%m%d}" / f"{at:%Y%m%dT%H%M%S.%f}{POLL}"
                _whole(path, "".join(f"{row}\n" for row in rows))
                written.append(path)
            self._learn(items)
        return written

    def _learn(self, items: Sequence[Item]) -> None:
        path = self.folder / NODES
        known = {link: (start, end) for link, start, end, *_ in read_node_links(path)} \
            if path.exists() else {}  # fmt: skip
        before = dict(known)
        for item in items:
            row = [str(item.get(name, "")) for name in ("linkId", "startNodeId", "endNodeId")]
            if all(value.isascii() and value.isdigit() for value in row):
                known[row[0]] = (row[1], row[2])
        if known != before:
            rows = (f"{link},{start},{end}\n" for link, (start, end) in sorted(known.items()))
            _whole(path, "LINK_ID,F_NODE,T_NODE\n" + "".join(rows))


def _day(item: Item, at: datetime) -> date:
    """The day an item is of: today, or up to `LATE` from midnight its neighbour.

    One with another date (a sensor that hangs, no date at all) goes to today, where bronze
    rejects and counts it: days that are over and have settled do not change.
    """
    written = str(item.get("createdDate", ""))[:8]
    near = {(at - LATE).date(), (at + LATE).date()}
    return next((day for day in near if written == f"{day:%Y%m%d}"), at.date())


def _whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}{UNFINISHED}")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    for folder in (path.parent, path.parent.parent):  # the new name, and that of a new folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise SettingsError(
            f"cannot write polls to {folder}: {e.strerror}. Free space there, or set "
            "datasets.its_openapi.folder to a folder that can be written"
        ) from e
