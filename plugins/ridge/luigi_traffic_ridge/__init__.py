"""The ridge regression model plugin."""

from luigi_traffic import Model, hookimpl
from luigi_traffic_ridge.model import Ridge, RidgeConfig

__all__ = ["Ridge", "RidgeConfig", "luigi_traffic_models"]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_models() -> list[type[Model]]:
    """The models of this plugin."""
    return [Ridge]
