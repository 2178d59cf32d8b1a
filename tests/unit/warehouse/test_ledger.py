from __future__ import annotations

from dataclasses import replace

import pytest

from luigi_traffic.recipe import Input, Recipe
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow

RECIPE = Recipe("gold", "its", {"version": "1", "name": "울산"})
ROW = LedgerRow(
    stage="gold",
    dataset="its",
    part="2012-03-28",
    partition_id="a" * 32,
    recipe=RECIPE.as_dict(),
    inputs=[Input("silver", "2012-03-28", "b" * 32)],
    rows=3,
    checksum="3:17",
    details={"seconds": 1.5},
)


def write(warehouse: Warehouse, row: LedgerRow) -> bool:
    with warehouse.connect() as conn:
        return ledger.write(conn, row)


def test_a_row_comes_back_as_it_was_written(warehouse: Warehouse) -> None:
    assert write(warehouse, ROW)
    with warehouse.connect() as conn:
        found = ledger.find(conn, ROW.partition_id)
        assert found is not None
        assert found.committed_at is not None
        assert replace(found, committed_at=None) == ROW
        assert ledger.current(conn, "gold", "its") == {ROW.part: found}
        assert ledger.current(conn, "gold", "metr_la") == {}
        assert ledger.find(conn, "nobody") is None
    assert warehouse.query("SELECT recipe_hash FROM meta.ledger", 1)[1] == [(RECIPE.hash,)]


def test_a_new_row_supersedes_the_live_one_of_its_part_alone(warehouse: Warehouse) -> None:
    other_day = replace(ROW, part="2012-03-29", partition_id="d" * 32)
    newer = replace(ROW, partition_id="c" * 32)
    for row in (ROW, other_day, newer):
        assert write(warehouse, row)
    with warehouse.connect() as conn:
        assert ledger.current_ids(conn, "gold", "its") == {
            "2012-03-28": "c" * 32,
            "2012-03-29": "d" * 32,
        }
        superseded = ledger.find(conn, ROW.partition_id)
        assert superseded is not None
        assert superseded.rows == 3


def test_the_same_id_again_is_not_written(warehouse: Warehouse) -> None:
    assert write(warehouse, ROW)
    assert not write(warehouse, replace(ROW, rows=99))
    assert warehouse.query("SELECT rows FROM meta.ledger", None)[1] == [(3,)]


def test_a_setting_changed_and_changed_back(warehouse: Warehouse) -> None:
    for row in (ROW, replace(ROW, partition_id="c" * 32), replace(ROW, rows=4)):
        assert write(warehouse, row)
    with warehouse.connect() as conn:
        found = ledger.find(conn, ROW.partition_id)
    assert found is not None
    assert found.rows == 4  # the live one, not its superseded namesake
    live = "SELECT count(*) FROM meta.ledger WHERE superseded_at IS NULL"
    assert warehouse.query(live, 1)[1] == [(1,)]


def test_nan_is_refused_before_it_reaches_the_server(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write(warehouse, replace(ROW, details={"mae": float("nan")}))
