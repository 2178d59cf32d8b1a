from __future__ import annotations

from luigi_traffic.testing import ModelSuite
from luigi_traffic_patchstg import PatchStg


class TestPatchStg(ModelSuite):
    model = PatchStg
    config = {
        "patch_size": 2, "window_width": 16, "link_width": 8, "time_of_day_width": 4,
        "day_of_week_width": 4, "layers": 1, "heads": 2, "forward_width": 32,
    }  # fmt: skip
