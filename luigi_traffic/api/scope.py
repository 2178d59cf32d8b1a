"""Which lines of a day bronze keeps: decided by the link of a line, before anything else of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LinkCell:
    """Where a line has its link id: in the cell of that number, counted from 0, as
    `luigi_traffic.functions.cells` splits a line by `delimiter`, one ASCII character.

    Raises `ValueError` for any other number or delimiter.
    """

    number: int
    delimiter: str = ","

    def __post_init__(self) -> None:
        one = len(self.delimiter) == 1 and self.delimiter.isascii()
        if not one or self.delimiter in '"\r\n' or self.number < 0:
            raise ValueError(
                f"{self} is no cell of a line: expected a number from 0 on, and one ASCII "
                "character that is neither a quote nor a line end"
            )


@dataclass(frozen=True)
class Outside:
    """Lines that a scope left out: of other links, and without any link id."""

    other_links: int = 0
    no_link: int = 0

    def __add__(self, more: Outside) -> Outside:
        return Outside(self.other_links + more.other_links, self.no_link + more.no_link)

    @property
    def lines(self) -> int:
        """All of them."""
        return self.other_links + self.no_link


#: Another one for each change of which lines a scope has: those that raw kept apart before are then
#: not read any more.
_VERSION = "1"


class Scope:
    """The links that bronze keeps. `functions.lines` leaves out the lines of all others."""

    def __init__(self, links: Iterable[str], cell: LinkCell) -> None:
        self.links = tuple(sorted(set(links)))
        self.cell = cell
        self._counted: Callable[[], Outside] = Outside

    @property
    def described(self) -> dict[str, Any]:
        """What tells it from other scopes, for a manifest."""
        links = hashlib.sha256("\n".join(self.links).encode()).hexdigest()
        cell = [self.cell.number, self.cell.delimiter]
        return {"links": links, "cell": cell, "version": _VERSION}

    def count(self, counted: Callable[[], Outside]) -> None:
        """How an engine counts what it leaves out; asked once the lines have been read."""
        self._counted = counted

    @property
    def outside(self) -> Outside:
        """What was left out when the lines were read last; nothing if they never were."""
        return self._counted()


#: The scope of a day, of its header and its first data line; None: it has none.
ScopeOf = Callable[[str | None, str], Scope | None]
