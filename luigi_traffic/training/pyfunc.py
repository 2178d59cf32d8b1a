"""The file MLflow stores with a model: gold rows in, the next steps out.

Models-from-code: MLflow runs this file to get the object below, then gives it the
bundle's folder. It needs `luigi_traffic` and the model's plugin installed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import mlflow
import pandas as pd  # type: ignore[import-untyped]


class NextSteps(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """Forecasts the intervals after the last timestamp of the rows it is given."""

    def load_context(self, context: Any) -> None:
        """Load the bundle beside this file."""
        from pathlib import Path

        from luigi_traffic.plugins import plugins
        from luigi_traffic.training.bundle import Bundle
        from luigi_traffic.training.forecaster import Forecaster

        folder = Path(context.artifacts["bundle"])
        self.forecaster = Forecaster(Bundle.load(folder, plugins().model))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """A frame (timestamp, link_id, step, target) from (timestamp, link_id, columns of gold).

        Rows older than one window before the last timestamp are ignored.
        """
        import numpy as np

        from luigi_traffic.training.series import Series

        forecaster = self.forecaster
        interval: timedelta = forecaster.bundle.interval
        end = model_input["timestamp"].max() + interval
        start = end - forecaster.input_steps * interval
        rows = model_input[model_input["timestamp"] >= start]
        codes, links = pd.factorize(rows["link_id"], sort=True)
        columns = [c for c in rows.columns if c not in ("timestamp", "link_id")]
        series = Series.from_columns(
            rows["timestamp"].to_numpy("datetime64[us]"),
            codes,
            [str(link) for link in links],
            {c: rows[c].to_numpy("float64") for c in columns},
            np.datetime64(start, "us"),
            np.datetime64(end, "us"),
            interval,
            forecaster.bundle.target,
        )
        forecast = forecaster.predict(series, np.array([0]))[0]
        steps, names = len(forecast), forecaster.links(series)
        step = np.arange(1, steps + 1)
        return pd.DataFrame(
            {
                "timestamp": np.repeat(
                    [end + (s - 1) * interval for s in range(1, steps + 1)], len(names)
                ),
                "link_id": np.tile(names, steps),
                "step": np.repeat(step, len(names)),
                forecaster.bundle.target: forecast.ravel().astype(np.float64),
            }
        )


mlflow.models.set_model(NextSteps())
