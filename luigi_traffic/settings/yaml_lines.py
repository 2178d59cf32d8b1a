"""YAML with the line of every key: an error can say where to look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from luigi_traffic.errors import SettingsError


def read(text: str) -> tuple[Any, dict[str, int]]:
    """What the text holds, and the line (from 1) of each dotted key: `a.b`, `a.list.0`.

    Raises `yaml.YAMLError`, and `SettingsError` for a key that is given twice: YAML itself
    would let the last one win.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        lines = dict(_lines(node, ""))
        return loader.construct_document(node), lines
    finally:
        loader.dispose()


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            here = f"{path}.{key.value}" if path else str(key.value)
            if here in first:
                raise SettingsError(f"line {line}: {here!r} is already given in line {first[here]}")
            first[here] = line
            yield here, line
            yield from _lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield f"{path}.{number}", item.start_mark.line + 1
            yield from _lines(item, f"{path}.{number}")
