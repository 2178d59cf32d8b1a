"""The code blocks of README and docs/: which there are, what becomes of each, what it calls.

A comment on the line before a block says what the tests do with it:

    <!-- not run: REASON -->    it is read, its commands are checked, and that is all
    <!-- run: e2e -->           tests/e2e/test_doc_pages.py runs it, in the order of the pages
    (none)                      tests/unit/test_doc_blocks.py runs it

A block whose first line is a comment with a path is that file, or goes on with it:
`# plugins/town.py`, `# plugins/town.py, continued`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from luigi.cmdline_parser import CmdlineParser
from markdown_it import MarkdownIt

from luigi_traffic.cli import app

REPOSITORY = Path(__file__).parents[1]
SHELL = frozenset({"sh"})
CODE = frozenset({"python", *SHELL})
DATA = frozenset({"yaml", "toml", "json"})
#: Shown, never run: what comes out, what a file looks like.
FIGURES = frozenset({"text", "csv"})
_MARK = re.compile(r"<!-- (not run|run): (.+?) -->\s*$")
_FILE = re.compile(r"# ([\w./-]+\.(?:py|yml))(, continued)?\n")
_OPERATORS = frozenset({"&&", "||", "|", ";", "&"})


def pages() -> list[Path]:
    """README and docs/, whatever the language."""
    return sorted([*REPOSITORY.glob("README*.md"), *(REPOSITORY / "docs").rglob("*.md")])


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    text: str
    #: ("not run", reason), ("run", "e2e") or None.
    mark: tuple[str, str] | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The path of the file that this block is, or goes on with."""
        found = _FILE.match(self.text)
        return found[1] if found else None

    @property
    def runs_here(self) -> bool:
        """Whether the unit tests run it."""
        return self.language in CODE and self.mark is None and self.file is None


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found, mark = [], None
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            line = token.map[0] + 1 if token.map else 0
            found.append(Block(page, line, token.info.strip(), token.content, mark))
        if token.type == "html_block":
            seen = _MARK.search(token.content)
            mark = (seen[1], seen[2]) if seen else None
        else:
            mark = None
    return found


def write_files(found: list[Block], folder: Path) -> list[Path]:
    """The files that blocks are, below `folder`, as somebody who follows the page makes them."""
    texts: dict[str, str] = {}
    for block in found:
        if block.file is not None:
            rest = block.text.split("\n", 1)[1]
            goes_on = ", continued\n" in block.text[: len(block.text) - len(rest)]
            assert goes_on == (block.file in texts), f"{block}: begins {block.file} anew, or late"
            texts[block.file] = texts.get(block.file, "") + rest
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def lines(block: Block) -> list[str]:
    """The command lines of a shell block, continued ones joined, without comments."""
    joined = block.text.replace("\\\n", " ").splitlines()
    bare = [re.sub(r"(^|\s+)# .*", "", line).strip() for line in joined]
    return [line for line in bare if line]


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line, without variables, redirections and comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for word in lexer:
        if skip:
            skip = False
        elif word in _OPERATORS:
            yield words
            words = []
        elif word.startswith((">", "<")):
            skip = True
        elif words or not re.match(r"\w+=", word):
            words.append(word)
    yield words


def problem(words: list[str]) -> str | None:
    """Why a command of ours cannot be given like this; None where it can, or is not ours."""
    if words[:2] == ["docker", "compose"] and "worker" in words:
        words = words[words.index("worker") + 1 :]
    for word in words:
        named = re.fullmatch(
            r"(?:docker|benchmarks|plugins|conf)/[\w./-]+\.(?:py|yml|cfg|sql)", word
        )
        if named and not (REPOSITORY / word).exists():
            return f"there is no {word}"
    check = {"luigi-traffic": _of_ours, "luigi": _of_luigi, "make": _of_make}.get(
        words[0] if words else ""
    )
    return check(words[1:]) if check else None


def _of_ours(words: list[str]) -> str | None:
    command: Any = typer.main.get_command(app)
    names: list[str] = []
    while words and hasattr(command, "list_commands"):
        if words[0] in ("--help", "--version"):
            return None
        names.append(words[0])
        command, words = command.get_command(None, words[0]), words[1:]
        if command is None:
            return f"there is no command luigi-traffic {' '.join(names)}"
    try:
        command.make_context(" ".join(names), list(words))
    except SystemExit as e:  # --help
        return None if not e.code else f"luigi-traffic {' '.join(names)} does not take it"
    except Exception as e:  # noqa: BLE001 - typer's own copy of click: UsageError and its kind
        return f"luigi-traffic {' '.join(names)}: {getattr(e, 'message', e)}"
    if names[0] in ("daily", "listen") and "--" in words:
        return _of_luigi(["FullPipeline", *words[words.index("--") + 1 :]])
    return None


def _of_luigi(words: list[str]) -> str | None:
    try:
        with CmdlineParser.global_instance([w for w in words if w != "--local-scheduler"]) as given:
            given.get_task_obj()
    except SystemExit as e:
        return None if not e.code else f"luigi does not take {' '.join(words)}"
    except Exception as e:  # noqa: BLE001 - whatever Luigi finds wrong with it
        return f"luigi {' '.join(words)}: {e}"
    return None


def _of_make(words: list[str]) -> str | None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) [?:]?=", makefile, re.MULTILINE))
    if words[:1] == ["-C"]:
        words = words[2:]
    for word in words:
        name, is_variable, _ = word.partition("=")
        if name not in (variables if is_variable else targets):
            return f"the Makefile has no {name}"
    return None
