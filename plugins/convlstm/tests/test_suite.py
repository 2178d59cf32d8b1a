"""The conformance kit on this model."""

from luigi_traffic.testing import ModelSuite
from luigi_traffic_convlstm import ConvLSTM


class TestConvLSTM(ModelSuite):
    model = ConvLSTM
    training = {"hidden": (8, 16), "head": 32, "learning_rate": 1e-2}
