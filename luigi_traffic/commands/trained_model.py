"""A trained model of the ledger, and whether today's code and inputs call for it still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from luigi_traffic.errors import TrafficError
from luigi_traffic.project import Project
from luigi_traffic.targets.training import TrainingPlan
from luigi_traffic.targets.warehouse import LedgerPartition
from luigi_traffic.warehouse.ledger import LedgerRow


@dataclass(frozen=True)
class Trained:
    """A ledger row of the stage "model".

    It is judged with the window and the hyperparameters it was made with: which ones the
    next run will be given is not known here.
    """

    project: Project = field(repr=False)
    row: LedgerRow

    @property
    def last_day(self) -> date:
        """The last day of its window that has data."""
        return date.fromisoformat(self.row.details["last_day"])

    def stale(self) -> str | None:
        """Why `Train` would train anew, None where it would not."""
        end = self.window[1] if self.window else self.last_day
        return self._open(TrainingPlan.model_target, end)

    @property
    def target(self) -> str:
        """The measure that it forecasts. A recipe names it unless it is the speed."""
        return str(self.row.recipe.get("target", "speed"))

    @property
    def window(self) -> tuple[date, date] | None:
        """First and last day of the window, days that are left out counted; None if an earlier
        version made the model, which did not keep it."""
        if "window" not in self.row.recipe:
            return None
        first, last = (date.fromisoformat(day) for day in self.row.recipe["window"])
        return first, last

    def forecast_stale(self, day: date) -> str | None:
        """Why `Forecast` would forecast that day anew with it, None where it would not."""
        return self._open(TrainingPlan.forecast_target, day)

    def _open(self, target: Callable[[TrainingPlan], LedgerPartition], end: date) -> str | None:
        if self.window is None:
            return "it was made by an earlier version of luigi_traffic"
        plan = TrainingPlan(
            self.project,
            self.row.dataset,
            model=self.row.recipe["model"],
            date=end,
            window_days=(self.window[1] - self.window[0]).days + 1,
            training=self.row.recipe["config"] | {"target": self.target},
        )
        try:
            complete = target(plan).exists()
        except TrafficError as e:  # its plugin is gone, or its settings are not valid any more
            return str(e).splitlines()[0]
        return None if complete else "the gold of its window, or its model plugin, has changed"
