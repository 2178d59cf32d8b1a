"""Two models on the targets that neither was fitted on."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from training_tiny import AllLinks, PerLink, around, config, get_model, road

from luigi_traffic.errors import PluginError
from luigi_traffic.settings.training_keys import PromotionSettings
from luigi_traffic.training import champion as champions
from luigi_traffic.training import registry
from luigi_traffic.training.bundle import CARD, Bundle, digest
from luigi_traffic.training.compared_days import ComparedDays
from luigi_traffic.training.comparison import Comparison, compare
from luigi_traffic.training.drawn_day import Choice, champion_lines
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Fit
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.holdout_days import days_of
from luigi_traffic.training.series import Series
from luigi_traffic.training.trainer import Trainer

T_IN, T_OUT = 6, 4
DAY = 48  # intervals of 30 minutes
ROAD = road(days=40)


def days(first: int, end: int) -> Series:
    """Days `first` to before `end` of the road."""
    rows = slice(first * DAY, end * DAY)
    return replace(ROAD, start=ROAD.timestamps[rows][0], values=ROAD.values[rows])


@dataclass(frozen=True)
class Known:
    """A trained model, and what is known of its training."""

    forecaster: Forecaster
    fit: Fit
    series: Series

    @property
    def span(self) -> FitSpan:
        span = self.forecaster.bundle.fit_span
        assert span is not None
        return span

    def fitted(self) -> set[datetime]:
        """The targets of its training and validation windows, one window after the other."""
        t_in, t_out = self.forecaster.input_steps, self.forecaster.output_steps
        split, times = self.fit.split, self.series.timestamps
        windows = [*split.train, *split.validation]
        return {t for w in windows for t in times[w + t_in : w + t_in + t_out].tolist()}


def trained(
    series: Series, folder: Path, model: type = PerLink, epochs: int = 1, **changes: object
) -> Known:
    settings = config(epochs=epochs, samples_per_epoch=500, **changes)
    done = fit(model(), settings, series, checkpoint_dir=folder / "checkpoints")
    span = FitSpan.of(series, done.split, settings.input_steps, settings.output_steps)
    bundle = Bundle(
        model(), settings, done.shape, done.scaler, done.network, "road", around(series),
        np.full(5, 60, np.float32), span,
    )  # fmt: skip
    bundle.save(folder / "bundle")
    return Known(Forecaster(bundle, "cpu"), done, series)


def compared(challenger: Known, champion: Known, most: int | None = None) -> Comparison:
    return compare(
        challenger.forecaster, champion.forecaster, champion.span, challenger.series,
        challenger.fit.split, most,
    )  # fmt: skip


def plain(challenger: Known, champion: Known) -> tuple[dict[date, list[float]], int, int]:
    """Day → sums of errors of both and targets; targets that the champion knows, and all."""
    fitted = champion.fitted() | challenger.fitted()
    series, found, known, total = challenger.series, dict[date, list[float]](), 0, 0
    ours, theirs = challenger.forecaster, champion.forecaster
    for issued in np.array(challenger.fit.split.test) + ours.input_steps:
        one = ours.predict(series, np.array([issued - ours.input_steps]))[0]
        other = theirs.predict(series, np.array([issued - theirs.input_steps]))[0]
        for step in range(min(ours.output_steps, theirs.output_steps)):
            time, actual = series.timestamps[issued + step].item(), series.actual[issued + step]
            count = int((~np.isnan(actual)).sum())
            total += count
            known += count if time in champion.fitted() else 0
            if time in fitted or not count:
                continue
            sums = found.setdefault(time.date(), [0.0, 0.0, 0])
            sums[0] += np.nansum(np.abs(one[step] - actual))
            sums[1] += np.nansum(np.abs(other[step] - actual))
            sums[2] += count
    return found, known, total


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return trained(days(2, 30), tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Trained ten days later, before a backfill trains `month`."""
    return trained(days(12, 40), tmp_path_factory.mktemp("later"))


