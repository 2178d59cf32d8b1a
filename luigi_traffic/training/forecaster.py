"""Forecasts of a trained model over a series: for scoring, and for the Forecast task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.training.batches import Tensors
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.device import choose_device, use_threads
from luigi_traffic.training.outputs import Outputs
from luigi_traffic.training.series import Series

#: Link windows a forward pass: enough to keep the cores busy, few enough for their caches.
LINK_WINDOWS = 1024


class Forecaster:
    """A bundle on a device.

    A window is named by its first row; it takes `input_steps` rows, and the forecast is
    for the `output_steps` intervals after them, which the series need not hold.

    - next steps at the end of a day: the one window `len(series) - input_steps`;
    - the rolling forecast of a day: `rolling(series, first_row)`.

    A link is forecast even where its window holds no observation (the network falls back
    on neighbours and calendar); `observed` says how many there were, for the reader to
    judge.
    """

    def __init__(self, bundle: Bundle, device: str = "auto") -> None:
        use_threads()
        self.bundle = bundle
        self.device = choose_device(device)
        self._network = bundle.network.to(self.device)
        self._network.eval()
        self._outputs = Outputs(bundle.model)
        self.input_steps = bundle.shape.input_steps
        self.output_steps = bundle.shape.output_steps

    def links(self, series: Series) -> tuple[str, ...]:
        """The links of a forecast, in order.

        Those of the series where the model knows no link by name (`per_link`), so also
        links that training has not seen; else those it was trained on.
        """
        return series.links if self.bundle.model.per_link else self.bundle.links

    def rolling(self, series: Series, first_row: int) -> NDArray[np.int64]:
        """Windows issued at the end of each row from `first_row` on, where whole windows end."""
        last_rows = np.arange(max(first_row, self.input_steps - 1), len(series), dtype=np.int64)
        return np.asarray(last_rows - self.input_steps + 1)

    def issued(self, series: Series, windows: NDArray[np.int64]) -> NDArray[np.datetime64]:
        """`(W,)` datetime64[us]: the end of each window, the beginning of step 1."""
        step = np.timedelta64(int(series.interval.total_seconds() * 1_000_000), "us")
        return np.asarray(series.timestamps[windows + self.input_steps - 1] + step)

    def observed(self, series: Series, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """`(W, N)`: observed targets of each link among the `input_steps` of each window."""
        seen = ~np.isnan(series.aligned(self.links(series)).actual)
        total = np.concatenate([np.zeros((1, seen.shape[1]), np.int64), np.cumsum(seen, axis=0)])
        return np.asarray(total[windows + self.input_steps] - total[windows])

    def predict(self, series: Series, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`(W, output_steps, N)` in the target's unit, 0 or more. For many windows: `stream`."""
        parts = [forecast for _, forecast in self.stream(series, windows)]
        shape = (0, self.output_steps, len(self.links(series)))
        return np.concatenate(parts) if parts else np.zeros(shape, dtype=np.float32)

    def stream(
        self, series: Series, windows: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Pieces of `windows` with their forecasts `(W, output_steps, N)`.

        Raises DataError where the series has another interval or lacks a column, or a
        window does not lie in it.
        """
        self._check(series, windows)
        series = series.aligned(self.links(series))
        tensors = Tensors(
            series,
            self.bundle.scaler,
            self.bundle.shape.channels,
            self.input_steps,
            self.output_steps,
            self.device,
            self.bundle.config.fill,
            self.bundle.profile,
        )
        links = torch.arange(len(series.links), device=self.device)
        size = max(1, LINK_WINDOWS // max(1, len(links)))
        for begin in range(0, len(windows), size):
            piece = windows[begin : begin + size]
            at = torch.from_numpy(np.ascontiguousarray(piece)).to(self.device)
            yield piece, self._forward(tensors, at, links)

    def _forward(
        self, tensors: Tensors, windows: torch.Tensor, links: torch.Tensor
    ) -> NDArray[np.float32]:
        mean, std = self.bundle.scaler.target
        # A region of 15,000 links is more than one pass should hold, even of one window.
        step = LINK_WINDOWS if self.bundle.model.per_link else max(1, len(links))
        parts = []
        with torch.inference_mode():
            for begin in range(0, len(links), step):
                x = tensors.inputs(windows, links[None, begin : begin + step])
                said = self._outputs.point(self._network(x), x, self.output_steps)
                parts.append((said * std + mean).clamp(min=0).cpu().numpy())
        return np.asarray(np.concatenate(parts, axis=2), dtype=np.float32)

    def _check(self, series: Series, windows: NDArray[np.int64]) -> None:
        if series.interval != self.bundle.interval:
            raise DataError(
                f"The model was trained on intervals of {self.bundle.interval}, but the series "
                f"has {series.interval}."
            )
        if series.target != self.bundle.target:
            raise DataError(
                f"The model forecasts {self.bundle.target}, but the series has "
                f"{series.target} as its target."
            )
        outside = (windows < 0) | (windows + self.input_steps > len(series))
        if outside.any():
            raise DataError(
                f"A window of {self.input_steps} rows from row {windows[outside][0]} is not "
                f"within the series of {len(series)} rows."
            )
