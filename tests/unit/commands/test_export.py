"""Parquet files of an export hold what the warehouse holds, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
import served
import shapely
from typer.testing import CliRunner

from luigi_traffic.cli import app
from luigi_traffic.commands.export import command, files
from luigi_traffic.commands.export.command import THERE, WRITTEN, Request, run
from luigi_traffic.errors import DamageError, DataError, SettingsError
from luigi_traffic.project import current
from luigi_traffic.warehouse.content import Content
from luigi_traffic.warehouse.tables import gold_table

NAMES = ["timestamp", "link_id", "speed", "n_obs"]


@pytest.fixture
def out(cleared, tmp_path: Path) -> Path:
    served.fill(current().warehouse)
    return tmp_path / "out"


def exported(out: Path, what: str = "gold", **more: Any) -> list[dict[str, Any]]:
    return run(current(), Request(served.DATASET, what, out, **more))


def sql(text: str) -> list[tuple[Any, ...]]:
    return current().warehouse.query(text, None)[1]


def test_gold_is_the_same_in_other_tools(out: Path) -> None:
    before = served.GOLD_DAY - timedelta(days=1)
    times = [served.MIDNIGHT - timedelta(days=1, minutes=5)]
    table = gold_table(served.DATASET, NAMES)
    warehouse = current().warehouse
    served.commit(warehouse, table, "gold", before, served.observed(served.LINKS, times))
    rows = exported(out)
    assert [(row["part"], row["state"], row["rows"]) for row in rows] == [
        (before, WRITTEN, 4), (served.GOLD_DAY, WRITTEN, 12),
    ]  # fmt: skip

    there = sql("SELECT timestamp, link_id, speed, n_obs FROM gold.tiny ORDER BY 1, 2")
    assert any(speed != speed for _, _, speed, _ in there), "NaN is not NULL"
    wanted = pd.DataFrame(there, columns=NAMES)
    found = pd.read_parquet(out / "gold")
    assert set(found["dataset"]) == {"tiny"} and len(set(found["day"])) == 2
    found = found.sort_values(["timestamp", "link_id"], ignore_index=True)
    pd.testing.assert_frame_equal(found[NAMES], wanted, check_dtype=False)
    asked = (
        "SELECT timestamp, link_id, speed, n_obs FROM read_parquet(?, hive_partitioning = true)"
        " WHERE dataset = 'tiny' AND day = '2024-05-31' ORDER BY 1, 2"
    )
    of_day = duckdb.execute(asked, [str(out / "gold" / "**" / "*.parquet")]).fetchall()
    assert repr(of_day) == repr(there[4:])

    # What is written down of a file is the ledger's, and its rows have that checksum.
    path = Path(rows[1]["path"])
    (made_of,) = json.loads(pq.read_schema(path).metadata[files.MADE_OF])["partitions"]
    with warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE back (LIKE gold.tiny)")
        back = pq.read_table(path, partitioning=None).to_pylist()
        for row in back:
            cursor.execute("INSERT INTO back VALUES (%s, %s, %s, %s)", [row[n] for n in NAMES])
        content = Content.measure(connection, "back")
        cursor.execute("SELECT checksum FROM meta.ledger WHERE partition_id = %s",
                       (made_of["partition_id"],))  # fmt: skip
        assert cursor.fetchone() == (content.checksum,) == (made_of["checksum"],)


def test_again_it_writes_what_has_changed_alone(out: Path) -> None:
    path = Path(exported(out)[0]["path"])
    written = path.stat().st_mtime_ns
    assert exported(out)[0]["state"] == THERE and path.stat().st_mtime_ns == written
    path.write_bytes(path.read_bytes()[:100])
    assert exported(out)[0]["state"] == WRITTEN
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE meta.ledger SET partition_id = 'other' WHERE stage = 'gold'")
    (row,) = exported(out)
    assert (row["state"], row["partition_id"]) == (WRITTEN, "other")


def test_published_forecasts_and_no_live_ones(out: Path) -> None:
    (row,) = exported(out, "forecast")
    found = pd.read_parquet(row["path"], partitioning=None)
    there = sql("SELECT issued_at, step, link_id, speed, lower FROM forecast.tiny"
                " WHERE kind <> 'live' ORDER BY 1, 2, 3")  # fmt: skip
    assert len(found) == len(there) == 2 * 12 * 4 and set(found["kind"]) == {"next", "rolling"}
    names = ["issued_at", "step", "link_id", "speed", "lower"]
    assert [tuple(one) for one in found[names].itertuples(index=False)] == there


def test_links_are_geoparquet(out: Path) -> None:
    old, new = exported(out, "links")
    assert [row["part"] for row in (old, new)] == [date(2024, 1, 1), served.TODAY]
    for row, name in ((old, "old"), (new, "new")):
        table = pq.read_table(row["path"], partitioning=None)
        said = json.loads(table.schema.metadata[b"geo"])
        assert said["version"] == "1.1.0" and said["columns"][said["primary_column"]] == {
            "encoding": "WKB", "geometry_types": [],
        }  # fmt: skip
        shapes = shapely.from_wkb(table["geometry"].to_pylist())
        assert [shape and shape.geom_type for shape in shapes].count("LineString") == 3
        assert set(table["name"].to_pylist()) == {name} and "valid_from" not in table.column_names
    assert [row["state"] for row in exported(out, "links")] == [THERE, THERE]
    (one,) = exported(out, "links", first=date(2024, 2, 1), last=date(2024, 3, 1))
    assert one["part"] == old["part"], "valid in the range, though it began before"


def test_what_is_damaged_is_not_exported(out: Path) -> None:
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM gold.tiny WHERE link_id = '1003'")
    with pytest.raises(DamageError, match="has 9 rows of the 12 that were committed"):
        exported(out)
    assert [path for path in out.rglob("*") if path.is_file()] == []


def test_a_kill_leaves_no_file_under_its_name(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*given: Any, **more: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", killed)
        if not (child := os.fork()):
            exported(out)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert list(out.rglob("data.parquet")) == []
    assert exported(out)[0]["state"] == WRITTEN


def test_wrong_questions(out: Path) -> None:
    with pytest.raises(SettingsError, match="--what tables: expected one of gold, forecast, links"):
        exported(out, "tables")
    with pytest.raises(SettingsError, match="is after --to"):
        exported(out, first=served.TODAY, last=served.GOLD_DAY)
    with pytest.raises(DataError, match="nothing of gold of tiny in this range"):
        exported(out, first=served.TODAY)
    out.write_text("a file")
    with pytest.raises(SettingsError, match="cannot be written: Not a directory"):
        exported(out)
    done = CliRunner().invoke(app, ["export", "tiny", "--out", str(out.with_name("other"))])
    assert done.exit_code == 0 and "12" in done.output and "data.parquet" in done.output
    assert command.WHAT == ("gold", "forecast", "links")
