"""Quiet days are no drift; slower, silent, new and badly forecast ones are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_tiny import PerLink, config, road

from luigi_traffic.settings.training_keys import DriftSettings
from luigi_traffic.training.drift import Check, checks, psi, reasons
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle

DAY, TRAINED, DAYS = 48, 10, 24


def part(series: Series, first: int, last: int) -> Series:
    """Days `first` to before `last`."""
    rows = slice(first * DAY, last * DAY)
    return replace(series, start=series.timestamps[rows.start], values=series.values[rows])


@pytest.fixture(scope="module")
def whole() -> Series:
    return road(days=DAYS, links=12)


@pytest.fixture(scope="module")
def model(whole: Series, tmp_path_factory: pytest.TempPathFactory) -> tuple[Forecaster, dict]:
    """Trained on the first days, and its scores."""
    before, settings = part(whole, 0, TRAINED), config(epochs=4)
    done = fit(PerLink(), settings, before, checkpoint_dir=tmp_path_factory.mktemp("c"))
    forecaster = Forecaster(trained_bundle(PerLink(), settings, done, before, "road"), "cpu")
    return forecaster, evaluate(forecaster, before, done.split).scores


def compared(
    model: tuple[Forecaster, dict], whole: Series, day: int, recent: Series | None = None
) -> dict[str, Check]:
    forecaster, scores = model
    recent = recent or part(whole, day - 1, day + 1)
    found = checks(forecaster, scores, part(whole, 0, TRAINED), recent, DriftSettings())
    return {check.name: check for check in found}


def changed(whole: Series, day: int, factor: float = 1.0, missing: float = 0.0) -> Series:
    """The day and the one before it, with speeds times a factor, and more of them missing."""
    recent = part(whole, day - 1, day + 1)
    values = recent.values * np.float32(factor)
    values[np.random.default_rng(1).random(values.shape[:2]) < missing] = np.nan
    return replace(recent, values=values)


def test_quiet_days_are_no_drift(model: tuple, whole: Series) -> None:
    for day in range(TRAINED, DAYS):
        found = compared(model, whole, day)
        assert reasons(list(found.values())) == "", day
        assert all(check.value is not None for check in found.values())


def test_slower_traffic_is_drift_of_values_and_of_the_error(model: tuple, whole: Series) -> None:
    found = compared(model, whole, 15, changed(whole, 15, factor=0.6))
    assert [name for name, check in found.items() if check.drifted] == ["distribution", "error"]
    assert reasons(list(found.values())).startswith("distribution: the median is ")


def test_less_coverage_is_drift(model: tuple, whole: Series) -> None:
    found = compared(model, whole, 15, changed(whole, 15, missing=0.5))
    assert found["coverage"].drifted and not found["distribution"].drifted


def test_silent_and_new_links_are_drift(model: tuple, whole: Series) -> None:
    recent = part(whole, 14, 16)
    values = recent.values.copy()
    values[-DAY:, 2] = np.nan
    one = compared(model, whole, 15, replace(recent, values=values))["links"]
    assert one.value == pytest.approx(1 / 12) and not one.drifted
    renamed = replace(recent, links=("new", *recent.links[1:]), values=values)
    other = compared(model, whole, 15, renamed)["links"]
    assert other.value == pytest.approx(3 / 12) and other.drifted
    assert other.text == "2 links of the training are silent, 1 links are new, of 12"


def test_a_day_without_values_is_drift_and_no_error(model: tuple, whole: Series) -> None:
    found = compared(model, whole, 15, changed(whole, 15, missing=1.1))
    assert found["distribution"].value is None and found["error"].value is None
    assert found["coverage"].drifted and found["links"].value == 1.0


def test_the_index_is_that_of_the_textbook() -> None:
    before = np.repeat(np.arange(10.0), 100)
    same, moved = psi(before, before), psi(before, np.repeat(np.arange(10.0), [190, *[90] * 9]))
    assert same == pytest.approx(0.0)
    shares = np.array([0.19, *[0.09] * 9])[:10]
    wanted = ((shares - 0.1) * np.log(shares / 0.1)).sum()
    assert moved == pytest.approx(wanted, rel=0.02)
    assert psi(np.ones(500), np.full(500, 9.0)) > 1  # all in one decile before, none now


def test_the_report_shows_all_checks(model: tuple, whole: Series, tmp_path: Path) -> None:
    from luigi_traffic.training.drift_report import write_drift_report

    recent = changed(whole, 15, factor=0.6)
    found = list(compared(model, whole, 15, recent).values())
    path = write_drift_report(
        tmp_path / "r" / "drift.html", "drift road 2024-01-16", "7", part(whole, 0, 3), recent,
        found,
    )  # fmt: skip
    html = path.read_text(encoding="utf-8")
    assert "Drift. distribution: the median is" in html and html.count('class="best"') == 2
    assert "version 7, the champion: 2024-01-01 to 2024-01-03" in html and "<svg" in html
