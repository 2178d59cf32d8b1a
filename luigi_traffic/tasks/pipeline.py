"""FullPipeline: everything that a forecast of one day needs, and the events on the way."""

from __future__ import annotations

import logging
from datetime import date as Date
from functools import cached_property
from typing import Any, cast

import luigi
from luigi.freezing import recursively_unfreeze
from luigi.parameter import OptionalParameterMixin

from luigi_traffic.api.settled import last_settled_day, refuse_unsettled
from luigi_traffic.errors import SettingsError
from luigi_traffic.targets.training import TrainingPlan
from luigi_traffic.tasks.announce import AnnounceRaw
from luigi_traffic.tasks.base import OfADay
from luigi_traffic.tasks.forecast import Forecast
from luigi_traffic.tasks.schedule import TrainingSchedule

logger = logging.getLogger("luigi_traffic")


class OptionalDateParameter(OptionalParameterMixin, luigi.DateParameter):  # type: ignore[misc, type-arg]
    """A date, or nothing."""

    expected_type = Date

    def parse(self, x: str) -> Date | None:
        """Raises `SettingsError` for what is no date."""
        try:
            return cast("Date | None", super().parse(x))
        except ValueError:
            raise SettingsError(f"--date {x!r} is not a date like 2024-05-31") from None


class FullPipeline(OfADay, luigi.WrapperTask):
    """Run all stages for one day and its window: raw, bronze, silver, gold, model, forecast.

    If no training is due on that day (training.every_days), the champion forecasts it.
    """

    dataset = luigi.Parameter(
        default="", positional=False, description="Dataset plugin; empty: pipeline.dataset"
    )
    model = luigi.Parameter(
        default="", positional=False, description="Model plugin; empty: pipeline.model"
    )
    date = OptionalDateParameter(
        default=None,
        description="Day to forecast from; empty: the last day that is over and settled",
    )
    window_days = luigi.IntParameter(
        default=0,
        positional=False,
        description=(
            "Number of days of gold that the model is trained on; 0: pipeline.window_days"
        ),
    )
    training = luigi.DictParameter(
        default={},
        positional=False,
        description=(
            'JSON object that overrides the model\'s configuration, for example {"epochs": 5}; '
            "with it, the model is trained whether a training is due or not"
        ),
    )

    @cached_property
    def plan(self) -> TrainingPlan:
        """The parameters with the defaults of the settings. Raises `TrafficError`."""
        chosen = self.project.settings.pipeline
        if self.window_days < 0:
            raise SettingsError(f"--window-days {self.window_days}: expected 1 day or more")
        dataset = self.project.plugins.dataset(self.dataset or chosen.dataset)
        day = self.date or last_settled_day(dataset)
        refuse_unsettled(dataset, day)  # no day of the window is later
        return TrainingPlan(
            project=self.project,
            dataset=dataset.name,
            model=self.project.plugins.model(self.model or chosen.model).name,
            date=day,
            window_days=self.window_days or chosen.window_days,
            training=recursively_unfreeze(self.training),
        )

    @cached_property
    def trains(self) -> bool:
        """Whether a model is trained: see `TrainingSchedule`, or if its training is described here.

        Asked once: what the run itself makes does not change it.
        """
        plan = self.plan
        schedule = TrainingSchedule(self.project, plan)
        if self.training or schedule.due():
            return True
        logger.info(
            "%s %s: the champion forecasts, no training is due before %s: "
            "training.every_days is %d",
            plan.dataset, plan.date, schedule.next_day(), schedule.every_days,
        )  # fmt: skip
        return False

    def requires(self) -> list[Any]:
        """The forecast, and the announcement of each day's raw partition that it needs."""
        plan = self.plan
        _ = plan.config  # a wrong --training is told before anything runs
        if self.trains:
            days = plan.days
            forecast = Forecast(
                plan.date,
                dataset=plan.dataset,
                model=plan.model,
                window_days=plan.window_days,
                training=plan.training,
            )
        else:
            forecast = Forecast(plan.date, dataset=plan.dataset, target=plan.target)
            days = forecast.days
        return [*(AnnounceRaw(day, dataset=plan.dataset) for day in days), forecast]
