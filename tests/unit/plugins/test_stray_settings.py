"""Settings for a dataset or a model that nobody provides."""

from __future__ import annotations

import pytest

from luigi_traffic.errors import SettingsError
from luigi_traffic.project import current


def told() -> list[str]:
    return [stray.told for stray in current().plugins.strays()]


def test_what_is_provided_or_declared_is_no_stray(tiny) -> None:
    tiny.write("datasets/tiny.yml", "max_speed: 90\n")
    tiny.write("models/tiny_model.yml", "{}\n")
    tiny.write("datasets/city.yml", "table: {}\n")  # wrong, and told as that
    assert told() == []


@pytest.mark.parametrize(
    ("file", "key", "ask"),
    [
        ("datasets/tinny.yml", "datasets.tinny", lambda: current().plugins.dataset("tiny")),
        ("models/tiny_modell.yml", "models.tiny_modell",
         lambda: current().plugins.model_config("tiny_model", {})),
    ],
    ids=("dataset", "model"),
)  # fmt: skip
def test_a_slip_in_the_name_is_an_error_of_who_is_meant(tiny, caplog, file, key, ask) -> None:
    """The run went on with other settings than those that were written down for it."""
    ask()
    path = tiny.write(file, "max_speed: 90\n")
    with pytest.raises(SettingsError) as refused:
        ask()
    text = str(refused.value)
    assert f"unknown setting {key!r}, set in {path}" in text
    assert "Did you mean 'tiny" in text and "Correct the name" in text
    assert key in caplog.text


def test_the_environment_can_be_wrong_too(tiny) -> None:
    tiny.set(DATASETS__TINNY__MAX_SPEED="90")
    with pytest.raises(SettingsError, match="environment LUIGI_TRAFFIC__DATASETS__TINNY__MAX"):
        current().plugins.dataset("tiny")


def test_settings_of_what_is_not_installed_stop_nobody_else(tiny, caplog) -> None:
    path = tiny.write("datasets/faraway.yml", "x: 1\n")
    assert current().plugins.dataset("tiny")
    (warning,) = told()
    assert f"'datasets.faraway', set in {path}" in warning and "no effect" in warning
    assert warning in caplog.text


@pytest.mark.parametrize("how", ["disabled", "broken"])
def test_settings_of_a_plugin_that_is_off_or_broken_stop_nobody(tiny, how) -> None:
    tiny.plugin("tinny", "1 / 0")
    tiny.write("datasets/tinny.yml", "x: 1\n")
    if how == "disabled":
        tiny.set(PLUGINS__DISABLED="[tinny]")
    assert current().plugins.dataset("tiny")
    (stray,) = current().plugins.strays()
    assert stray.excused
    why = "is disabled" if how == "disabled" else "did not load"
    assert "It may belong to plugin tinny" in stray.told and f"which {why}." in stray.told


def test_a_declared_dataset_that_is_disabled_is_no_stray(tiny) -> None:
    tiny.write("datasets/tinny.yml", "table: {}\n")
    tiny.set(PLUGINS__DISABLED="[tinny]")
    assert told() == []
