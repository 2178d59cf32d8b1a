"""Windows of a series: how many, which are for what, and views of them.

Window i takes rows `i … i + t_in - 1` as input and the `t_out` rows after them as
target. The split is the one of the DCRNN code (Li et al. 2018), which the literature on
METR-LA follows: windows in time order, both `train` and `test` rounded, the rest is
`validation`. Neighbouring splits therefore share rows: the targets of the last training
windows reach `t_in + t_out - 1` rows into those of validation, but the hold-out shares
no target with training as long as validation has at least that many windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from luigi_traffic.errors import DataError


@dataclass(frozen=True)
class Split:
    """Three ranges of window indices, in time order."""

    train: range
    validation: range
    test: range

    def training_rows(self, t_in: int) -> slice:
        """Rows of the series that are an input of some training window.

        All that is fitted outside the network (scaler, historical median, free-flow
        speed) sees these rows and no other.
        """
        return slice(self.train.start, self.train.stop + t_in - 1)


def window_count(length: int, t_in: int, t_out: int) -> int:
    """Windows in `length` rows; 0 where they are too few for one."""
    return max(0, length - t_in - t_out + 1)


def split(count: int, train_share: float, validation_share: float) -> Split:
    """`count` windows in three. 34,249 at 0.7 and 0.1 give 23,974 / 3,425 / 6,850.

    Raises DataError where a part comes out empty.
    """
    test = round(count * (1 - train_share - validation_share))
    train = round(count * train_share)
    validation = count - train - test
    if min(train, validation, test) < 1:
        raise DataError(
            f"{count} windows at shares {train_share:g} / {validation_share:g} split into {train} "
            f"training, {validation} validation and {test} hold-out windows; each needs at least "
            "one. Take more days, or change train_share and validation_share."
        )
    return Split(range(train), range(train, train + validation), range(train + validation, count))


def inputs(array: NDArray[Any], t_in: int, t_out: int) -> NDArray[Any]:
    """View `(W, t_in, …)` of `array` `(T, …)`: no copy."""
    windows = np.moveaxis(sliding_window_view(array, t_in, axis=0), -1, 1)
    return windows[: window_count(len(array), t_in, t_out)]


def targets(array: NDArray[Any], t_in: int, t_out: int) -> NDArray[Any]:
    """View `(W, t_out, …)` of `array` `(T, …)`: no copy."""
    return np.moveaxis(sliding_window_view(array[t_in:], t_out, axis=0), -1, 1)
