"""A stage cannot read a setting that its recipe does not have."""

from __future__ import annotations

import ast
import copy
import pickle
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from luigi_traffic.api.dataset import Dataset, DatasetSettings, setting
from luigi_traffic.errors import SettingsError
from luigi_traffic.targets.stage_settings import dataset_for

TASKS = Path(__file__).parents[3] / "luigi_traffic" / "tasks"


class Table(BaseModel):
    parsed: int = setting(1, stage="bronze", description="")
    cleaned: int = setting(2, stage="silver", description="")


class Settings(DatasetSettings):
    address: str = setting("here", stage="raw", description="")
    undeclared: float = 50.0
    parsed: int = setting(1, stage="bronze", description="")
    cleaned: int = setting(2, stage="silver", description="")
    joined: int = setting(3, stage="gold", description="")
    timeout: int = setting(4, stage=None, description="")
    table: Table = setting(Table(), stage=None, description="")

    def both(self) -> int:
        return self.parsed + self.cleaned


class Town(Dataset):
    name, version, timezone, speed_unit = "town", "1", "UTC", "km/h"
    Settings = Settings

    @cached_property
    def sum(self) -> int:
        return self.settings.both()

    def source(self) -> Any: ...

    def bronze(self, spark: Any, raw: Any) -> Any: ...

    def silver(self, bronze: Any) -> Any: ...


@pytest.fixture
def town() -> Town:
    return Town(Settings())


#: Setting -> the first stage that may read it.
FIRST = {
    "address": "raw", "timeout": "raw", "max_rejected_share": "raw", "undeclared": "bronze",
    "parsed": "bronze", "links": "silver", "cleaned": "silver", "joined": "gold",
}  # fmt: skip
STAGES = ["raw", "bronze", "silver", "gold"]


@pytest.mark.parametrize("name", list(FIRST))
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_its_settings_and_those_before(town, stage, name) -> None:
    view = dataset_for(town, stage)
    if STAGES.index(stage) >= STAGES.index(FIRST[name]):
        assert getattr(view.settings, name) == getattr(town.settings, name)
        return
    with pytest.raises(SettingsError, match=f"dataset town: its {stage} stage reads .* '{name}'"):
        getattr(view.settings, name)


def test_a_method_a_cached_value_and_a_table_are_looked_into(town) -> None:
    assert town.sum == 3
    with pytest.raises(SettingsError, match="'cleaned'"):
        dataset_for(town, "bronze").settings.both()
    with pytest.raises(SettingsError, match="'cleaned'"):
        _ = dataset_for(town, "bronze").sum
    assert dataset_for(town, "silver").sum == 3
    assert dataset_for(town, "bronze").settings.table.parsed == 1
    with pytest.raises(SettingsError, match="'cleaned'"):
        _ = dataset_for(town, "bronze").settings.table.cleaned


def test_a_dump_has_what_may_be_read(town) -> None:
    view = dataset_for(town, "bronze").settings
    assert "parsed" in view.model_dump() and "cleaned" not in view.model_dump(mode="json")
    assert view.model_dump(include={"parsed"}) == {"parsed": 1}
    with pytest.raises(SettingsError, match="'cleaned'"):
        view.model_dump(include={"parsed", "cleaned"})


def test_it_is_settings_still_and_travels_as_them(town) -> None:
    view = dataset_for(town, "bronze").settings
    assert isinstance(view, Settings) and view.parsed == 1
    with pytest.raises(SettingsError, match="'cleaned'"):
        _ = copy.copy(view).cleaned
    arrived = pickle.loads(pickle.dumps(view))
    assert type(arrived) is Settings and arrived == town.settings
    assert type(town.settings) is Settings and town.settings.cleaned == 2


#: What `make` and its helpers may use of the task: how it tells, counts, commits and numbers work.
#: Both engines make the same data.
OWN = {"tell", "rows", "commit", "next_generation", "label", "project", "engine", "_made", "_notes"}
#: Raw looks for what there is already, and reads limits and the policy for absent days.
RAW = {"chain", "_ask", "_manifest", "_absent", "_progress", "_says_the_same"}
#: Where the work is committed; nothing there shapes it.
STORES = {"store", "catalog", "warehouse", "events"}
#: Limits, and a folder for scratch.
MORE = {"raw": {"settings", "home"}, "bronze": {"home"}}
MAKERS = {"make", "_made", "_notes", "_ask", "_manifest", "_absent", "_expected", "_coverage",
          "_links", "_link_cell"}  # fmt: skip


@pytest.mark.parametrize("stage", ["raw", "announce", "bronze", "silver", "gold"])
def test_the_work_of_a_stage_reads_what_it_is_given_alone(stage: str) -> None:
    """Recipes, plugins, settings and the task's own parameters are looked at before it."""
    tree = ast.parse((TASKS / f"{stage}.py").read_text("utf-8"))
    makers = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in MAKERS]
    assert "make" in {maker.name for maker in makers}
    allowed = OWN | RAW if stage == "raw" else OWN
    nodes = [node for maker in makers for node in ast.walk(maker)]
    owners = {node.value for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.Name):
            assert node.id not in {"lineage", "plugins", "settings"}, node.lineno
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) != "self.project" or node in owners, node.lineno
            assert node.attr != "lineage", node.lineno
            owner = ast.unparse(node.value)
            assert owner != "self" or node.attr in allowed, node.lineno
            if owner == "self.project":
                assert node.attr in STORES | MORE.get(stage, set()), node.lineno
