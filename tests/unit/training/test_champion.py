"""Who becomes champion: by a margin, on days that neither was fitted on."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from luigi_traffic.errors import PluginError
from luigi_traffic.settings.training_keys import PromotionSettings
from luigi_traffic.training import champion
from luigi_traffic.training.comparison import Comparison

SETTINGS = PromotionSettings()
TARGETS = 1000


def errors(
    challenger: Any, champion: Any, targets: Any = None, seen_share: float = 0.0, links: int = 20
) -> Comparison:
    """Of MAEs a day."""
    count = np.full(len(challenger), TARGETS) if targets is None else np.array(targets)
    ours, theirs = np.array(challenger, float), np.array(champion, float)
    dates = np.arange(len(count)).astype("datetime64[D]")
    return Comparison(dates, ours * count, theirs * count, count, seen_share, links, 20)


def decide(comparison: Comparison, **changes: float) -> champion.Decision:
    return champion.decide(3.9, comparison, "7", PromotionSettings.model_validate(changes))


def test_the_first_version_becomes_champion() -> None:
    first = champion.decide_first(4.0)
    assert first.promoted and first.reason == "champion as the first version"


def test_a_model_that_is_better_by_more_than_the_margin_becomes_champion() -> None:
    ours, theirs = [3.7, 4.1, 3.8, 3.9], [4.0, 4.3, 4.0, 4.1]
    decision = decide(errors(ours, theirs))
    assert decision.promoted
    assert (decision.challenger_mae, decision.champion_mae) == (
        pytest.approx(np.mean(ours)), pytest.approx(np.mean(theirs)),
    )  # fmt: skip
    assert decision.champion_version == "7"
    assert decision.reason.startswith(
        "champion: MAE 3.8750 against 4.1000 of version 7 on 4 days that neither was trained on. "
        "The gain of 0.2250 is at least 0."
    )
    assert decision.reason.endswith(" with 95 % confidence; more than 0.0410 is needed")
    assert not decide(errors(ours, theirs), margin=0.08).promoted
    back = decide(errors(theirs, ours))  # the other way round
    assert not back.promoted
    assert back.reason == (
        "not champion: MAE 4.1000 against 3.8750 of version 7 on 4 days that neither was trained on"
    )


@pytest.mark.parametrize(("links", "said"), [(17, "17 of the 20 links"), (0, "only 0 of the 20")])
def test_a_champion_that_does_not_know_the_links_of_today_gives_way(links: int, said: str) -> None:
    """It would forecast none of them, or few, for ever."""
    decision = decide(errors([5.0], [1.0], links=links))
    assert decision.promoted
    assert said in decision.reason


def test_a_small_gain_on_some_days_is_luck() -> None:
    assert not decide(errors([3.6, 4.1, 4.0, 3.9], [4.0, 4.0, 4.0, 4.0])).promoted


@pytest.mark.parametrize("mae", [[4.0, 4.0, 4.0], [3.1, 4.5, 3.9, 5.0], [0.0, 0.0, 0.0]])
def test_equal_errors_never_promote(mae: list[float]) -> None:
    comparison = errors(mae, mae)
    assert comparison.gain == comparison.least_gain(0.95) == 0.0
    assert not decide(comparison).promoted
    assert not decide(comparison, margin=0).promoted


def test_a_champion_without_any_error_and_one_that_is_not_a_number_stay() -> None:
    assert not decide(errors([0.1, 0.1, 0.1], [0, 0, 0])).promoted
    nan = float("nan")
    assert not decide(errors([nan, 1, 1], [4, 4, 4])).promoted


def test_the_interval_is_the_same_each_time_and_symmetrical() -> None:
    random = np.random.default_rng(3)
    for days in (2, 3, 6, 30):
        ours, theirs = (4 + random.normal(0, 0.1, days) for _ in range(2))
        count = random.integers(500, 1500, days)
        one, other = errors(ours, theirs, count), errors(theirs, ours, count)
        assert one.least_gain(0.95) == one.least_gain(0.95)
        assert one.gain == pytest.approx(-other.gain)
        assert one.gain - one.least_gain(0.95) == pytest.approx(other.gain - other.least_gain(0.95))
        assert one.least_gain(0.95) > one.least_gain(0.99)
        # Never is each better than the other.
        assert one.least_gain(0.95) < 0 or other.least_gain(0.95) < 0


def test_the_interval_of_a_few_days_is_that_of_students_t() -> None:
    difference = np.array([0.1, 0.3, 0.2])
    interval = errors(4 - difference, [4.0, 4.0, 4.0])
    usual = 0.2 - 2.920 * difference.std(ddof=1) / np.sqrt(3)  # t with 2 degrees of freedom
    assert interval.least_gain(0.95) == pytest.approx(usual, abs=0.01)


@pytest.mark.parametrize(("days", "noise"), [(6, 0.01), (3, 0.01), (6, 0.02)])
def test_sixty_equal_models_one_a_day_seldom_become_champion(days: int, noise: float) -> None:
    """Retrained daily on a window that moves by a day: hold-outs overlap, days differ."""
    flips = []
    for seed in range(5):
        random = np.random.default_rng(seed)
        difficulty = 4 * np.exp(random.normal(0, 0.15, 60 + days))  # of a day, for all models

        def model(difficulty: Any = difficulty, random: Any = random) -> Any:
            return difficulty * (1 + random.normal(0, noise, len(difficulty)))

        holder, flipped = model(), 0
        for day in range(60):
            challenger, hold_out = model(), slice(day, day + days)
            if decide(errors(challenger[hold_out], holder[hold_out])).promoted:
                holder, flipped = challenger, flipped + 1
        flips.append(flipped)
    assert max(flips) <= 3, flips


def test_a_model_that_is_three_percent_better_becomes_champion_within_days() -> None:
    waits = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        difficulty = 4 * np.exp(random.normal(0, 0.15, 20))
        holder = difficulty * (1 + random.normal(0, 0.01, 20))
        for day in range(14):
            challenger = 0.97 * difficulty * (1 + random.normal(0, 0.01, 20))
            if decide(errors(challenger[day : day + 6], holder[day : day + 6])).promoted:
                break
        waits.append(day)
    assert np.mean(waits) < 1 and max(waits) <= 5, waits


def test_too_few_days_are_said_and_the_champion_stays() -> None:
    for count, said in ((0, "no day"), (1, "only 1 day"), (2, "only 2 days")):
        decision = decide(errors([1.0] * count, [4.0] * count, seen_share=0.65))
        assert not decision.promoted
        assert decision.reason.startswith(f"not champion: {said} of its hold-out can be compared")
        assert "3 days are needed (promotion.min_days)" in decision.reason
        assert decision.reason.endswith(
            "Version 7 stays champion; it was trained on 65 % of this hold-out"
        )
        assert (decision.challenger_mae, decision.champion_mae) == (3.9, None)
    short = decide(errors([1.0], [4.0]))
    assert short.reason.endswith("Version 7 stays champion; a longer window has a longer hold-out")
    assert decide(errors([1.0, 1.0], [4.0, 4.0]), min_days=2).promoted


def test_a_part_of_a_day_is_compared_but_does_not_count_as_a_day() -> None:
    comparison = errors([1.0] * 3, [4.0] * 3, [400, 1000, 1000])
    assert comparison.days == 2
    assert comparison.champion_mae == 4.0 and comparison.targets.sum() == 2400
    assert errors([1.0] * 3, [4.0] * 3, [500, 1000, 900]).days == 3


def test_what_is_left_out_is_said() -> None:
    reason = decide(errors([3.0] * 3, [4.0] * 3, seen_share=0.5, links=19)).reason
    assert "on 3 days and 19 of 20 links that neither was trained on" in reason
    assert "(50 % of the hold-out is left out: version 7 knows it)" in reason


def test_a_champion_that_cannot_be_compared_stays() -> None:
    error = PluginError("no model 'tiny' is installed.\n  plugin x did not load: boom")
    decision = champion.keep(9.0, "1", error)
    assert not decision.promoted
    assert decision.reason == (
        "not champion: version 1 stays champion, though it cannot be compared: no model 'tiny' is "
        "installed"
    )
    warning = champion.keep_warning("luigi_traffic.road", "1", error)
    assert "plugin x did not load: boom" in warning
    assert "choose another champion (luigi-traffic promote)" in warning


def test_a_decision_of_an_earlier_version_is_read() -> None:
    earlier = {
        "promoted": False, "reason": "not champion: 4.2 does not beat 4.0", "challenger_mae": 4.2,
        "champion_mae": 4.0, "champion_version": "1",
    }  # fmt: skip
    version = cast(Any, SimpleNamespace(tags={"decision": json.dumps(earlier)}))
    assert champion.recorded(version) == champion.Decision(**cast(Any, earlier))
