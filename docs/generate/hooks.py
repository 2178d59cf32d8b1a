"""What MkDocs asks while it builds the site: comments of the pages become what the code says.

    <!-- file: README.md -->        the text of a file outside docs/, its links made to fit
    <!-- settings -->               every setting: see settings_reference.py
    <!-- command: status -->        help and options of a command: see command_reference.py
    <!-- tasks -->                  the Luigi tasks and their parameters
    <!-- api: Source, Stream -->    public classes and functions: see api_reference.py

A comment that names what is not there fails the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api_reference import api
from command_reference import command, tasks
from settings_reference import settings

REPOSITORY = Path(__file__).parents[2]
_MARK = re.compile(r"^<!-- (file|settings|command|tasks|api)(?:: (.+?))? -->$", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)]+)(?=\))")
#: Files outside docs/ that have a page of their own.
_PAGES = {"README.md": "index.md", "README.ko.md": "korean.md", "CHANGELOG.md": "changes.md"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with its marks replaced."""
    return filled(markdown)


def filled(markdown: str) -> str:
    """Markdown with its marks replaced."""
    makers: dict[str, Callable[[str], str]] = {
        "file": file, "settings": lambda _: settings(), "command": command,
        "tasks": lambda _: tasks(), "api": api,
    }  # fmt: skip
    return _MARK.sub(lambda mark: makers[mark[1]](mark[2] or ""), markdown)


def file(name: str) -> str:
    """A file of the repository, as a page of docs/."""

    def inside(link: re.Match[str]) -> str:
        target = link[1]
        return _PAGES.get(target, target.removeprefix("docs/"))

    return _LINK.sub(inside, (REPOSITORY / name).read_text(encoding="utf-8"))
