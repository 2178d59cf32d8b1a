"""Tensors for the network: inputs by channel name, targets with their mask, samples.

A *sample* is a window, or for a model with `per_link` a (window, link) pair. Inputs are
standard scores, filled as the config says, or 0, where missing; targets stay in the dataset's unit,
and are never filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from luigi_traffic.api.model import AGE, DAY_OF_WEEK, OBSERVED, TIME_OF_DAY, gold_columns
from luigi_traffic.errors import DataError, did_you_mean
from luigi_traffic.training.fill import ages, carried, last_seen
from luigi_traffic.training.profile import Profile
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

#: Targets that are looked at at once.
_BLOCK = 1 << 23


class Tensors:
    """A series on the device, from which batches are gathered by window and link index.

    On a CPU it is the series itself, without a copy: values are scaled when they are gathered.
    `fill` is that of the config; "profile" needs the `profile`.
    """

    def __init__(
        self,
        series: Series,
        scaler: Scaler,
        channels: Sequence[str],
        t_in: int,
        t_out: int,
        device: torch.device,
        fill: str = "none",
        profile: Profile | None = None,
    ) -> None:
        check_channels(channels, series.columns)
        self.channels = tuple(channels)
        self.t_in, self.t_out, self.device = t_in, t_out, device
        self.links = len(series.links)
        asked = gold_columns(self.channels)
        self._columns = [c for c in series.columns if c in asked]
        at = [series.columns.index(c) for c in self._columns]
        self._chosen = None if len(at) == len(series.columns) else torch.tensor(at, device=device)
        # torch warns of an array that may not be written to.
        values = torch.from_numpy(np.require(series.values, np.float32, "W"))
        self._values = values.to(device)
        self._target = self._values[..., series.columns.index(series.target)]
        self._mean, self._std = (
            torch.tensor(found, device=device)
            for found in zip(*(scaler.moments(c) for c in self._columns), strict=True)
        )
        day = np.stack([series.slot_of_day / series.steps_per_day, series.day_of_week], axis=-1)
        self._calendar = torch.from_numpy(day.astype(np.float32)).to(device)
        self._carries = fill == "last"
        self._ages = any(channel.endswith(AGE) for channel in self.channels)
        self._usual = None
        if fill == "profile":
            if profile is None:
                raise ValueError("fill is 'profile', but no profile is given")
            usual = profile.scores(series.links, self._columns, scaler)
            self._usual = torch.from_numpy(usual).to(device)
            self._slots = torch.from_numpy(series.slot_and_kind).to(device)

    def inputs(self, windows: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
        """`(B, t_in, N, C)` for window indices `(B,)` and link indices `(B or 1, N)`."""
        rows = windows[:, None] + torch.arange(self.t_in, device=self.device)
        values = self._values[rows[:, :, None], links[:, None, :]]
        if self._chosen is not None:
            values = values[..., self._chosen]
        values = (values - self._mean) / self._std
        seen = ~torch.isnan(values)
        at = last_seen(seen) if self._carries or self._ages else None
        if self._carries and at is not None:
            values = carried(values, at)
        elif self._usual is not None:
            usual = self._usual[self._slots[rows][:, :, None], links[:, None, :]]
            values = torch.where(seen, values, usual)
        else:
            values = torch.where(seen, values, 0.0)
        flags = seen.to(values.dtype)
        old = ages(at) if self._ages and at is not None else None
        calendar = self._calendar[rows][:, :, None, :].expand(-1, -1, values.shape[2], -1)
        parts = []
        for channel in self.channels:
            if channel == TIME_OF_DAY:
                parts.append(calendar[..., 0])
            elif channel == DAY_OF_WEEK:
                parts.append(calendar[..., 1])
            elif channel.endswith(OBSERVED):
                parts.append(flags[..., self._columns.index(channel.removesuffix(OBSERVED))])
            elif channel.endswith(AGE) and old is not None:
                parts.append(old[..., self._columns.index(channel.removesuffix(AGE))])
            else:
                parts.append(values[..., self._columns.index(channel)])
        return torch.stack(parts, dim=-1)

    def targets(
        self, windows: torch.Tensor, links: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets `(B, t_out, N)` in the dataset's unit, 0 where missing, and the mask (bool)."""
        rows = windows[:, None] + self.t_in + torch.arange(self.t_out, device=self.device)
        target = self._target[rows[:, :, None], links[:, None, :]]
        mask = ~torch.isnan(target)
        return torch.where(mask, target, 0.0), mask

    def batch(self, windows: NDArray[np.int64], links: NDArray[np.int64] | None) -> Batch:
        """(x, y, mask) of windows, with all links, or of (window, link) pairs (N = 1)."""
        window = torch.from_numpy(np.ascontiguousarray(windows)).to(self.device)
        if links is None:
            link = torch.arange(self.links, device=self.device)[None, :]
        else:
            link = torch.from_numpy(np.ascontiguousarray(links)).to(self.device)[:, None]
        return self.inputs(window, link), *self.targets(window, link)


