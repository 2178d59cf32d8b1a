"""With the library and the weights of Chronos-2, which tests do not fetch: else skipped."""

from __future__ import annotations

import os

import pytest
import torch

from luigi_traffic import ModelContext, ModelShape
from luigi_traffic.testing import ModelSuite
from luigi_traffic_chronos import Chronos, ChronosConfig

if not os.environ.get("LUIGI_TRAFFIC_CHRONOS"):
    pytest.skip(
        "LUIGI_TRAFFIC_CHRONOS names no folder with weights of Chronos-2", allow_module_level=True
    )
pytest.importorskip("chronos.chronos2", reason="chronos-forecasting is not installed")


class TestChronos(ModelSuite):
    model = Chronos
    config = {"input_steps": 168}  # a week of the toy road, whose intervals are hours
    training = {"samples_per_epoch": 64, "validation_samples": 64, "batch_size": 256}


def test_the_forecast_is_the_median_of_the_library() -> None:
    from chronos import Chronos2Pipeline

    from luigi_traffic_chronos.pretrained import folder_of, pretrained

    shape = ModelShape(100, 12, 1, ("speed", "speed:observed"), 288)
    network = Chronos().build(ChronosConfig(batch_size=4), shape, ModelContext(("a",)))
    x = torch.randn(2, 100, 3, 2, generator=torch.Generator().manual_seed(0))
    x[..., 1] = (x[..., 1] > -1).float()
    series = torch.where(x[..., 1] > 0, x[..., 0], torch.nan).transpose(1, 2).reshape(6, 100)
    pipeline = Chronos2Pipeline(pretrained(folder_of(None)).model)
    medians, _ = pipeline.predict_quantiles(list(series), 12, quantile_levels=[0.5])
    expected = torch.stack([median[0, :, 0] for median in medians]).view(2, 3, 12)
    torch.testing.assert_close(network(x), expected.transpose(1, 2), rtol=1e-4, atol=1e-5)
