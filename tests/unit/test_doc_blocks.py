"""Every code block of README and docs/ is run, or says why it is not; see tests/doc_blocks.py."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from doc_blocks import (
    CODE,
    DATA,
    FIGURES,
    REPOSITORY,
    SHELL,
    Block,
    blocks,
    commands,
    lines,
    pages,
    problem,
    write_files,
)  # fmt: skip
from process_state import forget

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.settings.keys import PluginsSettings, Settings
from luigi_traffic.settings.reading import Layers, validated
from luigi_traffic.yaml_dataset import loading as declared

ALL = [block for page in pages() for block in blocks(page)]
TUTORIALS = {
    "write-a-dataset.md": ("datasets", "rivertown"),
    "write-a-model.md": ("models", "small_gru"),
}


def with_blocks(wanted) -> list:
    """A parameter for each page that has such blocks."""
    found = {block.page: block.page.relative_to(REPOSITORY) for block in ALL if wanted(block)}
    return [pytest.param(page, id=str(name)) for page, name in found.items()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the settings files of this repository, and a home of its own."""
    for variable in [name for name in os.environ if name.startswith("LUIGI_TRAFFIC")]:
        monkeypatch.delenv(variable)
    place = tmp_path / "here"
    place.mkdir()
    (place / "conf").symlink_to(REPOSITORY / "conf")
    monkeypatch.chdir(place)
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return place


def loaded(page: Path, folder: Path) -> Plugins:
    """The installed plugins and those that the page makes."""
    write_files([b for b in blocks(page) if (b.file or "").startswith("plugins/")], folder)
    path = [folder / "plugins"] if (folder / "plugins").is_dir() else []
    found = Plugins.load(Settings(plugins=PluginsSettings(path=path)), Layers())
    assert [(p.name, p.problem) for p in found.found if p.problem] == []
    return found


def test_every_block_has_a_language_and_a_reason_where_it_is_not_run(record_property) -> None:
    reasons = []
    for block in ALL:
        assert block.language in CODE | DATA | FIGURES, f"{block}: language {block.language!r}"
        if block.mark:
            kind, what = block.mark
            assert block.language in CODE, f"{block}: {block.language} is not run anyway"
            assert kind == "not run" or what == "e2e", f"{block}: run where?"
            reasons += [f"{block}: {what}"] if kind == "not run" else []
        if block.language in FIGURES:
            assert not re.search(r"^(luigi|luigi-traffic|make|pip|docker) ", block.text, re.M) or (
                "[OPTIONS]" in block.text
            ), f"{block} shows commands: its language is sh"
    assert any(block.runs_here for block in ALL)
    record_property("not run", "\n".join(reasons))
    print("\n".join(["not run:", *reasons]))  # noqa: T201


@pytest.mark.parametrize("page", with_blocks(lambda b: b.language == "python" and b.runs_here))
def test_python_blocks_run(page: Path, folder: Path) -> None:
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        if block.language == "python" and block.runs_here:
            exec(compile(block.text, str(block), "exec"), namespace)


@pytest.mark.parametrize("page", [REPOSITORY / "docs" / name for name in TUTORIALS], ids=TUTORIALS)
def test_what_a_tutorial_makes_is_a_plugin(page: Path, folder: Path) -> None:
    kind, name = TUTORIALS[page.name]
    assert name in getattr(loaded(page, folder), kind)
    for file in write_files([b for b in blocks(page) if b.language == "python"], folder):
        compile(file.read_text(encoding="utf-8"), str(file), "exec")


@pytest.mark.parametrize("page", with_blocks(lambda b: b.language in DATA))
def test_data_blocks_are_what_they_say(page: Path, folder: Path) -> None:
    for block in blocks(page):
        if block.language == "toml":
            project = tomllib.loads(block.text)
            if group := project.get("project", project).get("entry-points"):
                assert group.keys() == {"luigi_traffic"}, block
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            values = yaml.safe_load(block.text)
            assert isinstance(values, dict), block
            if block.file:
                _as_settings(block, values, loaded(page, folder))


def _as_settings(block: Block, values: dict, plugins: Plugins) -> None:
    """The values of a settings file, as the program takes them."""
    parts = Path(block.file or "").with_suffix("").parts
    assert parts[0] == "conf", block
    if len(parts) == 2:
        validated(Settings, values, "", Layers())
        return
    _, kind, name = parts
    if kind == "datasets" and declared.declares(values):
        assert issubclass(declared.declared(name, values, Layers()), Dataset)
        return
    known = {"datasets": plugins.datasets, "models": plugins.models}[kind]
    assert name in known, f"{block}: no plugin provides {name}"
    model = known[name].Settings if kind == "datasets" else known[name].Config
    validated(model, values, f"{kind}.{name}", Layers())


@pytest.mark.parametrize("page", with_blocks(lambda b: b.language in SHELL and b.runs_here))
def test_shell_blocks_run(page: Path, folder: Path) -> None:
    for block in blocks(page):
        if block.language in SHELL and block.runs_here:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=folder, capture_output=True, text=True, timeout=240,
            )  # fmt: skip
            assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", with_blocks(lambda b: b.language in SHELL))
def test_commands_exist_with_their_options(page: Path, folder: Path) -> None:
    forget()
    for block in blocks(page):
        if block.language in SHELL:
            for line in lines(block):
                for words in commands(line):
                    assert (why := problem(words)) is None, f"{block}: {line}\n{why}"


@pytest.mark.parametrize(
    "line",
    [
        "luigi-traffic staus", "luigi-traffic status --dayz 3", "luigi-traffic query",
        "luigi-traffic gc --dry-run=maybe", "luigi-traffic plugins ls",
        "LUIGI_TRAFFIC_PROFILE=stack luigi-traffic statsu && true",
        "luigi --module luigi_traffic.run FullPipelin", "make stak", "make run DAYZ=3",
        "luigi --module luigi_traffic.run Gold --dataset its --date 2024-05-31 --days 3",
        "luigi-traffic daily -- --windowdays 14", "python benchmarks/gone.py > out.txt",
        "docker compose -f docker/gone.yml up",
        "docker compose -f docker/compose.yml run --rm worker luigi-traffic doktor",
    ],
)  # fmt: skip
def test_a_command_that_is_wrong_is_found(line: str, folder: Path) -> None:
    forget()
    assert any(problem(words) for words in commands(line))


def test_commands_named_in_the_text_exist(folder: Path) -> None:
    forget()
    named = set()
    for page in pages():
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        named |= set(re.findall(r"`luigi-traffic ([a-z-]+(?: list)?)\b", text))
    assert {"status", "plugins list"} <= named
    given = {name: problem(["luigi-traffic", *name.split()]) or "" for name in named}
    assert [name for name, why in given.items() if "there is no command" in why] == []


@pytest.mark.parametrize("page", [REPOSITORY / "docs" / name for name in TUTORIALS], ids=TUTORIALS)
def test_the_errors_that_a_tutorial_explains_are_those_of_the_code(page: Path) -> None:
    said = [message for file in (REPOSITORY / "luigi_traffic").rglob("*.py")
            for message in _strings(ast.parse(file.read_text(encoding="utf-8")))]  # fmt: skip
    text = page.read_text(encoding="utf-8").split("## What an error means")[1]
    quoted = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert len(quoted) > 5
    for message in quoted:
        wanted = ".*".join(re.escape(part) for part in message.split("…"))
        assert any(re.search(wanted, one, re.S) for one in said), f"nothing says {message!r}"


def _strings(tree: ast.AST) -> list[str]:
    """Literals and f-strings of a module, with … where a value is filled in."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found
