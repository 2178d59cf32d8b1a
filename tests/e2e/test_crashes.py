"""Promises 1 to 3 on the local profile."""

from __future__ import annotations

from contextlib import closing

import pytest
from fork_server import ForkServer
from promises import killed_at_crash_points, two_at_once
from small import PIPELINE, SMALL


@pytest.fixture(scope="module")
def clean(make_home):
    home = make_home("clean", **SMALL)
    code, output = home.run(*PIPELINE)
    assert code == 0, output
    return home.content("its_sim")


@pytest.mark.timeout(1200)
def test_killed_at_every_crash_point(make_home, clean):
    home = make_home("crashed", **SMALL)
    with closing(ForkServer()) as home.forks:
        killed_at_crash_points(home, clean)


@pytest.mark.timeout(900)
def test_two_runs_of_the_same_day_at_once_without_the_lock(make_home, clean):
    two_at_once(make_home("raced", **SMALL), clean)
