"""A home with years of days that no pipeline has worked on: manifests, files and ledger rows alone.

For counting what a plan, `status`, `lineage` or `gc` asks of the store and of the warehouse.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import psycopg2.extensions
import psycopg2.extras
from process_state import forget

from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.project import current
from luigi_traffic.recipe import Input
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.targets.training import TrainingPlan
from luigi_traffic.warehouse import connect as connections
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.published import now, publish

LAST = date(2024, 5, 31)
DATASET, MODEL = "tiny", "tiny_model"
TRAINING = {"epochs": 3}


def days(count: int, last: date = LAST) -> list[date]:
    """`count` days that end with `last`, the oldest first."""
    return [last - timedelta(days=n) for n in range(count - 1, -1, -1)]


def fabricate(count: int) -> None:
    """All stages of `count` days, and the model and the forecast of the window of all of them."""
    wanted = days(count)
    for day in wanted:
        _lake(day)
    forget()
    rows = [_gold(day) for day in wanted]
    plan = TrainingPlan(current(), DATASET, MODEL, LAST, count, TRAINING)
    model = plan.partition_id() or ""
    inputs = [Input("gold", d, i) for d, i in (plan.gold_ids() or {}).items()]
    rows.append(
        LedgerRow("model", DATASET, model, model, plan.recipe.as_dict(), inputs, 9, "d", _details())
    )
    rows.append(
        LedgerRow(
            "forecast", DATASET, f"{LAST}/{MODEL}:1", "forecast", {},
            [Input("model", model, model), inputs[-1]], 24, "f", {"seconds": 1.0},
        )
    )  # fmt: skip
    values = [
        (r.stage, r.dataset, r.part, r.partition_id, "h", json.dumps(dict(r.recipe)),
         json.dumps([asdict(one) for one in r.inputs]),
         r.rows, r.checksum, json.dumps(dict(r.details)))
        for r in rows
    ]  # fmt: skip
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM meta.ledger; DELETE FROM meta.published")
        psycopg2.extras.execute_values(
            cursor,
            "INSERT INTO meta.ledger (stage, dataset, part, partition_id, recipe_hash, recipe,"
            " inputs, rows, checksum, details) VALUES %s",
            values,
        )
        publish(connection, DATASET, "", LAST, f"{LAST}/{MODEL}:1", now(connection))
    forget()


def _details() -> dict[str, Any]:
    scores = {
        name: {step: {"mae": 1.0, "rmse": 1.0, "mape": 1.0, "wape": 1.0, "f1": 1.0, "count": 1}
               for step in ("3", "mean")}
        for name in ("model", "persistence", "day before", "historical median")
    }  # fmt: skip
    return {
        "name": f"luigi_traffic.{DATASET}", "version": "1", "run_id": "r", "digest": "d",
        "model": MODEL, "last_day": LAST.isoformat(), "unit": "km/h", "interval_seconds": 300,
        "scores": scores, "windows_scored": [5, 5], "epochs": 3, "best_epoch": 2, "device": "cpu",
        "samples": {"total": 200, "drawn": 50, "seen": 50}, "seconds": 12.0, "promoted": True,
        "decision": "champion as the first version", "report": "none",
    }  # fmt: skip


def _lake(day: date) -> None:
    chain, store = DayChain(current(), DATASET, day), current().store
    assert isinstance(store, LocalStore)
    raw = chain.lineage.raw.partition_id([day.isoformat(), f"{day.toordinal():064x}"])
    archive = {"name": "a.zip", "origin": f"https://example.org/{day}.zip", "bytes": 9,
               "sha256": f"{day.toordinal():064x}"}  # fmt: skip
    made, before = {"raw": raw}, {"announce": "raw", "bronze": "raw", "silver": "bronze"}
    for stage in ("raw", "announce", "bronze", "silver"):
        recipe = chain.recipe(stage)
        inputs = []
        if stage in before:
            made[stage] = recipe.partition_id([made[before[stage]]])
            inputs = [Input(before[stage], str(day), made[before[stage]])]
        prefix, files = "", []
        if stage != "announce":
            attempt = current().catalog.attempt(stage, DATASET, day)
            prefix, files = attempt.prefix, [{"key": attempt.key("x"), "size": 1, "checksum": "c"}]
            _write(store, attempt.key("x"), b"x")
        manifest = Manifest.start(
            recipe, day, made[stage], inputs=inputs, prefix=prefix, files=files, rows_in=9,
            rows_out=9, details={"archives": [archive], "address": chain.lineage.address},
        )  # fmt: skip
        _write(store, manifest.key, manifest.to_json())


def _write(store: LocalStore, key: str, data: bytes) -> None:
    """Not durable: thousands of files are written here."""
    path = store.root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _gold(day: date) -> LedgerRow:
    chain = DayChain(current(), DATASET, day)
    made_of = [Input("silver", str(day), chain.id("silver") or "")]
    return LedgerRow(
        "gold", DATASET, str(day), chain.id("gold") or "", {}, made_of, 9, "9:9", {"seconds": 1.0}
    )


# Counting


@dataclass
class Asked:
    """What was asked: listings and reads of the lake, statements of SQL and the rows they gave."""

    lists: int
    reads: int
    sql: int
    rows: int
    seconds: float


@contextmanager
def counted(found: list[Asked]) -> Iterator[None]:
    """Append what the block asks. The block begins as a new process does."""
    forget()
    counts: Counter[str] = Counter()
    real_list, real_read, real_connect = LocalStore.list, LocalStore.read, connections.connect

    class Cursor(psycopg2.extensions.cursor):
        def execute(self, *words: Any) -> None:
            counts["sql"] += 1
            super().execute(*words)

        def fetchall(self) -> list[Any]:
            got = super().fetchall()
            counts["rows"] += len(got)
            return got

    def connect(dsn: Dsn) -> Any:
        made = real_connect(dsn)
        made.cursor_factory = Cursor
        return made

    def listing(self: LocalStore, prefix: str) -> Any:
        counts["lists"] += 1
        return real_list(self, prefix)

    def reading(self: LocalStore, key: str) -> bytes:
        counts["reads"] += 1
        return real_read(self, key)

    LocalStore.list, LocalStore.read = listing, reading  # type: ignore[method-assign]
    connections.connect = connect
    started = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - started
        LocalStore.list, LocalStore.read = real_list, real_read  # type: ignore[method-assign]
        connections.connect = real_connect
    found.append(Asked(counts["lists"], counts["reads"], counts["sql"], counts["rows"], seconds))


def plan(count: int, last: date = LAST) -> int:
    """What Luigi asks before it runs anything; the number of tasks that are not complete."""
    from luigi.task import flatten

    from luigi_traffic.tasks.pipeline import FullPipeline

    root = FullPipeline(
        dataset=DATASET, model=MODEL, date=last, window_days=count, training=TRAINING
    )
    seen, left, todo = set(), [root], 0
    while left:
        task = left.pop()
        if task.task_id in seen:
            continue
        seen.add(task.task_id)
        if not task.complete():
            todo += 1
            left += flatten(task.requires())
    return todo


def scenarios(count: int, change: Callable[..., None]) -> dict[str, Callable[[], object]]:
    """Name → what a user does with a home of `count` days; `change` sets the environment."""
    from luigi_traffic.commands import backfill_plan, garbage, lineage, made_from, status

    def other_silver_rule(work: Callable[[], object]) -> object:
        change(LUIGI_TRAFFIC__DATASETS__TINY__LINKS="[a]")
        try:
            return work()
        finally:
            change(LUIGI_TRAFFIC__DATASETS__TINY__LINKS=None)

    def backfill() -> object:
        found = backfill_plan.plan(current(), DATASET, days(count)[0], LAST, "gold")
        assert len(found.to_do) == 2 * count, "silver and gold of each day"
        return found

    return {
        "no-op": lambda: plan(count),
        "window moved by a day": lambda: plan(count, LAST + timedelta(days=1)),
        "nothing there": lambda: plan(count, LAST - timedelta(days=4000)),
        "silver rule changed": lambda: other_silver_rule(lambda: plan(count)),
        "backfill of that": lambda: other_silver_rule(backfill),
        "status, 14 days": lambda: status.rows(current(), DATASET, status.Range(14, last=LAST)),
        "status, all days": lambda: status.rows(current(), DATASET, status.Range(count, last=LAST)),
        "lineage": lambda: lineage.rows(current(), None, None, DATASET),
        "lineage --made-from": lambda: made_from.rows(current(), str(LAST), DATASET),
        "gc --dry-run": lambda: garbage.rows(current(), timedelta(days=1), dry_run=True),
    }
