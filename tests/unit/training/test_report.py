from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_tiny import AllLinks, PerLink, around, config, road

from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.charts import isolated
from luigi_traffic.training.drawn_day import Choice, panels
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.holdout_days import HoldoutDays, days_of
from luigi_traffic.training.metrics import free_flow
from luigi_traffic.training.model_card import LONGEST, model_card
from luigi_traffic.training.report import write_report
from luigi_traffic.training.report_facts import Origin, stored
from luigi_traffic.training.report_tables import link_rows
from luigi_traffic.training.scores import NO_WIN, baseline_wins, win_lines
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle

ORIGIN = Origin(
    partition_id="0123456789abcdef",
    gold_digest="feedbeef",
    days=("2024-01-01", "2024-01-02", "2024-01-04"),
    absent_days={"2024-01-03": "404 <b>Not Found</b>"},
    decision="not champion: 4.2 does not beat 4.0",
)


@pytest.mark.parametrize("model", [PerLink, AllLinks])
def test_the_report_says_what_was_trained_on_what_and_how_well(
    series: Series, tmp_path: Path, model: type
) -> None:
    series = replace(series, links=("L0", "<script>alert(1)</script>", "L2", "L3", "L4"))
    settings = config(epochs=2, samples_per_epoch=100)
    done = fit(model(), settings, series, checkpoint_dir=tmp_path)
    bundle = Bundle(
        model(),
        settings,
        done.shape,
        done.scaler,
        done.network,
        "road & co",
        around(series),
        free_flow(series.actual[done.split.training_rows(6)]),
    )
    forecaster = Forecaster(bundle, "cpu")
    scores = evaluate(forecaster, series, done.split)
    path = write_report(tmp_path / "deep" / "report.html", ORIGIN, done, scores, forecaster, series)
    html = path.read_text(encoding="utf-8")

    assert "3 days, 2024-01-01 to 2024-01-04; 1 absent" in html
    assert "2024-01-03: 404 &lt;b&gt;Not Found&lt;/b&gt;" in html
    assert "road &amp; co" in html
    assert "feedbeef" in html
    assert "0123456789abcdef" in html
    assert "<p>Not champion: 4.2 does not beat 4.0.</p>" in html
    share = done.samples_seen / done.samples_total
    assert f"{done.samples_seen:,} of {done.samples_total:,} training" in html
    assert f"({share:.1%})" in html
    card = model_card("luigi_traffic.road", ORIGIN, bundle, scores)
    assert "gold of 3 days, 2024-01-01 to 2024-01-04, without the absent days 2024-01-03." in card
    assert "- **Decision**: not champion: 4.2 does not beat 4.0." in card
    assert f"| **model** | {scores.scores['model']['3']['mae']:.3f} |" in card
    assert all(f"- {line}" in card for line in win_lines(baseline_wins(scores.scores, 1800)))
    assert ("knows no others" in card) is (model is AllLinks)
    assert 'load_model("models:/luigi_traffic.road/VERSION")' in card
    many = replace(ORIGIN, absent_days=dict.fromkeys(map(str, range(400)), ""), decision="x" * 9000)
    long = model_card("luigi_traffic.road", many, bundle, scores)
    assert "8, 9 and 390 more" in long
    assert len(long) <= LONGEST and len(long.splitlines()) <= 60

    for name in ("model", "persistence", "day before", "historical median"):
        assert f"{scores.scores[name]['3']['mae']:.3f}" in html
        assert f"{scores.scores[name]['mean']['rmse']:.3f}" in html
        assert f"<td>{scores.scores[name]['mean']['wape']:.2f}</td>" in html.replace(
            ' class="best"', ""
        )
    heads = re.findall(r'<th scope="col">(.*?)</th>', html[: html.index("<tbody>")])
    assert heads == ["90 min", "mean"]  # step 3 of half hours
    assert html.count("<svg") == 5  # curve, by step, by hour, forecast against actual, heat map
    for line in ("actual", "model, 90 min ahead", "model, 2 h ahead", "persistence, 2 h ahead"):
        assert line in html
    wins = win_lines(baseline_wins(scores.scores, 1800))
    assert wins, "two epochs on a hundred samples beat nothing"
    assert all(f"<li>{line}</li>" in html for line in wins)
    assert html.index("A baseline is better than the model at:") < html.index("<table")
    assert "<script" not in html
    # Self-contained: no file or host is asked for anything.
    assert not re.search(r"""(src|href)=["'](?!#|data:image/png)|url\((?!#)|@import""", html)

    assert "not compare the model with another, day by day: not champion: 4.2 does not" in html
    again = write_report(tmp_path / "again.html", ORIGIN, done, scores, forecaster, series)
    assert again.read_bytes() == path.read_bytes()


