"""Promise 1 and 3: a partition is absent or complete, and two runners give one result.

Every named crash point kills a real run by SIGKILL. The next run picks up what it left and is
killed at the next point, until nothing is left to kill; the content then equals a clean run's.
"""

from __future__ import annotations

import signal

import pytest
from small import PIPELINE, SMALL, UNSEEN

from luigi_traffic.crashpoints import CrashPoint


@pytest.fixture(scope="module")
def clean(make_home):
    home = make_home("clean", **SMALL)
    code, output = home.run(*PIPELINE)
    assert code == 0, output
    return home.content("its_sim")


@pytest.mark.timeout(1200)
def test_killed_at_every_crash_point(make_home, clean):
    home = make_home("crashed", **SMALL)
    for point in CrashPoint:
        code, output = home.run(*PIPELINE, LUIGI_TRAFFIC_CRASH_AT=point.value)
        assert code == -signal.SIGKILL, f"{point} did not kill the run:\n{output}"
        home.assert_nothing_partial("its_sim")
    code, output = home.run(*PIPELINE)
    assert code == 0, output
    home.assert_nothing_partial("its_sim")
    assert home.content("its_sim") == clean
    versions = home.sql("SELECT count(*) FROM meta.ledger WHERE stage = 'model'")
    assert versions == [(1,)]

    # A run that finds everything done dies of no crash point, and writes nothing.
    before = home.content("its_sim")
    stamps = {p: p.stat().st_mtime_ns for p in (home.path / "lake").rglob("*") if p.is_file()}
    code, output = home.run(*PIPELINE, LUIGI_TRAFFIC_CRASH_AT=UNSEEN)
    assert code == 0, output
    assert "Did not run any tasks" in output
    assert stamps == {
        p: p.stat().st_mtime_ns for p in (home.path / "lake").rglob("*") if p.is_file()
    }
    assert home.content("its_sim") == before


@pytest.mark.timeout(900)
def test_two_runs_of_the_same_day_at_once(make_home, clean):
    home = make_home("raced", **SMALL)
    both = [home.start(*PIPELINE) for _ in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
    home.assert_nothing_partial("its_sim")
    assert home.content("its_sim") == clean
    for stage in ("raw", "announce", "bronze", "silver"):
        days = [manifest["day"] for manifest in home.manifests(stage)]
        assert sorted(days) == sorted(set(days)), f"{stage}: more than one commit a partition"
    commits = home.sql("SELECT stage, part, count(*) FROM meta.ledger GROUP BY 1, 2")
    assert {row[2] for row in commits} == {1}, commits
