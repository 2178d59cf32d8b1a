from __future__ import annotations

from luigi_traffic.testing import ModelSuite
from luigi_traffic_ridge import Ridge


class TestRidge(ModelSuite):
    model = Ridge