def test_the_report_says_so_if_no_baseline_is_better(series: Series, tmp_path: Path) -> None:
    settings = config(epochs=1)
    done = fit(PerLink(), settings, series, checkpoint_dir=tmp_path)
    flow = np.full(5, np.nan, np.float32)
    bundle = Bundle(
        PerLink(), settings, done.shape, done.scaler, done.network, "road", around(series), flow
    )
    forecaster = Forecaster(bundle, "cpu")
    scores = evaluate(forecaster, series, done.split)
    best = {step: {**values, "mae": 0.1, "rmse": 0.1, "mape": 0.1, "wape": 0.1}
            for step, values in scores.scores["model"].items()}  # fmt: skip
    scores = replace(scores, scores={**scores.scores, "model": best})
    path = write_report(tmp_path / "report.html", ORIGIN, done, scores, forecaster, series)
    html = path.read_text(encoding="utf-8")
    assert f"<p>{NO_WIN}</p>" in html
    assert "<li>" not in html


def test_a_hold_out_too_patchy_to_draw_still_gives_a_report(series: Series, tmp_path: Path) -> None:
    settings = config(epochs=1)
    done = fit(PerLink(), settings, series, checkpoint_dir=tmp_path)
    values = series.values.copy()
    values[done.split.test.start + 6 :: 2] = float("nan")
    values[done.split.test.start + 6 :: 3] = float("nan")
    series = replace(series, values=values)
    bundle = Bundle(
        PerLink(),
        settings,
        done.shape,
        done.scaler,
        done.network,
        "road",
        around(series),
        free_flow(series.actual),
    )
    forecaster = Forecaster(bundle, "cpu")
    scores = evaluate(forecaster, series, done.split)
    path = write_report(tmp_path / "report.html", ORIGIN, done, scores, forecaster, series)
    assert path.read_text(encoding="utf-8").count("<svg") == 4


def test_a_drawn_point_is_the_forecast_that_was_issued_so_long_before(
    series: Series, tmp_path: Path
) -> None:
    settings = config(epochs=1)
    done = fit(PerLink(), settings, series, checkpoint_dir=tmp_path)
    bundle = Bundle(
        PerLink(),
        settings,
        done.shape,
        done.scaler,
        done.network,
        "road",
        around(series),
        free_flow(series.actual),
    )
    forecaster = Forecaster(bundle, "cpu")
    days = days_of(series, done.split.test, 6, 4)
    choice = Choice.of(series, days)
    links = choice.links
    holdout = HoldoutDays.of(forecaster, series, days, links)
    day = holdout.day(choice.rows)
    date, drawn_links = day.date, panels(day, series, links, holdout)
    windows = forecaster.rolling(series, 0)
    issued, forecasts = forecaster.issued(series, windows), forecaster.predict(series, windows)
    assert len(links) == 4
    for link, panel in zip(links, drawn_links, strict=True):
        at, hours, drawn = series.links.index(link), panel.hours, panel.lines
        assert list(drawn) == ["model, 90 min ahead", "model, 2 h ahead", "persistence, 2 h ahead"]
        for label, step in zip(list(drawn)[:2], (3, 4), strict=True):
            for hour, truth, value in zip(hours, panel.actual, drawn[label], strict=True):
                target = np.datetime64(date, "m") + np.timedelta64(round(hour * 60), "m")
                row = int(np.flatnonzero(series.timestamps == target)[0])
                np.testing.assert_equal(truth, series.actual[row, at])
                (w,) = np.flatnonzero(issued == target - np.timedelta64(30 * (step - 1), "m"))
                assert value == pytest.approx(forecasts[w, step - 1, at], rel=1e-5)
        # The hold-out begins within that day, and so do the drawn lines.
        begin = np.datetime64(date, "m") + np.timedelta64(round(hours[0] * 60), "m")
        first = int(np.flatnonzero(series.timestamps == begin)[0])
        for row, value in enumerate(drawn["persistence, 2 h ahead"], start=first):
            window = series.actual[row - 4 - 6 + 1 : row - 4 + 1, at]  # ends two hours before
            seen = window[~np.isnan(window)]
            np.testing.assert_equal(value, seen[-1] if len(seen) else np.nan)


def test_the_worst_and_the_best_links_are_listed(tmp_path: Path) -> None:
    series = road(links=12)
    settings = config(epochs=1)
    done = fit(PerLink(), settings, series, checkpoint_dir=tmp_path)
    forecaster = Forecaster(trained_bundle(PerLink(), settings, done, series, "road"), "cpu")
    scores = evaluate(forecaster, series, done.split)
    test = np.arange(done.split.test.start, done.split.test.stop)
    actual = series.actual[test[:, None] + 6 + np.arange(4)]
    mae = np.nanmean(np.abs(forecaster.predict(series, test) - actual), axis=(0, 1))
    np.testing.assert_allclose(scores.by_link["model"], mae, rtol=1e-5)
    order = [series.links[at] for at in np.argsort(-mae)]
    rows = link_rows(series.links, scores)
    assert [row[0] for row in rows] == order[:5] + order[-5:]
    assert link_rows(series.links[:5], scores) == []


def test_a_text_that_is_stored_is_not_counted_as_parameters() -> None:
    network = torch.nn.Linear(3, 2)
    network.register_buffer("text", torch.zeros(2**20, dtype=torch.uint8))
    assert stored(network) == "8 parameters (1.0 MiB)"


def test_a_value_between_two_gaps_is_a_dot() -> None:
    gap = np.nan
    alone = isolated(np.array([gap, 1, gap, 2, 3, gap, 4]))
    assert alone.nonzero()[0].tolist() == [1, 6]
