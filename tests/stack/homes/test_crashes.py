"""Promises 1 to 3 on the stack profile.

Two runs that meet without luigid and without the lock race on the local profile; what decides on
this one, the conditional commits of MinIO and PostgreSQL, races in servers/ and in test_warehouse.
"""

from __future__ import annotations

from contextlib import closing

import pytest
from fork_server import ForkServer
from promises import killed_at_crash_points, writes_nothing_when_all_is_done
from small import PIPELINE, SMALL

from luigi_traffic.crashpoints import CrashPoint

#: Points at which a server holds something that is not committed: one of each kind. After a commit
#: they hold what a run without a crash leaves, and what else there is lies in the home; the local
#: profile is killed at every point.
HALF_DONE = [
    CrashPoint.RAW_WRITTEN,  # objects of the core in the store
    CrashPoint.ANNOUNCE_PUBLISHED,  # an event without its receipt
    CrashPoint.SILVER_WRITTEN,  # objects of Spark in the store
    CrashPoint.GOLD_STAGED,  # a table that executors filled
    CrashPoint.GOLD_ATTACHED,  # an open transaction
    CrashPoint.TRAIN_REGISTERED,  # a version in MLflow that the ledger does not know
]
#: Luigi's exit code of a run that ends with tasks that others are at.
NOT_RUN = 25


@pytest.mark.timeout(1800)
def test_killed_wherever_something_is_half_done(make_stack_home, clean):
    home = make_stack_home("crashed", **SMALL)
    with closing(ForkServer("pyspark.sql.connect.session", "minio", "kafka")) as home.forks:
        killed_at_crash_points(home, clean.content("its_sim"), HALF_DONE)


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
