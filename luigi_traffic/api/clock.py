"""What time it is, asked for in one place, so that a test or a trial can say it.

A trial runs on days that are long over, or faster than the world: the environment variable
`LUIGI_TRAFFIC_CLOCK` is its clock, for example `2024-06-03T06:00:00+09:00@1764240000.0x20`. At the
Unix time behind the @ it was the moment before it, and time passes 20 times as fast. Every process
with that variable has the same clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from luigi_traffic.errors import SettingsError

VARIABLE = "LUIGI_TRAFFIC_CLOCK"
#: A day of a trial takes a second or more.
_FASTEST = 86_400
#: No Unix time in seconds is as large: one in milliseconds is.
_NO_TIME = 1e11


@dataclass(frozen=True)
class _Trial:
    """At the Unix time `real` it was `begin` (in UTC)."""

    begin: datetime
    real: float
    pace: float


def now() -> datetime:
    """Now, aware, in UTC. Raises `SettingsError` if `LUIGI_TRAFFIC_CLOCK` is malformed."""
    return _source()


def real_seconds(span: timedelta) -> float:
    """How long a span of this clock takes really: less, if a trial is faster than the world."""
    trial = _trial()
    return span.total_seconds() / (trial.pace if trial else 1)


@contextmanager
def stopped_at(moment: datetime) -> Iterator[None]:
    """For tests: inside, it is `moment` (aware) in this process."""
    global _source
    before, _source = _source, lambda: moment.astimezone(UTC)
    try:
        yield
    finally:
        _source = before


def _system() -> datetime:
    trial = _trial()
    if trial is None:
        return datetime.now(UTC)
    return trial.begin + timedelta(seconds=(time.time() - trial.real) * trial.pace)


_source: Callable[[], datetime] = _system


def _trial() -> _Trial | None:
    text = os.environ.get(VARIABLE)
    return _parsed(text) if text else None


@lru_cache(maxsize=8)
def _parsed(text: str) -> _Trial:
    begin, _, rest = text.partition("@")
    real, _, pace = rest.partition("x")
    try:
        moment = datetime.fromisoformat(begin)
        trial = _Trial(moment.astimezone(UTC), float(real), float(pace))
    except (ValueError, OverflowError):
        raise _malformed(text) from None
    if moment.tzinfo is None or not 0 <= trial.real < _NO_TIME or not 0 < trial.pace <= _FASTEST:
        raise _malformed(text)
    return trial


def _malformed(text: str) -> SettingsError:
    return SettingsError(
        f"{VARIABLE} is {text!r}. Expected <time with its offset>@<Unix time>x<pace>, for example "
        f"2024-06-03T06:00:00+09:00@1764240000.0x20: at that Unix time it was that time, and time "
        f"passes 20 times as fast (at most {_FASTEST:,}). Without the variable, it is the time of "
        "this machine"
    )
