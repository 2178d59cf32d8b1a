"""The conformance kit: the tests that a plugin author runs on their own dataset, model or store.

Subclass a suite in a test file and run pytest; see docs/testing-a-plugin.md.

    from luigi_traffic.testing import DatasetSuite

    class TestDemoCity(DatasetSuite):
        dataset = DemoCity
        day = date(2024, 5, 1)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luigi_traffic.testing.dataset_suite import DatasetSuite
    from luigi_traffic.testing.lake_suite import LakeSuite
    from luigi_traffic.testing.model_suite import ModelSuite

__all__ = ["DatasetSuite", "LakeSuite", "ModelSuite"]
_MODULES = {
    "DatasetSuite": "dataset_suite",
    "LakeSuite": "lake_suite",
    "ModelSuite": "model_suite",
}


def __getattr__(name: str) -> Any:
    """The suites, each imported when it is asked for: pytest loads this package in every run."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import pytest  # noqa: F401
    except ImportError as e:
        raise ImportError(
            f"luigi_traffic.testing.{name} needs pytest: pip install 'luigi-traffic[testing]'"
        ) from e
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
