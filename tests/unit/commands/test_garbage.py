from __future__ import annotations

import os
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from luigi_traffic.commands import garbage
from luigi_traffic.commands.duration import duration
from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.project import current
from luigi_traffic.recipe import Recipe
from luigi_traffic.warehouse.tables import forecast_table, gold_table

DAY = date(2024, 5, 1)
AGE = timedelta(days=1)


def grow_old(path: Path) -> Path:
    for inner in [path, *path.rglob("*")]:
        os.utime(inner, (time.time() - 2 * 86400,) * 2)
    return path


def attempt(stage: str = "bronze") -> Path:
    catalog = current().catalog
    prefix = catalog.attempt(stage, "tiny", DAY).prefix
    with catalog.store.writer(f"{prefix}part-0") as file:
        file.write(b"12345")
    return current().settings.lake_path / prefix


def snapshot(folder: Path) -> list[tuple[str, int]]:
    return sorted(
        (str(p), p.stat().st_size)
        for p in folder.rglob("*")
        if p.is_file() and "postgres" not in p.parts
    )


def test_what_a_manifest_names_stays_and_the_young_stays(cleared):
    cleared.commit_day(DAY)
    cleared.commit_model(DAY, 1, "1")
    grow_old(cleared.path / "lake")
    kept = snapshot(cleared.path)
    old, young = grow_old(attempt()), attempt("silver")
    temporary = young.parent / ".tmp-abc"
    temporary.write_bytes(b"xy")
    grow_old(temporary)
    with_both = snapshot(cleared.path)

    said = garbage.rows(current(), AGE, dry_run=True)
    assert [(r["kind"], r["bytes"], r["removed"]) for r in said] == [
        ("attempt", 5, False), ("temporary file", 2, False)
    ]  # fmt: skip
    assert said[0]["what"] in str(old) + "/"
    assert snapshot(cleared.path) == with_both

    assert all(r["removed"] for r in garbage.rows(current(), AGE, dry_run=False))
    assert not old.exists() and not temporary.exists()
    assert snapshot(cleared.path) == sorted([*kept, (str(young / "part-0"), 5)])
    assert garbage.rows(current(), AGE, dry_run=False) == []


def test_an_attempt_committed_meanwhile_stays(cleared):
    cleared.commit_day(DAY)
    named = next(iter(garbage._named(current().catalog, "_manifests/silver/")))
    assert garbage._attempt_remover(current().catalog, Attempt(named))() is False
    assert (current().settings.lake_path / named / "part-0").exists()


@pytest.mark.parametrize("gc_last", [True, False])
def test_a_commit_beside_gc_is_whole_or_counts_no_more(cleared, monkeypatch, caplog, gc_last):
    """An attempt is committed after gc has looked for its manifest and before gc removes it."""
    catalog = current().catalog
    doomed = catalog.attempt("silver", "tiny", DAY)
    with catalog.store.writer(doomed.key("part-0")) as file:
        file.write(b"12345")
    sealed = catalog.store.seal(doomed.key("part-0"))
    files = [{"key": sealed.key, "size": sealed.size, "checksum": sealed.checksum}]
    made = Manifest.start(
        Recipe("silver", "tiny", {}), DAY, "a" * 32, inputs=[], prefix=doomed.prefix, files=files
    )
    removed = []

    def commit() -> None:
        if gc_last:
            assert Catalog(catalog.store).commit(made)
            return
        # gc removes between the commit's look at its files and its look after the manifest.
        real = LocalStore.create

        def create(self, key, data):
            done = real(self, key, data)
            if key == made.key:
                real_discard(catalog, doomed)
            return done

        monkeypatch.setattr(LocalStore, "create", create)
        with pytest.raises(StoreError, match="cannot be committed"):
            Catalog(catalog.store).commit(made)

    real_discard = Catalog.discard

    def discard(self, attempt):
        commit()
        real_discard(self, attempt)

    monkeypatch.setattr(Catalog, "discard", discard)
    removed.append(garbage._attempt_remover(catalog, doomed)())
    assert removed == [False]
    found = Catalog(catalog.store).live("silver", "tiny", DAY, made.recipe_hash, "a" * 32)
    assert found is None


