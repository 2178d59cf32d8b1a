"""Where the links of a simulated town lie: a grid of roads around a place that has no such town.

An arterial crosses an expressway in each cell of the grid. The lines are drawn for maps: how long
they are on the ground has nothing to do with the lengths of the links.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import cos, radians

import numpy as np

from luigi_traffic_its_sim.network import Floats, layout

#: Longitude and latitude of the first town's first interchange, degrees.
_ORIGIN = (127.6, 37.2)
_METRES_A_DEGREE = 111_320.0
#: Metres from one interchange to the next, eastward and southward.
_CELL = (2_400.0, 1_600.0)
#: Metres from a cell's intersection of arterials: where the carriageways leave and are joined.
_NODES = {
    "A": (0.0, 0.0),
    "De": (-350.0, 485.0), "Me": (350.0, 485.0), "Dw": (350.0, 515.0), "Mw": (-350.0, 515.0),
}  # fmt: skip
#: Both directions of a road have the same nodes: each lies so many metres to the right of them.
_TO_THE_RIGHT = 15.0
#: Metres from one town of a country to the next, and how many lie side by side.
_TOWN, _TOWNS_A_ROW = (48_000.0, 20_000.0), 10


def link_lines(links: int, town: int = 0) -> Floats:
    """Start, middle and end (N, 3, 2) of a town's links as `build_network` has them: degrees.

    `town` is its number in a country.
    """
    ends = np.array([[_place(name) for name in row[:2]] for row in layout(links)])
    along = ends[:, 1] - ends[:, 0]
    right = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1)[:, None]
    middle = ends.mean(axis=1) + _TO_THE_RIGHT * right
    metres = np.stack([ends[:, 0], middle, ends[:, 1]], axis=1)
    row, column = divmod(town, _TOWNS_A_ROW)
    metres += (column * _TOWN[0], -row * _TOWN[1])
    a_degree = (_METRES_A_DEGREE * cos(radians(_ORIGIN[1])), _METRES_A_DEGREE)
    return np.asarray(_ORIGIN + metres / a_degree)


def wkt(ids: Sequence[str], lines: Iterable[Floats]) -> Iterator[tuple[str, str]]:
    """Link and WKT of its line, to about a tenth of a metre."""
    # Not strict: a country's last town may be a part of its model.
    for link, line in zip(ids, lines, strict=False):
        yield link, f"LINESTRING ({', '.join(f'{x:.6f} {y:.6f}' for x, y in line.tolist())})"


def _place(name: str) -> tuple[float, float]:
    """Metres east and north of the first intersection, of a node: De0.3 is in row 0, column 3."""
    kind = name.rstrip("0123456789.")
    row, column = map(int, name[len(kind) :].split("."))
    x, y = _NODES[kind]
    return column * _CELL[0] + x, y - row * _CELL[1]
