"""The key `graph` of a declared table: which of three files has the road graph."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from luigi_traffic.yaml_dataset.values import ColumnRef, Delimiter, Encoding, Section

GRAPH_FILES = ("edges_csv", "node_link_csv", "adjacency_csv")


class GraphColumns(Section):
    """Columns of the graph's file."""

    upstream: ColumnRef = Field(
        None, description="Column of the link that traffic leaves (edges_csv); empty: the first"
    )
    downstream: ColumnRef = Field(
        None, description="Column of the link that traffic enters (edges_csv); empty: the second"
    )
    weight: ColumnRef = Field(
        None, description="Column of the weight, used with `min_weight` (edges_csv)"
    )
    link_id: ColumnRef = Field("LINK_ID", description="Column of the link id (node_link_csv)")
    start: ColumnRef = Field(
        "F_NODE", description="Column of the link's start node (node_link_csv)"
    )
    end: ColumnRef = Field("T_NODE", description="Column of the link's end node (node_link_csv)")


class Graph(Section):
    """The road graph: exactly one of the three files."""

    edges_csv: Path | None = Field(
        None, description="CSV file with one row per edge: upstream, downstream"
    )
    node_link_csv: Path | None = Field(
        None, description="CSV file with one row per link: its id, start node, end node"
    )
    adjacency_csv: Path | None = Field(
        None,
        description=(
            "CSV file with a matrix, link ids in first row and column; rows flow into columns"
        ),
    )
    columns: GraphColumns = Field(GraphColumns(), description="Columns of the graph's file")
    header: bool = Field(True, description="Whether the first line is a header (edges_csv)")
    min_weight: float | None = Field(
        None, description="Smallest weight that makes an edge; empty: every weight but 0"
    )
    u_turns: bool = Field(
        False,
        description="Whether the other direction of a two-way road is a neighbour (node_link_csv)",
    )
    delimiter: Delimiter = Field(",", description="Delimiter between the fields")
    encoding: Encoding = Field("utf-8", description="Encoding of the file")

    @property
    def named(self) -> list[str]:
        """The keys of the files that are named."""
        return [kind for kind in GRAPH_FILES if getattr(self, kind) is not None]
