"""The links that a dataset itself knows, by its method `links()`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from luigi_traffic.errors import DataError, SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

    from luigi_traffic.api.dataset import Dataset
    from luigi_traffic.api.links import Link, LinkTable

logger = logging.getLogger("luigi_traffic")

#: Without a date of their own they are valid on all days that there are observations of.
VALID_FROM = date(1970, 1, 1)
_BATCH_ROWS = 32_768


def batches(dataset: Dataset, table: LinkTable | None, day: date) -> Iterator[pa.RecordBatch]:
    """Those that are valid on that day, with the columns `warehouse.links.IMPORTED`.

    Limits become km/h. A link has its geometry, else its point, else none. Raises `SettingsError`
    if the dataset knows no links, `DataError` if a limit has an unknown unit or a geometry cannot
    be read.
    """
    if table is None:
        raise SettingsError(
            f"the dataset {dataset.name} knows no links of its own. Give a file: luigi-traffic "
            f"links import FILE --dataset {dataset.name} --valid-from YYYY-MM-DD"
        )
    valid = [link for link in table if _is_valid(link, day)]
    if others := len(table) - len(valid):
        logger.warning("%s: %d links are not valid on %s: left out", dataset.name, others, day)
    factor = _kmh(dataset, valid)
    for first in range(0, len(valid), _BATCH_ROWS):
        yield _batch(dataset.name, valid[first : first + _BATCH_ROWS], first + 1, factor)


def _is_valid(link: Link, day: date) -> bool:
    # The last day of a link is one of its days.
    return (link.valid_from or day) <= day <= (link.valid_to or day)


def _kmh(dataset: Dataset, links: Sequence[Link]) -> float:
    """km/h in one of the unit of the dataset's speeds."""
    from luigi_traffic.compute.insight.speeds import KMH

    unit = dataset.measures.get("speed", "")
    if unit not in KMH and any(link.speed_limit is not None for link in links):
        raise DataError(
            f"the dataset {dataset.name} has speed limits, but its measure speed is in {unit!r}; "
            f"expected one of {', '.join(KMH)}."
        )
    return KMH.get(unit, 1.0)


def _batch(name: str, links: Sequence[Link], first: int, factor: float) -> pa.RecordBatch:
    import pyarrow as pa

    def texts(of: str) -> Any:
        return pa.array([getattr(link, of) for link in links], pa.string())

    def numbers(of: str, factor: float = 1.0) -> Any:
        values = [getattr(link, of) for link in links]
        return pa.array([None if v is None else v * factor for v in values], pa.float64())

    return pa.RecordBatch.from_pydict(
        {
            "row": pa.array(range(first, first + len(links)), pa.int32()),
            "link_id": texts("link_id"), "name": texts("name"), "length_m": numbers("length"),
            "speed_limit": numbers("speed_limit", factor), "road_class": texts("road_class"),
            "lanes": numbers("lanes"), "start_node": texts("start_node"),
            "end_node": texts("end_node"),
            "geometry": pa.array(_wkb(name, links, first), pa.binary()),
        }
    )  # fmt: skip


def _wkb(name: str, links: Sequence[Link], first: int) -> list[bytes | None]:
    import numpy as np
    import shapely

    from luigi_traffic.commands.links.geometry import Geometries

    shapes = np.array([link.geometry for link in links], object)
    try:
        shapes = shapely.from_wkt(shapes)
    except shapely.errors.ShapelyError as error:
        raise DataError(f"the links of {name} have a geometry that is not WKT: {error}.") from error
    for at, link in enumerate(links):
        if shapes[at] is None and link.longitude is not None and link.latitude is not None:
            shapes[at] = shapely.Point(link.longitude, link.latitude)
    return Geometries(f"the links of {name}", None).wkb(shapely.to_wkb(shapes), first)
