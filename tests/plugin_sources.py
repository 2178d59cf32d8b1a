"""Sources of small plugin modules, for the tests of loading them."""

from __future__ import annotations

from luigi_traffic.project import current

HEAD = """
from collections.abc import Sequence
from datetime import timedelta
import luigi_traffic as lt
"""
DATASET = """
class {cls}(lt.Dataset):
    name, version, interval = {name!r}, "1", timedelta(minutes=5)
    timezone, speed_unit = "UTC", "km/h"
    def source(self): ...
    def bronze(self, spark, raw): ...
    def silver(self, bronze): ...
"""


def one(name: str, cls: str = "Data") -> str:
    """A plugin module with a dataset of that name."""
    body = HEAD + DATASET.format(cls=cls, name=name)
    return body + f"@lt.hookimpl\ndef luigi_traffic_datasets():\n    return [{cls}]\n"


def hook(returned: str, kind: str = "datasets") -> str:
    return HEAD + f"@lt.hookimpl\ndef luigi_traffic_{kind}():\n    return {returned}\n"


def problem(name: str) -> str:
    (found,) = [f for f in current().plugins.found if f.name == name]
    return found.problem or ""