class Samples:
    """The samples of one split that have at least one observed target.

    What an epoch draws is a pure function of (seed, epoch), so that a resumed training
    draws what the uninterrupted one would have drawn. Epochs walk through one random
    order after the other (one a pass): with a cap, no sample comes a second time
    before all have come once.
    """

    def __init__(
        self, series: Series, windows: range, t_in: int, t_out: int, per_link: bool
    ) -> None:
        self.per_link = per_link
        self._windows, self._links = windows, len(series.links)
        targets = series.actual[windows.start + t_in : windows.stop - 1 + t_in + t_out]
        self._keys = _observed(targets, len(windows), t_out, per_link)
        if not len(self._keys):
            raise DataError(
                f"None of the {len(windows)} windows of a split has an observed {series.target} "
                "to forecast."
            )

    def __len__(self) -> int:
        return len(self._keys)

    def drawn(self, seed: int, epoch: int, cap: int | None) -> NDArray[Any]:
        """Positions of epoch `epoch` (from 0), in random order."""
        size, all_of_them = self.epoch_size(cap), len(self._keys)
        begin, end = epoch * size, (epoch + 1) * size
        parts = []
        for lap in range(begin // all_of_them, (end - 1) // all_of_them + 1):
            order = np.arange(all_of_them, dtype=self._keys.dtype)
            np.random.default_rng([seed, lap]).shuffle(order)
            parts.append(order[max(0, begin - lap * all_of_them) : end - lap * all_of_them])
        return np.concatenate(parts)

    def epoch_size(self, cap: int | None) -> int:
        """Samples an epoch draws."""
        return min(cap or len(self._keys), len(self._keys))

    def batches(
        self, positions: NDArray[Any], size: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64] | None]]:
        """(window indices, link indices or None) of `positions`, `size` at a time."""
        for begin in range(0, len(positions), size):
            keys = self._keys[positions[begin : begin + size]].astype(np.int64)
            if self.per_link:
                yield self._windows.start + keys // self._links, keys % self._links
            else:
                yield self._windows.start + keys, None


def _observed(
    targets: NDArray[np.float32], windows: int, t_out: int, per_link: bool
) -> NDArray[Any]:
    """Of targets `(windows + t_out - 1, N)`: which windows have one that was observed, in order.

    With `per_link`, which pairs `window * N + link`. Integers of 32 bits if they hold them all: a
    network has more than a hundred million pairs a month. A block of windows at a time.
    """
    links = targets.shape[1] if per_link else 1
    dtype = np.int32 if windows * links <= np.iinfo(np.int32).max else np.int64
    keys, found = np.empty(windows * links, dtype), 0
    size = max(1, _BLOCK // max(1, targets.shape[1]))
    for begin in range(0, windows, size):
        end = min(begin + size, windows)
        seen = ~np.isnan(targets[begin : end + t_out - 1])
        if not per_link:
            seen = np.asarray(seen.any(axis=1))[:, None]
        total = np.zeros((len(seen) + 1, links), np.int32)
        np.cumsum(seen, axis=0, out=total[1:])
        here = np.flatnonzero(total[t_out:] > total[:-t_out])
        keys[found : found + len(here)] = here + begin * links
        found += len(here)
    return keys[:found]


def check_channels(channels: Sequence[str], columns: Sequence[str]) -> None:
    """Raises DataError for a channel that neither gold nor the calendar has."""
    made = (c + suffix for c in columns for suffix in (OBSERVED, AGE))
    known = {TIME_OF_DAY, DAY_OF_WEEK, *columns, *made}
    for channel in channels:
        if channel not in known:
            raise DataError(
                f"The model asks for the channel {channel!r}, which gold does not have."
                + did_you_mean(channel, known)
            )
