"""What live forecasts need beside the model: links, intervals, profile. Made of days of gold.

It takes long to make for a large town, so it is kept on the disk: a runner that is started again
goes on at once.
"""

from __future__ import annotations

import logging
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from numpy.typing import NDArray

from luigi_traffic.training.baselines import HistoricalMedian
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.intervals import Intervals, recent_intervals
from luigi_traffic.training.series import Series

if TYPE_CHECKING:
    from luigi_traffic.settings.training_keys import ForecastSettings

logger = logging.getLogger("luigi_traffic")

#: To be raised when the file, or what is computed, changes.
VERSION = 1


@dataclass(frozen=True)
class Basis:
    """Made once for a champion and days of gold."""

    links: tuple[str, ...]
    """Those that are forecast, `N` of them."""
    intervals: Intervals | None = None
    profile: NDArray[np.float32] | None = None
    """`(2 * slots a day, N)`: the historical median of the last days."""

    @classmethod
    def of(
        cls, forecaster: Forecaster, history: Series | None, settings: ForecastSettings
    ) -> Basis:
        """`history` is gold of the last days, None if there is none."""
        bundle = forecaster.bundle
        if history is None:
            return cls(bundle.links)
        links = bundle.links
        if bundle.model.per_link:  # it knows no link by name, so it can forecast those of late, too
            links = tuple(sorted({*links, *history.links}))
        series = history.aligned(links)
        intervals = profile = None
        if settings.calibration_days:
            (intervals,) = recent_intervals(forecaster, series, settings, [len(series)])
        if not np.isnan(series.actual).all():
            profile = HistoricalMedian.of(series, slice(0, len(series)), 0, 0).table
        return cls(links, intervals, profile)

    def keep(self, path: Path, key: str) -> None:
        """In one step: a process that is killed leaves what was there."""
        parts: dict[str, Any] = {"key": key, "links": np.array(self.links, np.str_)}
        if self.intervals is not None:
            found = self.intervals
            parts |= {
                "level": found.level, "group": found.group, "low": found.low, "high": found.high,
            }  # fmt: skip
        if self.profile is not None:
            parts["profile"] = self.profile
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another runner may keep the same at this moment, and one that was killed left its own.
        for left in path.parent.glob(f".{path.name}.*"):
            if not psutil.pid_exists(int(left.suffix[1:])):
                left.unlink(missing_ok=True)
        attempt = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with attempt.open("wb") as file:
                np.savez(file, **parts)
            attempt.replace(path)
        finally:
            attempt.unlink(missing_ok=True)

    @classmethod
    def kept(cls, path: Path, key: str) -> Basis | None:
        """What was kept there for that key; None if there is nothing, or if it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as file:
                if str(file["key"]) != key:
                    return None
                intervals = None
                if "low" in file:
                    intervals = Intervals(
                        float(file["level"]), file["group"], file["low"], file["high"]
                    )
                profile = file.get("profile")
                return cls(tuple(file["links"].tolist()), intervals, profile)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            logger.warning("%s cannot be read (%s), so it is made again", path, error)
            return None
