"""Builds: once for each pinned input, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import artifacts
import pytest
from artifacts import Artifact

from luigi_traffic.errors import StoreError


@pytest.fixture
def pinned(tmp_path, monkeypatch) -> Artifact:
    """One that writes a file named `made` and one line in its log."""
    monkeypatch.setenv("LUIGI_TRAFFIC_CACHE", str(tmp_path / "cache"))
    pins = tmp_path / "pins"
    pins.write_text("1")
    return Artifact("thing", (pins,), ("sh", "-c", "echo made; touch {target}/made"), "a moment")


def test_is_made_once(pinned, tmp_path):
    log = tmp_path / "log"
    folder = pinned.get(log)
    assert (folder / "made").exists() and log.read_text() == "made\n"
    log.unlink()
    assert pinned.get(log) == folder
    assert not log.exists()


def test_another_pin_is_another_folder(pinned, tmp_path):
    first = pinned.get(tmp_path / "log")
    pinned.inputs[0].write_text("2")
    second = pinned.get(tmp_path / "log")
    assert first != second and (first / "made").exists() and (second / "made").exists()


def test_a_failed_build_leaves_nothing_and_shows_its_log(pinned, tmp_path):
    broken = replace(pinned, command=("sh", "-c", "touch {target}/half; echo no route; exit 3"))
    with pytest.raises(StoreError, match="no route"):
        broken.get(tmp_path / "log")
    assert not broken.folder.exists()
    mended = replace(broken, command=pinned.command)
    mended.get(tmp_path / "log")
    assert [path.name for path in artifacts.cache().iterdir() if ".new-" in path.name] == []


def test_a_killed_build_leaves_no_half_result(pinned, tmp_path):
    """The builder is killed, and so is what it runs; the next one begins anew."""
    slow = replace(
        pinned, command=("sh", "-c", "touch {target}/half; sleep 60; touch {target}/made")
    )
    program = (
        f"import sys; sys.path.insert(0, {str(Path(artifacts.__file__).parent)!r})\n"
        "from pathlib import Path; from artifacts import Artifact\n"
        f"Artifact('thing', (Path({str(slow.inputs[0])!r}),), {slow.command!r}, 'a moment')"
        f".get(Path({str(tmp_path / 'log')!r}))"
    )
    builder = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(artifacts.cache().glob("*/half")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(builder.pid, signal.SIGKILL)
    assert builder.wait() == -signal.SIGKILL
    assert list(artifacts.cache().glob("*/half")) and not slow.folder.exists()
    quick = pinned.get(tmp_path / "log")
    assert (quick / "made").exists() and not list(artifacts.cache().glob("*/half"))


def test_two_at_once_build_once(pinned, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    count = tmp_path / "count"
    slow = replace(pinned, command=("sh", "-c", f"echo x >> {count}; sleep 0.5"))
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(slow.get, [tmp_path / "log1", tmp_path / "log2"]))
    assert folders[0] == folders[1] and count.read_text() == "x\n"


def test_a_missing_program_is_named_where_it_is_needed(pinned, tmp_path):
    lacking = replace(pinned, command=("no-such-program", "{target}"))
    assert "`no-such-program`" in lacking.missing_program()
    assert "thing" in lacking.missing_program()
    lacking.folder.mkdir(parents=True)
    assert lacking.missing_program() is None


def test_builds_are_told_no_secret(pinned, tmp_path, monkeypatch):
    monkeypatch.setenv("LUIGI_TRAFFIC__LAKE__SECRET_KEY", "hush")
    told = replace(pinned, command=("sh", "-c", "env"))
    told.get(tmp_path / "log")
    assert "PATH=" in (tmp_path / "log").read_text()
    assert "hush" not in (tmp_path / "log").read_text()


def test_what_the_stack_builds_is_pinned():
    """By files that are in the repository: their content is in the name of the folder."""
    for artifact in (artifacts.MINIO, artifacts.KAFKA, artifacts.SPARK_S3A):
        assert artifact.folder.name.startswith(f"{artifact.name}-")
    modules = (artifacts.DOCKER / "minio" / "go.mod").read_text()
    assert artifacts.MINIO_RELEASE in modules
