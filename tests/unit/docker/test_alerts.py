"""docker/prometheus: that the rules ask for what luigid serves. What they say: tests/stack."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import yaml
from luigi.contrib.prometheus_metric import PrometheusMetricsCollector

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


def test_every_rule_has_a_case_where_it_tells_and_one_where_it_does_not() -> None:
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"][0]["rules"]
    cases = [
        case
        for test in yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for rule in rules:
        told = {bool(c["exp_alerts"]) for c in cases if c["alertname"] == rule["alert"]}
        assert told == {True, False}, rule["alert"]
