"""What a dataset knows of its links: lengths, limits, lanes, places."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any

from luigi_traffic.errors import DataError, did_you_mean
from luigi_traffic.recipe import canonical_json, short_hash


@dataclass(frozen=True)
class Link:
    """One link. All but `link_id` may be None: not known.

    length                 metres
    speed_limit            in the unit of the dataset's speeds
    lanes                  in the direction of the link
    road_class             as the source calls it: "motorway", "101"
    start_node, end_node   ids of nodes: where traffic enters the link, and where it leaves it
    longitude, latitude    degrees, WGS 84: one point of the link
    geometry               a WKT text, longitude first
    valid_from, valid_to   first and last day on which the link has this id
    """

    link_id: str
    name: str | None = None
    length: float | None = None
    speed_limit: float | None = None
    lanes: float | None = None
    road_class: str | None = None
    start_node: str | None = None
    end_node: str | None = None
    longitude: float | None = None
    latitude: float | None = None
    geometry: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


COLUMNS = tuple(field.name for field in fields(Link))
_NUMBERS = frozenset({"length", "speed_limit", "lanes", "longitude", "latitude"})
_DAYS = frozenset({"valid_from", "valid_to"})
_BOUNDS = {"longitude": (-180.0, 180.0), "latitude": (-90.0, 90.0)}
_FROM_ZERO = frozenset({"length", "speed_limit", "lanes"})


@dataclass(frozen=True)
class LinkTable:
    """The links of a dataset, each once, sorted by `link_id`.

    >>> LinkTable.from_rows([{"link_id": "a", "length": 350}]).column("length")
    (350.0,)
    """

    rows: tuple[Link, ...]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> LinkTable:
        """A table from rows by column name; columns that are left out, None and NaN: not known.

        Raises `DataError` for an unknown column, a value of a wrong type or out of bounds, and a
        link that comes twice.
        """
        found: dict[str, Link] = {}
        for number, row in enumerate(rows, 1):
            link = _link(number, row)
            if link.link_id in found:
                raise DataError(
                    f"Row {number} of the link table is a second row of link {link.link_id!r}. "
                    "Give each link once."
                )
            found[link.link_id] = link
        return cls(tuple(found[name] for name in sorted(found)))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Link]:
        return iter(self.rows)

    def column(self, name: str) -> tuple[Any, ...]:
        """One column in the order of `rows`; None where a value is not known."""
        if name not in COLUMNS:
            raise DataError(f"A link table has no column {name!r}.{did_you_mean(name, COLUMNS)}")
        return tuple(getattr(link, name) for link in self.rows)

    def of(self, links: Iterable[str]) -> LinkTable:
        """The rows of exactly `links`, in that order; a link that is missing has its id alone."""
        known = {link.link_id: link for link in self.rows}
        return LinkTable(tuple(known.get(name) or Link(name) for name in links))

    def as_dicts(self) -> list[dict[str, Any]]:
        """JSON values, only what is known; `from_rows` reads them back."""
        return [
            {
                name: value.isoformat() if isinstance(value, date) else value
                for name, value in asdict(link).items()
                if value is not None
            }
            for link in self.rows
        ]

    @property
    def checksum(self) -> str:
        """16 hex digits over all rows: part of the recipe of models that see the table."""
        return short_hash(canonical_json(self.as_dicts()))


def _link(number: int, row: Mapping[str, Any]) -> Link:
    for column in row:
        if column not in COLUMNS:
            raise DataError(
                f"Row {number} of the link table has the column {column!r}; expected "
                f"{', '.join(COLUMNS)}.{did_you_mean(str(column), COLUMNS)}"
            )
    link_id = row.get("link_id")
    if not isinstance(link_id, str) or not link_id:
        raise DataError(f"Row {number} of the link table has link_id {link_id!r}; expected a text.")
    values = {name: _value(link_id, name, given) for name, given in row.items()}
    first, last = values.get("valid_from"), values.get("valid_to")
    if first and last and last < first:
        raise DataError(
            f"Link {link_id!r} of the link table is valid from {first} to {last}: correct the days."
        )
    return Link(**values)


def _value(link_id: str, name: str, given: Any) -> Any:
    if given is None or (isinstance(given, float) and math.isnan(given)):
        return None
    expected = "a text"
    if name in _NUMBERS:
        expected = "a number"
        low, high = _BOUNDS.get(name, (0.0 if name in _FROM_ZERO else -math.inf, math.inf))
        if not isinstance(given, bool | str):
            try:
                number = float(given)
            except (TypeError, ValueError):
                number = math.nan
            if low <= number <= high and math.isfinite(number):
                return number
        if name in _BOUNDS:
            expected += f" from {low:g} to {high:g}"
        elif name in _FROM_ZERO:
            expected += " of 0 or more"
    elif name in _DAYS:
        expected = "a date"
        if isinstance(given, date) and not isinstance(given, datetime):
            return given
        if isinstance(given, str):
            try:
                return date.fromisoformat(given)
            except ValueError:
                pass
    elif isinstance(given, str):
        return given
    raise DataError(
        f"Link {link_id!r} of the link table has {name} {given!r}; expected {expected}, or nothing "
        "if it is not known."
    )
