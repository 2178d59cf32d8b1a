"""When a day may be asked for: when it is over where the roads are, and its data have settled.

A day that is asked for earlier would be committed with the hours that were there, for ever.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from luigi_traffic.api import clock
from luigi_traffic.api.dataset import Dataset
from luigi_traffic.errors import DayNotOver

_DAY = timedelta(days=1)


def settled_at(dataset: Dataset | type[Dataset], day: date) -> datetime:
    """The moment from which the day may be asked for, in UTC.

    Its end is the midnight that the clock of the zone shows first; in a zone that skips that
    midnight, the moment at which it skips it.
    """
    end = datetime.combine(day + _DAY, time(), ZoneInfo(dataset.timezone))
    return end.astimezone(UTC) + dataset.settles_after


def last_settled_day(dataset: Dataset | type[Dataset], now: datetime | None = None) -> date:
    """The newest day that may be asked for at `now` (aware; None: the clock's)."""
    at = now or clock.now()
    day = (at - dataset.settles_after).astimezone(ZoneInfo(dataset.timezone)).date()
    while settled_at(dataset, day) > at:
        day -= _DAY
    return day


def refuse_unsettled(dataset: Dataset | type[Dataset], day: date) -> None:
    """Raise `DayNotOver` for a day that may not be asked for yet."""
    moment = settled_at(dataset, day)
    if clock.now() >= moment:
        return
    zone = ZoneInfo(dataset.timezone)
    wait = f" and settles_after ({dataset.settles_after})" if dataset.settles_after else ""
    raise DayNotOver(
        f"{dataset.name} {day}: the day is not over. In {zone.key} it is "
        f"{clock.now().astimezone(zone):%Y-%m-%d %H:%M}; the source may be asked for the day from "
        f"{moment.astimezone(zone):%Y-%m-%d %H:%M} on, the end of the day{wait}. The newest "
        f"available day is {last_settled_day(dataset)}"
    )
