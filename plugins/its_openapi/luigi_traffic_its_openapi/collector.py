"""Polling: once, or again and again until somebody stops it."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType

from luigi_traffic import SettingsError, SourceError, TransientError
from luigi_traffic_its_openapi.api import Api, Item, Refused
from luigi_traffic_its_openapi.polls import Polls
from luigi_traffic_its_openapi.settings import KEY_VARIABLE, Area, ItsOpenApiSettings

logger = logging.getLogger("luigi_traffic")
_LOOK_EVERY = 0.2


def service(settings: ItsOpenApiSettings) -> Api:
    """The service as the settings name it. Raises `SettingsError` without a key."""
    if not (settings.api_key and settings.api_key.get_secret_value().strip()):
        raise SettingsError(
            f"there is no API key for {settings.url}: set {KEY_VARIABLE} (keys are handed out at "
            "www.its.go.kr/opendata; it is a secret and comes from the environment only)"
        )
    return Api(settings.url, settings.api_key, settings.timeout)


class Stop:
    """Whether somebody wants this process to end, as a loop asks it between two steps."""

    def __init__(self) -> None:
        self.wanted = False

    def wait(self, seconds: float) -> bool:
        """Sleep that long, or until a stop is wanted; the answer is whether it is."""
        until = time.monotonic() + seconds
        while not self.wanted and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_EVERY))
        return self.wanted


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """SIGTERM and Ctrl-C as a wish: the poll at hand is finished, or given up between tries."""
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        stop.wanted = True

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Collector:
    """Polls one service into one folder. `now` gives the wall time of the roads."""

    def __init__(
        self, api: Api, settings: ItsOpenApiSettings, polls: Polls, now: Callable[[], datetime],
        stop: Stop,
    ) -> None:  # fmt: skip
        self._api, self._settings, self._polls = api, settings, polls
        self._now, self._stop = now, stop

    def poll(self) -> str:
        """Ask for all areas, store what came; the answer is a line for people.

        Nothing is stored where one of the areas fails: see `Api.items` for what is raised.
        """
        found: list[Item] = []
        for area in self._settings.areas:
            found += self._asked(area)
        if not found:
            shown = ", ".join(str(list(area)) for area in self._settings.areas)
            raise SourceError(
                f"{self._api.url} has no link in {shown} (datasets.its_openapi.areas)"
            )
        files = self._polls.store(found, self._now())
        links = len({str(item.get("linkId")) for item in found})
        newest = max(str(item.get("createdDate", "")) for item in found)
        names = ", ".join(f"{file.parent.name}/{file.name}" for file in files)
        return f"{links:,} links, newest of {newest}, in {names}"

    def run(self, every: int) -> None:
        """Poll now and then at each multiple of `every` seconds of `now`, until a stop is wanted.

        A poll that fails is lost and said so; a key that is refused ends it.
        """
        while not self._stop.wanted:
            try:
                logger.info("%s", self.poll())
            except Refused:
                raise
            except (SourceError, TransientError) as e:
                logger.warning("poll at %s failed: %s", f"{self._now():%H:%M:%S}", e)
            self._wait_until_multiple(every)

    def _wait_until_multiple(self, every: int) -> None:
        begin = self._now().timestamp()
        due = begin - begin % every + every
        # A clock that is set back must not hold up the next poll.
        while begin <= self._now().timestamp() < due and not self._stop.wait(_LOOK_EVERY):
            pass

    def _asked(self, area: Area) -> list[Item]:
        pause = self._settings.backoff_seconds
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return self._api.items(area)
            except TransientError as e:
                if attempt == self._settings.attempts or self._stop.wanted:
                    raise
                logger.warning("attempt %d: %s; next attempt in %.1f s", attempt, e, pause)
                if self._stop.wait(pause):
                    raise
                pause *= 2
        raise AssertionError("attempts is at least 1")
