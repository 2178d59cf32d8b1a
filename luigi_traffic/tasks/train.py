"""train: a window of gold to a registered model, scored beside its baselines."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import luigi
from luigi.freezing import recursively_unfreeze

from luigi_traffic.targets.training import TrainingPlan
from luigi_traffic.targets.warehouse import LedgerPartition
from luigi_traffic.tasks.base import OfADay, Stage
from luigi_traffic.tasks.gold import Gold

if TYPE_CHECKING:
    from luigi_traffic.training.fit_result import Progress
    from luigi_traffic.training.registry import Registered


class ModelStage(OfADay, Stage):
    """A stage that needs a trained model: its parameters are those of the training."""

    date = luigi.DateParameter(description="Last day of the window")
    dataset = luigi.Parameter(positional=False, description="Name of the dataset plugin")
    model = luigi.Parameter(positional=False, description="Name of the model plugin")
    window_days = luigi.IntParameter(
        positional=False, description="Number of days of gold to train on"
    )
    training = luigi.DictParameter(
        default={},
        positional=False,
        description="JSON object that overrides the model's configuration",
    )

    @cached_property
    def plan(self) -> TrainingPlan:
        """Days, recipe and id of the model."""
        return TrainingPlan(
            self.project, self.dataset, self.model, self.date, self.window_days,
            recursively_unfreeze(self.training),
        )  # fmt: skip


class Train(ModelStage):
    """Fit, score, log and register the model of a window of days."""

    stage = "model"

    def requires(self) -> list[Gold]:
        """Gold of every day of the window: an empty lake fills itself."""
        return [Gold(day, dataset=self.dataset) for day in self.plan.days]

    def output(self) -> LedgerPartition:
        """The registered model."""
        return self.plan.model_target()

    @property
    def label(self) -> str:  # noqa: D102
        return f"train {self.model} on {self.dataset}, {self.window_days} days to {self.date}"

    def work(self) -> str:  # noqa: D102
        from luigi_traffic.training.trainer import Trainer

        plan = self.plan
        plan.refuse_too_many_absent()
        partition_id = plan.partition_id()
        if partition_id is None:
            raise RuntimeError(f"{self.label}: gold is complete, but its ids are not known")
        known = plan.lineage
        trainer = Trainer(
            warehouse=self.project.warehouse,
            tracking_uri=self.project.settings.tracking_uri,
            dataset=known.dataset,
            graph=known.graph,
            link_table=known.link_table,
            target=plan.target,
            model=self.project.plugins.model(self.model),
            plugin=self.project.plugins.provider[self.model],
            config=plan.config,
            recipe=plan.recipe,
            partition_id=partition_id,
            gold_ids=plan.gold_ids() or {},
            absent=plan.absent_days(),
            first=plan.days[0],
            end=self.date + timedelta(days=1),
            folder=self.project.home,
            promotion=self.project.settings.promotion,
            interval=self.project.settings.forecast.interval,
            get_model=self.project.plugins.model,
            show_run=self._show_run,
        )
        return trainer.run(self._progress)

    def _progress(self, at: Progress) -> None:
        best = f", best validation MAE {at.best_validation_mae:.3f}" if at.best_epoch else ""
        share, config = at.share, self.plan.config
        if config.refit:  # the epochs on all windows are longer: of 1 to `train_share`
            first = config.train_share / (1 + config.train_share)
            share = first + (1 - first) * share if at.refit else first * share
        part = " on all windows" if at.refit else ""
        done = f"epoch {at.epoch} of {at.epochs}{part}, {share:.0%} of all"
        self.tell(f"{done}, loss {at.loss:.3f}{best}", 100 * share)

    def _show_run(self, registered: Registered) -> None:
        """Link the MLflow run in luigid."""
        if self.set_tracking_url is not None:
            ui = self.project.services
            self.set_tracking_url(ui.ui_run_url(registered.experiment_id, registered.run_id))
