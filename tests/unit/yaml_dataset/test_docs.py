"""docs/yaml-dataset.md says every key, its stage, and shows files that load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from luigi_traffic.api.dataset import DatasetSettings
from luigi_traffic.project import current
from luigi_traffic.yaml_dataset.expected import ExpectedSlots
from luigi_traffic.yaml_dataset.graph_settings import Graph, GraphColumns
from luigi_traffic.yaml_dataset.settings import Columns, Table, Wide

PAGE = (Path(__file__).parents[3] / "docs" / "yaml-dataset.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n# conf/datasets/(\w+)\.yml\n(.*?)```", PAGE, re.DOTALL)


def rows(first: str, last: str) -> dict[str, list[str]]:
    """Key → the other cells of its row, between two headings."""
    part = PAGE.partition(first)[2].partition(last)[0]
    found = {}
    for line in part.splitlines():
        if line.startswith("| `"):
            keys, *cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found |= dict.fromkeys(re.findall(r"`(\w+)`", keys), cells)
    return found


def stages(model: type, without: set[str] = frozenset()) -> dict[str, str]:
    fields = {n: f for n, f in model.model_fields.items() if n not in without}
    return {name: (f.json_schema_extra or {}).get("stage") or "–" for name, f in fields.items()}


def test_every_key_is_there_with_the_stage_that_it_makes_stale() -> None:
    said = rows("## Keys of `table`", "`columns`: by name")
    # These two are in a recipe by what comes out of them.
    expected = stages(Table) | {"interval": "silver", "graph": "gold", "target": "gold"}
    assert {key: cells[-1].strip(" |") for key, cells in said.items()} == expected
    said = rows("## Beside `table`", "## What happens")
    assert {key: cells[-1].strip(" |") for key, cells in said.items()} == stages(DatasetSettings)
    assert set(rows("`columns`: by name", "`wide`: the names")) == set(Columns.model_fields)
    assert set(rows("`wide`: the names", "`expected`: a")) == set(Wide.model_fields)
    assert set(rows("`expected`: a", "`graph`: one of")) == set(ExpectedSlots.__annotations__)
    assert set(rows("`graph`: one of", "## Beside")) == set(Graph.model_fields)
    for key in GraphColumns.model_fields:
        assert f"`{key}`" in rows("`graph`: one of", "## Beside")["columns"][0]


def test_there_are_three_examples() -> None:
    assert [name for name, _ in EXAMPLES] == ["my_city", "harbour", "loops"]


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_an_example_is_a_dataset(isolated, name: str, text: str) -> None:
    isolated.write(f"datasets/{name}.yml", text)
    dataset = current().plugins.dataset(name)
    assert dataset.timezone == yaml.safe_load(text)["table"]["timezone"]
    assert len(text.splitlines()) <= 25
