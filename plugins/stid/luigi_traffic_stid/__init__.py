"""The STID model plugin."""

from luigi_traffic import Model, hookimpl
from luigi_traffic_stid.model import Stid, StidConfig

__all__ = ["Stid", "StidConfig", "luigi_traffic_models"]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_models() -> list[type[Model]]:
    """The models of this plugin."""
    return [Stid]
