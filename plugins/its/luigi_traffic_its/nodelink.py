"""The standard node-link set (MOCT_LINK) as CSV: which node a link starts from and ends in."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Collection, Sequence
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path

from luigi_traffic import DataError, LinkGraph, SettingsError

logger = logging.getLogger("luigi_traffic")
COLUMNS = ("LINK_ID", "F_NODE", "T_NODE")
#: What tools write for a node that is not there.
_NO_NODE = {"", "null", "none", "nan"}


def read_node_links(
    path: Path, links: Collection[str] = (), more: Sequence[str] = ()
) -> list[tuple[str, ...]]:
    """(link, start node, end node) of every row, of `links` alone where there are any, and the
    texts of the columns `more`, empty if the table has no such column.

    A node is empty if the row has none: that is logged. Rows of other links and other columns are
    passed over. UTF-8 (with or without a byte-order mark) or CP949, as the ministry's tools export
    it; column names in any case. Raises `SettingsError` where the file cannot be read and
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
    others = [names.index(name) if name in names else None for name in more]
    ours = _Ours(path, frozenset(links))
    rows: list[tuple[str, ...]] = []
    first_line: dict[str, int] = {}
    incomplete: list[str] = []
    for row in table:
        cells = [cell.strip() for cell in row]
        if not any(cells) or not ours.has(cells, where[0], table.line_num):
            continue
        if len(cells) <= max(where):
            raise DataError(
                f"{path}, line {table.line_num}: {len(cells)} columns, expected {len(names)} as "
                "in line 1"
            )
        link, *nodes = (cells[i] for i in where)
        start, end = (
            _node(path, table.line_num, name, value)
            for name, value in zip(COLUMNS[1:], nodes, strict=True)
        )
        if link in first_line:
            raise DataError(
                f"{path}, line {table.line_num}, column LINK_ID: {link} is already in line "
                f"{first_line[link]}"
            )
        first_line[link] = table.line_num
        if not (start and end):
            incomplete.append(f"{link} in line {table.line_num}")
        texts = ("" if at is None or at >= len(cells) else cells[at] for at in others)
        rows.append((link, start, end, *texts))
    if incomplete:
        logger.warning(
            "%s has no start or end node for %d of %d links (for example %s): they have no "
            "neighbours on that side", path, len(incomplete), len(rows), incomplete[0],
        )  # fmt: skip
    if ours.without_link:
        logger.warning(
            "%s has %d rows without a LINK_ID (for example line %d): they are left out",
            path, len(ours.without_link), ours.without_link[0],
        )  # fmt: skip
    return rows


class _Ours:
    """Which rows matter: those of `links`, or all rows if there are none."""

    def __init__(self, path: Path, links: frozenset[str]) -> None:
        self.path = path
        self.links = links
        #: Lines of rows without a link id, if every row matters.
        self.without_link: list[int] = []

    def has(self, cells: list[str], at: int, line: int) -> bool:
        """Raises `DataError` for a damaged id that could be one of ours."""
        link = cells[at] if at < len(cells) else ""
        if self.links:
            damaged = not link.isdigit() and any(_may_be(link, ours) for ours in self.links)
            if not damaged:
                return link in self.links
        elif not link:
            self.without_link.append(line)
            return False
        if not link.isdigit():
            raise DataError(_no_digits(self.path, line, COLUMNS[0], link))
        return True


def _may_be(damaged: str, link: str) -> bool:
    """Whether a spreadsheet may have made 1.92E+09 or 1920161400.0 of that link id."""
    try:
        value = Decimal(damaged)
    except InvalidOperation:
        return False
    if not value.is_finite() or not link.isdigit():
        return False
    digits = len(value.as_tuple().digits)
    return bool(value) and f"{Decimal(link):.{digits - 1}E}" == f"{value:.{digits - 1}E}"


def _node(path: Path, line: int, name: str, value: str) -> str:
    """The node's id, "" for none. A tool that knows no empty number writes 1920055600.0."""
    if value.lower() in _NO_NODE:
        return ""
    node = re.sub(r"\.0+$", "", value)
    if not node.isdigit():
        raise DataError(_no_digits(path, line, name, value))
    return node


def _no_digits(path: Path, line: int, name: str, value: str) -> str:
    return (
        f"{path}, line {line}, column {name}: {value!r} is not a number in digits (a spreadsheet "
        "may have turned it into 1.92E+09)"
    )


def node_link_graph(path: Path, links: Collection[str], *, u_turns: bool = False) -> LinkGraph:
    """The graph of that table, of `links` alone where there are any.

    A neighbour outside `links` has no speeds in silver, so it would be a hole in every
    neighbour feature. Raises `DataError` where the table knows none of `links`: ids change
    between the yearly versions of the set.
    """
    wanted = set(links)
    rows = read_node_links(path, wanted)
    if wanted:
        unknown = wanted - {row[0] for row in rows}
        if not rows:
            raise DataError(
                f"{path} has none of the {len(wanted)} links of the setting `links`, for example "
                f"{min(wanted)}; it has {_some_links(path)}. Link ids "
                "change between yearly node-link versions: use the version of the data's year"
            )
        if unknown:
            logger.warning(
                "%s does not contain %d of %d links (%s …): they have no neighbours",
                path, len(unknown), len(wanted), ", ".join(sorted(unknown)[:3]),
            )  # fmt: skip
    return LinkGraph.from_nodes(((row[0], row[1], row[2]) for row in rows), u_turns=u_turns)


def _some_links(path: Path) -> str:
    rows = csv.DictReader(io.StringIO(_text(path).upper(), newline=""))
    found = (str(row.get(COLUMNS[0]) or "").strip() for row in rows)
    return ", ".join(islice((link for link in found if link), 3)) or "no row"


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
