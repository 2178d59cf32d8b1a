"""The road graph of a declared dataset: an edge list, a node-link table, or a matrix."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.errors import DataError, SettingsError, did_you_mean
from luigi_traffic.yaml_dataset.graph_settings import Graph

logger = logging.getLogger("luigi_traffic")
Row = tuple[int, list[str]]


def read_graph(graph: Graph, links: Collection[str]) -> LinkGraph:
    """The graph of the file that is named, of `links` alone where there are any.

    A neighbour outside `links` has no speeds in silver, so it would be a hole in every
    neighbour feature. Raises `SettingsError` where the file cannot be read and `DataError`,
    with the line, where it is not such a table or knows none of `links`.
    """
    (kind,) = graph.named
    path: Path = getattr(graph, kind).expanduser()
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        changed = 0  # the reader says what is wrong with it
    return _read(kind, path, changed, graph, tuple(links))


@lru_cache(maxsize=4)
def _read(kind: str, path: Path, changed: int, graph: Graph, links: tuple[str, ...]) -> LinkGraph:
    # Every day of gold asks for it.
    if kind == "node_link_csv":
        known: set[str] = set()
        rows = _node_links(path, graph, frozenset(links), known)
        _wanted(path, links, known)
        return LinkGraph.from_nodes(rows, u_turns=graph.u_turns)
    edges = list(_edges(path, graph) if kind == "edges_csv" else _matrix(path, graph))
    wanted = _wanted(path, links, {link for edge in edges for link in edge})
    return LinkGraph.from_edges((a, b) for a, b in edges if a in wanted and b in wanted)


def _wanted(path: Path, links: Collection[str], known: set[str]) -> set[str]:
    if not links:
        return known
    unknown = set(links) - known
    if len(unknown) == len(set(links)):
        raise DataError(
            f"{path} has none of the {len(links)} links of the setting `links`, for example "
            f"{min(links)!r}; it has {', '.join(map(repr, sorted(known)[:3])) or 'no row'}"
        )
    if unknown:
        logger.warning(
            "%s does not contain %d of %d links (%s …): they have no neighbours",
            path, len(unknown), len(links), ", ".join(sorted(unknown)[:3]),
        )  # fmt: skip
    return set(links)


def _edges(path: Path, graph: Graph) -> Iterator[tuple[str, str]]:
    rows = _rows(path, graph)
    header = next(rows)[1] if graph.header else None
    columns = graph.columns
    wanted: dict[str, Any] = {
        "upstream": 0 if columns.upstream is None else columns.upstream,
        "downstream": 1 if columns.downstream is None else columns.downstream,
    }
    if columns.weight is not None:
        wanted["weight"] = columns.weight
    at = {name: _position(path, name, column, header) for name, column in wanted.items()}
    for number, row in rows:
        if len(row) <= max(at.values()):
            raise DataError(f"{path}, line {number}: {len(row)} columns, expected more: {row!r}")
        weight = _weight(path, number, row[at["weight"]]) if "weight" in at else 1.0
        if _counts(weight, graph.min_weight):
            yield row[at["upstream"]], row[at["downstream"]]


def _node_links(
    path: Path, graph: Graph, links: Collection[str], known: set[str]
) -> list[tuple[str, str, str]]:
    """The rows of `links`, of all links if it is empty; `known` gets the ids of all.

    Rows of other links matter to nobody. A node may be empty.
    """
    rows = _rows(path, graph)
    header = next(rows)[1]
    names = ("link_id", "start", "end")
    at = [_position(path, name, getattr(graph.columns, name), header) for name in names]
    found = []
    first_line: dict[str, int] = {}
    incomplete: list[tuple[str, int]] = []
    for number, row in rows:
        link = row[at[0]] if len(row) > at[0] else ""
        known.add(link)
        if links and link not in links:
            continue
        if len(row) <= max(at):
            raise DataError(
                f"{path}, line {number}: {len(row)} columns, expected {len(header)} as in line 1"
            )
        if link and link in first_line:
            raise DataError(
                f"{path}, line {number}: link {link!r} is already in line {first_line[link]}"
            )
        first_line[link] = number
        start, end = row[at[1]], row[at[2]]
        if not (link and start and end):
            incomplete.append((link, number))
        if link:
            found.append((link, start, end))
    known.discard("")
    if incomplete:
        logger.warning(
            "%s: in %d rows a link or node is empty (for example link %r in line %d): such a link "
            "has no neighbours on that side", path, len(incomplete), *incomplete[0],
        )  # fmt: skip
    return found


def _matrix(path: Path, graph: Graph) -> Iterator[tuple[str, str]]:
    rows = _rows(path, graph)
    corner, *ids = next(rows)[1]
    if _is_number(corner) or len(ids) != len(set(ids)):
        raise DataError(
            f"{path}, line 1: expected an empty field and then the link ids, each once (the first "
            f"column holds them too), found {corner!r}, {', '.join(map(repr, ids[:3]))} …"
        )
    seen = set()
    for number, (link, *cells) in rows:
        if len(cells) != len(ids):
            raise DataError(
                f"{path}, line {number}: {len(cells)} weights, expected {len(ids)}: the first row "
                "and the first column hold the link ids"
            )
        if link not in ids:
            raise DataError(
                f"{path}, line {number}: {link!r} is not in the first row, which holds the link "
                f"ids.{did_you_mean(link, ids) if len(ids) < 1000 else ''}"
            )
        seen.add(link)
        for other, cell in zip(ids, cells, strict=True):
            if cell and _counts(_weight(path, number, cell), graph.min_weight):
                yield link, other
    if lacking := [link for link in ids if link not in seen]:
        raise DataError(f"{path}: no row for {len(lacking)} links, for example {lacking[0]!r}")


def _counts(weight: float, least: float | None) -> bool:
    return weight >= least if least is not None else weight != 0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _weight(path: Path, line: int, text: str) -> float:
    if not _is_number(text) or math.isnan(float(text)):
        raise DataError(f"{path}, line {line}: {text!r} is not a number, expected a weight")
    return float(text)


def _position(path: Path, name: str, column: Any, header: list[str] | None) -> int:
    if isinstance(column, int) or (header is None and str(column).isdecimal()):
        return int(column)
    header = header or []
    if column not in header:
        raise DataError(
            f"{path}, line 1: no column {column!r} (graph.columns.{name})."
            + did_you_mean(column, header)
        )
    return header.index(column)


def _rows(path: Path, graph: Graph) -> Iterator[Row]:
    """(line, fields without blanks around them) of every row that is not blank."""
    encoding = "utf-8-sig" if graph.encoding == "utf-8" else graph.encoding
    try:
        text = path.read_text(encoding=encoding)
    except UnicodeDecodeError as e:
        raise DataError(
            f"{path}: byte {e.start:,} is not {graph.encoding}; set graph.encoding, for example "
            "to cp949"
        ) from e
    except OSError as e:
        raise SettingsError(f"the graph's file {path} cannot be read: {e.strerror}") from e
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=graph.delimiter)
    empty = True
    try:
        for row in reader:
            if any(field.strip() for field in row):
                empty = False
                yield reader.line_num, [field.strip() for field in row]
    except csv.Error as e:
        raise DataError(f"{path}, line {reader.line_num}: not a row of fields: {e}") from e
    if empty:
        raise DataError(f"{path} is empty: expected a table of the road graph")
