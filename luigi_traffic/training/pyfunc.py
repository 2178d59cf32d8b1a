"""The file MLflow stores with a model: gold rows in, the next steps out.

Models-from-code: MLflow runs this file to get the object below, then gives it the
bundle's folder. It needs `luigi_traffic` and the model's plugin installed.
"""

from __future__ import annotations

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

        Rows that cannot be used are refused with `MlflowException`, which MLflow's server answers
        with status 400 and the message: see `luigi_traffic.training.serving`.
        """
        from mlflow.exceptions import MlflowException

        from luigi_traffic.errors import DataError
        from luigi_traffic.training.serving import next_steps

        try:
            return next_steps(self.forecaster, model_input)
        except DataError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


mlflow.models.set_model(NextSteps())
