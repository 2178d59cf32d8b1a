"""Road-traffic pipelines on Luigi, extended through pluggy plugins.

What is listed here is the public API: all that a plugin may import.
"""

from luigi_traffic.api import functions
from luigi_traffic.api.builtin_sources import Files, Http, HttpZip
from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.dataset import (
    NO_OBSERVATION,
    Check,
    Dataset,
    DatasetSettings,
    RawDay,
    setting,
)
from luigi_traffic.api.functions import exact_mean, exact_sum
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import Link, LinkTable
from luigi_traffic.api.live import LiveSource
from luigi_traffic.api.losses import masked_loss, pinball_loss
from luigi_traffic.api.many_days import ManyDays
from luigi_traffic.api.model import (
    DAY_OF_WEEK,
    OBSERVED,
    TARGET,
    TIME_OF_DAY,
    Model,
    ModelConfig,
    ModelShape,
)
from luigi_traffic.api.scope import LinkCell
from luigi_traffic.api.settled import refuse_unsettled
from luigi_traffic.api.source import Source, Stream
from luigi_traffic.api.version import API_VERSION, __version__
from luigi_traffic.errors import (
    DataError,
    DayNotOver,
    SettingsError,
    SourceAbsent,
    SourceError,
    TrafficError,
    TransientError,
)
from luigi_traffic.plugins.hookspecs import hookimpl
from luigi_traffic.settings.reading import home


def installed_dataset(name: str) -> Dataset:
    """The dataset of that name with its settings in force, as the pipeline gets it.

    For commands of plugins. Raises `PluginError` if nothing provides it, `SettingsError` if its
    settings are wrong.
    """
    # Not above: it reads all plugins, and every one of them imports this module.
    from luigi_traffic.project import current

    return current().plugins.dataset(name)


__all__ = [
    "API_VERSION",
    "DAY_OF_WEEK",
    "NO_OBSERVATION",
    "OBSERVED",
    "TARGET",
    "TIME_OF_DAY",
    "Check",
    "DataError",
    "Dataset",
    "DatasetSettings",
    "DayNotOver",
    "Files",
    "Http",
    "HttpZip",
    "Link",
    "LinkCell",
    "LinkGraph",
    "LinkTable",
    "LiveSource",
    "ManyDays",
    "Model",
    "ModelConfig",
    "ModelContext",
    "ModelShape",
    "RawDay",
    "SettingsError",
    "Source",
    "SourceAbsent",
    "SourceError",
    "Stream",
    "TrafficError",
    "TransientError",
    "__version__",
    "exact_mean",
    "exact_sum",
    "functions",
    "home",
    "hookimpl",
    "installed_dataset",
    "masked_loss",
    "pinball_loss",
    "refuse_unsettled",
    "setting",
]
