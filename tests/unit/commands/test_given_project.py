"""Commands look at the project that they are given, whatever the project of the process is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from luigi_traffic.commands import (
    freshness,
    garbage,
    invalidate,
    lineage,
    plugins,
    query,
    settings,
    status,
    verify,
)
from luigi_traffic.commands.doctor import command as doctor
from luigi_traffic.errors import DataError
from luigi_traffic.processes.heartbeat import Heartbeat
from luigi_traffic.project import Project, current

LAST = date(2024, 5, 2)


@pytest.fixture
def given(filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The filled home; that of the process is an empty one."""
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path / "another"))
    project = Project(filled.path, filled.conf, "local", os.environ)
    yield project
    project.close()
    # Nobody has asked for it, so nobody can have taken something of it by mistake.
    assert current.cache_info().currsize == 0


def test_those_that_look(given: Project) -> None:
    rows = status.rows(given, "tiny", status.Range(2, last=LAST))
    assert [r["state"] for r in rows if r["kind"] == "model"] == ["done"]
    assert {r["state"] for r in rows if r.get("day") == LAST} == {"done"}
    assert len(lineage.rows(given, None, None, "tiny")) > 5
    assert query.rows(given, "SELECT count(*) AS n FROM meta.ledger", 1)[1] == [{"n": 4}]
    assert "tiny" in [r["value"] for r in settings.rows(given) if r["key"] == "pipeline.dataset"]
    assert "tiny_plugin" in {row["name"] for row in plugins.rows(given)}
    found = {row["check"]: row for row in doctor.rows(given, deep=False)}
    assert "4 live partitions" in found["warehouse"]["found"]
    assert str(given.home) in found["lake"]["found"]
    pulse = Heartbeat(given.home, "daily-tiny")
    try:
        assert [row["service"] for row in freshness.rows(given)] == ["daily-tiny"]
    finally:
        pulse.path.unlink()


def test_those_that_keep_it_sound(given: Project) -> None:
    assert verify.verify(given, "tiny", deep=False, mark=False).looked_at > 5
    assert garbage.rows(given, timedelta(days=1), dry_run=True) == []
    with pytest.raises(DataError, match="nothing is committed for bronze tiny 2023-01-01"):
        invalidate.invalidate(given, "bronze", "tiny", "2023-01-01", "a test")
