"""The present of the service: what a collector keeps, poll by poll."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from luigi_traffic import LiveSource, SettingsError
from luigi_traffic_its_openapi.api import Refused
from luigi_traffic_its_openapi.collector import Collector, Stop, service
from luigi_traffic_its_openapi.polls import POLL, Claimed, Polls
from luigi_traffic_its_openapi.settings import ItsOpenApiSettings


class LivePolls(LiveSource):
    """The folder of the polls, which this process or a collector fills."""

    def __init__(self, settings: ItsOpenApiSettings, now: Callable[[], datetime]) -> None:
        self._settings, self._now = settings, now
        self._polls = Polls(settings.polls_folder)

    @contextmanager
    def claimed(self) -> Iterator[bool]:
        """False if `its-openapi-collect` or another live runner polls into the folder."""
        try:
            claim = self._polls.claimed()
            claim.__enter__()
        except Claimed:
            yield False
            return
        try:
            service(self._settings)  # a missing key is told before the first tick
            yield True
        finally:
            claim.__exit__(None, None, None)

    def poll(self) -> str:
        """Ask for all areas and keep the answers. Raises `SettingsError` if the key is refused."""
        collector = Collector(
            service(self._settings), self._settings, self._polls, self._now, Stop()
        )
        try:
            return collector.poll()
        except Refused as error:
            raise SettingsError(str(error)) from error

    def kept(self, day: date) -> list[Path]:
        """The files of that day."""
        return sorted((self._polls.folder / f"{day:%Y%m%d}").glob(f"[!.]*{POLL}"))
