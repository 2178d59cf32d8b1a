"""RetrainIfNeeded: train on the days since traffic changed, and only then, with the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date as Date
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import luigi
from luigi.freezing import recursively_unfreeze

from luigi_traffic.errors import TransientError
from luigi_traffic.recipe import Input, Recipe
from luigi_traffic.targets.drift import DriftResult
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.training import TrainingPlan
from luigi_traffic.targets.warehouse import LedgerPartition
from luigi_traffic.tasks.base import OfProject
from luigi_traffic.tasks.drift import Drift
from luigi_traffic.tasks.forecast import Forecast

if TYPE_CHECKING:
    from luigi_traffic.warehouse.ledger import LedgerRow

logger = logging.getLogger("luigi_traffic")
#: Half of the window is the hold-out: of seven days, three whole ones can judge (`promotion`).
_SHARES = {"train_share": 0.4, "validation_share": 0.1}


class RetrainIfNeeded(OfProject, luigi.Task):
    """Train if the last days (drift.retrain_days) were all unlike the champion's training.

    The window is these days, so that the model learns the traffic of now, and can be compared with
    the champion on it. Why it trained, or did not, is in the ledger. It trains at most once in
    so many days.
    """

    date = luigi.DateParameter(description="Day, in the dataset's local time")
    dataset = luigi.Parameter(positional=False, description="Name of the dataset plugin")
    model = luigi.Parameter(
        default="", positional=False, description="Model plugin; empty: that of the champion"
    )
    training = luigi.DictParameter(
        default={},
        positional=False,
        description="JSON object that overrides the model's configuration",
    )

    @property
    def days(self) -> list[Date]:
        """The days that must all have drifted, oldest first."""
        count = self.project.settings.drift.retrain_days
        return [self.date - timedelta(days=n) for n in range(count - 1, -1, -1)]

    def requires(self) -> list[Drift]:
        """Each of these days, compared with the champion of the time when that is done."""
        return [Drift(day, dataset=self.dataset) for day in self.days]

    def output(self) -> LedgerPartition:
        """The day's row of the ledger."""
        rows = self._drift
        made = self._recipe.partition_id([row.partition_id for row in rows]) if rows else None
        return LedgerPartition(
            self.project, "retraining", self.dataset, self.date.isoformat(), made
        )

    def run(self) -> Iterator[Any]:
        """Decide; train, and write down why. Luigi begins anew after the training."""
        self.project.catalog.begin_work()  # from here on, commits of others must be seen
        rows = self._drift
        if rows is None:
            raise TransientError(
                f"Gold of {self.dataset} was replaced by another run during this run. Run again."
            )
        reason = self._reason(rows)
        details: dict[str, Any] = {"needed": bool(reason), "reason": reason or "no lasting drift"}
        inputs = [Input("drift", row.part, row.partition_id) for row in rows]
        if reason:
            plan = self._plan(rows[-1].details["model"])
            forecast = Forecast(
                self.date, dataset=self.dataset, model=plan.model, window_days=len(self.days),
                training=plan.training,
            )  # fmt: skip
            if not forecast.complete():
                logger.info("retrain %s %s: %s", self.dataset, self.date, reason)
            yield forecast
            details |= self._trained(plan)
        self._write(inputs, details)
        logger.info(
            "retrain %s %s: %s", self.dataset, self.date, details.get("decision", "not needed")
        )

    @cached_property
    def _recipe(self) -> Recipe:
        return Recipe("retraining", self.dataset, {"core": STAGE_VERSIONS["retraining"]})

    @property
    def _drift(self) -> list[LedgerRow] | None:
        """The rows of the days, None while one is missing."""
        plugin = self.project.plugins.dataset(self.dataset)
        measure = plugin.measure_to_forecast("", "--target")
        found = [DriftResult(self.project, self.dataset, measure, day) for day in self.days]
        rows = [one.row() for one in found if one.exists()]
        known = [row for row in rows if row is not None]
        return known if len(known) == len(self.days) else None

    def _reason(self, rows: list[LedgerRow]) -> str:
        """Why a training is needed; empty if none is."""
        if not all(row.details["drifted"] for row in rows):
            return ""
        versions = {row.details["version"] for row in rows}
        if len(versions) > 1 or self._trained_lately():
            return ""
        return (
            f"{len(rows)} days in a row are unlike the training of version {versions.pop()}, the "
            f"last one by {rows[-1].details['reasons']}"
        )

    def _trained_lately(self) -> bool:
        """Whether one of the days before has led to a training."""
        from luigi_traffic.warehouse import ledger

        with self.project.warehouse.connect() as connection:
            known = ledger.current(connection, "retraining", self.dataset)
        before = (day.isoformat() for day in self.days[:-1])
        return any(known[day].details["needed"] for day in before if day in known)

    def _plan(self, champion: str) -> TrainingPlan:
        return TrainingPlan(
            project=self.project,
            dataset=self.dataset,
            model=self.project.plugins.model(self.model or champion).name,
            date=self.date,
            window_days=len(self.days),
            training=_SHARES | recursively_unfreeze(self.training),
        )

    def _trained(self, plan: TrainingPlan) -> dict[str, Any]:
        from luigi_traffic.warehouse import ledger

        made = plan.partition_id()
        with self.project.warehouse.connect() as connection:
            row = ledger.find(connection, made) if made else None
        if row is None:
            raise RuntimeError(f"{self.task_id}: the training is complete, but not in the ledger")
        return {"model": made} | {name: row.details[name] for name in ("version", "decision")}

    def _write(self, inputs: list[Input], details: dict[str, Any]) -> None:
        from luigi_traffic.warehouse import ledger

        made = self._recipe.partition_id([one.id for one in inputs])
        row = ledger.LedgerRow(
            "retraining", self.dataset, self.date.isoformat(), made, self._recipe.as_dict(),
            inputs, 1, "", details,
        )  # fmt: skip
        with self.project.warehouse.connect() as connection:
            ledger.write(connection, row)
