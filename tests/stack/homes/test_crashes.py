"""Promises 1 to 3 on the stack profile."""

from __future__ import annotations

import pytest
from promises import (
    OF_THE_PIPELINE,
    killed_at_crash_points,
    two_at_once,
    writes_nothing_when_all_is_done,
)
from small import PIPELINE, SMALL

from luigi_traffic.crashpoints import CrashPoint

#: Points at which the servers hold something that is not committed. After a commit they hold what a
#: run without a crash leaves, and a download or a checkpoint lies in the home; the local profile is
#: killed there as well.
_ELSEWHERE = {CrashPoint.RAW_DOWNLOADED, CrashPoint.TRAIN_CHECKPOINTED}
HALF_DONE = [
    point
    for point in OF_THE_PIPELINE
    if not point.value.endswith(".committed") and point not in _ELSEWHERE
]
#: Luigi's exit code of a run that ends with tasks that others are at.
NOT_RUN = 25


@pytest.mark.timeout(1800)
def test_killed_wherever_something_is_half_done(make_stack_home, clean):
    home = make_stack_home("crashed", **SMALL)
    killed_at_crash_points(home, clean.content("its_sim"), HALF_DONE)


@pytest.mark.timeout(900)
def test_two_runners_without_luigid_and_without_the_lock(make_stack_home, clean):
    home = make_stack_home("raced", **SMALL)
    two_at_once(home, clean.content("its_sim"))


@pytest.mark.timeout(900)
def test_two_runners_with_four_workers_each_on_luigid(make_stack_home, clean):
    home = make_stack_home("shared", **SMALL)
    # LUIGI_TRAFFIC_LUIGID names the scheduler.
    command = [word for word in PIPELINE if word != "--local-scheduler"]
    command += ["--workers", "4"]
    both = [home.start(*command) for _ in range(2)]
    said = [process.communicate(timeout=600)[0] for process in both]
    # One may leave while the other is at the last task: it has not seen the end, and says so.
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, NOT_RUN]), "\n".join(said)
    home.assert_nothing_partial("its_sim")
    assert home.content("its_sim") == clean.content("its_sim")
    home.assert_committed_once()
    code, output = home.run(*command)
    assert (code, "Did not run any tasks" in output) == (0, True), output


@pytest.mark.timeout(300)
def test_a_finished_run_again_writes_nothing(finished):
    writes_nothing_when_all_is_done(finished)
