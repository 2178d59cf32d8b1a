"""Promises 1 to 3 of the design, on a home of any profile."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from homes import Home
from small import PIPELINE, UNSEEN

from luigi_traffic.crashpoints import CrashPoint

#: FullPipeline evaluates nothing: tests/e2e/test_champion.py passes the point of that, and
#: test_live.py those of `luigi-traffic live`.
OF_THE_PIPELINE = [p for p in CrashPoint if not p.startswith(("evaluation.", "live."))]


def killed_at_crash_points(
    home: Home, clean: dict[str, object], points: Iterable[CrashPoint] = OF_THE_PIPELINE
) -> None:
    """Each point kills a real run by SIGKILL; the next run picks up what it left and is killed
    at the next point, until nothing is left to kill; the content then equals a clean run's."""
    for point in points:
        code, output = home.run(*PIPELINE, LUIGI_TRAFFIC_CRASH_AT=point.value)
        assert code == -signal.SIGKILL, f"{point} did not kill the run:\n{output}"
        home.assert_nothing_partial("its_sim")
    code, output = home.run(*PIPELINE)
    assert code == 0, output
    home.assert_nothing_partial("its_sim")
    assert home.content("its_sim") == clean
    assert home.sql("SELECT count(*) FROM meta.ledger WHERE stage = 'model'") == [(1,)]
    writes_nothing_when_all_is_done(home)


def writes_nothing_when_all_is_done(home: Home) -> None:
    """A run that finds everything done dies of no crash point, and writes nothing."""
    before, objects = home.content("its_sim"), home.objects()
    code, output = home.run(*PIPELINE, LUIGI_TRAFFIC_CRASH_AT=UNSEEN)
    assert code == 0, output
    assert "Did not run any tasks" in output
    assert home.objects() == objects
    assert home.content("its_sim") == before


def two_at_once(home: Home, clean: dict[str, object]) -> None:
    """Two runs of the same work both succeed, with one result, and no object is lost.

    Without the lock, which only saves work: the commits race at each stage.
    """
    unlocked = (sys.executable, str(Path(__file__).with_name("unlocked.py")), *PIPELINE[1:])
    both = [home.start(*unlocked) for _ in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
    home.assert_nothing_partial("its_sim")
    assert home.content("its_sim") == clean
    home.assert_committed_once()
