"""A small road with traffic in it, and two tiny models: one a link, one a network."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import torch

from luigi_traffic import (
    DAY_OF_WEEK,
    OBSERVED,
    TIME_OF_DAY,
    Model,
    ModelConfig,
    ModelContext,
    ModelShape,
)
from luigi_traffic.api.model import input_channels, value_columns
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.profile import Profile
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series

START = np.datetime64("2024-01-01T00:00:00", "us")  # a Monday
COLUMNS = ("speed", "t2", "t1", "f1", "f2")


def road(days: int = 4, links: int = 5, minutes: int = 30, missing: float = 0.15) -> Series:
    """Speeds with a daily dip, a wave along the road, noise and gaps; neighbours by position."""
    rng = np.random.default_rng(7)
    length = days * 24 * 60 // minutes
    hour = np.arange(length)[:, None] * minutes / 60
    wave = np.sin(2 * np.pi * (hour / 24 - np.arange(links) / 20))
    noise = rng.normal(0, 1, (length, links)).cumsum(axis=0) * 0.3
    speed = (50 + 15 * wave + noise).astype(np.float32)
    speed[rng.random(speed.shape) < missing] = np.nan
    values = np.full((length, links, len(COLUMNS)), np.nan, dtype=np.float32)
    values[..., 0] = speed
    for column, shift in (("t2", 2), ("t1", 1), ("f1", -1), ("f2", -2)):
        for link in range(links):
            if 0 <= link - shift < links:
                values[:, link, COLUMNS.index(column)] = speed[:, link - shift]
    names = tuple(f"L{i}" for i in range(links))
    return Series(START, timedelta(minutes=minutes), names, COLUMNS, values)


def around(series: Series) -> ModelContext:
    return ModelContext(series.links, unit="km/h", interval=series.interval, timezone="Asia/Seoul")


CHANNELS = ("speed", "speed" + OBSERVED, "t1", "t1" + OBSERVED, TIME_OF_DAY, DAY_OF_WEEK)


class PerLinkNet(torch.nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(shape.input_steps * len(shape.channels), 16)
        self.drop = torch.nn.Dropout(0.2)  # so that the random state matters to a resume
        self.out = torch.nn.Linear(16, shape.output_steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.permute(0, 2, 1, 3).flatten(2)
        return self.out(self.drop(torch.relu(self.linear(flat)))).permute(0, 2, 1)


class NetworkNet(torch.nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        size = shape.input_steps * shape.links
        self.linear = torch.nn.Linear(size, shape.output_steps * shape.links)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.linear(x[..., 0].flatten(1))
        return flat.view(-1, self.shape.output_steps, self.shape.links)


class PerLink(Model):
    name, version, per_link = "tiny", "1", True

    def channels(self, config: Any) -> tuple[str, ...]:
        return CHANNELS

    def build(self, config: Any, shape: ModelShape) -> torch.nn.Module:
        return PerLinkNet(shape)


class AllLinks(Model):
    name, version, per_link = "tiny_all", "1", False

    def channels(self, config: Any) -> tuple[str, ...]:
        return ("speed",)

    def build(self, config: Any, shape: ModelShape) -> torch.nn.Module:
        return NetworkNet(shape)


def config(**changes: Any) -> ModelConfig:
    base = {
        "input_steps": 6, "output_steps": 4, "epochs": 3, "batch_size": 32, "learning_rate": 0.01,
        "device": "cpu",
    }  # fmt: skip
    return ModelConfig(**(base | changes))


def get_model(name: str) -> Model:
    return {"tiny": PerLink, "tiny_all": AllLinks}[name]()


def untrained(model: Model, series: Series, **changes: Any) -> Bundle:
    """The model as it is before its training, for forecasts of `series`."""
    settings = config(**changes)
    links = 1 if model.per_link else len(series.links)
    channels = input_channels(model, settings, series.target)
    shape = ModelShape(6, 4, links, channels, series.steps_per_day)
    profile = None
    if settings.fill == "profile":
        profile = Profile.of(series, slice(0, 99), value_columns(channels))
    torch.manual_seed(1)
    return Bundle(
        model, settings, shape, Scaler.fit(series, slice(0, 99)),
        model.build(settings, shape),
        "road", around(series), np.full(len(series.links), 60, np.float32),
        profile=profile,
    )  # fmt: skip


def gold_rows(series: Series, begin: int, end: int) -> pd.DataFrame:
    """Rows `begin` to before `end` of the series as rows of gold: link by link in each interval."""
    links, count = len(series.links), end - begin
    columns = {name: series.column(name)[begin:end].ravel().astype(float) for name in COLUMNS}
    return pd.DataFrame(
        {
            "timestamp": np.repeat(series.timestamps[begin:end].astype("datetime64[ns]"), links),
            "link_id": np.tile(series.links, count),
            **columns,
        }
    )
