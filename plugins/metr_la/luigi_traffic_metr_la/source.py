"""One day of the METR-LA archive as CSV text."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from luigi_traffic import (
    DataError,
    LinkTable,
    SettingsError,
    Source,
    SourceAbsent,
    SourceError,
    Stream,
)

HEADER = "timestamp,link_id,speed"
_STEPS_A_DAY = 288


@cache
def read(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file, read once a process.

    Raises `SettingsError` where it is missing, `SourceError` where it is no such archive.
    """
    import numpy as np  # each run imports this module, few read an archive

    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise SettingsError(
            f"METR-LA: the file {path} does not exist. Set METR_LA_DIR, or the setting "
            "datasets.metr_la.folder, to the folder that contains metr-la.npz."
        ) from None
    except (ValueError, OSError, zipfile.BadZipFile) as e:
        raise SourceError(f"METR-LA: {path} is not a readable .npz file: {e}") from e


def places(path: Path) -> LinkTable | None:
    """Sensors and their coordinates, of a CSV as the DCRNN code has it; None without the file.

    Raises `SourceError` where it is no such CSV.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return LinkTable.from_rows(
                {
                    "link_id": row["sensor_id"],
                    "longitude": float(row["longitude"]),
                    "latitude": float(row["latitude"]),
                }
                for row in csv.DictReader(file)
            )
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError, OSError, DataError) as e:
        raise SourceError(
            f"METR-LA: {path} is not a readable CSV with sensor_id, latitude and longitude: {e}"
        ) from e


class MetrLaSource(Source):
    """Rows `timestamp,link_id,speed` of a day; 0.0 where nothing was measured."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metr-la.npz"

    def recipe(self) -> dict[str, Any]:
        """That it is this archive; what it holds shows in the content hash of each day."""
        return {"kind": "metr_la"}

    def address(self) -> dict[str, Any]:
        """Where the archive is."""
        return {"archive": str(self.path)}

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """The day's rows. Days outside the archive are `SourceAbsent`."""
        archive = read(self.path)
        values, ids = archive["values"], archive["sensor_ids"]
        start = datetime.fromisoformat(str(archive["start"]))
        first = (datetime.combine(day, datetime.min.time()) - start) // timedelta(minutes=5)
        if not 0 <= first <= len(values) - _STEPS_A_DAY:
            last = start + timedelta(minutes=5 * (len(values) - 1))
            raise SourceAbsent(f"METR-LA runs from {start:%Y-%m-%d} to {last:%Y-%m-%d}")
        times = [
            (datetime.combine(day, datetime.min.time()) + timedelta(minutes=5 * n)).isoformat(" ")
            for n in range(_STEPS_A_DAY)
        ]

        def chunks() -> Iterator[bytes]:
            yield f"{HEADER}\n".encode()
            for time, row in zip(times, values[first : first + _STEPS_A_DAY].tolist(), strict=True):
                lines = (f"{time},{link},{speed!r}\n" for link, speed in zip(ids, row, strict=True))
                yield "".join(lines).encode()

        yield iter([Stream(f"metr-la-{day}.csv", chunks(), origin=self.path.name)])
