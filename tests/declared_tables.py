"""A small declared dataset that the tests change a line of."""

from __future__ import annotations

from typing import Any

from luigi_traffic.yaml_dataset.dataset import DeclaredDataset, declared_class
from luigi_traffic.yaml_dataset.settings import DeclaredSettings

GOOD = """\
table:
  glob: /data/{date}*.csv
  columns:
    timestamp: time
    link_id: sensor
    speed: v
  interval: 10min
  timezone: Europe/Vienna
"""


def declared(**table: Any) -> DeclaredDataset:
    """The dataset of that table, over the columns time, sensor and v of a CSV."""
    columns = {"timestamp": "time", "link_id": "sensor", "speed": "v"} | table.pop("columns", {})
    base = {
        "glob": "/data/{date}*.csv", "interval": "10 min", "timezone": "Asia/Seoul",
        "columns": {k: v for k, v in columns.items() if v is not None},
    }  # fmt: skip
    more = table.pop("settings", {})
    settings = DeclaredSettings.model_validate({"table": base | table} | more)
    return declared_class("city", settings.table)(settings)
