"""What a user reads is plain English: phrases that once needed a guess do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Each with what says it better.
BANNED = {
    r"\bsays? it twice\b": "use at most two of …",
    r"\bbelongs? into\b": "belongs in",
    r"\bthat lacks?\b": "without, missing",
    r"\bcannot be told\b(?! apart)": "is unclear, cannot be known",
    r"\btold (below|above)\b": "described below",
    r"(?<!there )\bis none\b": "is not one, does not exist",
    r"\bas \d+ ?(s|min|h|days?)\b": "for example 5 min",
    r"\b(takes?|took|taken) \S+( \S+)? out\b": "remove",
    r"\bin a passing way\b": "temporarily",
    r"\bis no (\w+ )?(name|size|day|file|folder|area|list|object|function)\b": "is not a …",
    r"\b(is|was|been) at it\b": "is working on it",
    r"\b(came|comes?) to mean\b": "changes its meaning",
    r"\bcalled for is\b": "expected is",
    r"\bof (ours|yours)\b": "your own",
}
_BLOCK = re.compile(r"^ *(```|~~~)")


def _sources() -> list[Path]:
    own = [ROOT / "luigi_traffic", *ROOT.glob("plugins/*/luigi_traffic_*/")]
    return sorted(file for folder in own for file in folder.rglob("*.py"))


def _literals(file: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module, also in f-strings; docstrings are expressions of their own."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value


def _prose(page: Path) -> Iterator[tuple[int, str]]:
    """The paragraphs of a page, each as one line, without blocks of code."""
    first, words, code = 1, [], False
    for number, line in enumerate([*page.read_text(encoding="utf-8").splitlines(), ""], 1):
        code ^= (mark := _BLOCK.match(line) is not None)
        if code or mark or not line.strip():
            yield first, " ".join(words)
            first, words = number + 1, []
        else:
            words.append(line.strip())


def _comments(file: Path) -> Iterator[tuple[int, str]]:
    """The comments of a file of settings; those of lines that follow each other as one line."""
    first, words = 1, []
    for number, line in enumerate([*file.read_text(encoding="utf-8").splitlines(), ""], 1):
        before, mark, comment = line.partition("#")
        if words and (before.strip() or not mark):
            yield first, " ".join(words)
            words = []
        if mark:
            first = first if words else number
            words.append(comment.strip())


def test_no_banned_phrase() -> None:
    texts = [(f, *found) for f in _sources() for found in _literals(f)]
    pages = [ROOT / "README.md"]
    for pattern in ("docs/*.md", "docs/decisions/*.md", "docs/hooks/*.md", "plugins/*/README.md"):
        pages += ROOT.glob(pattern)
    texts += [(f, *found) for f in pages for found in _prose(f)]
    texts += [(f, *found) for f in ROOT.glob("conf/**/*.yml") for found in _comments(f)]
    assert len(texts) > 1000
    found = [
        f"{file.relative_to(ROOT)}:{line}: {match.group()!r}, better: {better}"
        for file, line, text in texts
        for banned, better in BANNED.items()
        for match in re.finditer(banned, text)
    ]
    assert not found, "\n".join(found)
