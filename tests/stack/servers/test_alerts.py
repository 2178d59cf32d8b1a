"""The alert rules, run by Prometheus's own tool over restarts of luigid."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[3] / "docker"
sys.path.append(str(DOCKER / "native"))

from artifacts import Artifact  # noqa: E402

RULES = DOCKER / "prometheus"
GET = "cd {target} && apt-get download prometheus && dpkg -x prometheus_*.deb . && rm *.deb"


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """From the PATH, else out of Debian's package, which is not installed."""
    found = shutil.which("promtool")
    if found:
        return found
    command = f"({GET}) || (apt-get update && {GET})"
    artifact = Artifact("promtool", (), ("sh", "-euc", command), "10 seconds")
    return str(artifact.get(tmp_path_factory.mktemp("apt") / "log") / "usr" / "bin" / "promtool")


def run(promtool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool, "test", "rules", "alerts_test.yml"], cwd=folder, capture_output=True, text=True
    )


def test_the_rules_tell_of_what_is_so_and_of_nothing_else(promtool: str) -> None:
    done = run(promtool, RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_cases_can_tell_rules_that_forget_a_restart(promtool: str, tmp_path: Path) -> None:
    """Those that the documentation had before."""
    shutil.copy(RULES / "alerts_test.yml", tmp_path)
    expressions = {
        "TaskFailed": "increase(luigi_task_failed_total[1h]) > 0",
        "NoGoldForADay": 'increase(luigi_task_done_total{family="Gold"}[26h]) == 0',
    }
    rules = [{"alert": name, "expr": text} for name, text in expressions.items()]
    (tmp_path / "alerts.yml").write_text(json.dumps({"groups": [{"name": "old", "rules": rules}]}))
    done = run(promtool, tmp_path)
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "name: gold every day, luigid restarted after it" in told
    assert "name: the first failure after a start, and none" in told
