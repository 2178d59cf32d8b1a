"""Files of links: ESRI Shapefiles, such as the standard node-link set of Korea, and GeoJSON.

A shapefile is several files: .shp has the shapes, .shx where each begins, .dbf what is known of
each, .prj the coordinate system, and sometimes .cpg the encoding of .dbf. Sources: ESRI Shapefile
Technical Description, 1998; RFC 7946, The GeoJSON Format.
"""

from __future__ import annotations

import codecs
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi_traffic.errors import DataError, SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("luigi_traffic")

FORMATS = {".shp": "shapefile", ".geojson": "geojson", ".json": "geojson"}
#: The encoding of a shapefile that does not say it: that of the standard node-link set of Korea.
ENCODING = "CP949"
#: What we call a column → what files call it, in any case: the column LINK_ID of MOCT_LINK, then
#: our own name, as `links export` writes it.
COLUMNS = {
    "link_id": ("link_id", "id"),
    "name": ("road_name", "name"),
    "length_m": ("length", "length_m"),
    "speed_limit": ("max_spd", "speed_limit"),
    "road_class": ("road_rank", "road_class"),
    "lanes": ("lanes",),
    "start_node": ("f_node", "start_node"),
    "end_node": ("t_node", "end_node"),
}
_NUMBERS = frozenset({"length_m", "speed_limit", "lanes"})
_BATCH_ROWS = 32_768


@dataclass(frozen=True)
class LinkFile:
    """A file of links. Its lengths are in metres, its limits in km/h.

    kind      "shapefile" or "geojson"; None: by the file's name
    encoding  of a shapefile's texts; None: as its .cpg says, and `ENCODING` without one
    crs       its coordinate system; None: as the file says
    """

    path: Path
    kind: str | None = None
    encoding: str | None = None
    crs: str | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Its links, with the columns `warehouse.links.IMPORTED`; memory is that of a batch.

        Cells that are empty, and numbers that are not above 0 (the node-link set has 0 if nobody
        knows), are NULL. A row of a shapefile without a shape is an error; in GeoJSON a geometry
        may be null. Raises `DataError` or `SettingsError`, with file and row.
        """
        import pyarrow as pa
        import pyogrio
        from pyogrio.raw import open_arrow

        from luigi_traffic.commands.links.geometry import Geometries, to_wgs84

        shapefile = self._kind() == "shapefile"
        encoding = self._encoding() if shapefile else None
        if shapefile:
            self._expect_whole()
        where = str(self.path)
        try:
            names = self._names([str(name) for name in pyogrio.read_info(self.path)["fields"]])
            with open_arrow(
                self.path, columns=list(names.values()), batch_size=_BATCH_ROWS, use_pyarrow=True,
                # Each byte becomes a character of its own, and nothing is replaced: we decode.
                **({"encoding": "ISO-8859-1"} if shapefile else {}),
            ) as (said, reader):  # fmt: skip
                crs = self.crs or said["crs"]
                if not crs:
                    raise DataError(
                        f"{where}: the file does not say its coordinate system. Name it, for "
                        "example --crs EPSG:5186."
                    )
                places = Geometries(where, to_wgs84(crs, where))
                shapes = said["geometry_name"] or "wkb_geometry"
                row = 1
                for batch in reader:
                    rows = _Rows(where, encoding, row, batch)
                    columns = {ours: rows.column(ours, theirs) for ours, theirs in names.items()}
                    rows.expect_ids(columns["link_id"], names["link_id"])
                    if shapefile:
                        rows.expect_shapes(columns["link_id"], batch.column(shapes))
                    given = batch.column(shapes).to_numpy(zero_copy_only=False)
                    columns["geometry"] = pa.array(places.wkb(given, row), pa.binary())
                    yield rows.made(columns)
                    row += batch.num_rows
        except pyogrio.errors.DataSourceError as error:
            raise DataError(
                f"{where} cannot be read as {self._kind()}: {error}. Is it whole?"
            ) from error
        except pa.ArrowException as error:
            raise DataError(f"{where} is damaged, or not {self._kind()}: {error}") from error
        if places.joined:
            logger.warning(
                "%s: the lines of %d links have parts that do not meet (for example row %d); "
                "straight lines join them", where, len(places.joined), places.joined[0],
            )  # fmt: skip

    def _kind(self) -> str:
        kind = self.kind or FORMATS.get(self.path.suffix.lower())
        if kind is None:
            raise SettingsError(
                f"{self.path}: {self.path.suffix or 'a name without a suffix'} does not say the "
                "format. Say it: --format shapefile or --format geojson."
            )
        if kind not in FORMATS.values():
            raise SettingsError(f"--format {kind} is not known: shapefile or geojson.")
        if kind == "geojson" and (self.encoding or self.crs):
            raise SettingsError(
                "--encoding and --crs are for shapefiles: GeoJSON is UTF-8 and WGS 84 by its "
                "standard. Leave them out."
            )
        if not self.path.is_file():
            raise SettingsError(f"{self.path} is not a file: give the path of a .shp or .geojson.")
        return kind

    def _part(self, suffix: str) -> Path | None:
        """The file of a shapefile with that suffix; tools write it in either case."""
        found = (self.path.with_suffix(s) for s in (suffix, suffix.upper()))
        return next((path for path in found if path.is_file()), None)

    def _expect_whole(self) -> None:
        missing = [suffix for suffix in (".shx", ".dbf") if self._part(suffix) is None]
        if missing:
            raise DataError(
                f"{self.path}: {self.path.stem}{missing[0]} is missing. A shapefile is several "
                "files of one name: copy .shx, .dbf and .prj into the same folder."
            )
        if self.crs is None and self._part(".prj") is None:
            raise DataError(
                f"{self.path}: {self.path.stem}.prj is missing, which says the coordinate system. "
                "Copy it into the same folder, or name the system, for example --crs EPSG:5186."
            )

    def _encoding(self) -> str:
        file = None if self.encoding else self._part(".cpg")
        said = file.read_text(encoding="latin-1").strip() if file else self.encoding or ENCODING
        for name in (said, f"cp{said}"):  # a .cpg may say 949
            try:
                return codecs.lookup(name).name
            except LookupError:
                pass
        raise SettingsError(
            f"{file or '--encoding'}: the encoding {said!r} is not known. Name one, for example "
            f"--encoding {ENCODING} or --encoding UTF-8."
        )

    def _names(self, there: list[str]) -> dict[str, str]:
        """Our name → the file's, of the columns that the file has."""
        by_name = {name.lower(): name for name in there}
        found = {
            ours: next((by_name[name] for name in theirs if name in by_name), None)
            for ours, theirs in COLUMNS.items()
        }
        if found["link_id"] is None:
            raise DataError(
                f"{self.path} has no column LINK_ID or link_id; it has "
                f"{', '.join(there) or 'no column at all'}. Is it a file of links (MOCT_LINK)?"
            )
        if missing := [ours for ours, theirs in found.items() if theirs is None]:
            logger.warning("%s has no column for: %s", self.path, ", ".join(missing))
        return {ours: theirs for ours, theirs in found.items() if theirs is not None}


