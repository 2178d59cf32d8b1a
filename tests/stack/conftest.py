"""The running stack. A server that is missing is a failure, never a skip."""

from __future__ import annotations

import pytest
from stack_home import Stack
from xdist.scheduler import LoadScopeScheduling


class Folders(LoadScopeScheduling):
    """All tests of a folder below this one go to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Folders:
    """Two folders for two processes: `homes` share the models of the stack, and one at a time is
    at them; the tests of `servers` have topics, buckets and databases of their own."""
    return Folders(config, log)


@pytest.fixture(scope="session")
def stack() -> Stack:
    found = Stack.running()
    found.let_the_lake_user_see_test_buckets()
    return found
