from __future__ import annotations

from luigi_traffic.testing import ModelSuite
from luigi_traffic_stid import Stid


class TestStid(ModelSuite):
    model = Stid
