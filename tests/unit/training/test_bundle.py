from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from training_tiny import PerLink, around, config, get_model

from luigi_traffic.api.model import ModelShape
from luigi_traffic.errors import DataError, PluginError
from luigi_traffic.training.bundle import CARD, WEIGHTS, Bundle, digest
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series


@pytest.fixture
def bundle(series: Series) -> Bundle:
    model, settings = PerLink(), config()
    shape = ModelShape(6, 4, 1, model.channels(settings), series.steps_per_day)
    torch.manual_seed(1)
    flow = np.array([60, np.nan, 50, 40, 30], dtype=np.float32)
    return Bundle(
        model, settings, shape, Scaler.fit(series, slice(0, 99)), model.build(settings, shape),
        "road", around(series), flow,
    )  # fmt: skip


def test_there_and_back(bundle: Bundle, series: Series, tmp_path: Path) -> None:
    found = bundle.save(tmp_path)
    loaded = Bundle.load(tmp_path, get_model, expected=found)
    for field in (
        "config",
        "shape",
        "scaler",
        "dataset",
        "context",
        "target",
        "unit",
        "interval",
        "links",
    ):
        assert getattr(loaded, field) == getattr(bundle, field), field
    np.testing.assert_array_equal(loaded.free_flow, bundle.free_flow)
    at = np.array([0, 50])
    one, two = (Forecaster(b, "cpu").predict(series, at) for b in (bundle, loaded))
    np.testing.assert_array_equal(one, two)
    assert bundle.save(tmp_path / "again") == found  # equal weights, equal bytes
    assert sorted(p.name for p in tmp_path.glob("*.*")) == [CARD, WEIGHTS]


def test_changed_weights_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(DataError, match="was changed after it was saved"):
        Bundle.load(tmp_path, get_model)


def test_a_changed_card_is_refused_by_the_digest(bundle: Bundle, tmp_path: Path) -> None:
    registered = bundle.save(tmp_path)
    card = json.loads((tmp_path / CARD).read_text())
    card["scaler"]["mean"][0] += 1
    (tmp_path / CARD).write_text(json.dumps(card))
    assert digest(tmp_path) != registered
    with pytest.raises(DataError, match="not the one that was registered"):
        Bundle.load(tmp_path, get_model, expected=registered)


def test_weights_cannot_run_code(bundle: Bundle, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'owned')!r}, 'w')",)

    bundle.save(tmp_path)
    torch.save({"x": Evil()}, tmp_path / WEIGHTS)
    import hashlib

    card = json.loads((tmp_path / CARD).read_text())
    card["weights"]["sha256"] = hashlib.sha256((tmp_path / WEIGHTS).read_bytes()).hexdigest()
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(DataError, match="does not fit"):
        Bundle.load(tmp_path, get_model)
    assert not (tmp_path / "owned").exists()


def test_another_version_of_the_plugin_is_refused(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.save(tmp_path)
    monkeypatch.setattr(PerLink, "version", "2")
    with pytest.raises(PluginError, match="trained by tiny 1, but version 2 is installed"):
        Bundle.load(tmp_path, get_model)


@pytest.mark.parametrize("content", [None, "{", "{}", '{"format": 99}'])
def test_a_missing_or_broken_card_is_an_error(
    bundle: Bundle, tmp_path: Path, content: str | None
) -> None:
    bundle.save(tmp_path)
    if content is None:
        (tmp_path / CARD).unlink()
    else:
        (tmp_path / CARD).write_text(content)
    with pytest.raises(DataError):
        Bundle.load(tmp_path, get_model)