def test_attempts_below_a_lake_prefix_of_now_and_of_then(cleared, anew, monkeypatch):
    monkeypatch.setenv("LUIGI_TRAFFIC__DATASETS__TINY__LAKE_PREFIX", "cities/now")
    anew()
    catalog, lake = current().catalog, current().settings.lake_path
    garbage_of = {}
    for below in (None, "cities/now", "then", "never/heard/of"):
        kept, dropped = (catalog.attempt("silver", "tiny", DAY, below).prefix for _ in range(2))
        for prefix in (kept, dropped):
            with catalog.store.writer(f"{prefix}part-0") as file:
                file.write(b"12345")
        recipe = Recipe("silver", "tiny", {"below": below})
        if below != "never/heard/of":
            catalog.commit(Manifest.start(recipe, DAY, "a" * 32, inputs=[], prefix=kept))
        garbage_of[below] = dropped
    # Looks like an attempt of the prefix `then`, and is none.
    with catalog.store.writer("then/raw/x/notes/0123456789ab/part-0") as file:
        file.write(b"12345")
    cleared.commit_day(DAY)
    grow_old(lake)
    said = garbage.rows(current(), AGE, dry_run=False)
    assert {r["what"] for r in said} == {garbage_of[b] for b in (None, "cities/now", "then")}
    assert all(r["removed"] for r in said)
    assert garbage.rows(current(), AGE, dry_run=False) == []
    assert (lake / "then/raw/x/notes/0123456789ab/part-0").exists()


def test_superseded_partitions_stay(cleared, anew, monkeypatch):
    cleared.commit_day(DAY)
    monkeypatch.setenv("LUIGI_TRAFFIC__DATASETS__TINY__LINKS", "[L1]")
    anew()
    grow_old(cleared.path / "lake")
    assert garbage.rows(current(), timedelta(0), dry_run=True) == []


def test_staged_tables(cleared):
    cleared.commit_day(DAY)
    table = forecast_table("tiny")
    with current().warehouse.connect() as connection:
        table.ensure(connection)
        staged = table.stage(connection, "x")
    gold = gold_table("tiny", ["timestamp", "link_id", "speed"])
    with current().warehouse.connect() as connection:
        gold.ensure(connection)
        other = gold.stage(connection, "y")
    assert garbage.rows(current(), AGE, dry_run=False) == []  # both are young
    rows = garbage.rows(current(), timedelta(0), dry_run=False)
    assert {(r["kind"], r["what"]) for r in rows} == {
        ("staged table", staged), ("staged table", other)
    }  # fmt: skip
    assert all(r["removed"] for r in rows)
    with current().warehouse.connect() as connection:
        assert table.orphans(connection) == gold.orphans(connection) == []


def test_folders_without_a_ledger_row(cleared):
    cleared.commit_day(DAY)
    made = cleared.commit_model(DAY, 1, "1")
    wanted = [made, f"{made}-registered"]
    unwanted = ["0" * 32, f"{'1' * 32}-registered"]
    for name in [*wanted, *unwanted]:
        folder = cleared.path / "models" / name
        folder.mkdir(parents=True)
        (folder / "model.pt").write_bytes(b"123")
        grow_old(folder)
    checkpoint = cleared.path / "checkpoints" / ("2" * 32)
    checkpoint.mkdir(parents=True)
    young = cleared.path / "checkpoints" / "young"
    young.mkdir()
    grow_old(checkpoint)
    session = cleared.path / "tmp" / "spark" / "blockmgr-1"
    session.mkdir(parents=True)
    grow_old(session)
    elsewhere = cleared.path.parent / "elsewhere"
    elsewhere.mkdir()
    (cleared.path / "tmp" / "link").symlink_to(elsewhere)

    rows = garbage.rows(current(), AGE, dry_run=False)
    assert sorted(r["kind"] for r in rows) == ["checkpoint", "model", "model", "scratch"]
    assert sorted(p.name for p in (cleared.path / "models").iterdir()) == sorted(wanted)
    assert young.exists() and elsewhere.exists() and (cleared.path / "tmp" / "spark").exists()
    assert not session.exists()


def test_a_home_without_a_run_has_no_garbage(empty):
    assert garbage.rows(current(), timedelta(0), dry_run=False) == []
    assert not empty.path.exists()


def test_ages():
    assert duration("12h", "--older-than") == timedelta(hours=12)
    assert duration(" 2w", "--older-than") == timedelta(weeks=2)
    for wrong in ("1", "d", "1.5d", "-1d", "1 month"):
        with pytest.raises(SettingsError, match="for example 10m"):
            duration(wrong, "--older-than")
