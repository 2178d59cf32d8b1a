"""The rows of an answer, before they are JSON, CSV or Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

Kind = Literal["text", "number", "whole", "bool", "time", "numbers"]


@dataclass(frozen=True)
class Page:
    """Rows with the same columns; one of them is `link_id`.

    columns  name → kind; "numbers" is a list of them
    head     what holds for all rows, such as `issued_at`
    name     of the rows in JSON
    next     where the next page begins; None: there is none
    on       day of the links' geometry, for GeoJSON; None: the newest
    """

    columns: dict[str, Kind]
    rows: Sequence[tuple[Any, ...]]
    head: dict[str, Any] = field(default_factory=dict)
    name: str = "rows"
    next: str | None = None
    on: date | None = None

    def column(self, name: str) -> list[Any]:
        """All values of a column."""
        number = list(self.columns).index(name)
        return [row[number] for row in self.rows]
