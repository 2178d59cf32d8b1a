"""Plugin packages from templates: a folder is there whole or not at all.

A file of `templates/<kind>/` becomes one of the package: `NAME` in its path is the name of the
plugin, `.jinja` goes, the text is rendered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from luigi_traffic.errors import SettingsError

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = ".jinja"


def templates(kind: str) -> list[Path]:
    """The templates of a kind, relative to its folder, sorted."""
    folder = TEMPLATES / kind
    return sorted(path.relative_to(folder) for path in folder.rglob(f"*{SUFFIX}"))


def write_package(kind: str, name: str, folder: Path, words: Mapping[str, str]) -> list[Path]:
    """Make the package in `folder` and return its files, relative to it.

    `folder` is absolute. `words` are what the templates ask for. Raises `SettingsError` where
    `folder` holds anything or cannot be made; then nothing is left behind.
    """
    try:
        _refuse_what_is_there(folder)
        # Beside it: a rename is one step only within a file system.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
            made = Path(beside) / folder.name
            files = _render(kind, name, made, words)
            # Takes the place of nothing or of an empty folder, and of nothing else.
            made.replace(folder)
    except OSError as e:
        raise SettingsError(
            f"cannot create the folder {folder}: {e.strerror or e}. Choose another one with "
            "--folder."
        ) from e
    return files


def _refuse_what_is_there(folder: Path) -> None:
    if not folder.parent.is_dir():
        raise SettingsError(
            f"the folder {folder.parent}, which should contain {folder.name}, does not exist. "
            "Create it, or choose another one with --folder."
        )
    if folder == Path.cwd():
        raise SettingsError(
            f"{folder} is the current folder. Leave out --folder to create a folder in it, or go "
            f"up and use: --folder {folder.name}"
        )
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        what = "is not empty" if folder.is_dir() else "exists and is not a folder"
        raise SettingsError(
            f"{folder} {what}, and nothing is overwritten. Move it away, or choose another folder "
            "with --folder."
        )


def _render(kind: str, name: str, into: Path, words: Mapping[str, str]) -> list[Path]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES / kind),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python, TOML and Markdown, of words that new.py has checked
    )
    files = []
    for template in templates(kind):
        file = Path(template.as_posix().replace("NAME", name).removesuffix(SUFFIX))
        text = jinja.get_template(template.as_posix()).render(words)
        (into / file).parent.mkdir(parents=True, exist_ok=True)
        (into / file).write_text(text, encoding="utf-8")
        files.append(file)
    return files
