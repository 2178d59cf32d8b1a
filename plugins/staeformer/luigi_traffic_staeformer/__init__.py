"""The STAEformer model plugin."""

from luigi_traffic import Model, hookimpl
from luigi_traffic_staeformer.model import Staeformer, StaeformerConfig

__all__ = ["Staeformer", "StaeformerConfig", "luigi_traffic_models"]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_models() -> list[type[Model]]:
    """The models of this plugin."""
    return [Staeformer]
