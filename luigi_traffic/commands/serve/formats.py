"""A page as JSON, GeoJSON, CSV or Arrow."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from luigi_traffic.commands.serve.asked import Format
from luigi_traffic.commands.serve.page import Kind, Page

if TYPE_CHECKING:
    import pyarrow as pa

MEDIA: dict[Format, str] = {
    "json": "application/json",
    "geojson": "application/geo+json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
#: Link → WKB, of the links that have a geometry.
Geometries = Callable[[Sequence[str]], Mapping[str, bytes]]


def chosen(asked: Format | None, accept: str | None, known: Iterable[Format]) -> Format:
    """The format asked for; else of the header `Accept` the first that is known, or JSON."""
    if asked is not None:
        return asked
    wanted = [one.partition(";")[0].strip().lower() for one in (accept or "").split(",")]
    media = {MEDIA[name].partition(";")[0]: name for name in known}
    return next((media[one] for one in wanted if one in media), "json")


def rendered(page: Page, format: Format, geometries: Geometries) -> bytes:
    """The body of the answer."""
    if format == "csv":
        return _csv(page)
    if format == "arrow":
        return _arrow(page)
    names = tuple(page.columns)
    rows = [dict(zip(names, row, strict=True)) for row in page.rows]
    if format == "geojson":
        return _geojson(page, rows, geometries)
    return json({**page.head, page.name: rows, "next": page.next})


def json(value: Any) -> bytes:
    """RFC 8259; times as ISO 8601, NaN as null."""
    return orjson.dumps(value)


def _geojson(page: Page, rows: list[dict[str, Any]], geometries: Geometries) -> bytes:
    """RFC 7946, with the page's head as foreign members."""
    import shapely

    found = geometries(sorted({row["link_id"] for row in rows}))
    texts = shapely.to_geojson(shapely.from_wkb(list(found.values()))) if found else []
    shapes = {link: orjson.Fragment(text) for link, text in zip(found, texts, strict=True)}
    features = [
        {
            "type": "Feature", "id": row["link_id"], "geometry": shapes.get(row["link_id"]),
            "properties": row,
        }
        for row in rows
    ]  # fmt: skip
    return json({"type": "FeatureCollection", **page.head, "features": features, "next": page.next})


def _csv(page: Page) -> bytes:
    """RFC 4180 with a header line; an empty field is a value that is not known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(page.columns)
    plain = {
        number: _CSV[kind] for number, kind in enumerate(page.columns.values()) if kind in _CSV
    }
    for row in page.rows:
        cells = list(row)
        for number, text in plain.items():
            if cells[number] is not None:
                cells[number] = text(cells[number])
        writer.writerow(cells)
    return out.getvalue().encode()


_CSV: dict[Kind, Callable[[Any], str]] = {
    "number": lambda value: repr(value) if math.isfinite(value) else "",
    "bool": lambda value: "true" if value else "false",
    "time": lambda value: value.isoformat(),
    "numbers": lambda values: " ".join("" if v is None else repr(v) for v in values),
}


def _arrow(page: Page) -> bytes:
    """A stream of the IPC format; the head is in the metadata of its schema."""
    import pyarrow as pa

    fields = [pa.field(name, _arrow_type(pa, kind)) for name, kind in page.columns.items()]
    head = {key: str(value) for key, value in page.head.items() if value is not None}
    schema = pa.schema(fields, metadata=head)
    arrays = [pa.array(page.column(field.name), field.type) for field in fields]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    return bytes(sink.getvalue())


def _arrow_type(pa: Any, kind: Kind) -> pa.DataType:
    types = {
        "text": pa.string(), "number": pa.float64(), "whole": pa.int32(), "bool": pa.bool_(),
        "time": pa.timestamp("us"), "numbers": pa.list_(pa.float32()),
    }  # fmt: skip
    return types[kind]
