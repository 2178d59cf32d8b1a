"""The ConvLSTM model plugin."""

from luigi_traffic import Model, hookimpl
from luigi_traffic_convlstm.model import ConvLSTM, ConvLSTMConfig

__all__ = ["ConvLSTM", "ConvLSTMConfig", "luigi_traffic_models"]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_models() -> list[type[Model]]:
    """The models of this plugin."""
    return [ConvLSTM]
