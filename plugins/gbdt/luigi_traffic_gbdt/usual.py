"""What is usual for a link: its mean at a time of the day, on workdays and at weekends.

Letters: P pairs, S slots of a day, N links. Values are standard scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic_gbdt.moments import Clock, Moments

Floats = NDArray[np.float32]
#: The mean of a link counts as so many values of each of its slots.
_PRIOR = 2.0
_SATURDAY = 5


@dataclass(frozen=True)
class Usual:
    """`table` is `(2, S, N)`, workdays and weekends.

    `others` `(7, S, N)`, if it is there, is used instead: what is usual on the other days of the
    week of that kind. A training row so never meets its own target in what is usual, and trees
    trust it as far as it can be trusted on a new day.
    """

    table: Floats
    others: Floats | None = None

    @classmethod
    def learned(cls, clock: Clock, links: int, batches: Iterable[Any]) -> Usual:
        """From the targets of training samples.

        Means are drawn to the mean of the link, so that few values decide little; a link without
        a value has 0, the mean of all.
        """
        total = np.zeros((7, clock.slots, links))
        count = np.zeros_like(total)
        for x, y, mask in batches:
            at = clock.moments(x[:, :, 0])
            for step in range(y.shape[1]):
                cells = clock.cells(at, step + 1)
                np.add.at(total, cells, np.where(mask[:, step], y[:, step], 0))
                np.add.at(count, cells, mask[:, step])
        mean = total.sum(axis=(0, 1)) / np.maximum(count.sum(axis=(0, 1)), 1)
        kind = (np.arange(7) >= _SATURDAY).astype(int)
        totals, counts = (
            np.stack([each[kind == k].sum(axis=0) for k in (0, 1)]) for each in (total, count)
        )

        def drawn(total: NDArray[np.float64], count: NDArray[np.float64]) -> Floats:
            near: Floats = ((total + _PRIOR * mean) / (count + _PRIOR)).astype(np.float32)
            return near

        return cls(drawn(totals, counts), drawn(totals[kind] - total, counts[kind] - count))

    def at(self, clock: Clock, moments: Moments, steps: int, link: NDArray[np.int64]) -> Floats:
        """`(P,)`: of the links `(P,)`, `steps` intervals after these moments."""
        day, slot = clock.cells(moments, steps)
        table = self.table if self.others is None else self.others
        found: Floats = table[day if self.others is not None else day // _SATURDAY, slot, link]
        return found
