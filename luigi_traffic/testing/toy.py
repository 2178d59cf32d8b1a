"""A toy road whose traffic can be learnt: what a model is tried on, in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np
import torch

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.api.model import AGE, DAY_OF_WEEK, OBSERVED, TIME_OF_DAY, ModelShape
from luigi_traffic.training.fill import ages, last_seen
from luigi_traffic.training.series import Series

#: Columns of gold, in the order of the road where they are neighbours.
COLUMNS = ("speed", "t2", "t1", "f1", "f2", "flow", "occupancy", "n_obs")
#: What the toy road's models forecast.
TARGET = "speed"
_SHIFTS = {"t2": 2, "t1": 1, "f1": -1, "f2": -2}
_START = np.datetime64("2024-01-01T00:00:00", "us")  # a Monday
_INTERVAL = timedelta(hours=1)
_MISSING = 0.1


def toy_road(extra: Sequence[str] = (), links: int = 4, days: int = 24) -> Series:
    """Hourly speeds in km/h: a daily profile of each link, a wave along the road, noise, gaps.

    `extra` are more columns, each following the speed.
    """
    rng = np.random.default_rng(20)
    hour = np.arange(days * 24)[:, None]
    place = np.arange(links)
    profile = 12 * np.sin(2 * np.pi * (hour / 24 - place / 10))
    wave = 5 * np.sin(2 * np.pi * (hour / 17 - place / 6))
    truth = 55 + 4 * place + profile + wave
    seen = truth + rng.normal(0, 1.5, truth.shape)
    seen[rng.random(seen.shape) < _MISSING] = np.nan
    columns = {"speed": seen}
    for name, shift in _SHIFTS.items():
        columns[name] = np.full_like(seen, np.nan)
        for link in range(links):
            if 0 <= link - shift < links:
                columns[name][:, link] = seen[:, link - shift]
    columns["flow"] = 40 * (90 - seen) + rng.normal(0, 20, seen.shape)
    columns["occupancy"] = (90 - seen) / 200
    columns["n_obs"] = np.where(np.isnan(seen), np.nan, 1.0 + (hour + place) % 3)
    for name in extra:
        columns[name] = 0.5 * seen + rng.normal(0, 1, seen.shape)
    values = np.stack(list(columns.values()), axis=-1).astype(np.float32)
    return Series(_START, _INTERVAL, _names(links), tuple(columns), values, TARGET)


def toy_context(links: int = 4) -> ModelContext:
    """The toy road as a graph: each link flows into the next one, with a weight, and has a length.

    One link has a graph without edges.
    """
    names = _names(links)
    edges = [(a, b, 1 / (n + 1)) for n, (a, b) in enumerate(pairwise(names))]
    rows = [{"link_id": name, "length": 100.0 * (n + 1)} for n, name in enumerate(names)]
    return ModelContext(
        links=names,
        graph=LinkGraph.from_edges(edges),
        link_table=LinkTable.from_rows(rows),
        target=TARGET,
        unit="km/h",
        interval=_INTERVAL,
        timezone="UTC",
    )


def _names(links: int) -> tuple[str, ...]:
    return tuple(f"link {n}" for n in range(links))


def batch(shape: ModelShape, size: int, *, links: int | None = None, seed: int = 0) -> torch.Tensor:
    """Random inputs as the framework makes them: scaled, 0 where the flag says missing.

    `(size, input_steps, links, channels)`; the calendar is that of a real moment.
    """
    made = torch.Generator().manual_seed(seed)
    width = shape.links if links is None else links
    steps = torch.randint(0, 7 * shape.steps_per_day, (size, 1), generator=made)
    steps = steps + torch.arange(shape.input_steps)  # slots since Monday, midnight
    whole = (size, shape.input_steps, width)
    names = {c.removesuffix(OBSERVED).removesuffix(AGE) for c in shape.channels}
    flags = {n: (torch.rand(whole, generator=made) < 0.8).float() for n in sorted(names)}
    values = {n: torch.randn(whole, generator=made) * flags[n] for n in sorted(names)}
    parts = []
    for channel in shape.channels:
        if channel == TIME_OF_DAY:
            part = (steps % shape.steps_per_day) / shape.steps_per_day
            parts.append(part[..., None].expand(whole))
        elif channel == DAY_OF_WEEK:
            part = (steps // shape.steps_per_day % 7).float()
            parts.append(part[..., None].expand(whole))
        elif channel.endswith(OBSERVED):
            parts.append(flags[channel.removesuffix(OBSERVED)])
        elif channel.endswith(AGE):
            seen = flags[channel.removesuffix(AGE)].bool()
            parts.append(ages(last_seen(seen[..., None]))[..., 0])
        else:
            parts.append(values[channel])
    return torch.stack(parts, dim=-1)


def nothing_observed(x: torch.Tensor, shape: ModelShape) -> torch.Tensor:
    """The same moments without one observation: values and flags 0, ages 1."""
    calendar = [channel in (TIME_OF_DAY, DAY_OF_WEEK) for channel in shape.channels]
    oldest = [float(channel.endswith(AGE)) for channel in shape.channels]
    return torch.where(torch.tensor(calendar), x, torch.tensor(oldest))


def far_from_the_mean(x: torch.Tensor, shape: ModelShape) -> torch.Tensor:
    """The same moments with values eight times as far off; flags, ages and calendar stay."""
    calendar = (TIME_OF_DAY, DAY_OF_WEEK)
    kept = [c in calendar or c.endswith((OBSERVED, AGE)) for c in shape.channels]
    return torch.where(torch.tensor(kept), x, 8 * x)
