"""On which days FullPipeline trains, if `training.every_days` is not 1."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from luigi_traffic.project import current
from luigi_traffic.recipe import Input
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.tasks.forecast import Forecast
from luigi_traffic.tasks.pipeline import FullPipeline
from luigi_traffic.training import registry
from luigi_traffic.warehouse import ledger

FIRST = date(2024, 5, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


@pytest.fixture
def weekly(empty: Any, anew: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Twelve days of gold, no model, and a setting of seven days."""
    for key, value in {
        "TRAINING__EVERY_DAYS": "7", "PIPELINE__WINDOW_DAYS": "2", "MODELS__TINY_MODEL__EPOCHS": "3"
    }.items():  # fmt: skip
        monkeypatch.setenv(f"LUIGI_TRAFFIC__{key}", value)
    monkeypatch.setattr(registry, "champion", lambda *_: "somebody")
    anew()
    for number in range(-3, 10):
        empty.commit_day(day(number))
    return empty


def pipeline(number: int, **parameters: Any) -> tuple[FullPipeline, Forecast]:
    """Of that day, as the next process sees it, and the forecast that it needs."""
    task = FullPipeline(date=day(number), **parameters)
    return task, task.requires()[-1]


def run(home: Any, number: int) -> bool:
    """What the pipeline of a day calls for; whether that was a training."""
    _, forecast = pipeline(number)
    if forecast.model:
        home.commit_model(day(number), 2, str(number))
        return True
    gold = [Input("gold", str(d), DayChain(current(), "tiny", d).id("gold")) for d in forecast.days]
    home.commit_forecast(day(number), "0", "made", gold)
    return False


def test_seven_days_train_once_and_stay_as_they_are(weekly: Any, anew: Any, said: Any) -> None:
    trained = []
    for number in range(9):
        if run(weekly, number):
            trained.append(number)
        anew()
        task, _ = pipeline(number)  # the next process
        assert task.complete() and task.trains is (number in trained)
    assert trained == [0, 7]
    lines = [record.getMessage() for record in said]
    sentence = "no training is due before 2024-05-08: training.every_days is 7"
    assert f"tiny 2024-05-02: the champion forecasts, {sentence}" in lines
    # Asked for again, each day is what it was; a backfill of the days before trains nothing.
    anew()
    for number in range(9):
        task, forecast = pipeline(number)
        assert task.complete() and bool(forecast.model) is (number in trained)
    for number in (-1, -2):
        assert not run(weekly, number)

    # --training describes a model, and asks for it. Without a champion nothing else could forecast.
    assert pipeline(3, training={"epochs": 5})[0].trains
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "champion", lambda *_: None)
        anew()
        assert pipeline(9)[0].trains
    anew()
    assert not pipeline(9)[0].trains
    # A model that is lost counts no more.
    with current().warehouse.connect() as connection:
        (lost,) = [r for r in ledger.every(connection, "model", "tiny") if r.part and
                   r.details["version"] == "7"]  # fmt: skip
        ledger.void(connection, "model", "tiny", lost.part, "lost")
    anew()
    assert pipeline(9)[0].trains
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LUIGI_TRAFFIC__TRAINING__EVERY_DAYS")
        anew()
        assert pipeline(3)[0].trains  # by default each day does
