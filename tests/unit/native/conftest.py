"""The launcher is a folder of modules beside the package, run by `python docker/native`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[3] / "docker" / "native"
sys.path.insert(0, str(NATIVE))


@pytest.fixture
def state(tmp_path, isolated):
    """A state folder of the test's own."""
    from state import State

    made = State(tmp_path / "stack")
    made.prepare()
    return made
