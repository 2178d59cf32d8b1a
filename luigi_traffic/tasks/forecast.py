"""forecast: the steps after the day's end, and the rolling forecast of the day itself."""

from __future__ import annotations

import time
from datetime import timedelta

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DamageError, SourceAbsent
from luigi_traffic.project import current
from luigi_traffic.recipe import Input, Recipe
from luigi_traffic.targets.chain import lineage
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.warehouse import LedgerPartition
from luigi_traffic.tasks.train import ModelStage, Train


class Forecast(ModelStage):
    """Forecast the last day of the window with the model trained on it."""

    def requires(self) -> Train:
        """The registered model."""
        return Train(
            self.date,
            dataset=self.dataset,
            model=self.model,
            window_days=self.window_days,
            training=self.training,
        )

    @property
    def label(self) -> str:  # noqa: D102
        return f"forecast {self.dataset} {self.date} by {self.model}"

    @property
    def part(self) -> str:
        """The partition of `forecast.<dataset>`."""
        return f"{self.date.isoformat()}/{self.plan.series_name}"

    @property
    def recipe(self) -> Recipe:
        """The model is an input; nothing else matters."""
        return Recipe(
            "forecast", self.dataset, {"core": STAGE_VERSIONS["forecast"], "model": self.model}
        )

    def output(self) -> LedgerPartition:
        """The part of `forecast.<dataset>`."""
        trained = self.plan.partition_id()
        wanted = self.recipe.partition_id([trained]) if trained else None
        return LedgerPartition("forecast", self.dataset, self.part, wanted)

    def work(self) -> str:  # noqa: D102
        from luigi_traffic.training.forecasts import ForecastRows
        from luigi_traffic.training.registry import ModelLost, bundle_folder
        from luigi_traffic.warehouse import ledger
        from luigi_traffic.warehouse.binary import copy_in
        from luigi_traffic.warehouse.commit import staging
        from luigi_traffic.warehouse.tables import forecast_bounds, forecast_table

        started = time.monotonic()
        plan, warehouse = self.plan, current().warehouse
        ids = plan.gold_ids() or {}
        if self.date.isoformat() not in ids:
            raise SourceAbsent(
                f"{self.dataset} has no data on {self.date}, so no forecast is made from it"
            )
        trained = plan.partition_id() or ""
        with warehouse.connect() as connection:
            model_row = ledger.find(connection, trained)
        if model_row is None:
            raise RuntimeError(f"{self.label}: the ledger has no row of model {trained}")
        self.tell("forecasting")
        try:
            folder = bundle_folder(
                current().settings.tracking_uri,
                model_row.details,
                current().home / "models" / trained,
            )
        except ModelLost as e:
            with warehouse.connect() as connection:
                ledger.void(connection, "model", self.dataset, trained, str(e), trained)
            raise DamageError(
                f"{self.label}: {e}. The model now counts as missing: run again, and it is "
                "trained again."
            ) from None
        rows = ForecastRows.make(
            warehouse=warehouse,
            dataset=lineage(self.dataset).dataset,
            day=self.date,
            gold_ids=ids,
            folder=folder,
            digest=model_row.details["digest"],
            get_model=current().plugins.model,
            part=self.part,
            model=plan.series_name,
        )
        table = forecast_table(self.dataset, plan.target)
        yesterday, today = ((self.date - timedelta(days=n)).isoformat() for n in (1, 0))
        with staging(warehouse, table, f"{self.date:%Y%m%d}") as attempt:
            with warehouse.connect() as connection:
                for batch in rows.batches():
                    copy_in(connection, attempt.name, table.columns, batch)
            row = ledger.LedgerRow(
                stage="forecast",
                dataset=self.dataset,
                part=self.part,
                partition_id=self.recipe.partition_id([trained]),
                recipe=self.recipe.as_dict(),
                inputs=[
                    Input("model", trained, trained),
                    *(Input("gold", day, ids[day]) for day in (yesterday, today) if day in ids),
                ],
                rows=rows.count,
                checksum=attempt.checksum(),
                details={"seconds": round(time.monotonic() - started, 3)},
            )
            crash_point(CrashPoint.FORECAST_STAGED)
            bounds = forecast_bounds(self.date, plan.series_name)
            won = attempt.commit(
                bounds, row, before_commit=lambda: crash_point(CrashPoint.FORECAST_ATTACHED)
            )
        crash_point(CrashPoint.FORECAST_COMMITTED)
        return f"{rows.count:,} rows" if won else "another runner committed it first"
