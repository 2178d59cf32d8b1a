"""HTML pages that need nothing beside them: one look, one engine, nothing from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def render(template: str, **values: Any) -> str:
    """The page of one of the templates beside this module. Equal values give equal text.

    Every text is escaped; the drawings of `charts` are no text, they stand as they are.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("luigi_traffic.training", ""), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(template).render(values)


def write(path: Path, html: str) -> Path:
    """Write the page into a folder that may not be there yet; the answer is `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    return path
