"""Clients that are none of ours read what the pipeline has written."""

from __future__ import annotations

import pyarrow.dataset as ds


def test_another_s3_client_lists_the_objects_and_reads_the_parquet(finished, stack):
    manifests = finished.manifests("silver")
    assert [manifest["day"] for manifest in manifests] == ["2024-01-09", "2024-01-10"]
    listed = finished.objects()
    for manifest in manifests:
        keys = [file["key"] for file in manifest["files"]]
        assert set(keys) <= set(listed)
        table = ds.dataset(
            [f"{finished.bucket}/{key}" for key in keys], filesystem=stack.s3(), format="parquet"
        ).to_table()
        assert table.num_rows == manifest["rows_out"] > 1000
        assert {str(time)[:10] for time in table["timestamp"].to_pylist()} == {manifest["day"]}


def test_psql_as_the_reader_sees_gold_and_can_change_nothing(finished):
    seen = finished.psql("SELECT count(*), count(DISTINCT link_id) FROM gold.its_sim")
    assert seen.returncode == 0, seen.stderr
    ((rows,),) = finished.sql("SELECT sum(rows) FROM meta.ledger WHERE stage = 'gold'")
    assert seen.stdout.strip() == f"{rows}|8"
    # The read-only default could be switched off; the missing privilege cannot.
    for statement in (
        "DELETE FROM gold.its_sim",
        "INSERT INTO meta.ledger DEFAULT VALUES",
        "UPDATE forecast_versions.its_sim SET speed = 0",
        "DROP TABLE gold.its_sim",
        "CREATE TABLE gold.mine (x int)",
        "CREATE SCHEMA mine",
        "SET ROLE luigi_traffic_owner",
    ):
        refused = finished.psql(f"SET default_transaction_read_only = off; {statement}")
        assert refused.returncode != 0, statement
        assert "permission denied" in refused.stderr or "must be owner" in refused.stderr
