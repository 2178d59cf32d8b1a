"""Geometry as the warehouse has it: WKB of a LineString or a Point, in degrees of WGS 84."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from luigi_traffic.errors import DataError

#: Longitude before latitude, whatever order the definition of the system asks for.
WGS84 = "OGC:CRS84"
#: Numbers that shapely gives to kinds of geometry.
_NONE, _POINT, _LINE, _LINES = -1, 0, 1, 5

Transform = Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]


def to_wgs84(crs: str, where: str) -> Transform | None:
    """From (x, y) in that coordinate system to (longitude, latitude); None: they are that already.

    Raises `DataError`, which begins with `where`, for a system that PROJ does not know.
    """
    try:
        given, wanted = pyproj.CRS.from_user_input(crs), pyproj.CRS.from_user_input(WGS84)
        if given.equals(wanted, ignore_axis_order=True):
            return None
        transformer = pyproj.Transformer.from_crs(given, wanted, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise DataError(
            f"{where}: the coordinate system {crs[:120]!r} is not known ({error}). Name the one of "
            "the file, for example --crs EPSG:5186."
        ) from error

    def transform(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        longitude, latitude = transformer.transform(x, y)
        return longitude, latitude

    return transform


class Geometries:
    """Makes what the warehouse has of the geometry of a source, some rows at a time.

    source     begins each message
    transform  see `to_wgs84`
    joined     rows whose line had parts that do not meet: straight lines join them
    """

    def __init__(self, source: str, transform: Transform | None) -> None:
        self.source = source
        self._transform = transform
        self.joined: list[int] = []

    def wkb(self, given: NDArray[Any], first_row: int) -> list[bytes | None]:
        """Of WKB (n,), None where there is none; `first_row` is the number of the first one.

        Heights and measures are left out. Raises `DataError`, with the row, for WKB that cannot be
        read, for another kind than a point or a line, and for places that are not on the earth.
        """
        try:
            shapes = shapely.force_2d(shapely.from_wkb(given))
        except shapely.errors.ShapelyError as error:
            raise DataError(f"{self.source}, from row {first_row:,} on: {error}.") from error
        shapes[shapely.is_empty(shapes)] = None
        for several in np.flatnonzero(shapely.get_type_id(shapes) == _LINES).tolist():
            shapes[several] = self._one_line(shapes[several], first_row + several)
        others = ~np.isin(shapely.get_type_id(shapes), (_NONE, _POINT, _LINE))
        if others.any():
            at = int(others.argmax())
            raise DataError(
                f"{self.source}, row {first_row + at:,}: its geometry is a "
                f"{shapes[at].geom_type}; expected a LineString or a Point."
            )
        if self._transform is not None:
            shapes = shapely.transform(shapes, self._transform, interleaved=False)
        self._expect_on_earth(shapes, given, first_row)
        return list(shapely.to_wkb(shapes, byte_order=1))

    def _one_line(self, lines: Any, row: int) -> Any:
        merged = shapely.line_merge(lines, directed=True)
        if merged.geom_type == "LineString":
            return merged
        self.joined.append(row)
        return shapely.LineString(shapely.get_coordinates(lines))

    def _expect_on_earth(self, shapes: NDArray[Any], given: NDArray[Any], first_row: int) -> None:
        places, of = shapely.get_coordinates(shapes, return_index=True)
        # A place that the transformation has no answer for is infinite.
        there = (np.abs(places) <= (180.0, 90.0)).all(axis=1)
        if not there.all():
            at = int(of[there.argmin()])
            x, y = shapely.get_coordinates(shapely.from_wkb(given[at]))[0]
            raise DataError(
                f"{self.source}, row {first_row + at:,}: ({x:g}, {y:g}) is not a place on "
                "the earth in its coordinate system. Correct the file; of a shapefile, name the "
                "right system, for example --crs EPSG:5186."
            )
