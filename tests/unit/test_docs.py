"""The documents say what is there: hooks, dependencies, decisions."""

from __future__ import annotations

import configparser
import inspect
import re
import tomllib
from pathlib import Path

from luigi_traffic.plugins import hookspecs
from luigi_traffic.plugins.hookspecs import PROJECT

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"


def test_every_hook_has_a_page_with_its_signature_and_a_plugin_that_uses_it() -> None:
    hooks = {
        name: function
        for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
        if hasattr(function, f"{PROJECT}_spec")
    }
    assert hooks
    assert {page.stem for page in (DOCS / "hooks").glob("*.md")} == set(hooks)
    code = [p.read_text(encoding="utf-8") for p in (REPOSITORY / "plugins").rglob("*.py")]
    for name, function in hooks.items():
        page = (DOCS / "hooks" / f"{name}.md").read_text(encoding="utf-8")
        arguments = ", ".join(inspect.signature(function).parameters)
        assert page.startswith(f"# `{name}({arguments})`\n")
        assert (function.__doc__ or "").strip() in page
        assert any(f"def {name}(" in text for text in code), f"no plugin here uses {name}"


def test_the_design_lists_the_package_as_it_is() -> None:
    page = (DOCS / "design.md").read_text(encoding="utf-8")
    (layout,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    listed = [line.split()[0].rstrip("/") for line in layout.splitlines()]
    package = REPOSITORY / "luigi_traffic"
    hidden = {"__pycache__", "__init__.py", "py.typed"}
    assert set(listed) == {path.name for path in package.iterdir()} - hidden
    assert len(listed) + 2 <= 25
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    layers = contracts["tool"]["importlinter"]["contracts"][0]["layers"]
    below = {name: number for number, names in enumerate(layers) for name in names.split(" | ")}
    order = [below[name.removesuffix(".py")] for name in listed]
    assert order == sorted(order)


def test_every_dependency_has_its_reason() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    ours = {k: v for k, v in setup["options.extras_require"].items() if k not in ("all", "dev")}
    packages = "\n".join([setup["options"]["install_requires"], *ours.values()])
    wanted = re.findall(r"^([a-z][\w-]*)", packages, re.MULTILINE)
    reasons = (DOCS / "dependencies.md").read_text(encoding="utf-8")
    named = {
        name
        for row in re.findall(r"^\| ([\w, -]+) \|", reasons, re.MULTILINE)
        for name in row.split(", ")
    }
    assert set(wanted) - named == set()
    pinned = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--find-links", pinned)


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [*REPOSITORY.glob("README*.md"), *DOCS.rglob("*.md")]:
        # Anchors are looked at when the site is built.
        for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links {target}"


def test_every_check_of_the_kit_is_explained() -> None:
    from luigi_traffic.testing import DatasetSuite, LakeSuite, ModelSuite

    page = (DOCS / "testing-a-plugin.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(test_\w+)` \| \S", page, re.MULTILINE)
    suites = (DatasetSuite, ModelSuite, LakeSuite)
    there = [name for suite in suites for name in dir(suite) if name.startswith("test_")]
    assert sorted(named) == sorted(there)
