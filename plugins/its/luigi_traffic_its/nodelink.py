"""The standard node-link set (MOCT_LINK) as CSV: which node a link starts from and ends in."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Collection
from pathlib import Path

from luigi_traffic import DataError, LinkGraph, SettingsError

logger = logging.getLogger("luigi_traffic")
COLUMNS = ("LINK_ID", "F_NODE", "T_NODE")


def read_node_links(path: Path) -> list[tuple[str, str, str]]:
    """(link, start node, end node) of every row; other columns are passed over.

    UTF-8 (with or without a byte-order mark) or CP949, as the ministry's tools export it;
    column names in any case. Raises `SettingsError` where the file cannot be read and
    `DataError`, with line and column, where it is not such a table.
    """
    table = csv.reader(io.StringIO(_text(path), newline=""))
    names = [name.strip().upper() for name in next(table, [])]
    absent = [name for name in COLUMNS if name not in names]
    if absent:
        raise DataError(
            f"{path}, line 1: no column {', '.join(absent)}; expected a CSV of MOCT_LINK with "
            f"{', '.join(COLUMNS)}, found {', '.join(names)[:200] or 'an empty file'}"
        )
    where = [names.index(name) for name in COLUMNS]
    rows = []
    first_line: dict[str, int] = {}
    for row in table:
        if not any(row):
            continue
        if len(row) <= max(where):
            raise DataError(
                f"{path}, line {table.line_num}: {len(row)} columns, expected {len(names)} as "
                "in line 1"
            )
        link, start, end = (row[i].strip() for i in where)
        for name, value in zip(COLUMNS, (link, start, end), strict=True):
            if not value.isdigit():
                raise DataError(
                    f"{path}, line {table.line_num}, column {name}: {value!r} is not a number in "
                    "digits (a spreadsheet may have turned it into 1.92E+09)"
                )
        if link in first_line:
            raise DataError(
                f"{path}, line {table.line_num}, column LINK_ID: {link} is already in line "
                f"{first_line[link]}"
            )
        first_line[link] = table.line_num
        rows.append((link, start, end))
    return rows


def node_link_graph(path: Path, links: Collection[str]) -> LinkGraph:
    """The graph of that table, of `links` alone where there are any.

    A neighbour outside `links` has no speeds in silver, so it would be a hole in every
    neighbour feature. Raises `DataError` where the table knows none of `links`: ids change
    between the yearly versions of the set.
    """
    rows = read_node_links(path)
    wanted = set(links)
    if wanted:
        rows = [row for row in rows if row[0] in wanted]
        unknown = wanted - {row[0] for row in rows}
        if not rows:
            raise DataError(
                f"{path} has none of the {len(wanted)} links of the setting `links`. Link ids "
                "change between yearly node-link versions: use the version of the data's year"
            )
        if unknown:
            logger.warning(
                "%s does not contain %d of %d links (%s …): they have no neighbours",
                path, len(unknown), len(wanted), ", ".join(sorted(unknown)[:3]),
            )  # fmt: skip
    return LinkGraph.from_nodes(rows)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as e:
        raise SettingsError(
            f"node_link_csv: cannot read {path}: {e.strerror}. Set it to a CSV of MOCT_LINK, or "
            "leave it empty"
        ) from e
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as e:
            reason = e
    raise DataError(
        f"{path}: neither UTF-8 nor CP949 (byte {reason.start:,} is {content[reason.start]:#x}); "
        "export it as CSV in one of them"
    )
