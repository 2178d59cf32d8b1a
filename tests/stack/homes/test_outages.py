"""A server that dies while a run is under way: complete in the end, or loud and complete again."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from homes import REPOSITORY, Home, LocalHome
from small import PIPELINE, SMALL
from stack_home import Stack

DAYS = "12"
RUN = tuple(DAYS if PIPELINE[i - 1] == "--window-days" else w for i, w in enumerate(PIPELINE))
#: Server → how many days of gold are there when it is killed.
KILLED = {"minio": 2, "kafka": 5, "postgres": 8}


def native(stack: Stack, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "docker" / "native"), *words],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=180,
        env=os.environ | {"LUIGI_TRAFFIC_STACK": str(stack.folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def wait_for_days(home: Home, process: subprocess.Popen[str], count: int) -> None:
    """Until that many days of gold are committed. The run must not have ended by then."""
    deadline = time.monotonic() + 400
    done = 0
    while done < count:
        assert process.poll() is None, f"ended with {process.returncode} after {done} days"
        assert time.monotonic() < deadline, f"{done} of {count} days after 400 s"
        time.sleep(0.5)
        if home.sql("SELECT 1 WHERE to_regclass('meta.ledger') IS NOT NULL"):
            ((done,),) = home.sql("SELECT count(*) FROM meta.ledger WHERE stage = 'gold'")


@pytest.fixture(scope="module")
def clean_days(tmp_path_factory):
    """What a run leaves that nothing disturbs. It runs beside the other one; call it after that."""
    home = LocalHome(tmp_path_factory.mktemp("days") / "home", SMALL)
    process = home.start(*RUN)

    def content() -> dict[str, object]:
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output
        return home.content("its_sim")

    yield content
    process.kill()
    process.wait()
    home.server.destroy()


@pytest.mark.timeout(1800)
def test_each_server_is_killed_during_a_run_of_many_days(make_stack_home, clean_days, stack):
    home = make_stack_home("outages", **SMALL)
    process = home.start(*RUN)
    try:
        for name, days in KILLED.items():
            wait_for_days(home, process, days)
            native(stack, "kill", name)
            time.sleep(3)
            assert process.poll() is None
            native(stack, "restart", name)
    except BaseException as e:
        process.kill()
        e.add_note(process.communicate()[0])
        raise
    output, _ = process.communicate(timeout=900)
    if process.returncode != 0:
        assert process.returncode == 30, output  # Luigi's "a task failed"
        assert "does not answer" in output or "was lost" in output, output
        code, output = home.run(*RUN)
        assert code == 0, output
    assert home.content("its_sim") == clean_days()
    home.assert_nothing_partial("its_sim")
    home.assert_committed_once()
