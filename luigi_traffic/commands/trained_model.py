"""A trained model of the ledger, and whether today's code and inputs call for it still."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from luigi_traffic.errors import TrafficError
from luigi_traffic.project import Project
from luigi_traffic.targets.training import TrainingPlan
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
        if self.window is None:
            return "it was made by an earlier version of luigi_traffic"
        plan = TrainingPlan(
            self.project,
            self.row.dataset,
            model=self.row.recipe["model"],
            date=self.window[1],
            window_days=(self.window[1] - self.window[0]).days + 1,
            training=self.row.recipe["config"] | {"target": self.target},
        )
        try:
            complete = plan.model_target().exists()
        except TrafficError as e:  # its plugin is gone, or its settings are not valid any more
            return str(e).splitlines()[0]
        return None if complete else "the gold of its window, or its model plugin, has changed"

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
