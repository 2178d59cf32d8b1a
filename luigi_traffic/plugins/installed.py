"""Datasets as the settings have them, for the commands of plugins."""

from __future__ import annotations

from luigi_traffic.api.dataset import Dataset


def installed_dataset(name: str) -> Dataset:
    """The dataset of that name with its settings in force, as the pipeline gets it.

    Raises `PluginError` where nothing provides it, `SettingsError` where its settings are wrong.
    """
    # Not above: it reads all plugins, and every one of them imports the public API.
    from luigi_traffic.plugins.loading import plugins

    return plugins().dataset(name)
