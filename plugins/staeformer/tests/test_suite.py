from __future__ import annotations

from luigi_traffic.testing import ModelSuite
from luigi_traffic_staeformer import Staeformer


class TestStaeformer(ModelSuite):
    model = Staeformer
    config = {
        "input_width": 8, "time_of_day_width": 4, "day_of_week_width": 4, "adaptive_width": 8,
        "time_layers": 1, "link_layers": 1, "heads": 2, "feed_forward_width": 32, "dropout": 0.05,
    }  # fmt: skip
    training = {"learning_rate": 1e-2, "samples_per_epoch": 800}
