from __future__ import annotations

from datetime import date, timedelta
from io import StringIO

import pytest
from rich.console import Console

from luigi_traffic.commands import lineage
from luigi_traffic.errors import DataError
from luigi_traffic.project import current

FIRST, LAST = date(2024, 5, 1), date(2024, 5, 2)


def test_a_model_reaches_every_archive(filled):
    rows = lineage.rows(current(), "1", None, None)
    assert rows[0]["stage"] == "model" and rows[0]["version"] == "1"
    archives = [r for r in rows if r["stage"] == "source"]
    assert {r["sha256"] for r in archives} == {f"{d:064x}" for d in (1, 2)}
    assert {r["url"] for r in archives} == {
        "https://example.org/20240501.zip", "https://example.org/20240502.zip"
    }  # fmt: skip
    assert {r["depth"] for r in archives} == {5}
    by_id = {r["id"]: r for r in rows}
    for row in archives:  # each is reached through every stage
        stages = []
        while row["of"]:
            row = by_id[row["of"]]
            stages.append(row["stage"])
        assert stages == ["raw", "bronze", "silver", "gold", "model"]
    assert lineage.rows(current(), None, None, "tiny") == rows  # the newest model
    assert lineage.rows(current(), None, None, None) == rows


def test_any_partition_by_its_first_digits(filled):
    rows = lineage.rows(current(), "1", None, None)
    silver = next(r for r in rows if r["stage"] == "silver")
    found = lineage.rows(current(), None, silver["id"][:10], None)
    assert [r["stage"] for r in found] == ["silver", "bronze", "raw", "source"]
    assert found[0]["id"] == silver["id"]


def test_a_forecast_walks_what_it_shares_once(filled):
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT partition_id FROM meta.ledger WHERE stage = 'forecast'")
        (made,) = cursor.fetchone()
    rows = lineage.rows(current(), None, made, None)
    assert rows[0]["stage"] == "forecast"
    gold = [r for r in rows if r["stage"] == "gold"]
    assert [r["repeated"] for r in gold] == [False, False, True, True]
    assert len([r for r in rows if r["stage"] == "source"]) == 2


def test_superseded_and_missing(cleared):
    cleared.commit_day(FIRST)
    cleared.commit_day(LAST)
    cleared.commit_model(LAST, 2, "1")
    links = lineage.rows(current(), None, None, None)
    gold = next(r for r in links if r["stage"] == "gold")
    bronze = next(r for r in links if r["stage"] == "bronze")
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE meta.ledger SET superseded_at = now() WHERE partition_id = %s", (gold["id"],)
        )
    (manifest,) = [
        i.key for i in current().store.list("_manifests/bronze/") if bronze["id"] in i.key
    ]
    (cleared.path / "lake" / manifest).unlink()
    rows = {r["id"]: r for r in lineage.rows(current(), None, None, None)}
    assert rows[gold["id"]]["state"] == "superseded"
    assert rows[bronze["id"]]["state"] == "missing"
    assert rows[bronze["id"]]["part"] == FIRST.isoformat()


def test_wrong_questions(filled):
    with pytest.raises(DataError, match=r"no version '7'.*Known: 1"):
        lineage.rows(current(), "7", None, None)
    with pytest.raises(DataError, match="no partition has the id"):
        lineage.rows(current(), None, "0" * 32, None)
    with pytest.raises(DataError, match="at least 6 digits"):
        lineage.rows(current(), None, "ab", None)
    with pytest.raises(DataError, match="cannot be used together"):
        lineage.rows(current(), "1", "abcdef", None)
    with pytest.raises(DataError, match="no model of elsewhere"):
        lineage.rows(current(), None, None, "elsewhere")


def test_tree(filled):
    console = Console(width=50, record=True, file=StringIO())
    lineage.draw(lineage.rows(current(), "1", None, None), console)
    page = console.export_text()
    assert "model luigi_traffic.tiny version 1" in page
    assert f"sha256 {1:064x}" in page  # on one line


def test_a_version_of_two_datasets_must_be_told_apart(cleared):
    day = LAST
    for n in range(2):
        cleared.commit_day(day + timedelta(days=n))
    cleared.commit_model(LAST + timedelta(days=1), 2, "1")
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO meta.ledger (stage, dataset, part, partition_id, recipe_hash, recipe,"
            " inputs, rows, checksum, details) SELECT stage, 'other', 'p', 'other-id', recipe_hash,"
            " recipe, '[]', rows, checksum, details FROM meta.ledger WHERE stage = 'model'"
        )
    with pytest.raises(DataError, match="other, tiny"):
        lineage.rows(current(), "1", None, None)
    assert lineage.rows(current(), "1", None, "other")[0]["id"] == "other-id"
