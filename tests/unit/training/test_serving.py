"""`mlflow models serve` as a user starts it, and a client that sends it rows of gold as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from model_server import model_server
from small import FOLDER
from training_tiny import PerLink, gold_rows, road, untrained

from luigi_traffic.api.version import __version__
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.mlflow_model import requirements, save_model

#: Hyperparameters of the model that is served, whose rows have gaps.
FILLED = {"fill": "profile", "flags": True, "ages": True}
PLUGIN = """
from training_tiny import PerLink
from luigi_traffic import hookimpl

@hookimpl
def luigi_traffic_models():
    return [PerLink]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """It serves `PerLink`, which is provided by a file in a folder."""
    place = tmp_path_factory.mktemp("served") / FOLDER
    plugins = place / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "tiny.py").write_text(PLUGIN)
    untrained(PerLink(), road(), **FILLED).save(place / "bundle")
    save_model(place / "model", place / "bundle", ["speed", "t1"], "speed")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LUIGI_TRAFFIC")} | {
        "PYTHONPATH": str(Path(__file__).parent),
        "LUIGI_TRAFFIC_HOME": str(place / "home"),
        "LUIGI_TRAFFIC__PLUGINS__PATH": json.dumps([str(plugins)]),
    }
    command = "mlflow models serve --model-uri model --env-manager local --port {port}"
    with model_server(command, place, environment) as address:
        yield address


def test_its_requirements_name_us_the_plugin_and_the_libraries() -> None:
    names = [line.split("==")[0] for line in requirements("city-models==2.1")]
    assert names == ["luigi_traffic", "city-models", "mlflow", "torch", "numpy", "pandas"]
    assert requirements("city-models==2.1")[:2] == [
        f"luigi_traffic=={__version__}", "city-models==2.1",
    ]  # fmt: skip
    assert "city-models" not in " ".join(requirements(None))
    assert "+" not in " ".join(requirements(None))


@pytest.fixture
def rows() -> pd.DataFrame:
    series = road()
    return gold_rows(series, len(series) - 8, len(series))


def body(rows: pd.DataFrame) -> dict[str, Any]:
    """As JSON has it: times are text, what was not observed is null."""
    text = rows.to_json(orient="records", date_format="iso", date_unit="s", double_precision=15)
    return {"dataframe_records": json.loads(text)}


def refusal(server: str, rows: pd.DataFrame) -> tuple[int, str]:
    answer = requests.post(server, json=body(rows), timeout=60)
    return answer.status_code, answer.json()["message"]


def test_it_answers_the_forecast_that_the_pipeline_stores(server: str, rows: pd.DataFrame) -> None:
    series = road()
    sent = body(rows)
    assert sent["dataframe_records"][0]["timestamp"] == "2024-01-04T20:00:00"
    assert any(row["speed"] is None for row in sent["dataframe_records"])
    answer = requests.post(server, json=sent, timeout=60)
    assert answer.status_code == 200, answer.text
    got = answer.json()["predictions"]
    forecaster = Forecaster(untrained(PerLink(), series, **FILLED), "cpu")
    *_, last = forecaster.predict(series, forecaster.rolling(series, 0))
    np.testing.assert_allclose([row["speed"] for row in got], last.ravel(), rtol=0, atol=1e-5)
    assert got[0] | {"speed": 0} == {
        "timestamp": "2024-01-05T00:00:00", "link_id": "L0", "step": 1, "speed": 0,
    }  # fmt: skip
    assert (got[-1]["timestamp"], got[-1]["link_id"]) == ("2024-01-05T01:30:00", "L4")


def test_what_it_refuses_is_the_clients_mistake(server: str, rows: pd.DataFrame) -> None:
    late = rows.assign(timestamp=rows["timestamp"] + pd.Timedelta("3min"))
    code, message = refusal(server, late)
    assert code == 400
    assert "that do not begin an interval of 0:30:00 of the day: 40 of 40" in message
    code, message = refusal(server, pd.concat([rows, rows.iloc[[7]]]))
    assert code == 400
    assert "that repeat a link and an interval: 1 of 41" in message
    without = rows.astype({"timestamp": object})
    without.loc[4, "timestamp"] = None
    code, message = refusal(server, without)
    assert code == 400
    assert "without a timestamp: 1 of 40" in message


def test_what_mlflow_refuses_before_it_asks_the_model(server: str, rows: pd.DataFrame) -> None:
    """Columns and types that are not those of the signature."""
    code, message = refusal(server, rows.astype({"t1": object}).assign(t1="fast"))
    assert code == 400
    assert "Failed to convert column t1" in message
    code, message = refusal(server, rows.drop(columns="t1"))
    assert code == 400, message
    assert "missing inputs ['t1']" in message
    zoned = rows.assign(timestamp=rows["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S+09:00"))
    code, message = refusal(server, zoned)
    assert code == 400, message
    assert "only contains timezone-naive datetime objects" in message
