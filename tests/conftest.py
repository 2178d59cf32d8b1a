"""Fixtures of all tests: a home and settings folder of the test's own, and a tiny plugin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# Modules of ours that hold assertions.
pytest.register_assert_rewrite("homes", "promises", "stack_home", "s3_contract")

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


#: Text lines "HH:MM,link,speed" of one day, from a folder.
TINY = """
from datetime import timedelta
import luigi_traffic as lt

luigi_traffic_api = 2


class TinySettings(lt.DatasetSettings):
    glob: str = lt.setting("/nowhere/{date}.csv", stage="raw", description="files")
    max_speed: float = lt.setting(150.0, stage="bronze", description="fastest")
    patience: int = lt.setting(1, stage=None, description="changes no data")
    undeclared: int = 0


class TinyDataset(lt.Dataset):
    name = "tiny"
    version = "1"
    interval = timedelta(minutes=5)
    timezone = "Asia/Seoul"
    measures = {"speed": "km/h", "flow": "veh/h"}
    Settings = TinySettings

    def source(self):
        return lt.Files(self.settings.glob)

    def header(self, first_line):
        return first_line == "time,link,speed"

    def bronze(self, spark, raw):
        raise NotImplementedError

    def silver(self, bronze):
        raise NotImplementedError

    def graph(self):
        return lt.LinkGraph.from_edges([("a", "b"), ("b", "c")])


class TinyConfig(lt.ModelConfig):
    hidden: int = 4


class TinyModel(lt.Model):
    name = "tiny_model"
    version = "1"
    Config = TinyConfig

    def channels(self, config):
        return (lt.TARGET,)

    def build(self, config, shape, context):
        raise NotImplementedError


@lt.hookimpl
def luigi_traffic_datasets():
    return [TinyDataset]


@lt.hookimpl
def luigi_traffic_models():
    return [TinyModel]
"""


@pytest.fixture
def tiny(isolated: Isolated) -> Isolated:
    """`isolated` with the dataset `tiny` and the model `tiny_model`."""
    isolated.plugin("tiny", TINY)
    return isolated
