"""Which column means what: by its name, in English and Korean, and by its values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from luigi_traffic.api.columns import MEASURES

if TYPE_CHECKING:
    import pandas as pd

#: Names of a column, the sure ones and then the likely ones; compared without blanks, `_`, case.
_NAMES = {
    "timestamp": (
        "timestamp|datetime|dateandtime|measuredat|observedat|recordedat|ts|일시|수집일시|측정일시",
        "time|createddate|.*timestamp.*|.*일시",
    ),
    "date": (
        "date|day|ymd|creatde|일자|날짜|수집일자|기준일자|측정일자",
        ".*date|.*일자|.*날짜|기준일",
    ),
    "time": (
        "time|hour|hhmm|timeofday|creathm|시간|시각|시간대|수집시분초",
        ".*time|.*hour|.*시각|.*시간.*",
    ),
    "link_id": (
        "linkid|link|detectorid|detector|sensorid|sensor|stationid|station|vdsid|segmentid|segment|"
        "tmc|siteid|site|링크id",
        ".*linkid|.*detector.*|.*sensor.*|.*station.*|id|.*id|.*링크.*|지점.*|구간.*",
    ),
    "speed": (
        "speed|spd|avgspeed|averagespeed|meanspeed|pasngsped|kmh|km/h|mph|speedkmh|speedmph|v|"
        "평균속도|속도|통행속도",
        ".*speed.*|.*kmh.*|.*km/h.*|.*mph.*|.*kph.*|.*속도.*",
    ),
    "flow": (
        "flow|volume|vol|vehicles|vehiclesperhour|count|q|교통량|통행량",
        ".*flow.*|.*volume.*|.*vehicles.*|.*count|.*교통량.*|.*통행량.*",
    ),
    "occupancy": ("occupancy|occ|점유율", ".*occupancy.*|.*점유율.*"),
    "travel_time": (
        "traveltime|traveltimes|journeytime|pasngtime|통행시간|평균통행시간|소요시간",
        ".*traveltime.*|.*journeytime.*|.*통행시간.*|.*소요시간.*",
    ),
    "density": ("density|밀도", ".*density.*|.*밀도.*"),
}
#: Numbers, or text, that say that nothing was measured.
_MARKS = (-1, -9, -99, -999, -9999)
_MOST_DISTINCT_MARKS = 5
UNITS = {
    "mph": re.compile(r"mph|miles", re.I),
    "m/s": re.compile(r"m/s|(^|_)mps", re.I),
    "km/h": re.compile(r"km/?h|kph", re.I),
}


def named(names: list[str]) -> dict[str, list[str]]:
    """Role → the columns whose names say it, the surest first."""
    found: dict[str, list[str]] = {}
    for role, patterns in _NAMES.items():
        found[role] = []
        for pattern in patterns:
            for name in names:
                plain = re.sub(r"[\s_\-()\[\]]", "", name).lower()
                if name not in found[role] and re.fullmatch(pattern, plain):
                    found[role].append(name)
    for role in ("timestamp", "date", "time"):  # a travel time is no time of day
        found[role] = [name for name in found[role] if name not in found["travel_time"]]
    return found


def numbers(cells: pd.Series, decimal: str) -> pd.Series:
    """The cells as numbers, NaN for what is none."""
    import pandas as pd

    text = cells.str.replace(",", ".", regex=False) if decimal == "," else cells
    return pd.to_numeric(text, errors="coerce")


def decimal_of(rows: pd.DataFrame, delimiter: str) -> str:
    """`,` if numbers are written so."""
    if delimiter == ",":
        return "."
    shown = rows.head(2000)
    commas = sum(int(shown[name].str.fullmatch(r"[+-]?\d+,\d+").sum()) for name in shown)
    points = sum(int(shown[name].str.fullmatch(r"[+-]?\d+\.\d+").sum()) for name in shown)
    return "," if commas > points else "."


def find_measures(
    rows: pd.DataFrame, likely: dict[str, list[str]], taken: set[str], decimal: str
) -> dict[str, str]:
    """Measure → its column: of the names that say so, the first that has numbers."""
    found: dict[str, str] = {}
    for measure in MEASURES:
        for name in likely[measure]:
            free = name not in taken and name not in found.values()
            if free and numbers(rows[name], decimal).notna().mean() > 0.3:
                found[measure] = name
                break
    return found


def find_link(rows: pd.DataFrame, likely: list[str], taken: set[str]) -> tuple[str, bool] | None:
    """The column of the link, and whether its name says so; else one whose texts come again."""
    for name in likely:
        if name not in taken and (rows[name] != "").mean() > 0.9:
            return name, True
    for name in rows.columns:
        distinct = rows[name].nunique()
        plain = not rows[name].str.fullmatch(r"[+-]?\d*[.,]\d+").any()
        if name not in taken and plain and 1 < distinct <= len(rows) / 2:
            return name, False
    return None


def missing_of(rows: pd.DataFrame, columns: list[str], decimal: str) -> list[str | int]:
    """Values of the measures that stand for "nothing was measured"."""
    found: list[str | int] = []
    for name in columns:
        cells = rows[name]
        values = numbers(cells, decimal)
        text = cells[values.isna() & (cells != "")]
        if text.nunique() <= _MOST_DISTINCT_MARKS:
            found += [str(mark) for mark in text.unique() if mark.lower() != "nan"]
        found += [mark for mark in _MARKS if (values == mark).any()]
    return list(dict.fromkeys(found))
