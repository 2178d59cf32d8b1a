"""drift: a day beside the days that the champion was trained on."""

from __future__ import annotations

from datetime import date as Date
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import luigi

from luigi_traffic.errors import DataError, SourceAbsent
from luigi_traffic.recipe import Input, Recipe
from luigi_traffic.targets.drift import DriftResult
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.training import other_target
from luigi_traffic.targets.warehouse import known_gold
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.gold import Gold

if TYPE_CHECKING:
    from luigi_traffic.api.dataset import Dataset
    from luigi_traffic.training.series import Series
    from luigi_traffic.warehouse.ledger import LedgerRow


class Drift(DayStage):
    """Compare a day with the days that the champion was trained on. Trains nothing."""

    target = luigi.Parameter(
        default="",
        positional=False,
        description="Measure that is forecast; empty: the dataset's own",
    )

    stage = "drift"

    def requires(self) -> Gold:
        """What was observed on the day."""
        return Gold(self.date, dataset=self.dataset)

    def output(self) -> DriftResult:
        """The day's row of the ledger."""
        return DriftResult(self.project, self.dataset, self.measure, self.date)

    @cached_property
    def plugin(self) -> Dataset:
        """The dataset."""
        return self.project.plugins.dataset(self.dataset)

    @cached_property
    def measure(self) -> str:
        """The name of the target. Raises `SettingsError`."""
        return self.plugin.measure_to_forecast(self.target, "--target")

    def given(self) -> None:
        """Nothing: the champion is looked up when the work begins."""

    def make(self, given: None) -> str:  # noqa: D102
        from luigi_traffic.tasks.champion_model import ChampionModel
        from luigi_traffic.training.drift import checks, reasons
        from luigi_traffic.training.drift_report import write_drift_report
        from luigi_traffic.training.forecaster import Forecaster
        from luigi_traffic.training.forecasts import days
        from luigi_traffic.warehouse import ledger

        other = other_target(self.plugin, self.measure)
        champion = ChampionModel.find(self.project, self.dataset, other, self.label)
        forecaster = Forecaster(champion.bundle().comparable)
        with self.project.warehouse.connect() as connection:
            training = ledger.find(connection, champion.partition_id)
        if training is None or "scores" not in training.details:
            raise DataError(
                f"{self.label}: the ledger does not know the training of version "
                f"{champion.version.version}, the champion, so there is nothing to compare with. "
                "Train a model, or choose a version that was trained here: luigi-traffic promote "
                f"{self.dataset} VERSION."
            )
        recent = self._known(days(forecaster, self.plugin.interval, self.date))
        reference = self._reference(training)
        series = self._read(recent, forecaster.bundle.shape.channels)
        before = self._read(reference, [])
        settings = self.project.settings.drift
        found = checks(forecaster, training.details["scores"], before, series, settings)
        report = write_drift_report(
            self.project.home / "reports"
            / f"drift-{self.dataset}-{self.date}-{champion.partition_id[:8]}.html",
            self.label, champion.version.version, before, series, found,
        )  # fmt: skip
        recipe = Recipe(
            "drift",
            self.dataset,
            {"core": STAGE_VERSIONS["drift"], "settings": settings.model_dump(mode="json")},
        )
        gold = recent | reference
        inputs = [
            Input("model", champion.partition_id, champion.partition_id),
            *(Input("gold", day, made) for day, made in gold.items()),
        ]
        row = ledger.LedgerRow(
            stage="drift",
            dataset=self.dataset,
            part=self.output().part,
            partition_id=recipe.partition_id([f"{i.stage} {i.part}:{i.id}" for i in inputs]),
            recipe=recipe.as_dict(),
            # A day of the training that is corrected later does not make this comparison anew.
            inputs=[one for one in inputs if one.stage == "model" or one.part in recent],
            rows=len(found),
            checksum="",
            details={
                "checks": [check.as_dict() for check in found],
                "drifted": any(check.drifted for check in found),
                "reasons": reasons(found),
                "version": champion.version.version,
                "model": champion.model,
                "report": str(report),
            },
        )
        with self.project.warehouse.connect() as connection:
            ledger.write(connection, row)
        said = row.details["reasons"]
        return f"{f'drift: {said}' if said else 'no drift'}; report {report}"

    def _known(self, wanted: list[Date]) -> dict[str, str]:
        """Day → id of the gold that there is. Raises `SourceAbsent` if the day has none."""
        found = known_gold(self.project, self.dataset, wanted)
        if self.date.isoformat() not in found:
            raise SourceAbsent(f"{self.dataset} has no data on {self.date}: nothing to compare")
        return found

    def _reference(self, training: LedgerRow) -> dict[str, str]:
        """The last days of the training that are in gold, without the day itself."""
        of_training = [Date.fromisoformat(one.part) for one in training.inputs]
        earlier = sorted(day for day in of_training if day != self.date)
        wanted = earlier[-self.project.settings.drift.reference_days :]
        found = known_gold(self.project, self.dataset, wanted)
        if not found:
            raise DataError(
                f"{self.label}: gold has no day of the champion's training any more, so there is "
                "nothing to compare with."
            )
        return found

    def _read(self, ids: dict[str, str], channels: Any) -> Series:
        from luigi_traffic.api.model import gold_columns
        from luigi_traffic.training.gold import read_gold

        known = [Date.fromisoformat(day) for day in ids]
        columns = list(dict.fromkeys([self.measure, *gold_columns(channels)]))
        return read_gold(
            self.project.warehouse, self.dataset, ids, columns, min(known),
            max(known) + timedelta(days=1), self.plugin.interval, self.measure,
        )  # fmt: skip
