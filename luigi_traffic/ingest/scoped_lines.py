"""The lines of some links, kept apart while a day is read: bronze need not look for them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luigi_traffic.api.scope import Outside, Scope, ScopeOf
from luigi_traffic.ingest.pieces import PieceWriter

if TYPE_CHECKING:
    from luigi_traffic.ingest.line_scope import LineScope


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
            self._found = _finder(self._scope) if self._scope else None
        if self._found is None:
            return
        lines, outside = self._found.kept(block)
        self._outside += outside
        if len(lines):
            self.pieces.write("".join(f"{line}\n" for line in lines.to_pylist()).encode())

    @property
    def said(self) -> dict[str, Any] | None:
        """What a manifest says of them; None if the day has no scope."""
        if self._scope is None or self._found is None:
            return None
        return self._scope.described | {
            "keys": self.pieces.keys,
            "outside": {
                "other_links": self._outside.other_links, "no_link": self._outside.no_link,
            },
        }  # fmt: skip


def _finder(scope: Scope) -> LineScope | None:
    try:
        from luigi_traffic.ingest.line_scope import LineScope
    except ModuleNotFoundError:
        # What it needs comes with the engines: without any, bronze cannot ask for the lines.
        return None
    return LineScope(scope.links, scope.cell)
