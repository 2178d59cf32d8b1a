"""docker/prometheus: the rules ask for what is served. What they say: tests/stack."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import yaml
from luigi.contrib.prometheus_metric import PrometheusMetricsCollector

from luigi_traffic.commands.serve.figures import Figures
from luigi_traffic.commands.serve.live_ticks import LiveTicks

REPOSITORY = Path(__file__).parents[3]
RULES = REPOSITORY / "docker" / "prometheus"


def test_the_rules_ask_for_metrics_that_luigid_serves() -> None:
    collector = PrometheusMetricsCollector()
    task = SimpleNamespace(family="Gold", params={}, updated=2.0, time_running=1.0)
    collector.handle_task_started(task)
    collector.handle_task_failed(task)
    collector.handle_task_done(task)
    served = set(re.findall(r'^(luigi_\w+)\{family="Gold"\}', collector.generate_latest().decode(),
                            re.MULTILINE))  # fmt: skip
    asked = set(re.findall(r"\bluigi_task\w+", (RULES / "alerts.yml").read_text()))
    assert asked and asked <= served


def test_the_rules_ask_for_figures_that_serve_serves() -> None:
    figures = Figures()
    now = datetime(2024, 6, 1, tzinfo=UTC)
    figures.live("its", LiveTicks("", now, now, 0, True, 0.0))
    figures.stages("its", [("gold", "failed", 1)], [])
    served = set(re.findall(r'^(\w+)\{dataset="its"', figures.text().decode(), re.MULTILINE))
    asked = set(re.findall(r"\bluigi_traffic_\w+", (RULES / "alerts.yml").read_text()))
    assert len(asked) == 5 and asked <= served


def test_every_rule_has_a_case_where_it_tells_and_one_where_it_does_not() -> None:
    groups = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    cases = [
        case
        for test in yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for rule in rules:
        told = {bool(c["exp_alerts"]) for c in cases if c["alertname"] == rule["alert"]}
        assert told == {True, False}, rule["alert"]