@dataclass(frozen=True)
class _Rows:
    """Some rows of a file; `first` is the number of the first one, counted from 1."""

    where: str
    encoding: str | None
    first: int
    batch: pa.RecordBatch

    def column(self, ours: str, theirs: str) -> Any:
        """The values: text, or numbers above 0."""
        import pyarrow as pa
        import pyarrow.compute as pc

        given = self.batch.column(theirs)
        if pa.types.is_string(given.type) or pa.types.is_large_string(given.type):
            given = pc.utf8_trim_whitespace(self._decoded(given, theirs))
            given = pc.if_else(pc.equal(given, ""), pa.scalar(None, given.type), given)
        if ours not in _NUMBERS:
            if pa.types.is_floating(given.type):  # an id that a tool has made a number of
                given = self._cast(given, pa.int64(), theirs, "a whole number")
            return given.cast(pa.string())
        numbers = self._cast(given, pa.float64(), theirs, "a number")
        return pc.if_else(pc.greater(numbers, 0), numbers, pa.scalar(None, pa.float64()))

    def expect_ids(self, ids: Any, theirs: str) -> None:
        """Every row has a link."""
        if (at := _first_null(ids)) is not None:
            raise DataError(
                f"{self.where}, row {self.first + at:,}: {theirs} is empty. Every row needs the id "
                "of its link: correct the row, or remove it."
            )

    def expect_shapes(self, ids: Any, shapes: Any) -> None:
        """Every row has a shape."""
        if (at := _first_null(shapes)) is not None:
            raise DataError(
                f"{self.where}, row {self.first + at:,}: the link {ids[at].as_py()!r} has no "
                "geometry. Correct the file (is its .shp whole?), or remove the row."
            )

    def made(self, columns: dict[str, Any]) -> pa.RecordBatch:
        """With the number of each row, and NULL in columns that the file does not have."""
        import pyarrow as pa

        count = self.batch.num_rows
        absent = {
            name: pa.nulls(count, pa.float64() if name in _NUMBERS else pa.string())
            for name in COLUMNS
            if name not in columns
        }
        row = pa.array(range(self.first, self.first + count), pa.int32())
        return pa.RecordBatch.from_pydict({"row": row, **columns, **absent})

    def _decoded(self, given: Any, theirs: str) -> Any:
        """Of a shapefile each character stands for a byte: decoded."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.encoding is None or pc.all(pc.string_is_ascii(given)).as_py() is not False:
            return given
        texts = given.dictionary_encode()
        found = []
        for text in texts.dictionary.to_pylist():
            try:
                found.append(text.encode("latin-1").decode(self.encoding))
            except UnicodeDecodeError as error:
                at = pc.index(given, text).as_py()
                raise DataError(
                    f"{self.where}, row {self.first + at:,}, column {theirs}: "
                    f"{text.encode('latin-1')!r} is not text in {self.encoding}. Name the encoding "
                    "of the file, for example --encoding UTF-8."
                ) from error
        return pa.array(found, pa.string()).take(texts.indices)

    def _cast(self, given: Any, kind: Any, theirs: str, expected: str) -> Any:
        import pyarrow as pa

        try:
            return given.cast(kind)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{self.where}, in rows {self.first:,} to {self.first + self.batch.num_rows - 1:,},"
                f" column {theirs}: {error}; expected {expected} in each."
            ) from error


def _first_null(values: Any) -> int | None:
    import pyarrow.compute as pc

    return int(pc.index(values.is_null(), True).as_py()) if values.null_count else None
