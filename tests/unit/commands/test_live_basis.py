"""What live forecasts are made with is kept on the disk, whole or not at all."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luigi_traffic.commands.live import basis
from luigi_traffic.commands.live.basis import Basis
from luigi_traffic.training.intervals import Intervals

LINKS = ("1", "2", "3")
END = np.array([[-1, np.nan]], np.float32)
PROFILE = np.arange(12, dtype=np.float32).reshape(4, 3)
WHOLE = Basis(LINKS, Intervals(0.9, np.array([0, 0, 1]), END, -END), PROFILE)


def equal(one: Basis, other: Basis | None) -> None:
    assert other is not None and other.links == one.links
    assert (other.intervals is None) == (one.intervals is None)
    if one.intervals and other.intervals:
        assert other.intervals.level == one.intervals.level
        for name in ("group", "low", "high"):
            np.testing.assert_array_equal(
                getattr(other.intervals, name), getattr(one.intervals, name)
            )
    np.testing.assert_equal(other.profile, one.profile)


@pytest.mark.parametrize("made", [WHOLE, Basis(LINKS), Basis(())])
def test_it_is_kept_for_its_key_alone(tmp_path: Path, made: Basis) -> None:
    path = tmp_path / "live" / "speed.npz"
    assert Basis.kept(path, "a") is None
    made.keep(path, "a")
    equal(made, Basis.kept(path, "a"))
    assert Basis.kept(path, "b") is None


@pytest.mark.parametrize("size", [0, 100, 600])
def test_a_damaged_file_is_made_again(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "speed.npz"
    WHOLE.keep(path, "a")
    path.write_bytes(path.read_bytes()[:size])
    assert Basis.kept(path, "a") is None
    assert "cannot be read" in caplog.text and "made again" in caplog.text


def test_a_kill_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "speed.npz"
    WHOLE.keep(path, "a")

    def cut(file: Any, **parts: Any) -> None:
        file.write(b"PK")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(basis.np, "savez", cut)
        if not (child := os.fork()):
            WHOLE.keep(path, "b")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    equal(WHOLE, Basis.kept(path, "a"))
    assert len(list(tmp_path.iterdir())) == 2
    WHOLE.keep(path, "b")
    assert [one.name for one in tmp_path.iterdir()] == ["speed.npz"]
