"""Figures of an evaluation from sums and counts."""

from __future__ import annotations

import re
import statistics
from datetime import date

import pytest

from luigi_traffic.commands import evaluation_page
from luigi_traffic.commands.evaluation import Scope
from luigi_traffic.commands.evaluation_figures import error_figures, lead_figures


def sums(count: int, absolute: float, squared: float, error: float) -> dict[str, float]:
    """Of values of 50, for half of which persistence is known, and wrong by 4."""
    return {
        "count": count, "absolute": absolute, "squared": squared, "error": error,
        "actual": 50.0 * count, "persistence_count": count // 2,
        "persistence_absolute": 4.0 * (count // 2), "day_before_count": 0,
        "day_before_absolute": 0.0,
    }  # fmt: skip


def test_figures_of_a_group_are_those_of_its_sums() -> None:
    found = error_figures({False: sums(30, 60, 180, -60), True: sums(10, 60, 460, 20)})
    assert found["mae"] == 3 and found["rmse"] == 4 and found["bias"] == -1
    assert found["wape"] == pytest.approx(0.06) and found["skill"] == 0.25
    assert (found["mae_free"], found["mae_congested"]) == (2, 6)
    assert found["day_before_mae"] is None
    without = error_figures({None: sums(30, 60, 180, -60)})
    assert (without["mae"], without["mae_free"], without["mae_congested"]) == (2, None, None)


@pytest.mark.parametrize("leads", [[5.0], [0.0, 15.0], [0.0, 0.0, 5.0], [5.0, 10.0, 10.0, 60.0]])
def test_the_lead_is_that_of_all_hits(leads: list[float]) -> None:
    counts = {lead: leads.count(lead) for lead in leads} | {None: 2}
    found = lead_figures(counts)
    assert found["onsets"] == len(leads) + 2
    assert found["hit_share"] == len(leads) / (len(leads) + 2)
    assert found["mean_lead"] == statistics.mean(leads)
    assert found["median_lead"] == statistics.median(leads)
    assert lead_figures({None: 2})["median_lead"] is None


def test_the_page_of_a_measure_without_congestion_says_nothing_of_it() -> None:
    figures = error_figures({None: sums(30, 60, 180, -60)}) | {"unit": ""}
    days = [date(2024, 5, n) for n in range(1, 15)]
    found = {
        "step": [figures | {"step": n, "minutes": 60.0 * n} for n in (1, 2)],
        "hour": [figures | {"hour": 7}],
        "day": [figures | {"day": day} for day in days],
        "link": [figures | {"link_id": "<b>"}],
        "version": [figures | {"model": "m", "version": None}],
    }
    html = evaluation_page.page(Scope("tiny", "flow"), days, found)
    assert "2024-05-01 to 2024-05-14, 14 days" in html
    assert "m: MAE 2.00, 50% below persistence (4.00)." in html
    assert html.count("<svg") == 3 and "&lt;b&gt;" in html and "<b>" not in html
    assert "ongested" not in html
    assert not re.findall(r"<(?:script|link|img)|(?:src|href)=.(?!#)", html)
