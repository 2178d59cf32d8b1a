"""Which columns say when, in which pattern, and how often: by trying the pipeline's own readers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from luigi_traffic.yaml_dataset import times
from luigi_traffic.yaml_dataset.times import UNIX, pattern_problem

if TYPE_CHECKING:
    import pandas as pd

_DATES = (
    "yyyyMMdd", "yyyy-MM-dd", "yyyy/MM/dd", "yyyy.MM.dd", "dd.MM.yyyy", "dd/MM/yyyy", "MM/dd/yyyy",
    "d.M.yyyy", "d/M/yyyy", "M/d/yyyy", "dd-MM-yyyy", "yyyy/M/d",
)  # fmt: skip
_TIMES = ("HH:mm:ss", "HH:mm", "H:mm:ss", "H:mm", "HHmmss", "HH", "HHmm", "Hmm", "HH시", "H시",
          "hh:mm:ss a", "hh:mm a", "h:mm a")  # fmt: skip
_WHOLE = (
    *(f"{d}{t}" for d in ("yyyyMMdd",) for t in ("HHmmss", "HHmm")),
    *(f"{d} {t}" for d in _DATES for t in _TIMES),
)
#: Least share of the values that a pattern must read: of a column by its values alone, and of one
#: that its name says to be a time.
_NEARLY_ALL, _MOST = 0.98, 0.5
_MOST_VALUES = 2000
#: Values, and columns, that are tried first.
_FEW, _MOST_COLUMNS = 30, 4
_DATE_LIKE = r"\d{8}|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
_TIME_LIKE = r"\d{1,6}|\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?"
_YEARS = range(1990, 2100)
_DAY = 86_400
#: Seconds below which a common step of larger ones is taken for chance.
_JITTER = 20


@dataclass(frozen=True)
class Moment:
    """When: the columns, the pattern (None: ISO 8601), the share of values that it reads.

    others  further patterns that read as much: the file does not say which is meant
    """

    columns: tuple[str, ...]
    pattern: str | None
    share: float
    others: tuple[str, ...] = ()


def find_moment(rows: pd.DataFrame, likely: dict[str, list[str]]) -> Moment | None:
    """The best of the columns that `likely` names for timestamp, date and time, then of all."""
    stamps = [*likely["timestamp"], *likely["date"], *likely["time"]]
    known = {name for names in likely.values() for name in names}
    pairs = itertools.product(likely["date"], likely["time"])
    by_name: list[tuple[str, ...]] = [*((name,) for name in stamps), *pairs]
    found = [_read(rows, columns, least=_MOST, unix=True) for columns in by_name]
    if best := max(filter(None, found), key=lambda moment: moment.share, default=None):
        return best
    others = [name for name in rows.columns if name not in known]
    for name in others:
        if one := _read(rows, (name,), least=_NEARLY_ALL, unix=not known):
            return one
    # A wide table has hundreds of columns: only what looks so is tried in pairs.
    dates = [*likely["date"], *(n for n in others if _looks(rows, n, _DATE_LIKE))]
    times = [*likely["time"], *(n for n in others if _looks(rows, n, _TIME_LIKE))]
    for columns in itertools.product(dates[:_MOST_COLUMNS], times[:_MOST_COLUMNS]):
        if pair := _read(rows, columns, least=_NEARLY_ALL, unix=False):
            return pair
    return None


def has_days(rows: pd.DataFrame, likely: list[str]) -> bool:
    """Whether a column has days without a time of day: of those `likely`, or else of all."""
    for name in likely or rows.columns:
        days = [text for text in dict.fromkeys(rows[name].head(_MOST_VALUES)) if text]
        for pattern in _DATES if days else ():
            if _share(f"{pattern} HH:mm", [f"{day} 00:00" for day in days]) >= _NEARLY_ALL:
                return True
    return False


def _looks(rows: pd.DataFrame, name: str, form: str) -> bool:
    return bool(rows[name].head(_FEW).str.fullmatch(form).all())


@cache
def _reader(pattern: str | None) -> Callable[[str], datetime | None]:
    return times.Moment(pattern, "UTC").reader()


def _read(
    rows: pd.DataFrame, columns: tuple[str, ...], *, least: float, unix: bool
) -> Moment | None:
    """How the columns are read, if at least that share is."""
    if len(set(columns)) < len(columns):
        return None
    values = [value for value in dict.fromkeys(joined(rows, columns)) if value.strip()]
    values = values[:: max(1, len(values) // _MOST_VALUES)]
    fits: dict[str | None, float] = {}
    for pattern in _patterns(columns, unix) if values else ():
        if _share(pattern, values[:: max(1, len(values) // _FEW)]) >= least - 0.1:
            share = _share(pattern, values)
            if share >= least:
                fits[pattern] = share
    if not fits:
        return None
    best = max(fits, key=lambda pattern: fits[pattern])
    same = [p for p in fits if p != best and p and best and _swapped(p, best)]
    return Moment(columns, best, fits[best], tuple(same))


def _share(pattern: str | None, values: list[str]) -> float:
    found = map(_reader(pattern), values)
    return sum(at is not None and at.year in _YEARS for at in found) / len(values)


def _patterns(columns: tuple[str, ...], unix: bool) -> Iterator[str | None]:
    if len(columns) == 1:
        yield None
        yield from UNIX if unix else ()
    for pattern in _WHOLE:
        if pattern_problem(pattern) is None and (len(columns) == 1 or " " in pattern):
            yield pattern


def _swapped(one: str, other: str) -> bool:
    """Whether they differ in which of day and month comes first."""
    return sorted(one.lower().replace("m", "d")) == sorted(other.lower().replace("m", "d")) and (
        one.lower().index("d") != other.lower().index("d")
    )


def joined(rows: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """The text of the moment of each row."""
    first, *more = (rows[name] for name in columns)
    for other in more:
        first = first + " " + other
    return list(first)


def moment_of(text: str, pattern: str | None) -> datetime | None:
    """A moment, without a zone; None for what is none."""
    return _reader(pattern)(text)


def step_of(moments: list[datetime], links: list[str]) -> timedelta | None:
    """The step between rows of a link; None if there is none that divides a day."""
    by_link: dict[str, set[datetime]] = {}
    for moment, link in zip(moments, links, strict=True):
        by_link.setdefault(link, set()).add(moment)
    steps: Counter[int] = Counter()
    for seen in sorted(by_link.values(), key=len)[-20:]:
        ordered = sorted(seen)
        steps.update(
            int((after - before).total_seconds()) for before, after in itertools.pairwise(ordered)
        )
    if not steps:
        return None
    common, usual = math.gcd(*steps), steps.most_common(1)[0][0]
    if common < _JITTER <= usual:  # times that are some seconds early or late
        common = round(usual / 60) * 60
    return timedelta(seconds=common) if common > 0 and _DAY % common == 0 else None


def days_of(moments: Iterable[datetime]) -> list[date]:
    """The days of the rows, in order."""
    return sorted({moment.date() for moment in moments})