@pytest.fixture(scope="module")
def shorter(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Of the same last day, with another length of window and horizon."""
    folder = tmp_path_factory.mktemp("shorter")
    return trained(days(14, 30), folder, AllLinks, input_steps=9, output_steps=2)


@pytest.fixture(scope="module")
def day_before(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return trained(days(1, 29), tmp_path_factory.mktemp("before"))


def test_no_target_is_compared_that_a_later_champion_was_fitted_on(
    month: Known, later: Known
) -> None:
    found = compared(month, later)
    assert (found.days, found.targets.sum(), found.seen_share) == (0, 0, 1.0)


def test_no_target_is_compared_that_a_champion_of_a_shorter_window_was_fitted_on(
    month: Known, shorter: Known
) -> None:
    found = compared(month, shorter)
    expected, known, total = plain(month, shorter)
    assert found.targets.tolist() == [n for _, _, n in expected.values()]
    np.testing.assert_allclose(found.challenger, [e for e, _, _ in expected.values()], rtol=1e-4)
    np.testing.assert_allclose(found.champion, [e for _, e, _ in expected.values()], rtol=1e-4)
    assert found.seen_share == pytest.approx(known / total)
    assert 0.4 < found.seen_share < 0.5  # 5.6 days of hold-out, of which it has 3.2 of its own
    assert (found.links, found.links_total, found.days) == (5, 5, 3)
    at = np.array([datetime.combine(day, datetime.min.time()) for day in expected])
    assert at.min() >= shorter.span.last - timedelta(days=1)


def test_consecutive_days_are_compared_on_nearly_all_of_the_hold_out(
    month: Known, day_before: Known
) -> None:
    found = compared(month, day_before)
    expected, known, total = plain(month, day_before)
    assert known == found.seen_share == 0
    assert found.targets.tolist() == [n for _, _, n in expected.values()]
    # The first targets of the hold-out are targets of validation, too.
    overlap = (T_OUT - 1) * T_OUT / 2 * 5
    assert total - overlap <= found.targets.sum() < total
    assert found.days == 6


def test_a_model_against_itself(month: Known) -> None:
    found = compared(month, month)
    assert found.gain == found.least_gain(0.95) == 0
    assert found.challenger_mae == pytest.approx(
        cast(float, evaluate(month.forecaster, month.series, month.fit.split).mae()), rel=0.01
    )


def test_windows_are_drawn_from_those_that_may_be_compared(month: Known, shorter: Known) -> None:
    whole, some = compared(month, shorter), compared(month, shorter, 40)
    assert 0 < some.targets.sum() <= 40 * 2 * 5 < whole.targets.sum()
    assert some.seen_share == whole.seen_share and some.days == 3
    assert compared(month, shorter, 40).challenger_mae == some.challenger_mae


def test_links_that_the_champion_does_not_know_are_left_out(month: Known, tmp_path: Path) -> None:
    fewer = trained(days(1, 29).aligned(ROAD.links[:3]), tmp_path, AllLinks)
    found = compared(month, fewer)
    assert (found.links, found.links_total) == (3, 5)
    strangers = replace(
        fewer.forecaster.bundle,
        context=replace(fewer.forecaster.bundle.context, links=tuple("xyz")),
    )
    none = compared(month, replace(fewer, forecaster=Forecaster(strangers, "cpu")))
    assert (none.links, none.links_total, none.days) == (0, 5, 0)


def test_a_span_is_stored_with_the_model(month: Known, tmp_path: Path) -> None:
    assert month.span.first == ROAD.timestamps[2 * DAY].item()  # also what is an input alone
    assert month.span.last == max(month.fitted())
    found = month.forecaster.bundle.save(tmp_path)
    assert Bundle.load(tmp_path, get_model, expected=found).fit_span == month.span


def test_of_a_window_all_days_count() -> None:
    span = FitSpan.of_window("2024-05-01 to 2024-05-28")
    assert span is not None
    times = np.array(["2024-04-30T23:59", "2024-05-01T00:00", "2024-05-28T23:59", "2024-05-29"])
    assert span.covers(times.astype("datetime64[us]")).tolist() == [False, True, True, False]
    assert FitSpan.of_window("") is FitSpan.of_window("a to b") is FitSpan.of_window("x") is None


class OnTheRoad(Trainer):
    """Its gold is a series."""

    def _series(self, channels: Any) -> Series:
        assert "t1" in channels
        return cast(Series, self.gold_ids)


def decide(*what: Any, **changes: Any) -> champions.Decision:
    return decided(*what, **changes)[0]


def decided(
    monkeypatch: pytest.MonkeyPatch,
    challenger: Known,
    champion: Path,
    tags: dict[str, str] | None = None,
    series: Series | None = None,
    **changes: Any,
) -> tuple[champions.Decision, ComparedDays | None]:
    """Of the trainer, if the bundle in the folder `champion` is that of the champion.

    `series` is what the challenger was trained on, if it is not all columns.
    """
    tags = {registry.DIGEST: digest(champion)} if tags is None else tags
    holder = registry.Registered("luigi_traffic.road", "7", "run", "1", tags)
    monkeypatch.setattr(registry, "champion", lambda *_: holder)
    monkeypatch.setattr(registry, "load_version", lambda *_: champion)
    nothing: Any = SimpleNamespace()
    trainer = OnTheRoad(
        **dict.fromkeys((f.name for f in fields(Trainer)), nothing)
        | {
            "tracking_uri": "sqlite://", "target": "speed", "config": config(),
            "dataset": SimpleNamespace(name="road", target="speed"),
            "gold_ids": challenger.series, "get_model": get_model,
            "promotion": PromotionSettings(),
        }
        | changes
    )  # fmt: skip
    scores = evaluate(challenger.forecaster, challenger.series, challenger.fit.split)
    return trainer._decide(
        challenger.forecaster, challenger.fit, scores, series or challenger.series
    )


def saved(known: Known, folder: Path, **changes: Any) -> Path:
    """The bundle of `known`, without its span, and with other entries of its card."""
    known.forecaster.bundle.save(folder)
    card = json.loads((folder / CARD).read_text())
    del card["fit_span"]
    (folder / CARD).write_text(json.dumps(card | changes))
    return folder


def test_a_champion_that_was_fitted_on_the_hold_out_is_not_compared(
    month: Known, later: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later.forecaster.bundle.save(tmp_path)
    decision = decide(monkeypatch, month, tmp_path)
    assert not decision.promoted
    assert decision.reason == (
        "not champion: no day of its hold-out can be compared, since models are compared on what "
        "neither was trained on, and 3 days are needed (promotion.min_days). Version 7 stays "
        "champion; it was trained on 100 % of this hold-out"
    )


def test_a_better_model_takes_the_alias_of_a_champion_of_a_shorter_window(
    shorter: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorter.forecaster.bundle.save(tmp_path / "champion")
    better = trained(days(2, 30), tmp_path / "better", epochs=8)
    decision, for_report = decided(monkeypatch, better, tmp_path / "champion")
    assert decision.promoted and decision.champion_version == "7"
    assert "on 3 days that neither was trained on" in decision.reason
    assert "% of the hold-out is left out: version 7 knows it)" in decision.reason
    found = compared(better, shorter)
    assert decision.challenger_mae == pytest.approx(found.challenger_mae)
    assert decision.champion_mae == pytest.approx(found.champion_mae)

    assert for_report is not None and for_report.version == "7"
    expected = plain(better, shorter)[0]
    rows = {str(day): (f"{n:,}", f"{e / n:.3f}", f"{c / n:.3f}")
            for day, (e, c, n) in expected.items()}  # fmt: skip
    *by_day, (name, count, ours, _, gain) = for_report.rows()
    assert {day: (n, e, c) for day, n, e, c, _ in by_day} == rows
    assert (name, count) == ("all", f"{sum(n for _, _, n in expected.values()):,}")
    assert (ours, gain) == (f"{found.challenger_mae:.3f}", f"{found.gain:+.3f}")
    assert f"at least {found.least_gain(0.95):.4f} with 0.95 confidence" in for_report.verdict()

    # The drawn day is one that the champion was not trained on, or its lines are left out.
    choice = Choice.of(better.series, days_of(better.series, better.fit.split.test, T_IN, T_OUT))
    date = better.series.timestamps[choice.rows.start]
    assert (for_report.lines is None) is bool(date <= np.datetime64(shorter.span.last))
    late = replace(choice, rows=range(len(better.series) - DAY, len(better.series)))
    lines = champion_lines(shorter.forecaster, shorter.span, better.series, late, T_OUT)
    assert lines is not None and lines.label == "champion, 60 min ahead"
    assert shorter.forecaster.output_steps == 2  # the last step that both forecast
    first = np.array(late.rows) - shorter.forecaster.input_steps - 1
    said = shorter.forecaster.predict(better.series, first)
    for link in choice.links:
        at = better.series.links.index(link)
        np.testing.assert_allclose(lines.by_link[link], said[:, -1, at], rtol=1e-5)
    known = replace(late, rows=range(20 * DAY, 21 * DAY))
    assert champion_lines(shorter.forecaster, shorter.span, better.series, known, T_OUT) is None


def test_gold_is_read_again_for_columns_that_the_champion_alone_needs(
    shorter: Known, day_before: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day_before.forecaster.bundle.save(tmp_path)
    not_read = decide(monkeypatch, shorter, tmp_path, gold_ids=None)
    bare = replace(shorter.series, columns=("speed",), values=shorter.series.values[..., :1])
    assert decide(monkeypatch, shorter, tmp_path, series=bare) == not_read
    assert not_read.champion_version == "7"


def test_of_a_champion_of_an_earlier_version_the_whole_window_counts(
    month: Known, day_before: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(day_before, tmp_path)
    tags = {registry.DIGEST: digest(folder), "window": "2024-01-02 to 2024-01-29"}
    decision = decide(monkeypatch, month, folder, tags)
    assert not decision.promoted
    assert "only 1 day of its hold-out can be compared" in decision.reason
    tags["window"] = "2024-01-02 to 2024-01-27"
    assert "on 3 days that neither" in decide(monkeypatch, month, folder, tags).reason


OTHER_VERSION = {"architecture": {"name": "tiny", "version": "0.9"}}


def missing(name: str) -> Any:
    raise PluginError(f"No plugin provides the model {name!r}.")


@pytest.mark.parametrize(
    ("card", "changes", "cause"),
    [
        (OTHER_VERSION, {}, "trained by tiny 0.9, but version 1 is installed"),
        ({}, {"get_model": missing}, "No plugin provides the model 'tiny'"),
        ({"interval_seconds": 60.0}, {}, "The model was trained on intervals of 0:01:00"),
        ({"target": "flow"}, {}, "The model forecasts flow, but the series has speed"),
        ({"format": 99}, {}, "has format 99"),
        ({}, {"tags": {}}, "which days it was trained on"),
    ],
)
def test_a_champion_that_cannot_be_compared_keeps_the_alias_and_a_warning_says_what_to_do(
    month: Known, day_before: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any,
    card: dict[str, Any], changes: dict[str, Any], cause: str,
) -> None:  # fmt: skip
    folder = saved(day_before, tmp_path, **card)
    tags = {registry.DIGEST: digest(folder), "window": "2023-01-02 to 2023-01-29"}
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    with caplog.at_level(logging.WARNING, "luigi_traffic"):
        decision = decide(monkeypatch, month, folder, **({"tags": tags} | changes))
    assert not decision.promoted
    assert decision.champion_version == "7" and decision.champion_mae is None
    assert "version 7 stays champion, though it cannot be compared: " in decision.reason
    assert cause in decision.reason and cause in caplog.text
    assert "choose another champion (luigi-traffic promote)" in caplog.text
