"""Promises 1 to 3 on the stack profile."""

from __future__ import annotations

import pytest
from promises import killed_at_every_crash_point, two_at_once, writes_nothing_when_all_is_done
from small import PIPELINE, SMALL


@pytest.mark.timeout(1800)
def test_killed_at_every_crash_point(make_stack_home, clean):
    killed_at_every_crash_point(make_stack_home("crashed", **SMALL), clean.content("its_sim"))


@pytest.mark.timeout(900)
def test_two_runners_with_four_workers_each_on_luigid(make_stack_home, clean, stack):
    home = make_stack_home("raced", **SMALL)
    command = [word for word in PIPELINE if word != "--local-scheduler"]
    command += ["--workers", "4", "--scheduler-port", stack.scheduler_port]
    two_at_once(home, clean.content("its_sim"), tuple(command))


@pytest.mark.timeout(300)
def test_a_finished_run_again_writes_nothing(finished):
    writes_nothing_when_all_is_done(finished)
