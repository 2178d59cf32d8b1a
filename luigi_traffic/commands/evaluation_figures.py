"""Figures of forecasts from the sums and counts of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from luigi_traffic.commands.output import Row


def error_figures(parts: Mapping[bool | None, Mapping[str, float]]) -> Row:
    """Of the sums of free and of congested values, or of all (None)."""
    names = next(iter(parts.values()))
    total = {name: sum(part[name] for part in parts.values()) for name in names}
    mae = ratio(total["absolute"], total["count"])
    persistence = ratio(total["persistence_absolute"], total["persistence_count"])
    squared = ratio(total["squared"], total["count"])
    return {
        "count": total["count"],
        "mae": mae,
        "rmse": None if squared is None else math.sqrt(squared),
        "wape": ratio(total["absolute"], total["actual"]),
        "bias": ratio(total["error"], total["count"]),
        **{
            name: ratio(parts[state]["absolute"], parts[state]["count"]) if state in parts else None
            for name, state in (("mae_free", False), ("mae_congested", True))
        },
        "persistence_mae": persistence,
        "day_before_mae": ratio(total["day_before_absolute"], total["day_before_count"]),
        "skill": 1 - mae / persistence if mae is not None and persistence else None,
        **(_beside_rolling(total) if "paired_count" in total else {}),
    }


def _beside_rolling(total: Mapping[str, float]) -> Row:
    excess = ratio(total["paired_absolute"], total["rolling_absolute"])
    return {
        "rolling_mae": ratio(total["rolling_absolute"], total["paired_count"]),
        "rolling_excess": None if excess is None else excess - 1,
    }


def lead_figures(counts: Mapping[float | None, int]) -> Row:
    """Of minutes of lead (None: missed) → number of onsets."""
    hits = sorted((lead, count) for lead, count in counts.items() if lead is not None)
    number, onsets = sum(count for _, count in hits), sum(counts.values())
    return {
        "onsets": onsets,
        "hit_share": ratio(number, onsets),
        "mean_lead": ratio(sum(lead * count for lead, count in hits), number),
        "median_lead": _median(hits, number),
    }


def _median(counted: Sequence[tuple[float, int]], number: int) -> float | None:
    """Of values in order, each with how often it comes."""
    if not number:
        return None
    places, found, seen = ((number - 1) // 2, number // 2), [], 0
    for value, count in counted:
        found += [value for place in places if seen <= place < seen + count]
        seen += count
    return sum(found) / 2


def ratio(total: float, count: float) -> float | None:
    """None of nothing."""
    return float(total) / float(count) if count else None
