from __future__ import annotations

from luigi_traffic.testing import ModelSuite
from luigi_traffic_graph_wavenet import GraphWaveNet


class TestGraphWaveNet(ModelSuite):
    model = GraphWaveNet
    config = {
        "residual_width": 8, "dilation_width": 8, "skip_width": 16, "end_width": 32, "dropout": 0.1,
    }  # fmt: skip
    training = {"learning_rate": 1e-2, "samples_per_epoch": 800}
