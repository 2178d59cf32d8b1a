"""The Chronos-2 model plugin."""

from luigi_traffic import Model, hookimpl
from luigi_traffic_chronos.model import Chronos, ChronosConfig

__all__ = ["Chronos", "ChronosConfig", "luigi_traffic_models"]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_models() -> list[type[Model]]:
    """The models of this plugin."""
    return [Chronos]
