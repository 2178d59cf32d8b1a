from __future__ import annotations

import numpy as np
import pytest
import torch

from luigi_traffic import ModelShape


def of_a_day(steps: int) -> ModelShape:
    return ModelShape(12, 12, 5, ("speed", "time_of_day"), steps)


@pytest.mark.parametrize("steps_per_day", [1, 24, 96, 144, 288, 1440, 86_400])
def test_every_slot_of_a_day_is_found_from_its_float32_fraction(steps_per_day: int) -> None:
    slots = np.arange(steps_per_day)
    fraction = torch.from_numpy((slots / steps_per_day).astype(np.float32))
    assert of_a_day(steps_per_day).slot_of_day(fraction).tolist() == slots.tolist()
    # A step of float32 to either side is the same slot still.
    for towards in (0.0, 1.0):
        near = torch.from_numpy(np.nextafter(fraction.numpy(), np.float32(towards)))
        assert of_a_day(steps_per_day).slot_of_day(near).tolist() == slots.tolist()


@pytest.mark.parametrize("steps_per_day", [24, 144, 288, 1440])
def test_just_before_midnight_is_the_last_slot(steps_per_day: int) -> None:
    latest = torch.tensor(np.nextafter(np.float32(1), np.float32(0)))
    assert of_a_day(steps_per_day).slot_of_day(latest) == steps_per_day - 1
    within = torch.tensor((steps_per_day - 0.5) / steps_per_day)
    assert of_a_day(steps_per_day).slot_of_day(within) == steps_per_day - 1
