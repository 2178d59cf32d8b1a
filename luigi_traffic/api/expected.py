"""When links are expected to report, as a dataset says it, checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.errors import PluginError

_LAST = timedelta(microseconds=1)


def expected_slots(dataset: Dataset, day: date) -> tuple[time, ...] | None:
    """What `dataset.expected_slots(day)` says, in order, without times that the day does not have.

    None if the dataset does not say. Raises `PluginError` for what is not a list of times that
    each begin an interval and stand once.
    """
    said: object = dataset.expected_slots(day)
    if said is None:
        return None
    where = f"dataset {dataset.name}: expected_slots({day})"
    hint = (
        f"Return wall times of the grid of {dataset.interval}, each once, for example "
        "self.day_slots(), or None."
    )
    if not isinstance(said, Sequence) or isinstance(said, str):
        raise PluginError(f"{where} returned a {type(said).__name__}. {hint}")
    for at in said:
        if not isinstance(at, time) or at.tzinfo is not None:
            raise PluginError(f"{where} has {at!r}, not a datetime.time without a zone. {hint}")
        if (datetime.combine(day, at) - datetime.combine(day, time())) % dataset.interval:
            raise PluginError(f"{where} has {at}, at which no interval begins. {hint}")
    found = sorted(set(said))
    if len(found) != len(said):
        twice = next(at for at in found if said.count(at) > 1)
        raise PluginError(f"{where} has {twice} more than once. {hint}")
    zone = ZoneInfo(dataset.timezone)
    return tuple(at for at in found if _exists(datetime.combine(day, at), dataset.interval, zone))


def _exists(start: datetime, interval: timedelta, zone: ZoneInfo) -> bool:
    """Whether the clock shows any moment of the interval: in spring it leaves an hour out."""
    return _shown(start, zone) or _shown(start + interval - _LAST, zone)


def _shown(wall: datetime, zone: ZoneInfo) -> bool:
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    return instant.astimezone(zone).replace(tzinfo=None) == wall
