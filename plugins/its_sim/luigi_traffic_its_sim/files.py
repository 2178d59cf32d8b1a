"""Simulated days and the node-link table as files, in the format of the real source."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import IO, ClassVar

from luigi_traffic_its_sim.rows import HEADER
from luigi_traffic_its_sim.sensors import Faults, present_slots
from luigi_traffic_its_sim.settings import ARCHIVE, NODE_LINKS, ItsSimSettings

#: Bytes of a packed row, rounded up: it takes 10 to 11.
_PACKED_ROW = 12
#: What is told how much of a day is done, from 0 to 1.
Report = Callable[[float], object]


class Simulated(ABC):
    """What is simulated; everything about it follows from its settings."""

    #: Whether archives are packed quickly rather than small.
    quick: ClassVar[bool] = False

    def __init__(self, settings: ItsSimSettings) -> None:
        self.settings = settings

    @abstractmethod
    def texts(self, day: date, report: Report) -> Iterator[bytes]:
        """The rows of the day's CSV, some at a time, by slot and then by link."""

    @abstractmethod
    def node_links(self) -> Iterator[str]:
        """The node-link table with the columns of MOCT_LINK, some lines at a time."""

    @abstractmethod
    def lines(self) -> Iterator[tuple[str, str]]:
        """Each link and its line on the ground, WKT in degrees."""

    @property
    def faults(self) -> Faults:
        """What its sensors get wrong."""
        s = self.settings
        return Faults(s.noise, s.missing_slots, s.dropout, s.duplicates, s.implausible)

    def day_path(self, folder: Path, day: date) -> Path:
        """The day's archive in `folder`."""
        return folder / ARCHIVE.format(date=f"{day:%Y%m%d}")

    def day_bytes(self, day: date) -> int:
        """Size of the day's archive, estimated from above."""
        slots = present_slots(self.settings.seed, day, self.settings.missing_slots)
        rows = len(slots) * self.settings.links_count * (1 + self.settings.duplicates)
        return round(rows * _PACKED_ROW)

    def write_day(self, folder: Path, day: date, report: Report = lambda _: None) -> Path:
        """The day's archive in `folder`, written unless it is there: whole, or not at all.

        Raises `OSError`, before anything is simulated, if the disk has no room for it.
        """
        path = self.day_path(folder, day)
        if not path.exists():
            require_space(folder, self.day_bytes(day))
            texts = self.texts(day, report)
            _whole(path, lambda file: write_archive(file, day, texts, quick=self.quick))
        return path

    def write_node_links(self, folder: Path) -> Path:
        """The node-link table in `folder`."""
        path = folder / NODE_LINKS
        if not path.exists():
            _whole(path, lambda file: file.writelines(map(str.encode, self.node_links())))
        return path


def require_space(folder: Path, size: int) -> None:
    """Make the folder. Raises `OSError` if its disk has not that many bytes left."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"{_gigabytes(size)} GB are needed, but only {_gigabytes(free)} GB are free",
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.2f}"


def write_archive(
    file: IO[bytes], day: date, texts: Iterable[bytes], *, quick: bool = False
) -> None:
    """A ZIP with one CSV, packed at zlib's level 6, or 1 if `quick`: a fifth of the time, a tenth
    larger. Equal arguments give equal bytes. It packs a text while the next one is made, and
    holds no other."""
    name = f"{day:%Y%m%d}_5Min.csv"
    member = zipfile.ZipInfo(name)  # of 1980: the archive must not carry the clock
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o644 << 16
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        # zipfile packs a name at the archive's level, and a ZipInfo at level 6.
        archive.open(name if quick else member, "w", force_zip64=True) as packer,
        ThreadPoolExecutor(1) as thread,
    ):
        packed: Future[int] = thread.submit(packer.write, HEADER)
        for text in texts:
            packed.result()
            packed = thread.submit(packer.write, text)
        packed.result()


def _whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write under another name, then rename: two writers at once leave the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with unfinished.open("wb") as file:
            write(file)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
