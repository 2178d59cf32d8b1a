"""The pipeline itself: it finds the dataset by its hook, and accepts its day in every stage."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

import pluggy
import pytest

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.errors import TrafficError
from luigi_traffic.plugins import hookspecs
from luigi_traffic.plugins.hookspecs import PROJECT
from luigi_traffic.plugins.isolation import Found
from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.settings.keys import Settings
from luigi_traffic.settings.reading import Layers
from luigi_traffic.testing.real_run import run_stages
from luigi_traffic.testing.sample import advised

if TYPE_CHECKING:
    from luigi_traffic.testing.sample import Sample

HOOK = "luigi_traffic_datasets"
_REFUSED = (
    "In a run this day would fail. Correct what the message names: the source, the transform, the "
    "settings, or the bounds of checks()."
)
_OTHER_DAYS = (
    "The file holds many days: cut the day out of it with luigi_traffic.ManyDays, in source()."
)


class PipelineChecks:
    """What a run does with the dataset."""

    dataset: type[Dataset]
    yaml: ClassVar[Path | None]
    sample: Sample
    #: Name of the module with the hooks, if it is neither a module of the dataset's package nor
    #: an entry point of it.
    hooks: ClassVar[str] = ""

    def test_the_hook_provides_it(self) -> None:
        """A module registers as a plugin, and gives the class."""
        if self.yaml is not None:
            pytest.skip("a file of settings needs no hook")
        modules = list(self._modules())
        having = [module for module in modules if hasattr(module, HOOK)]
        assert having, (
            f"no module has the hook that provides {self.dataset.__name__}: a run would not find "
            f"the dataset. Looked in {', '.join(m.__name__ for m in modules)}. Add to one of them\n"
            f"  @luigi_traffic.hookimpl\n  def {HOOK}():\n      return [{self.dataset.__name__}]\n"
            "or name the module that has it: hooks = 'my_package.plugin'."
        )
        for module in having:
            plugins = _registered(module)
            for found in plugins.found:
                assert not found.problem, (
                    f"{module.__name__} does not register as a plugin: {found.problem}"
                )
            if any(issubclass(self.dataset, given) for given in plugins.datasets.values()):
                return
        pytest.fail(
            f"{HOOK}() of {', '.join(m.__name__ for m in having)} does not provide "
            f"{self.dataset.__name__}. Return a list that has the class."
        )

    def test_the_pipeline_accepts_the_day(self) -> None:
        """The tasks of a run make raw, bronze and silver of it: counts, shares, grid, checks."""
        sample = self.sample
        home = sample.folder / "real-run"
        with advised(
            "the day in the pipeline",
            "checks() must be plain aggregates of silver's columns (no DISTINCT, no window).",
            TrafficError,
        ):
            try:
                run_stages(sample.as_read(), sample.suite.day, home, sample.spark)
            except TrafficError as e:
                advice = _OTHER_DAYS if "x other day" in str(e) else _REFUSED
                pytest.fail(f"the pipeline refuses the day: {e}\n{advice}")

    def _modules(self) -> Iterator[ModuleType]:
        """Where the hook may be: the modules of the class and of those it is made from, the
        packages around them, and the entry points of the same package."""
        if self.hooks:
            yield import_module(self.hooks)
            return
        kinds = [kind for kind in self.dataset.__mro__ if issubclass(kind, Dataset)]
        names = list(dict.fromkeys(kind.__module__ for kind in kinds if kind is not Dataset))
        for point in entry_points(group=PROJECT):
            if point.module.partition(".")[0] in {name.partition(".")[0] for name in names}:
                names.append(point.module)
        seen = set()
        for name in names:
            parts = name.split(".")
            for size in range(len(parts), 0, -1):
                whole = ".".join(parts[:size])
                if whole not in seen and not whole.startswith("luigi_traffic."):
                    seen.add(whole)
                    yield sys.modules.get(whole) or import_module(whole)


def _registered(module: ModuleType) -> Plugins:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(manager, Settings(), Layers())
    plugins.register(Found(module.__name__, str(module.__file__), "here"), lambda: module)
    return plugins
