from __future__ import annotations

from luigi_traffic.training.scores import (
    NO_WIN,
    Win,
    baseline_wins,
    in_order,
    win_lines,
    win_title,
)


def scores(**errors: dict[str, dict[str, float | None]]) -> dict:
    return {name.replace("_", " "): steps for name, steps in errors.items()}


def test_every_horizon_and_measure_at_which_a_baseline_is_better_is_named() -> None:
    # As a ledger row has them: without an order.
    found = baseline_wins(
        scores(
            historical_median={
                "12": {"mae": 4.3, "rmse": 7.93, "mape": 12.0, "wape": 7.0, "f1": 0.6},
                "mean": {"mae": 4.3, "rmse": 7.9, "mape": 12.0, "wape": 7.0, "f1": 0.6},
                "3": {"mae": 4.3, "rmse": 7.9, "mape": 12.0, "wape": 7.0, "f1": 0.6},
            },
            model={
                "mean": {"mae": 3.4, "rmse": 6.9, "mape": 9.0, "wape": 6.0, "f1": 0.6},
                "12": {"mae": 4.1, "rmse": 8.18, "mape": 12.5, "wape": 6.9, "f1": 0.5},
                "3": {"mae": 2.8, "rmse": 5.0, "mape": 7.0, "wape": 5.0, "f1": 0.8},
            },
            persistence={
                "3": {"mae": 2.7, "rmse": 6.0, "mape": 8.0, "wape": 5.0, "f1": 0.8},
                "12": {"mae": 4.9, "rmse": 8.1, "mape": 13.0, "wape": 8.0, "f1": None},
                "mean": {"mae": 3.9, "rmse": 7.5, "mape": 9.5, "wape": 6.5, "f1": 0.5},
            },
        ),
        300,
    )
    assert found == [
        Win("15 min", "mae", "persistence", 2.7, 2.8),
        Win("60 min", "rmse", "historical median", 7.93, 8.18),
        Win("60 min", "mape", "historical median", 12.0, 12.5),
        Win("60 min", "f1", "historical median", 0.6, 0.5),  # of F1, more is better
    ]
    assert win_lines(found) == [
        "15 min: MAE (persistence 2.700, model 2.800)",
        "60 min: RMSE (historical median 7.930, model 8.180), "
        "MAPE (historical median 12.00, model 12.50), F1 (historical median 0.600, model 0.500)",
    ]
    assert win_title(found) == "A baseline is better than the model at:"


def test_no_win_and_a_measure_that_was_not_kept_or_could_not_be_scored() -> None:
    equal = {"mean": {"mae": 3.0, "rmse": 4.0, "mape": None, "f1": None}}
    assert baseline_wins({"model": equal, "persistence": equal}, 300) == []
    not_scored = {"mean": {"mae": 3.0, "wape": None}}
    better = {"mean": {"mae": 4.0, "wape": 2.0}}
    assert baseline_wins({"model": not_scored, "persistence": better}, 300) == []
    assert (win_title([]), win_lines([])) == (NO_WIN, [])


def test_the_order_of_tables_and_forecasters_that_this_version_does_not_know() -> None:
    names = ("zeros", "historical average", "day before", "persistence", "model")
    expected = ["model", "persistence", "day before", "historical average", "zeros"]
    assert in_order({name: {} for name in names}) == expected
