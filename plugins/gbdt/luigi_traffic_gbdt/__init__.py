"""The gradient-boosted trees model plugin."""

from luigi_traffic import Model, hookimpl
from luigi_traffic_gbdt.model import Gbdt, GbdtConfig

__all__ = ["Gbdt", "GbdtConfig", "luigi_traffic_models"]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_models() -> list[type[Model]]:
    """The models of this plugin."""
    return [Gbdt]
