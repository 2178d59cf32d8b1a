"""Finding plugins: entry points, then folders; one that fails is named and stops nobody.

Order: entry points of the group `luigi_traffic` by distribution and name, then the modules
of each folder of `plugins.path` by name, then the datasets that files of settings declare
(`luigi_traffic.yaml_dataset`). A name provided twice is an error naming both.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pluggy
from pydantic import ValidationError

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.model import Model, ModelConfig
from luigi_traffic.errors import PluginError, SettingsError, TrafficError, did_you_mean
from luigi_traffic.plugins import hookspecs
from luigi_traffic.plugins.checks import check_api, check_marked, checked
from luigi_traffic.plugins.hookspecs import PROJECT
from luigi_traffic.plugins.isolation import Found, guarded
from luigi_traffic.plugins.stray_settings import Stray, strays
from luigi_traffic.settings.keys import PluginsSettings, Settings
from luigi_traffic.settings.reading import Layers, validated
from luigi_traffic.yaml_dataset import loading

logger = logging.getLogger("luigi_traffic")
T = TypeVar("T")
_HOOKS = [name for name in vars(hookspecs) if name.startswith(f"{PROJECT}_")]


@dataclass
class Plugins:
    """The plugins of a home and what they provide."""

    manager: pluggy.PluginManager
    settings: Settings
    layers: Layers
    found: list[Found] = field(default_factory=list)
    datasets: dict[str, type[Dataset]] = field(default_factory=dict)
    models: dict[str, type[Model]] = field(default_factory=dict)
    #: dataset or model name → plugin that provides it
    provider: dict[str, Found] = field(default_factory=dict)
    #: dataset or model name → plugins that provide it, where they are several
    contested: dict[str, list[Found]] = field(default_factory=dict)
    #: name of a dataset that a file declares wrongly → what is wrong with it
    refused: dict[str, TrafficError] = field(default_factory=dict)

    @classmethod
    def load(cls, settings: Settings, layers: Layers) -> Plugins:
        """Import and register all plugins that are not disabled."""
        wanted = settings.plugins
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hookspecs)
        if os.environ.get("LUIGI_TRAFFIC_TRACE_PLUGINS"):
            manager.trace.root.setwriter(lambda text: sys.stderr.write(text))
            manager.enable_tracing()
        plugins = cls(manager, settings, layers)
        installed = [(_origin(point), point.load) for point in entry_points(group=PROJECT)]
        for origin, load in sorted(installed, key=lambda one: (one[0].distribution, one[0].name)):
            plugins.register(origin, load)
        for folder in wanted.path:
            if not folder.is_dir():
                problem = (
                    f"plugins.path, set in {layers.place_of('plugins.path')}, names {folder}, "
                    "which is not a folder"
                )
                logger.warning("%s", problem)
                plugins.found.append(Found(folder.name, str(folder), "in a folder", problem))
                continue
            for file in sorted([*folder.glob("*.py"), *folder.glob("*/__init__.py")]):
                name = file.parent.name if file.name == "__init__.py" else file.stem
                origin = Found(name, str(file), "in a folder")
                plugins.register(origin, partial(_module, file, name))
        for (section, name), (file, error) in layers.unreadable.items():
            logger.warning("%s %s is left out: %s", section.removesuffix("s"), name, error)
            plugins.found.append(Found(name, str(file), "declared", str(error)))
        for name, values in settings.datasets.items():
            if ("datasets", name) not in layers.unreadable and loading.declares(values):
                plugins._declare(name, values, wanted)
        for stray in plugins.strays():
            logger.warning("%s", stray.told)
        return plugins

    def strays(self) -> list[Stray]:
        """Sections of the settings whose dataset or model nothing provides."""
        sections = self.settings
        return [
            stray
            for kind, given, known in (
                ("dataset", sections.datasets, self.datasets),
                ("model", sections.models, self.models),
            )
            for stray in strays(kind, given, {*known, *self.contested}, self.found, self.layers)
        ]

    def _declare(self, name: str, values: dict[str, Any], wanted: PluginsSettings) -> None:
        """A dataset of a file of settings; a wrong one is told when it is asked for."""
        file = loading.file_of(name, self.layers)
        origin = Found(name, file, "declared")
        if {name, file} & set(wanted.disabled):
            self.found.append(replace(origin, disabled=True))
            return
        try:
            if name in self.datasets or name in self.models:
                other = self.provider[name]
                raise PluginError(
                    f"{name!r} is declared by {file} and provided by {other.distribution} "
                    f"({other.name}). Rename the file, remove its key {loading.KEY!r}, or add the "
                    "plugin to plugins.disabled."
                )
            found = loading.declared(name, values, self.layers)
            checked(file, found, Dataset)
            self.datasets[name] = found
        except TrafficError as e:
            self.refused[name] = e
            self.found.append(replace(origin, problem=f"{e.__class__.__name__}: {e}"))
            logger.warning("dataset %s (%s) is left out: %s", name, file, e)
        else:
            self.found.append(origin)
            self.provider[name] = origin

    def register(self, origin: Found, load: Callable[[], Any]) -> None:
        """Load a plugin and collect what it provides; one that fails is kept with its problem."""
        wanted = self.settings.plugins
        if {origin.name, origin.distribution} & set(wanted.disabled):
            self.found.append(replace(origin, disabled=True))
            return
        registered = False
        try:
            plugin = guarded(origin, "import", load, wanted.timeout_seconds)
            if self.manager.has_plugin(origin.name):
                raise PluginError("a plugin with that name is already loaded; rename one of them")
            if warning := check_api(plugin):
                logger.warning("%s: %s", origin, warning)
            self.manager.register(plugin, name=origin.name)
            registered = True
            self.manager.check_pending()
            self._collect(plugin, origin, wanted.timeout_seconds)
        # `guarded` has made all that a plugin raises one of these, pluggy's own aside. It is
        # shown by `plugins list`, and named again when something it would provide is asked for.
        except (TrafficError, pluggy.PluginValidationError) as e:
            if registered:
                self.manager.unregister(name=origin.name)
            problem = str(e).removeprefix(f"{origin}: ")
            logger.warning("%s is left out: %s", origin, problem)
            self.found.append(replace(origin, problem=problem))
        else:
            self.found.append(origin)

    def _collect(self, plugin: Any, origin: Found, seconds: float) -> None:
        implemented = {caller.name for caller in self.manager.get_hookcallers(plugin) or ()}
        check_marked(plugin, _HOOKS, implemented)
        datasets: dict[str, Any] = {}
        models: dict[str, Any] = {}
        for hook, base, into, known in (
            ("luigi_traffic_datasets", Dataset, datasets, self.datasets),
            ("luigi_traffic_models", Model, models, self.models),
        ):
            if hook not in implemented:
                continue
            for provided in self.ask(plugin, hook, origin, seconds):
                name = checked(hook, provided, base)
                if name in known or name in into:
                    other = self.provider.get(name, origin)
                    self.contested.setdefault(name, [other]).append(origin)
                    raise PluginError(
                        f"{name!r} is provided by {other.distribution} ({other.name}) already. "
                        "Uninstall one, or add one to plugins.disabled."
                    )
                into[name] = provided
        self.datasets |= datasets
        self.models |= models
        self.provider |= dict.fromkeys([*datasets, *models], origin)

    def ask(self, plugin: Any, hook: str, origin: Found, seconds: float) -> list[Any]:
        """What one plugin returns from a hook, as a list; `PluginError` where it is no sequence.

        Each is asked by itself, so that a failure has a name; through pluggy, which traces it.
        """
        others = [p for p in self.manager.get_plugins() if p is not plugin]
        caller = self.manager.subset_hook_caller(hook, others)
        answers = guarded(origin, f"{hook}()", caller, seconds)
        if len(answers) != 1 or not isinstance(answers[0], Sequence):
            returned = answers[0] if answers else None
            raise PluginError(f"{hook} returned {returned!r}; it must return a list of classes")
        return list(answers[0])

    def dataset(self, name: str) -> Dataset:
        """The dataset of that name with its settings.

        Raises `PluginError` (nothing provides it) or `SettingsError` (its settings are wrong).
        """
        if name in self.refused:
            raise self.refused[name]
        cls = self._wanted("dataset", name, self.datasets)
        values = self.settings.datasets.get(name, {})
        return cls(validated(cls.Settings, values, f"datasets.{name}", self.layers))

    def call(self, dataset: Dataset, method: str, function: Callable[[], T]) -> T:
        """`function()`, which calls that method of a dataset: guarded, see `isolation`."""
        origin = self.provider.get(dataset.name, Found(dataset.name, type(dataset).__module__, "?"))
        return guarded(origin, method, function, self.settings.plugins.timeout_seconds)

    def model(self, name: str) -> Model:
        """The model of that name."""
        return self._wanted("model", name, self.models)()

    def model_config(self, name: str, overrides: dict[str, Any]) -> ModelConfig:
        """The model's hyperparameters: conf/models/<name>.yml with `overrides` laid over."""
        model = self._wanted("model", name, self.models)
        base = validated(
            model.Config, self.settings.models.get(name, {}), f"models.{name}", self.layers
        )
        try:
            return model.Config.model_validate(base.model_dump() | overrides)
        except ValidationError as e:
            problems = []
            for problem in e.errors():
                key = ".".join(str(part) for part in problem["loc"])
                hint = (
                    did_you_mean(key, model.Config.model_fields)
                    if problem["type"] == "extra_forbidden"
                    else f" (given: {problem['input']!r})"
                )
                problems.append(f"--training: {key}: {problem['msg']}.{hint}")
            told = f"overrides models.{name}; looked in, last wins:{self.layers.looked_in()}"
            raise SettingsError("\n".join([*problems, f"  {told}\n    - --training"])) from None

    def _wanted(self, kind: str, name: str, known: dict[str, T]) -> T:
        if not name:
            raise SettingsError(
                f"no {kind} is given. Give --{kind} NAME or set pipeline.{kind} "
                f"({self.layers.variable(f'pipeline.{kind}')}).{did_you_mean('', known)}"
            )
        if unreadable := self.layers.unreadable.get((f"{kind}s", name)):
            raise unreadable[1]
        if name in self.contested:
            by = " and by ".join(f"{p.distribution} ({p.name})" for p in self.contested[name])
            raise PluginError(
                f"the {kind} {name!r} is provided by {by}. Uninstall one, or add one to "
                "plugins.disabled: it is unclear which one to use."
            )
        if name in known:
            for stray in self.strays():
                if stray.meant == name and stray.key.startswith(kind) and not stray.excused:
                    raise SettingsError(f"{stray.told} Correct the name, or remove it.")
            return known[name]
        broken = [f"\n  plugin {p.name} ({p.distribution}) did not load: {p.problem}"
                  for p in self.found if p.problem]  # fmt: skip
        off = [f"\n  plugin {p.name} ({p.distribution}) is disabled by plugins.disabled"
               for p in self.found if p.disabled]  # fmt: skip
        declare = ""
        if kind == "dataset":
            has = "has no key" if name in self.settings.datasets else "may declare it by the key"
            declare = f"\n  conf/datasets/{name}.yml {has} {loading.KEY!r}: docs/yaml-dataset.md."
        raise PluginError(
            f"no plugin provides the {kind} {name!r}.{did_you_mean(name, known)}"
            f"{''.join(broken + off)}\n  Plugins are found among installed packages "
            f"(entry points {PROJECT!r}) and in plugins.path; see `luigi-traffic plugins list`."
            f"{declare}"
        )


def _origin(point: EntryPoint) -> Found:
    """Its name and distribution; a broken distribution has neither name nor version."""
    metadata = point.dist.metadata if point.dist else None

    def said(key: str) -> str:
        return metadata[key] if metadata is not None and key in metadata else "?"

    return Found(point.name, said("Name"), said("Version"))


def _module(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"luigi_traffic_plugin_{name}", file, submodule_search_locations=[str(file.parent)]
    )
    if spec is None or spec.loader is None:
        raise PluginError(f"{file} cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
