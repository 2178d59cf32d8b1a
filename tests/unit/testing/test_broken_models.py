"""Each broken model is caught, by the test that is meant to, with what to change."""

from __future__ import annotations

from pathlib import Path

import broken_models as made
import pytest
import torch

from luigi_traffic import Model
from luigi_traffic.testing import ModelSuite
from luigi_traffic.testing.trial import Trial

BROKEN = [
    (made.NoVersion, "test_name_and_version", 'Set version = "1"'),
    (made.Undescribed, "test_config_has_defaults_and_descriptions", "'width'.*description='…'"),
    (made.ExcludedField, "test_config_counts", "Do not exclude fields"),
    (made.UnknownChannel, "test_channels_are_known", "'sped:observed'.*Did you mean 'speed:obs"),
    (made.CalendarAlone, "test_channels_are_known", "Add at least TARGET"),
    (made.WrongShape, "test_output_has_its_shape", r"expected \(batch, output_steps, links\)"),
    (made.OneBatchSize, "test_output_has_its_shape", "Take the sizes from `shape`"),
    (made.Doubles, "test_output_is_float32_and_finite", "Make constants and buffers float32"),
    (
        made.MeanOfObserved,
        "test_output_is_float32_and_finite",
        "Do not divide by a count that may be 0",
    ),
    (made.LeaksAcrossBatch, "test_windows_do_not_mix", "not use statistics over the batch"),
    (made.MixesLinks, "test_links_do_not_mix", "or set per_link = False"),
    (
        made.DeadParameter,
        "test_every_parameter_learns",
        r"attention\.bias got no gradient",
    ),
    (made.Detached, "test_every_parameter_learns", "not behind detach"),
    (made.BrokenGradient, "test_every_parameter_learns", "is not finite. Avoid sqrt"),
    (made.NumpyWeights, "test_same_seed_same_network", "from torch's generator"),
    (made.AlwaysDrops, "test_eval_is_deterministic", r"training=self\.training"),
    (made.RunningMean, "test_stored_and_loaded_it_forecasts_the_same", "register_buffer"),
    (made.OtherBranch, "test_stored_and_loaded_it_forecasts_the_same", "only the state_dict is"),
    (made.Constant, "test_it_learns", "that the forecast depends on the inputs"),
    (
        made.FixedWidth,
        "test_it_takes_fill_flags_and_ages",
        r"does not take the channels.*speed:age",
    ),
    (
        made.IgnoresAdded,
        "test_it_takes_fill_flags_and_ages",
        r"not depend on speed:age.*Literal\[False\]",
    ),
    (made.LastSpeed, "test_it_learns", "persistence.*it did not learn"),
]


def suite_of(model: type, folder: Path) -> ModelSuite:
    if issubclass(model, torch.nn.Module):
        model = made.with_network(model)
    kind = type("TestBroken", (ModelSuite,), {"model": model})
    suite: ModelSuite = kind()
    suite.trial = Trial(suite, folder)
    return suite


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("model", "test", "said"),
    BROKEN,
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_it_is_caught(model: type, test: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=f"(?s){said}"):
        getattr(suite_of(model, tmp_path), test)()


def test_every_check_catches_somebody() -> None:
    checks = {name for name in dir(ModelSuite) if name.startswith("test_")}
    # No test machine of ours has a GPU.
    assert checks - {test for _, test, _ in BROKEN} == {"test_gpu_agrees_with_cpu"}


@pytest.mark.parametrize("test", ["test_every_parameter_learns", "test_links_do_not_mix"])
def test_what_does_not_apply_is_skipped_with_a_reason(
    test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Whole(made.SmallModel):
        per_link = False

        def fit(self, config: object, network: object, batches: object) -> None: ...

    monkeypatch.setattr(Model, "fit", lambda *_: None, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"Model\.fit|per_link is False"):
        getattr(suite_of(Whole, tmp_path), test)()
