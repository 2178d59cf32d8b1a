"""The same day gives the same rows wherever and however it runs; and how fast it does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.testing.lazy import only_plans
from luigi_traffic.testing.pytest_plugin import SPEED
from luigi_traffic.testing.sample import VERDICT, advised, checksum

if TYPE_CHECKING:
    import pyarrow as pa

    from luigi_traffic.testing.sample import Sample

_ZONE = "spark.sql.session.timeZone"
#: Zones that a wall time must not feel, beside the session's own: one before, one behind of UTC.
_ZONES = ("Asia/Seoul", "America/Los_Angeles")

#: Rows that stand for one of the day, to try a mean on.
_COPIES = 7


class RunChecks:
    """Engines, layouts, speed."""

    sample: Sample

    def test_transforms_only_build_plans(self) -> None:
        """No job in the driver, no RDD, no session of their own: it must run on Spark Connect."""
        sample = self.sample
        raw, spark, dataset = sample.raw, sample.spark, sample.dataset
        # On Spark Connect some of what is refused is not there at all.
        advice = "Use the session that bronze() is given, and only DataFrame expressions."
        with advised("bronze()", advice), only_plans("bronze()"):
            bronze = dataset.bronze(spark, raw)
        good = bronze.where("reject_reason IS NULL").drop(*VERDICT)
        with advised("silver()", advice), only_plans("silver()"):
            dataset.silver(good)
        with only_plans("checks()"):
            dataset.checks()
        with only_plans("graph()"):
            dataset.graph()

    def test_wall_time_in_every_session_zone(self) -> None:
        """Timestamps are wall time: the zone of the session changes no row."""
        own = str(self.sample.spark.conf.get(_ZONE))
        once = self.sample.checksums
        for zone in _ZONES:
            with _conf(self.sample, _ZONE, zone):
                sums = self.sample.checksums_now()
            assert sums == once, (
                f"{_which(sums, once)} differs between session time zones {own} and {zone}. Parse "
                "with F.wall_time(text) and compare with F.in_day(timestamp, day); do not use "
                "from_unixtime, current_timestamp and to_utc_timestamp, which use the session's "
                "zone."
            )

    def test_same_content_in_any_partitioning(self) -> None:
        """Two runs of the same day have the same checksum, whatever the layout of the files."""
        sample = self.sample
        once = sample.checksums
        lines = list(reversed(sample.lines))
        with _conf(sample, "spark.sql.shuffle.partitions", "5"):
            raw = sample.raw_of(lines, parts=min(3, len(lines)))
            # The first line tells formats apart: it stays the one of the day.
            raw = type(raw)(raw.day, raw.paths, raw.header, sample.raw.first_line, raw.lines)
            other = (
                checksum(sample.bronze_frame(raw)),
                checksum(sample.silver_frame(raw)),
            )
        assert other == once, (
            f"{_which(other, once)} of the same lines differs between two runs with other files "
            "and partitions. Take means with F.exact_mean (a sum of doubles depends "
            "on its order), and use nothing that depends on the order or position of rows or on "
            "chance: first, last, monotonically_increasing_id, rand, dropDuplicates."
        )

    def test_silver_in_any_order_of_rows(self) -> None:
        """Many rows of a link and interval have the same mean, forwards and backwards."""
        sample = self.sample
        read = sample.silver_input(sample.raw_of(sample.good_lines))
        rows = read.toArrow()
        many = _several_of_each(rows)
        sums = []
        for one in (many, many[::-1]):
            frame = sample.spark.createDataFrame(one, read.schema).coalesce(1)
            sums.append(checksum(sample.dataset_for("silver").silver(frame)))
        assert sums[0] == sums[1], (
            "silver of the same rows in reverse order is another. Take means with "
            "F.exact_mean: a sum of doubles (F.avg, F.sum) depends on its order, so "
            "that two runs differ in the last digit; and do not use first, last or the position "
            "of a row."
        )

    def test_graph_joins_links_of_silver(self) -> None:
        """Edges between text ids, the same every time, of links that have speeds."""
        graphs = [self.sample.suite.make_dataset(self.sample.folder).graph() for _ in range(2)]
        graph, again = graphs
        if graph is None or again is None:
            pytest.skip("the dataset has no graph: gold's t2, t1, f1, f2 stay empty")
        assert isinstance(graph, LinkGraph), (
            f"graph() returns {type(graph).__name__}. Return LinkGraph.from_edges(…) or None."
        )
        loose: Any = [e for e in graph.edges if not all(isinstance(end, str) for end in e)]
        assert not loose, (
            f"the graph has ids that are not text, for example {loose[0]}. Make it with "
            "LinkGraph.from_edges or from_nodes, which write ids as silver does."
        )
        assert graph.checksum == again.checksum, (
            "two instances of the same settings have graphs with different checksums. Use "
            "nothing random, and make it with LinkGraph.from_edges, which sorts."
        )
        links = {row["link_id"] for row in self.sample.silver.rows}
        joined = [edge for edge in graph.edges if edge[0] in links and edge[1] in links]
        example = graph.edges[0] if graph.edges else "none at all"
        assert joined, (
            f"none of the {len(graph):,} edges joins two links of silver: an edge is {example}, a "
            f"link of silver is {min(links)!r}. Use the same ids in graph() and in link_id."
        )
        wanted = set(self.sample.dataset.settings.links)
        known = {end for edge in graph.edges for end in edge if not wanted or end in wanted}
        unknown, most = known - links, self.sample.suite.most_unknown_links
        assert len(unknown) <= most * len(known), (
            f"{len(unknown):,} of the {len(known):,} links of the graph are not in silver of the "
            f"day, for example {min(unknown)!r}: they never have a value, and their neighbours see "
            "nothing of them. Use the same ids in graph() and in link_id; if the road net is wider "
            f"than the sensors, set most_unknown_links of the suite (it is {most:g})."
        )

    def test_speed_is_reported(self, record_property: Callable[[str, object], None]) -> None:
        """Seconds per million rows, printed at the end of the run; no speed fails the test."""
        sample = self.sample
        lines = list(sample.lines)
        lines *= -(-sample.suite.speed_lines // len(lines))
        raw = sample.raw_of(lines, parts=2)
        store = LocalStore(sample.folder)
        seconds = {}
        with advised("a large day", "Do not assume a number of rows."):
            sample.bronze_frame(sample.raw).write.mode("overwrite").parquet(store.spark_url("warm"))
            begun = time.perf_counter()
            sample.bronze_frame(raw).write.mode("overwrite").parquet(store.spark_url("bronze"))
            seconds["bronze"] = time.perf_counter() - begun
            rows = sample.spark.read.parquet(store.spark_pattern("bronze"))
            good = rows.where("reject_reason IS NULL").drop(*VERDICT)
            begun = time.perf_counter()
            sample.dataset.silver(good).write.mode("overwrite").parquet(store.spark_url("silver"))
            seconds["silver"] = time.perf_counter() - begun
        scale = 1e6 / len(lines)
        told: dict[str, object] = {
            stage: round(taken * scale, 2) for stage, taken in seconds.items()
        }
        where = "Spark Connect" if "connect" in type(sample.spark).__module__ else "Spark local"
        told |= {"dataset": sample.dataset.name, "rows": len(lines), "where": where}
        record_property(SPEED, json.dumps(told))


def _several_of_each(rows: pa.Table) -> pa.Table:
    """Each row several times, with other decimal numbers each time: sums that round."""
    import pyarrow as pa
    import pyarrow.compute as pc

    copies = []
    for copy in range(_COPIES):
        made = rows
        for at, field in enumerate(rows.schema):
            if pa.types.is_floating(field.type):
                moved = pc.multiply(rows.column(at), pa.scalar(1 + copy / 7, field.type))
                made = made.set_column(at, field, moved)
        copies.append(made)
    return pa.concat_tables(copies)


@contextmanager
def _conf(sample: Sample, key: str, value: str) -> Iterator[None]:
    before = str(sample.spark.conf.get(key))
    sample.spark.conf.set(key, value)
    try:
        yield
    finally:
        sample.spark.conf.set(key, before)


def _which(one: tuple[str, str], other: tuple[str, str]) -> str:
    return "bronze" if one[0] != other[0] else "silver"
