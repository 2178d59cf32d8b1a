"""Whether a day is one on which a model is trained: setting `training.every_days`.

The days of the models that there are decide, no calendar: a training that failed is due on the next
day, and a day that was decided once is decided in the same way when it is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta

from luigi_traffic.project import Project
from luigi_traffic.targets.published import PublishedForecast
from luigi_traffic.targets.training import TrainingPlan, other_target


@dataclass(frozen=True)
class TrainingSchedule:
    """The trainings of a plan's model plugin on its dataset and target."""

    project: Project
    plan: TrainingPlan

    @property
    def every_days(self) -> int:
        """The setting."""
        return self.project.settings.training.every_days

    def due(self) -> bool:
        """Whether the plan's day needs its training: if none of a day that is near exists.

        Near is less than `every_days` before or after: a backfill that goes backwards trains no
        more often than one that goes forwards. A training that exists is kept, so that its day is
        the same when it is asked for again. Without a champion nothing could forecast the day.
        """
        if self.every_days == 1 or not _near(self._days(), self.plan.date, self.every_days):
            return True
        if self.plan.model_target().exists():
            return True
        return not self._forecast().exists() and self._nobody_forecasts()

    def next_day(self) -> Date:
        """The first day after the plan's on which a training is due, as of now."""
        known, day = self._days(), self.plan.date + timedelta(days=1)
        while day in known or _near(known, day, self.every_days):
            day += timedelta(days=1)
        return day

    def _days(self) -> list[Date]:
        """The last days of the windows of all models that count, whatever their settings."""
        from luigi_traffic.warehouse import ledger

        plan = self.plan
        with self.project.warehouse.connect() as connection:
            return ledger.training_days(connection, plan.dataset, plan.model, plan.target)

    @property
    def _other(self) -> str:
        return other_target(self.plan.lineage.dataset, self.plan.target)

    def _forecast(self) -> PublishedForecast:
        return PublishedForecast(self.project, self.plan.dataset, self._other, self.plan.date, None)

    def _nobody_forecasts(self) -> bool:
        from luigi_traffic.training.registry import champion, registered_name

        name = registered_name(self.plan.dataset, self._other)
        return champion(self.project.settings.tracking_uri, name) is None


def _near(known: Sequence[Date], day: Date, every_days: int) -> bool:
    return any(0 < abs((day - one).days) < every_days for one in known)
