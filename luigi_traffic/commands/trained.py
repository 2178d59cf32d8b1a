"""A trained model of the ledger, and whether today's code and inputs call for it still."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.errors import TrafficError
from luigi_traffic.warehouse.ledger import LedgerRow

if TYPE_CHECKING:
    from luigi_traffic.tasks.train import ModelStage


@dataclass(frozen=True)
class Trained:
    """A ledger row of the stage "model".

    It is judged with the window and the hyperparameters it was made with: which ones the
    next run will be given is not known here.
    """

    row: LedgerRow

    @property
    def last_day(self) -> date:
        """The last day of its window that has data."""
        return date.fromisoformat(self.row.details["last_day"])

    def stale(self) -> str | None:
        """Why `Train` would train anew, None where it would not."""
        from luigi_traffic.tasks.train import Train

        # The row does not say with which days the window ended that are left out.
        left_out = self.row.recipe["window_days"] - len(self.row.inputs)
        ends = [self.last_day + timedelta(days=n) for n in range(left_out + 1)]
        reasons = [self._open(Train, end) for end in ends]
        return None if None in reasons else reasons[0]

    def forecast_stale(self, day: date) -> str | None:
        """Why `Forecast` would forecast that day anew with it, None where it would not."""
        from luigi_traffic.tasks.forecast import Forecast

        return self._open(Forecast, day)

    def _open(self, stage: type[ModelStage], end: date) -> str | None:
        task: Any = stage
        try:
            complete = task(
                end,
                dataset=self.row.dataset,
                model=self.row.recipe["model"],
                window_days=self.row.recipe["window_days"],
                training=dict(self.row.recipe["config"]),
            ).complete()
        except TrafficError as e:  # its plugin is gone, or its settings are not valid any more
            return str(e).splitlines()[0]
        return None if complete else "gold of its window, or its model plugin, has changed"
