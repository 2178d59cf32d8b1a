"""Fixtures of all tests: a home and settings folder of the test's own, and a tiny plugin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# Modules of ours that hold assertions.
pytest.register_assert_rewrite("homes", "promises", "stack_home", "s3_contract")

from plugin_sources import TINY  # noqa: E402
from process_state import forget  # noqa: E402

from luigi_traffic.processes.postgres.embedded import EmbeddedServer  # noqa: E402


@dataclass
class Isolated:
    """A LUIGI_TRAFFIC_HOME and LUIGI_TRAFFIC_CONF that nobody else uses."""

    home: Path
    conf: Path
    monkeypatch: pytest.MonkeyPatch

    def write(self, name: str, text: str) -> Path:
        """A file of the settings folder."""
        path = self.conf / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        forget()
        return path

    def set(self, **variables: str) -> None:
        """Environment LUIGI_TRAFFIC__<KEY>, as `set(LAKE__PATH="/x")`."""
        for key, value in variables.items():
            self.monkeypatch.setenv(f"LUIGI_TRAFFIC__{key}", value)
        forget()

    def plugin(self, name: str, source: str) -> Path:
        """A module in a folder on plugins.path."""
        folder = self.home.parent / "plugins"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        # Bytecode counts as new by second and size: less than two writes of a test differ in.
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        self.set(PLUGINS__PATH=f"[{folder}]")
        return path


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Isolated]:
    """Nothing of the caller's environment, no settings file, no installed plugin."""
    for variable in [name for name in os.environ if name.startswith("LUIGI_TRAFFIC")]:
        monkeypatch.delenv(variable)
    place = Isolated(tmp_path / "home", tmp_path / "conf", monkeypatch)
    place.conf.mkdir()
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(place.home))
    monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(place.conf))
    monkeypatch.setattr("luigi_traffic.plugins.loading.entry_points", lambda group: [])
    forget()
    yield place
    monkeypatch.undo()
    forget()
    if (place.home / "postgres").exists():  # whoever ran a stage has started it
        EmbeddedServer(place.home / "postgres").destroy()


@pytest.fixture
def tiny(isolated: Isolated) -> Isolated:
    """`isolated` with the dataset `tiny` and the model `tiny_model`."""
    isolated.plugin("tiny", TINY)
    return isolated
