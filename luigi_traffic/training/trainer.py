"""From a window of gold to a registered model: fit, score, report, register, commit.

The ledger row is the commit. All before it can be repeated: a killed training resumes from
its checkpoint, and a version that was registered already is found by its partition id.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.api.model import Model, ModelConfig, gold_columns, resolved
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError, PluginError, SettingsError, StoreError
from luigi_traffic.plugins.isolation import Found
from luigi_traffic.recipe import Input, Recipe, short_hash
from luigi_traffic.training import champion, mlflow_runs, registry
from luigi_traffic.training.alias import Alias
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.compared_days import ComparedDays
from luigi_traffic.training.comparison import compare
from luigi_traffic.training.drawn_day import Choice, champion_lines
from luigi_traffic.training.evaluate import Evaluation, evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Fit, Progress
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.gold import read_gold
from luigi_traffic.training.holdout_days import days_of
from luigi_traffic.training.model_card import model_card
from luigi_traffic.training.refit import refit
from luigi_traffic.training.registry import registered_name
from luigi_traffic.training.report import write_report
from luigi_traffic.training.report_facts import Origin
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle
from luigi_traffic.warehouse import ledger

if TYPE_CHECKING:
    from luigi_traffic.settings.training_keys import PromotionSettings
    from luigi_traffic.warehouse.connection import Warehouse

logger = logging.getLogger("luigi_traffic")

#: Tag of a version: the days it was trained on, see `FitSpan.of_window`.
WINDOW = "window"


@dataclass(frozen=True)
class Trainer:
    """One training. `gold_ids` is day → partition id; `absent` the days left out → reason.

    `target` is one of the dataset's measures. `graph` and `link_table` are the dataset's. `plugin`
    provides the model. `interval` is the share of the values that an interval should hold.
    """

    warehouse: Warehouse
    tracking_uri: str
    dataset: Dataset
    graph: LinkGraph | None
    link_table: LinkTable | None
    target: str
    model: Model
    plugin: Found
    config: ModelConfig
    recipe: Recipe
    partition_id: str
    gold_ids: dict[str, str]
    absent: dict[str, str]
    first: date
    end: date
    folder: Path
    promotion: PromotionSettings
    interval: float
    get_model: Callable[[str], Model]
    show_run: Callable[[registry.Registered], None]

    def run(self, progress: Callable[[Progress], None]) -> str:
        """Do it all; the answer is a line for people."""
        series = self._series(self.model.channels(self.config))
        checkpoints = self.folder / "checkpoints" / self.partition_id
        ways: dict[str, Any] = {
            "checkpoint_dir": checkpoints, "progress": progress,
            "on_checkpoint": lambda: crash_point(CrashPoint.TRAIN_CHECKPOINTED),
        }  # fmt: skip
        trained = fit(self.model, self.config, series, context=self._context(series), **ways)
        if self.config.refit:
            trained = replace(
                trained, refit=refit(self.model, self.config, series, trained, **ways)
            )
        bundle = trained_bundle(self.model, self.config, trained, series, self.dataset.name)
        bundle_folder = self.folder / "models" / self.partition_id
        bundle.save(bundle_folder)
        forecaster = Forecaster(bundle.comparable, self.config.device)
        scores = evaluate(forecaster, series, trained.split, self.config.evaluation_windows)
        name = self._name
        registered = registry.find_version(self.tracking_uri, name, self.partition_id)
        if registered and not registry.has_bundle(self.tracking_uri, name, registered.version):
            logger.warning(
                "version %s of %s has lost its files in MLflow: it is registered again",
                registered.version, name,
            )  # fmt: skip
            registered = None
        decision = champion.recorded(registered) if registered else None
        compared = None
        if decision is None:
            decision, compared = self._decide(forecaster, trained, scores, series)
        origin = self._origin(decision.reason)
        report = write_report(
            self.folder
            / "reports"
            / f"{self.dataset.name}-{max(self.gold_ids)}-{self.partition_id[:8]}.html",
            origin,
            trained,
            scores,
            forecaster,
            series,
            self.interval,
            compared,
        )
        crash_point(CrashPoint.TRAIN_SCORED)
        if registered is None:
            card = model_card(name, origin, bundle, scores)
            registered = self._register(name, bundle_folder, trained, scores, report, card)
        crash_point(CrashPoint.TRAIN_REGISTERED)
        Alias(self.warehouse, self.tracking_uri, name).follow(registered, decision)
        self.show_run(registered)
        with self.warehouse.connect() as connection:
            ledger.write(connection, self._row(registered, trained, scores, decision, report))
        crash_point(CrashPoint.TRAIN_COMMITTED)
        shutil.rmtree(checkpoints, ignore_errors=True)
        return (
            f"MAE {scores.mae():.3f} {self._unit}, version {registered.version}, "
            f"{decision.reason}; report {report}"
        )

    @property
    def _unit(self) -> str:
        return self.dataset.measures[self.target]

    @property
    def _name(self) -> str:
        other = self.target if self.target != self.dataset.target else ""
        return registered_name(self.dataset.name, other)

    def _context(self, series: Series) -> ModelContext:
        return ModelContext(
            links=series.links, graph=self.graph, link_table=self.link_table, target=self.target,
            unit=self._unit, interval=self.dataset.interval, timezone=self.dataset.timezone,
        )  # fmt: skip

    def _series(self, channels: Iterable[str]) -> Series:
        read = gold_columns(resolved(channels, self.target))
        columns = list(dict.fromkeys([self.target, *read]))
        return read_gold(
            self.warehouse, self.dataset.name, self.gold_ids, columns, self.first, self.end,
            self.dataset.interval, self.target,
        )  # fmt: skip

    def _decide(
        self, forecaster: Forecaster, trained: Fit, scores: Evaluation, series: Series
    ) -> tuple[champion.Decision, ComparedDays | None]:
        """Against the champion, on what neither was fitted on; None if they are not compared."""
        holder = registry.champion(self.tracking_uri, self._name)
        mine = cast(float, scores.mae())  # `evaluate` refuses a hold-out with nothing to score
        if holder is None:
            lost = self._lost_before()
            return self._decide_lost(mine, lost) if lost else champion.decide_first(mine), None
        with tempfile.TemporaryDirectory(prefix="luigi-traffic-champion-") as scratch:
            try:
                folder = registry.intact_version(
                    self.tracking_uri, holder.name, holder.version,
                    holder.tags.get(registry.DIGEST), Path(scratch),
                )  # fmt: skip
            except (registry.ModelLost, StoreError) as e:
                lost = champion.lost_holder(holder, e)
                if holder.tags.get(registry.PARTITION_ID) == self.partition_id:
                    return champion.decide_again(mine, lost), None
                return self._decide_lost(mine, lost), None
            try:
                compared = self._compare(forecaster, trained, holder, folder, series)
            except (PluginError, SettingsError, DataError) as e:
                logger.warning(champion.keep_warning(holder.name, holder.version, e))
                return champion.keep(mine, holder.version, e), None
        decision = champion.decide(mine, compared.comparison, holder.version, self.promotion)
        return decision, compared

    def _compare(
        self,
        forecaster: Forecaster,
        trained: Fit,
        holder: registry.Registered,
        folder: Path,
        series: Series,
    ) -> ComparedDays:
        judged = Bundle.load(folder, self.get_model).comparable
        span = judged.fit_span or FitSpan.of_window(holder.tags.get(WINDOW, ""))
        if span is None:
            raise DataError(
                "neither its files nor its tags in MLflow say which days it was trained on"
            )
        # Both read the same rows, each the columns it was built for.
        if not set(gold_columns(judged.shape.channels)) <= set(series.columns):
            series = self._series([*forecaster.bundle.shape.channels, *judged.shape.channels])
        holds, steps = Forecaster(judged, self.config.device), forecaster.output_steps
        days = days_of(series, trained.split.test, forecaster.input_steps, steps)
        return ComparedDays(
            compare(forecaster, holds, span, series, trained.split, self.config.evaluation_windows),
            holder.version,
            self.promotion,
            champion_lines(holds, span, series, Choice.of(series, days), steps),
        )

    def _lost_before(self) -> champion.Lost | None:
        with self.warehouse.connect() as connection:
            rows = ledger.current(connection, "model", self.dataset.name)
        return champion.lost_before(
            row
            for row in rows.values()
            if row.part != self.partition_id and row.details["name"] == self._name
        )

    @staticmethod
    def _decide_lost(mine: float, lost: champion.Lost) -> champion.Decision:
        logger.warning(lost.warning)
        return champion.decide_lost(mine, lost)

    def _origin(self, decision: str) -> Origin:
        return Origin(
            partition_id=self.partition_id,
            gold_digest=self._gold_digest,
            days=tuple(self.gold_ids),
            absent_days=self.absent,
            decision=decision,
        )

    @property
    def _gold_digest(self) -> str:
        return short_hash(*(f"{day}:{i}" for day, i in self.gold_ids.items()), length=32)

    def _register(
        self, name: str, bundle: Path, trained: Fit, scores: Evaluation, report: Path, card: str
    ) -> registry.Registered:
        metrics = {
            f"{forecaster.replace(' ', '_')}_{measure}_{step}": value
            for forecaster, steps in scores.scores.items()
            for step, values in steps.items()
            for measure, value in values.items()
        }
        params: dict[str, Any] = {
            "dataset": self.dataset.name,
            "model": self.model.name,
            "model_version": self.model.version,
            "first_day": self.first,
            "last_day": max(self.gold_ids),
            "days": len(self.gold_ids),
            "device": trained.device,
            **self.config.model_dump(mode="json", exclude={"device"}),
            "target": self.target,
        }
        tags = {
            "dataset": self.dataset.name,
            "model": self.model.name,
            "plugin": self.plugin.requirement or f"{self.plugin.name}, {self.plugin.version}",
            "gold_ids_digest": self._gold_digest,
            WINDOW: f"{self.first} to {max(self.gold_ids)}",
            "share_of_samples_seen": f"{trained.samples_seen / trained.samples_total:.4f}",
        }
        return mlflow_runs.log_run(
            self.tracking_uri,
            name,
            name,
            bundle,
            partition_id=self.partition_id,
            columns=list(dict.fromkeys([self.target, *gold_columns(trained.shape.channels)])),
            target=self.target,
            requirement=self.plugin.requirement,
            params=params,
            history=trained.history,
            metrics=metrics,
            tags=tags,
            files=[report],
            description=card,
        )

    def _row(
        self,
        registered: registry.Registered,
        trained: Fit,
        scores: Evaluation,
        decision: champion.Decision,
        report: Path,
    ) -> ledger.LedgerRow:
        return ledger.LedgerRow(
            stage="model",
            dataset=self.dataset.name,
            part=self.partition_id,
            partition_id=self.partition_id,
            recipe=self.recipe.as_dict(),
            inputs=[Input("gold", d, i) for d, i in self.gold_ids.items()],
            rows=trained.samples_total,
            checksum=registered.tags[registry.DIGEST],
            details={
                "name": registered.name,
                "version": registered.version,
                "run_id": registered.run_id,
                "digest": registered.tags[registry.DIGEST],
                "model": self.model.name,
                "last_day": max(self.gold_ids),
                "target": self.target,
                "unit": self._unit,
                "interval_seconds": int(self.dataset.interval.total_seconds()),
                "scores": scores.scores,
                "windows_scored": [scores.windows, scores.windows_total],
                "samples": {
                    "total": trained.samples_total,
                    "drawn": trained.samples_drawn,
                    "seen": trained.samples_seen,
                },
                "epochs": len(trained.history),
                "best_epoch": trained.best_epoch,
                "refit_epochs": trained.refit.epochs if trained.refit else None,
                "device": trained.device,
                "seconds": round(trained.seconds, 3),
                "promoted": decision.promoted,
                "decision": decision.reason,
                "report": str(report),
            },
        )
