"""The file that is stored with each model: what it imports must stay where it is, for years."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

from luigi_traffic.training import pyfunc

#: Module, name: what models that are registered already import from us. Never take a line away.
PROMISED = [
    ("luigi_traffic.plugins", "plugins"),
    ("luigi_traffic.training.bundle", "Bundle"),
    ("luigi_traffic.training.forecaster", "Forecaster"),
    ("luigi_traffic.training.series", "Series"),
]


@pytest.mark.parametrize(("module", "name"), PROMISED)
def test_models_that_are_registered_find_what_they_import(module: str, name: str) -> None:
    assert callable(getattr(import_module(module), name))


def test_models_import_nothing_else_of_us() -> None:
    tree = ast.parse(Path(pyfunc.__file__).read_text("utf-8"))
    imported = [
        (str(node.module), name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("luigi_traffic")
        for name in node.names
    ]
    assert set(imported) <= {*PROMISED}


def test_no_other_name_of_the_package_is_made_up() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plugin'"):
        import_module("luigi_traffic.plugins").plugin  # noqa: B018
