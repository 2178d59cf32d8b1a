"""The lines of some links, kept apart while a day is read: bronze need not look for them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from luigi_traffic.api.scope import Outside, Scope
from luigi_traffic.ingest.pieces import PieceWriter
from luigi_traffic.text.line_scope import LineScope

#: The scope of a day, of its header and its first data line; None: it has none.
ScopeOf = Callable[[str | None, str], Scope | None]


class ScopedLines:
    """Writes the lines of a scope that the first line decides, and counts the others."""

    def __init__(self, pieces: PieceWriter, scope_of: ScopeOf) -> None:
        self.pieces = pieces
        self._scope_of: ScopeOf | None = scope_of
        self._scope: Scope | None = None
        self._found: LineScope | None = None
        self._outside = Outside()

    def write(self, block: bytes, header: str | None, first_line: str) -> None:
        """Take a block of lines."""
        if self._scope_of is not None:
            self._scope, self._scope_of = self._scope_of(header, first_line), None
            if self._scope is not None:
                self._found = LineScope(self._scope.links, self._scope.cell)
        if self._found is None:
            return
        lines, outside = self._found.kept(block)
        self._outside += outside
        if len(lines):
            self.pieces.write("".join(f"{line}\n" for line in lines.to_pylist()).encode())

    @property
    def said(self) -> dict[str, Any] | None:
        """What a manifest says of them; None if the day has no scope."""
        if self._scope is None:
            return None
        return self._scope.described | {
            "keys": self.pieces.keys,
            "outside": {
                "other_links": self._outside.other_links, "no_link": self._outside.no_link,
            },
        }  # fmt: skip
