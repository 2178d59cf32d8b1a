"""`luigi-traffic links export`: the links that are valid on a day, as GeoJSON (RFC 7946)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from luigi_traffic.commands.links.versions import valid
from luigi_traffic.commands.output import plain
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import Project
from luigi_traffic.warehouse.links import COLUMNS, link_table
from luigi_traffic.warehouse.sql_names import quote

_BATCH_ROWS = 20_000


def write(project: Project, dataset: str, at: date, path: Path) -> str:
    """Write the file, whole or not at all; what to tell. Memory is that of some thousand links.

    Each link is a feature with its id and all that is known of it; a link without geometry has
    the geometry null. Raises `DataError` if no links are valid then, `SettingsError` if the file
    cannot be written or there is no warehouse.
    """
    name = project.plugins.dataset(dataset).name
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    count = without = 0
    with existing_reader(project).connect() as connection:
        (version,) = valid(connection, name, at)
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.write('{"type": "FeatureCollection", "features": [')
                for feature in _features(connection, name, version.valid_from):
                    file.write(",\n" if count else "\n")
                    file.write(json.dumps(feature, ensure_ascii=False))
                    count += 1
                    without += feature["geometry"] is None
                file.write("\n]}\n")
            unfinished.replace(path)
        except OSError as error:
            raise SettingsError(f"--out {path} cannot be written: {error.strerror}.") from error
        finally:
            unfinished.unlink(missing_ok=True)
    told = f"wrote {path}: {count:,} links of {name}, valid from {version.valid_from}"
    return f"{told}; {without:,} have no geometry" if without else told


def _features(connection: Any, dataset: str, valid_from: date) -> Iterator[dict[str, Any]]:
    import shapely

    names = [column.name for column in COLUMNS]
    with connection.cursor(name="links") as cursor:  # the server keeps the rows
        cursor.itersize = _BATCH_ROWS
        cursor.execute(
            f"SELECT {', '.join(map(quote, names))} FROM {link_table(dataset)}"  # noqa: S608
            " WHERE valid_from = %s ORDER BY link_id",
            (valid_from,),
        )
        for values in cursor:
            row = dict(zip(names, values, strict=True))
            wkb = row.pop("geometry")
            geometry = None if wkb is None else shapely.from_wkb(bytes(wkb)).__geo_interface__
            yield {
                "type": "Feature", "id": row["link_id"], "geometry": geometry,
                "properties": plain(row),
            }  # fmt: skip
