"""A network for channels that the config adds to the model's own."""

from __future__ import annotations

import torch

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import Model, ModelConfig, ModelShape, build_network, resolved
from luigi_traffic.errors import SettingsError, TrafficError
from luigi_traffic.training.outputs import Outputs


def network_for(
    model: Model, config: ModelConfig, shape: ModelShape, context: ModelContext
) -> torch.nn.Module:
    """What `build` makes for `shape`.

    If `flags` or `ages` add channels, it is tried on one window. Raises SettingsError if it does
    not take them, before a training begins.
    """
    own = resolved(model.channels(config), context.target)
    added = shape.channels[len(own) :]
    if not added:
        return build_network(model, config, shape, context)
    x = torch.zeros(1, shape.input_steps, shape.links, len(shape.channels))
    try:
        network = build_network(model, config, shape, context).eval()
        with torch.inference_mode():
            Outputs(model).point(network(x), x, shape.output_steps)
    except TrafficError:
        raise
    except Exception as error:
        raise SettingsError(
            f"The network of {model.name} does not take the channels that flags and ages add "
            f"({', '.join(added)}): {error}. Build it for all of shape.channels, or set flags "
            "and ages to false."
        ) from error
    return network.train()
