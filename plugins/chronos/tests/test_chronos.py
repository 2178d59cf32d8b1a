"""Without the library and the weights: both are faked, as far as the plugin uses them."""

from __future__ import annotations

import copy
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from luigi_traffic import DataError, ModelContext, ModelShape, SettingsError
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle
from luigi_traffic_chronos import Chronos, ChronosConfig, luigi_traffic_models
from luigi_traffic_chronos.network import ZeroShot
from luigi_traffic_chronos.pretrained import VARIABLE, digest_of, pretrained

CONF = Path(__file__).parents[3] / "conf" / "models" / "chronos.yml"
CHANNELS = ("speed", "speed:observed")


class FakeModel(torch.nn.Module):
    """The quantiles are the mean of what was observed, less 1, as it is, and plus 1."""

    loads: list[dict[str, Any]] = []
    missing: set[str] = set()

    def __init__(self) -> None:
        super().__init__()
        self.large = torch.nn.Linear(100, 100)
        self.chronos_config = SimpleNamespace(
            context_length=64, output_patch_size=8, max_output_patches=3, quantiles=[0.1, 0.5, 0.9]
        )
        self.passes: list[torch.Tensor] = []

    @classmethod
    def from_pretrained(cls, folder: Path, **asked: Any) -> tuple[FakeModel, dict[str, set[str]]]:
        cls.loads.append(asked)
        if (folder / "config.json").read_text() != "{}":
            raise ValueError("no JSON")
        return cls(), {"missing_keys": cls.missing, "mismatched_keys": set()}

    def forward(self, context: torch.Tensor, num_output_patches: int) -> SimpleNamespace:
        self.passes.append(context)
        mean = context.nanmean(dim=1).nan_to_num()[:, None, None]
        steps = 8 * num_output_patches
        offsets = torch.tensor([-1.0, 0.0, 1.0])[:, None].expand(-1, steps)
        return SimpleNamespace(quantile_preds=mean + offsets)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeModel]]:
    """What the plugin imports of chronos-forecasting and transformers; a process's first load."""
    bars = SimpleNamespace(is_progress_bar_enabled=lambda: False, disable_progress_bar=lambda: None)
    for name, module in {
        "chronos": SimpleNamespace(Chronos2Model=FakeModel),
        "transformers": SimpleNamespace(),
        "transformers.utils": SimpleNamespace(logging=bars),
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(FakeModel, "loads", [])
    monkeypatch.delenv(VARIABLE, raising=False)
    pretrained.cache_clear()
    yield FakeModel
    pretrained.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chronos-2").mkdir()
    (tmp_path / "chronos-2" / "config.json").write_text("{}")
    (tmp_path / "chronos-2" / "model.safetensors").write_bytes(b"numbers")
    return tmp_path / "chronos-2"


def network(folder: Path | None, t_in: int = 20, t_out: int = 12, size: int = 256) -> ZeroShot:
    config = ChronosConfig(weights=folder and str(folder), batch_size=size)
    shape = ModelShape(t_in, t_out, 1, CHANNELS, 288)
    made = Chronos().build(config, shape, ModelContext(("a",)))
    assert isinstance(made, ZeroShot)
    return made


def test_the_conf_file_holds_the_defaults() -> None:
    assert ChronosConfig(**yaml.safe_load(CONF.read_text())) == ChronosConfig()


def test_the_hook_gives_the_model_without_loading_torch_or_the_library() -> None:
    assert luigi_traffic_models() == [Chronos]
    code = (
        "import sys, luigi_traffic_chronos; "
        "sys.exit(len({'torch', 'chronos', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_weights_are_named(library: type[FakeModel]) -> None:
    with pytest.raises(SettingsError, match=r"amazon/chronos-2.*weights in conf/models/chronos"):
        network(None)
    assert not library.loads


def test_a_folder_without_the_files(library: type[FakeModel], folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"weights of the model chronos: .* is not a folder"):
        network(folder / "elsewhere")
    with pytest.raises(SettingsError, match=r"has no config.json and no \*\.safetensors"):
        network(tmp_path)
    (folder / "config.json").write_text("[")
    with pytest.raises(SettingsError, match="does not have weights of Chronos-2: no JSON"):
        network(folder)


def test_the_environment_names_the_folder(
    library: type[FakeModel], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(folder))
    assert network(None).folder == folder
    monkeypatch.setenv(VARIABLE, str(folder / "elsewhere"))
    with pytest.raises(SettingsError, match=rf"{VARIABLE}: .* is not a folder"):
        network(None)


def test_without_the_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chronos", None)
    pretrained.cache_clear()
    with pytest.raises(SettingsError, match=r"pip install 'luigi-traffic-chronos\[library\]'"):
        network(folder)


def test_weights_that_the_library_would_invent(
    library: type[FakeModel], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "missing", {"encoder.norm", "shared.weight"})
    with pytest.raises(SettingsError, match=r"2 are missing .*, such as encoder\.norm"):
        network(folder)


@pytest.mark.parametrize(("t_in", "t_out", "message"), [
    (65, 12, "input_steps of the model chronos is 65, .* made for 64"),
    (20, 25, "output_steps of the model chronos is 25, .* made for 24"),
])  # fmt: skip
def test_more_steps_than_the_weights_are_made_for(
    library: type[FakeModel], folder: Path, t_in: int, t_out: int, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        network(folder, t_in, t_out)


def test_the_median_of_each_window_with_missing_values_as_nan(
    library: type[FakeModel], folder: Path
) -> None:
    made = torch.Generator().manual_seed(0)
    x = torch.randn(2, 20, 3, 2, generator=made)
    x[..., 1] = (x[..., 1] > 0).float()
    x[1, :, 2] = 0  # nothing was observed
    found = network(folder, size=4)(x)
    assert found.shape == (2, 12, 3)
    seen = x[..., 1].bool()
    expected = torch.where(seen, x[..., 0], 0).sum(dim=1) / seen.sum(dim=1).clamp(min=1)
    np.testing.assert_allclose(found, expected[:, None].expand(-1, 12, -1), rtol=1e-5)
    passes = pretrained(folder).model.passes
    assert [len(context) for context in passes] == [4, 2]
    windows = torch.cat(passes).view(2, 3, 20).transpose(1, 2)
    assert torch.equal(~windows.isnan(), seen)
    assert torch.equal(windows[seen], x[..., 0][seen])


def test_the_weights_are_loaded_once_and_not_a_part_of_the_network(
    library: type[FakeModel], folder: Path
) -> None:
    one, x = network(folder), torch.ones(1, 20, 2, 2)
    two, other = copy.deepcopy(one), network(folder)
    assert torch.equal(one(x), two(x))
    assert torch.equal(one(x), other(x))
    assert library.loads == [
        {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    ]
    model = pretrained(folder).model
    assert len(model.passes) == 4
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert not list(one.parameters())
    assert {name: value.shape for name, value in one.state_dict().items()} == {"digest": (32,)}


def test_the_digest_is_the_one_of_sha256sum(folder: Path) -> None:
    (folder / "more.safetensors").write_bytes(b"numbers, too")
    (folder / "README.md").write_text("not weights")
    names = ("config.json", "model.safetensors", "more.safetensors")
    printed = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True)
    assert digest_of(folder) == hashlib.sha256(printed.stdout).hexdigest()


def test_a_trained_model_is_small_and_knows_its_weights(
    library: type[FakeModel], folder: Path, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).normal(50, 5, (300, 2, 1)).astype(np.float32)
    start, interval = np.datetime64("2024-01-01", "us"), timedelta(hours=1)
    series = Series(start, interval, ("a", "b"), ("speed",), values)
    config = ChronosConfig(weights=str(folder), input_steps=48, device="cpu")
    done = fit(Chronos(), config, series, checkpoint_dir=tmp_path)
    assert done.samples_drawn == 64
    bundle = trained_bundle(Chronos(), config, done, series, "toy")
    bundle.save(tmp_path / "bundle")
    assert sum(file.stat().st_size for file in (tmp_path / "bundle").iterdir()) < 10_000
    loaded = Bundle.load(tmp_path / "bundle", lambda _: Chronos())
    forecasts = [Forecaster(b, "cpu").predict(series, np.arange(3)) for b in (bundle, loaded)]
    np.testing.assert_array_equal(*forecasts)
    np.testing.assert_allclose(
        forecasts[0][:, 0, 0], [values[n : n + 48, 0].mean() for n in range(3)], rtol=1e-5
    )

    before = digest_of(folder)
    (folder / "model.safetensors").write_bytes(b"other numbers")
    pretrained.cache_clear()  # as in another process
    with pytest.raises(DataError, match=rf"SHA-256 is {before}, but.*have {digest_of(folder)}"):
        Bundle.load(tmp_path / "bundle", lambda _: Chronos())
