"""What the standard node-link set (MOCT_LINK) says of the links, beside their nodes."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from luigi_traffic import LinkTable
from luigi_traffic_its.nodelink import read_node_links

#: Columns of MOCT_LINK that say more of a link, and what the link table calls them. LENGTH is in
#: metres, MAX_SPD in km/h.
_TEXTS = {"ROAD_NAME": "name", "ROAD_RANK": "road_class"}
_NUMBERS = {"LENGTH": "length", "MAX_SPD": "speed_limit", "LANES": "lanes"}


def node_link_table(path: Path, links: Collection[str]) -> LinkTable:
    """The link table of that CSV, of `links` alone where there are any.

    Columns that the CSV does not have, and cells that are empty or no number above 0 (the set has
    0 where nobody knows), are not known. Raises as `read_node_links` does.
    """
    names = [*_TEXTS, *_NUMBERS]
    return LinkTable.from_rows(
        {"link_id": link, "start_node": start or None, "end_node": end or None}
        | dict(_said(dict(zip(names, texts, strict=True))))
        for link, start, end, *texts in read_node_links(path, links, names)
    )


def _said(cells: dict[str, str]) -> list[tuple[str, Any]]:
    texts: list[tuple[str, Any]] = [(key, cells[name] or None) for name, key in _TEXTS.items()]
    return texts + [(key, _number(cells[name])) for name, key in _NUMBERS.items()]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None
