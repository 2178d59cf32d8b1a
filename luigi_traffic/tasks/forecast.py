"""forecast: the steps after the day's end, and the rolling forecast of the day itself."""

from __future__ import annotations

import time
from datetime import timedelta

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DamageError, SourceAbsent
from luigi_traffic.recipe import Input
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

    def output(self) -> LedgerPartition:
        """The part of `forecast.<dataset>`."""
        return self.plan.forecast_target()

    def work(self) -> str:  # noqa: D102
        from luigi_traffic.training.forecasts import ForecastRows
        from luigi_traffic.training.registry import ModelLost, bundle_folder
        from luigi_traffic.warehouse import ledger
        from luigi_traffic.warehouse.binary import copy_in
        from luigi_traffic.warehouse.commit import staging
        from luigi_traffic.warehouse.tables import forecast_bounds, forecast_table

        started = time.monotonic()
        plan, warehouse = self.plan, self.project.warehouse
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
                self.project.settings.tracking_uri,
                model_row.details,
                self.project.home / "models" / trained,
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
            dataset=plan.lineage.dataset,
            day=self.date,
            gold_ids=ids,
            folder=folder,
            digest=model_row.details["digest"],
            get_model=self.project.plugins.model,
            part=plan.forecast_part,
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
                part=plan.forecast_part,
                partition_id=plan.forecast_recipe.partition_id([trained]),
                recipe=plan.forecast_recipe.as_dict(),
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
