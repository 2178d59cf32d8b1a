"""The polls of a day as a source: what was not collected while it happened is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from luigi_traffic import Files, Source, SourceAbsent, SourceError, Stream
from luigi_traffic_its_openapi.settings import LATE


class CollectedPolls(Source):
    """Files of JSON lines, one a poll, of a day that is over.

    `now` gives the wall time of the dataset's zone.
    """

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self.folder = folder
        self._now = now

    def recipe(self) -> dict[str, Any]:
        """That it is this service; what a day holds shows in its content hash."""
        return {"kind": "its_openapi"}

    def address(self) -> dict[str, Any]:
        """The folder of the polls."""
        return {"folder": str(self.folder)}

    def look(self, day: date) -> list[Mapping[str, str | int]] | None:
        """Name, size and time of each poll's file."""
        return self._files().look(day)

    def _files(self) -> Files:
        folder = str(self.folder).replace("{", "{{").replace("}", "}}")
        return Files(f"{folder}/{{date}}/*.jsonl")

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """One stream a poll, in order. `SourceAbsent` where nothing was collected,
        `SourceError` where the day is not over."""
        over = datetime.combine(day, time()) + timedelta(days=1) + LATE
        if self._now().replace(tzinfo=None) < over:
            # Not absent: that would be remembered, and the day is to be had tomorrow.
            raise SourceError(
                f"polls of {day} are collected until {over:%Y-%m-%d %H:%M} (Asia/Seoul)"
            )
        try:
            with self._files().open(day) as streams:
                # A file has its name when it is whole: there is nothing to wait for.
                yield (replace(stream, modified=None) for stream in streams)
        except SourceAbsent:
            raise SourceAbsent(
                f"no poll of {day} was collected in {self.folder}. The service has only current "
                "speeds: run `luigi-traffic its-openapi-collect --every 300` to collect them"
            ) from None
