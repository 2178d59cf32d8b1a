"""Markdown tables of texts that know nothing of Markdown."""

from __future__ import annotations

from collections.abc import Sequence

#: Braces at the end of a cell would be taken for attributes, a bar for the next cell.
_SIGNS = {"&": "&amp;", "<": "&lt;", "*": "&#42;", "|": "&#124;", "{": "&#123;", "}": "&#125;"}


def plain(text: str) -> str:
    """The text as it is, whatever signs are in it."""
    return "".join(_SIGNS.get(sign, sign) for sign in text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; cells are Markdown."""
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
