"""The examples for nginx and systemd; their own programs check the syntax, by hand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import luigi.server
from typer.testing import CliRunner

from luigi_traffic.cli import app
from luigi_traffic.commands import daily
from luigi_traffic.project import current

DOCKER = Path(__file__).parents[3] / "docker"
#: What luigid's pages call and the proxy keeps from them.
CHANGING = {
    "disable_worker", "forgive_failures", "get_scheduler_message_response", "mark_as_done",
    "re_enable_task", "send_scheduler_message", "set_worker_processes", "update_resource",
}  # fmt: skip


def test_the_proxy_lets_through_what_luigids_pages_read() -> None:
    text = (DOCKER / "nginx" / "luigid.conf").read_text(encoding="utf-8")
    (allowed,) = re.findall(r"location ~ \^/api/\(([\w|]+)\)\$ \{", text)
    script = Path(luigi.server.__file__).parent / "static" / "visualiser" / "js" / "luigi.js"
    called = set(re.findall(r'urlRoot \+ "/(\w+)"', script.read_text(encoding="utf-8")))
    assert set(allowed.split("|")) == called - CHANGING
    assert called >= CHANGING
    assert called <= set(luigi.server.RPC_METHODS)
    rest = text.split("# /metrics, /history and the rest of the API.")[1]
    assert "location / {\n        return 403;" in rest
    passed = re.findall(r"location (.+) \{\n +limit_except GET \{ deny all; \}\n +proxy_pass", text)
    assert len(passed) == text.count("proxy_pass http://127.0.0.1:8082;") == 2
    assert "auth_basic_user_file" in text


def unit(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DOCKER / "systemd" / name).read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_timer() -> None:
    timer = unit("luigi-traffic-daily.timer")
    assert timer["Persistent"] == ["true"]
    (when,) = timer["OnCalendar"]
    zone = when.split()[-1]
    assert zone == current().plugins.dataset("its").timezone


def test_the_service(monkeypatch) -> None:
    service = unit("luigi-traffic-daily.service")
    assert service["Type"] == ["oneshot"]
    assert service["User"] == ["luigi-traffic"]
    assert service["EnvironmentFile"] == ["/etc/luigi-traffic/environment"]
    assert service["NoNewPrivileges"] == ["true"]
    assert service["CapabilityBoundingSet"] == [""]
    (home,) = [v for v in service["Environment"] if v.startswith("LUIGI_TRAFFIC_HOME=")]
    assert home.endswith(f"/{service['StateDirectory'][0]}")
    program, *words = shlex.split(service["ExecStart"][0])
    assert program.endswith("/luigi-traffic")
    seen = []
    monkeypatch.setattr(daily, "daily", lambda _, options: seen.append(options) or True)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert seen == [daily.Options(luigi_arguments=["--workers", "2"])]
