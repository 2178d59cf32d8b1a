from __future__ import annotations

from luigi_traffic.testing import ModelSuite
from luigi_traffic_gbdt import Gbdt


class TestGbdt(ModelSuite):
    model = Gbdt
    training = {"trees": 30, "leaves": 15, "min_leaf": 10}
