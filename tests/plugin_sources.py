"""Sources of small plugin modules, for the tests of loading them."""

from __future__ import annotations

from pathlib import Path

from luigi_traffic.project import current

#: The dataset `tiny`, of text lines "HH:MM,link,speed" from a folder, and the model `tiny_model`.
TINY = (Path(__file__).parent / "tiny_plugin.py").read_text()
HEAD = """
from collections.abc import Sequence
from datetime import timedelta
import luigi_traffic as lt
"""
DATASET = """
class {cls}(lt.Dataset):
    name, version, interval = {name!r}, "1", timedelta(minutes=5)
    timezone, speed_unit = "UTC", "km/h"
    def source(self): return lt.Files("/nowhere")
    def bronze(self, spark, raw): ...
    def silver(self, bronze): ...
"""


def one(name: str, cls: str = "Data", more: str = "") -> str:
    """A plugin module with a dataset of that name, and a line `more` in its class."""
    body = HEAD + DATASET.format(cls=cls, name=name) + (f"    {more}\n" if more else "")
    return body + f"@lt.hookimpl\ndef luigi_traffic_datasets():\n    return [{cls}]\n"


def hook(returned: str, kind: str = "datasets") -> str:
    return HEAD + f"@lt.hookimpl\ndef luigi_traffic_{kind}():\n    return {returned}\n"


def problem(name: str) -> str:
    (found,) = [f for f in current().plugins.found if f.name == name]
    return found.problem or ""
