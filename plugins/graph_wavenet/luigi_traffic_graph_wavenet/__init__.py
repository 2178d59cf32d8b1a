"""The Graph WaveNet model plugin."""

from luigi_traffic import Model, hookimpl
from luigi_traffic_graph_wavenet.model import GraphWaveNet, GraphWaveNetConfig

__all__ = ["GraphWaveNet", "GraphWaveNetConfig", "luigi_traffic_models"]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_models() -> list[type[Model]]:
    """The models of this plugin."""
    return [GraphWaveNet]
