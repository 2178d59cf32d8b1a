"""Small towns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luigi_traffic_its_sim import ItsSimSettings
from luigi_traffic_its_sim.town import Town


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test writes into the home of whoever runs it."""
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def town() -> Callable[..., Town]:
    def make(**settings: Any) -> Town:
        return Town(ItsSimSettings(**{"links_count": 40, **settings}))

    return make
