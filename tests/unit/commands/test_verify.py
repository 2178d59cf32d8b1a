"""What was committed and is lost or altered is found, named, and made to count no more."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta

import pytest

from luigi_traffic.commands import invalidate, status, verify
from luigi_traffic.errors import DamageError, DataError
from luigi_traffic.project import current
from luigi_traffic.recipe import Input
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.warehouse import GoldPartition
from luigi_traffic.training.gold import read_gold
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

DAY = date(2024, 5, 1)
NEXT = date(2024, 5, 2)
ROWS = 12


def with_gold(home, day: date, rows: int = ROWS) -> None:
    """A day of `home` whose gold has rows in a real table."""
    home.commit_day(day)
    with current().warehouse.connect() as connection:  # the ledger row that it wrote has no rows
        ledger.void(connection, "gold", "tiny", str(day), "for the test")
    commit_gold(day, rows)


def commit_gold(day: date, rows: int = ROWS) -> None:
    """Gold of a day that has silver."""
    gold = DayChain(current(), "tiny", day).id("gold")
    table = gold_table("tiny", ["timestamp", "link_id", "speed", "n_obs"])

    made_of = [Input("silver", str(day), DayChain(current(), "tiny", day).id("silver") or "")]
    with staging(current().warehouse, table, f"{day:%Y%m%d}") as attempt:
        with current().warehouse.connect() as connection, connection.cursor() as cursor:
            for n in range(rows):
                at = f"{day} 00:{5 * n % 60:02d}"
                cursor.execute(f"INSERT INTO {attempt.name} VALUES (%s, %s, 50, 1)", (at, f"l{n}"))
        row = ledger.LedgerRow(
            "gold", "tiny", str(day), gold or "", {}, made_of, rows, attempt.checksum(),
            {"seconds": 1.0},
        )  # fmt: skip
        assert attempt.commit(Bounds.day(day), row)


def sql(statement: str) -> None:
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def partition_of(day: date) -> str:
    """The table that holds a day."""
    rows = current().warehouse.query(
        "SELECT c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_class c"
        " JOIN pg_inherits i ON i.inhrelid = c.oid",
        None,
    )[1]
    (found,) = [name for name, bounds in rows if f"FROM ('{day}" in bounds]
    return found


def read(*days: date):
    ids = {str(day): DayChain(current(), "tiny", day).id("gold") or "" for day in days}
    return read_gold(
        current().warehouse, "tiny", ids, ["speed"], days[0], days[-1] + timedelta(days=1),
        timedelta(minutes=5),
    )  # fmt: skip


def file_of(stage: str, day: date = DAY):
    manifest = LakePartition(current(), stage, "tiny", day).manifest()
    return current().settings.lake_path / manifest.files[0]["key"]


def found(deep: bool = False, mark: bool = False) -> list[tuple[str, str]]:
    said = verify.verify(current(), None, deep=deep, mark=mark)
    return [(row["stage"], row["part"]) for row in said.rows]


# Reading


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DROP TABLE {}", "0 rows of the 12 that were committed"),
        ("DELETE FROM {} WHERE link_id = 'l3'", "11 rows of the 12 that were committed"),
        ("TRUNCATE {}", "0 rows of the 12 that were committed"),
        ("DROP TABLE gold.tiny", "the table is missing"),
    ],
)
def test_gold_that_lost_rows_is_never_trained_on(cleared, anew, damage: str, said: str) -> None:
    for day in (DAY, NEXT):
        with_gold(cleared, day)
    assert read(DAY, NEXT).actual.size
    sql(damage.format(partition_of(DAY)))
    with pytest.raises(DamageError, match=rf"2024-05-01: {said}.*made again"):
        read(DAY, NEXT)
    anew()
    assert not GoldPartition(current(), "tiny", DAY).exists()
    assert GoldPartition(current(), "tiny", NEXT).exists() == ("gold.tiny" not in damage)
    row = next(
        r
        for r in status.rows(current(), "tiny", status.Range(2, last=NEXT))
        if r["stage"] == "gold"
    )
    assert row["state"] != "done"
    commit_gold(DAY)  # as the next run does
    anew()
    assert GoldPartition(current(), "tiny", DAY).exists()
    assert read(DAY).actual.size


@pytest.mark.parametrize("how", ["gone", "cut", "altered"])
def test_files_are_compared_before_they_are_read(cleared, anew, how: str) -> None:
    """A day for each stage."""
    days = {stage: DAY + timedelta(days=n) for n, stage in enumerate(("raw", "bronze", "silver"))}
    for stage, day in days.items():
        cleared.commit_day(day)
        file = file_of(stage, day)
        if how == "gone":
            file.unlink()
        else:
            file.write_bytes(b"x" * 50 if how == "cut" else b"y" * 100)
    for stage, day in days.items():
        with pytest.raises(DamageError, match=f"{stage} of tiny {day}.*part.*made again"):
            LakePartition(current(), stage, "tiny", day).whole()
        anew()
        assert not LakePartition(current(), stage, "tiny", day).exists()


# verify


def test_nothing_is_said_of_what_is_whole(cleared, anew) -> None:
    assert verify.verify(current(), None, deep=True, mark=True).looked_at == 0
    with_gold(cleared, DAY)
    said = verify.verify(current(), "tiny", deep=True, mark=True)
    assert (said.looked_at, said.rows) == (5, [])
    # A column that came later is no damage of the days before it.
    sql("ALTER TABLE gold.tiny ADD COLUMN rain double precision")
    assert found(deep=True) == []


def test_checksums_of_earlier_versions_are_compared_as_they_were_made(cleared, anew) -> None:
    for day in (DAY, NEXT):
        with_gold(cleared, day)
    rows = f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {partition_of(DAY)} t"
    ((count, total),) = current().warehouse.query(rows, None)[1]
    sql(f"UPDATE meta.ledger SET checksum = '{count}:{total}' WHERE part = '{DAY}'")
    sql("ALTER TABLE gold.tiny ADD COLUMN rain double precision")
    assert found(deep=True) == []
    sql(f"UPDATE {partition_of(DAY)} SET speed = 51 WHERE link_id = 'l3'")
    assert found(deep=True) == [("gold", "2024-05-01")]


def test_each_damage_is_named_and_marked_if_asked(cleared, anew) -> None:
    for day in (DAY, NEXT):
        with_gold(cleared, day)
    file_of("raw").unlink()
    file_of("silver").write_bytes(b"y" * 100)
    sql(f"UPDATE {partition_of(DAY)} SET speed = 51 WHERE link_id = 'l3'")
    sql(f"DELETE FROM {partition_of(NEXT)} WHERE link_id = 'l3'")
    quick = [("raw", "2024-05-01"), ("gold", "2024-05-02")]
    deep = [quick[0], ("silver", "2024-05-01"), ("gold", "2024-05-01"), quick[1]]
    assert found() == quick
    assert found(deep=True) == deep
    assert GoldPartition(current(), "tiny", NEXT).exists()  # nothing was marked
    assert found(deep=True, mark=True) == deep
    anew()
    assert found(deep=True) == []
    assert not LakePartition(current(), "raw", "tiny", DAY).exists()
    assert LakePartition(current(), "bronze", "tiny", NEXT).exists()
    assert not GoldPartition(current(), "tiny", NEXT).exists()


def test_a_model_whose_files_are_gone(cleared, anew) -> None:
    cleared.commit_day(DAY)
    model = cleared.commit_model(DAY, 1, "1")
    stages = [("gold", "2024-05-01"), ("forecast", "2024-05-01/tiny_model:1"), ("model", model)]
    assert found() == stages  # the ledger alone has them
    done = cleared.command("verify", "--json")
    assert done.returncode == 1
    assert [(r["stage"], r["part"]) for r in json.loads(done.stdout)] == stages
    assert "missing from MLflow" in json.loads(done.stdout)[-1]["damage"]


# invalidate


def test_a_partition_is_invalidated_by_hand(cleared, anew) -> None:
    cleared.commit_day(DAY)
    model = cleared.commit_model(DAY, 1, "1")
    lake = cleared.path / "lake"
    before = {p for p in lake.rglob("*") if p.is_file()}
    for stage in ("announce", "bronze", "silver"):
        assert LakePartition(current(), stage, "tiny", DAY).exists()
        done = cleared.command("invalidate", stage, "tiny", "2024-05-01")
        assert done.returncode == 0, done.stderr
        assert "counts as missing" in done.stdout
        anew()
        assert not LakePartition(current(), stage, "tiny", DAY).exists()
    assert before <= {p for p in lake.rglob("*") if p.is_file()}
    for stage, part in [("gold", str(DAY)), ("forecast", f"{DAY}/tiny_model:1"), ("model", model)]:
        invalidate.invalidate(current(), stage, "tiny", part, "a test")
    with current().warehouse.connect() as connection:
        for stage in ("gold", "forecast", "model"):
            assert ledger.current_ids(connection, stage, "tiny") == {}
    invalidate.invalidate(current(), "raw", "tiny", str(DAY), "a test")
    assert not LakePartition(current(), "raw", "tiny", DAY).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("brons", "tiny", "2024-05-01"), "no stage 'brons'. Did you mean 'bronze'"),
        (("raw", "tiny", "yesterday"), "'yesterday' is not a day like 2024-05-31"),
        (("raw", "tiny", "2024-05-09"), "nothing is committed for raw tiny 2024-05-09"),
        (("gold", "tiny", "2024-06-01"), "Did you mean '2024-05-01'"),
        (("raw", "tinny", "2024-05-01"), "nothing is committed for raw of tinny"),
    ],
)
def test_what_is_not_there_is_not_invalidated(filled, words, said) -> None:
    with pytest.raises(DataError, match=said):
        invalidate.invalidate(current(), *words, "a test")


# Homes of a version before


def test_a_home_of_an_earlier_version_is_refused_before_anything_is_changed(empty, anew) -> None:
    """Its database would be brought up to date, and the older version could not go back."""
    old = empty.path / "lake/_manifests/raw/tiny/2024-05-01" / f"{'a' * 16}-{'b' * 32}.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    data = empty.path / "postgres" / "data"
    data.mkdir(parents=True)
    record = json.dumps({"home": str(data.parent), "port": 5999})
    (data.parent / "server.json").write_text(record)
    for command in (("status",), ("lineage",), ("gc", "--dry-run"), ("verify",)):
        done = empty.command(*command)
        assert done.returncode == 1, command
        assert "without generations" in done.stderr, command
    assert (data.parent / "server.json").read_text() == record
    assert sorted(p.name for p in data.parent.iterdir()) == ["data", "server.json"]
    shutil.rmtree(data.parent)
