"""Which ids today's code, settings and inputs call for, and what makes them change."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from unittest.mock import ANY

import pytest

from luigi_traffic import LinkGraph, LinkTable
from luigi_traffic.api.stages import STAGES
from luigi_traffic.errors import PluginError, SettingsError, SourceAbsent
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.project import current
from luigi_traffic.targets.chain import DayChain, lineage
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.training import TrainingPlan
from luigi_traffic.targets.warehouse import GoldPartition, LedgerPartition, LedgerView, ledger_view

DAY = date(2012, 3, 28)


def commit_raw(content: str = "c" * 64, day: date = DAY, generation: int = 1) -> Manifest:
    """As a run under today's settings would."""
    lineage = DayChain(current(), "tiny", day).lineage
    manifest = Manifest.start(
        lineage.raw, day, lineage.raw.partition_id([day.isoformat(), content]), inputs=[],
        generation=generation, details={"address": lineage.address},
        prefix=current().catalog.attempt("raw", "tiny", day).prefix,
    )  # fmt: skip
    assert current().catalog.commit(manifest)
    return manifest


def commit(stage: str) -> None:
    chain = DayChain(current(), "tiny", DAY)
    partition_id = chain.id(stage)
    assert partition_id is not None
    manifest = Manifest.start(chain.recipe(stage), DAY, partition_id, inputs=[])
    assert current().catalog.commit(manifest)


def record_absent(day: date = DAY, age: timedelta = timedelta(0)) -> None:
    lineage = DayChain(current(), "tiny", day).lineage
    current().catalog.record_absence(
        lineage.raw, day, lineage.address, "404", datetime.now(UTC) - age
    )


def ids() -> dict[str, str | None]:
    return {stage: DayChain(current(), "tiny", DAY).id(stage) for stage in STAGES}


def test_nothing_is_called_for_before_there_is_raw(tiny) -> None:
    assert set(ids().values()) == {None}
    assert not LakePartition(current(), "raw", "tiny", DAY).exists()
    with pytest.raises(FileNotFoundError, match="bronze of tiny 2012-03-28"):
        LakePartition(current(), "bronze", "tiny", DAY).manifest()


def test_each_stage_has_an_id_of_its_own_and_exists_when_committed(tiny) -> None:
    raw = commit_raw()
    found = ids()
    assert found["raw"] == raw.partition_id
    assert len(set(found.values())) == len(STAGES)
    assert LakePartition(current(), "raw", "tiny", DAY).exists()
    for stage in ("announce", "bronze", "silver"):
        target = LakePartition(current(), stage, "tiny", DAY)
        assert not target.exists()
        commit(stage)
        assert target.exists()
        assert target.manifest().partition_id == found[stage]


@pytest.mark.parametrize(
    ("setting", "first_stale"),
    [
        ({"DATASETS__TINY__PATIENCE": "9"}, None),
        ({"DATASETS__TINY__MAX_REJECTED_SHARE": "0.5"}, None),
        ({"DATASETS__TINY__MAX_SPEED": "90"}, "bronze"),
        ({"DATASETS__TINY__UNDECLARED": "9"}, "bronze"),
        ({"DATASETS__TINY__LINKS": "[a]"}, "silver"),
        ({"DATASETS__TINY__LAKE_PREFIX": "elsewhere"}, None),
        ({"EVENTS__TOPIC": "other"}, "announce"),
        ({"DATASETS__TINY__TOPIC": "mine.{dataset}"}, "announce"),
        ({"DATASETS__TINY__GLOB": "/elsewhere/{date}.csv.gz"}, "raw"),
    ],
)
def test_a_setting_makes_exactly_its_descendants_stale(tiny, setting, first_stale) -> None:
    commit_raw()
    before = ids()
    tiny.set(**setting)
    after = ids()
    stale = {stage for stage in STAGES if before[stage] != after[stage]}
    order = ["raw", "bronze", "silver", "gold"]
    if first_stale == "announce":
        assert stale == {"announce"}
    elif first_stale is None:
        assert stale == set()
    else:
        wanted = set(order[order.index(first_stale) :])
        assert stale == wanted | ({"announce"} if first_stale == "raw" else set())


@pytest.mark.parametrize(
    ("old", "new", "first_stale"),
    [
        ('version = "1"\n    interval', 'version = "2"\n    interval', "bronze"),
        ("Settings = ", 'silver_version = "2"\n    Settings = ', "silver"),
        ("Settings = ", 'extra_columns = ("rain",)\n    Settings = ', "silver"),
        ('("b", "c")', '("b", "d")', "gold"),
    ],
)
def test_a_version_makes_exactly_its_descendants_stale(tiny, old, new, first_stale) -> None:
    commit_raw()
    before = ids()
    file = tiny.home.parent / "plugins" / "tiny.py"
    assert old in file.read_text()
    tiny.plugin("tiny", file.read_text().replace(old, new))
    after = ids()
    order = ["raw", "bronze", "silver", "gold"]
    stale = {stage for stage in STAGES if before[stage] != after[stage]}
    assert stale == set(order[order.index(first_stale) :])


def test_a_dataset_may_have_a_topic_of_its_own(tiny) -> None:
    def topic() -> str:
        return DayChain(current(), "tiny", DAY).lineage.announce.terms["topic"]

    assert topic() == "traffic.tiny.raw"
    tiny.set(EVENTS__TOPIC="all.raw")
    assert topic() == "all.raw"
    tiny.set(DATASETS__TINY__TOPIC="mine.{dataset}.v2")
    assert topic() == "mine.tiny.v2"


def test_new_content_makes_all_stale(tiny) -> None:
    first = commit_raw("a" * 64)
    before = ids()
    (current().settings.lake_path / first.key).unlink()
    tiny.set()
    commit_raw("b" * 64)
    assert all(before[stage] != after for stage, after in ids().items())


def test_an_absent_day_is_never_done_under_fail(tiny) -> None:
    record_absent()
    assert DayChain(current(), "tiny", DAY).absent() is None
    assert not LakePartition(current(), "raw", "tiny", DAY).exists()


def test_an_absent_day_is_left_out_under_skip(tiny) -> None:
    tiny.set(MISSING_DAYS__POLICY="skip")
    assert not LakePartition(current(), "raw", "tiny", DAY).exists()
    record_absent()
    for stage in ("raw", "announce", "bronze", "silver"):
        assert LakePartition(current(), stage, "tiny", DAY).exists()
        assert LakePartition(current(), stage, "tiny", DAY).absent()
    assert GoldPartition(current(), "tiny", DAY).exists()  # without asking the warehouse
    # It came after all.
    commit_raw()
    assert not LakePartition(current(), "raw", "tiny", DAY).absent()
    assert not LakePartition(current(), "bronze", "tiny", DAY).exists()


@pytest.mark.parametrize("age_of_day", [1, 700])
def test_an_absent_day_is_asked_for_again_however_old_it_is(tiny, age_of_day) -> None:
    """A file that comes two years late is not missed; one that never comes is asked for ever
    more seldom."""
    tiny.set(MISSING_DAYS__POLICY="skip", MISSING_DAYS__RECHECK_HOURS="2")
    day = date.today() - timedelta(days=age_of_day)
    hour = timedelta(hours=1)
    seen: list[timedelta] = []
    for age, rests in [
        ([3 * hour], False), ([hour], True), ([10 * hour, 3 * hour], True),
        ([10 * hour, 6 * hour], False), ([1000 * hour, 400 * hour], True),
    ]:  # fmt: skip
        tiny.set()
        shutil.rmtree(tiny.home / "lake", ignore_errors=True)
        for one in age:
            record_absent(day, one)
        assert (DayChain(current(), "tiny", day).absent() is not None) == rests, age
        seen += age
    assert len(seen) == 8


def test_another_address_is_asked_and_equal_bytes_keep_everything(tiny) -> None:
    raw = commit_raw()
    before = ids()
    commit("bronze")
    tiny.set(DATASETS__TINY__GLOB="/moved/{date}.csv")
    assert set(ids().values()) == {None}
    assert not LakePartition(current(), "raw", "tiny", DAY).exists()
    live = DayChain(current(), "tiny", DAY).live()
    assert live is not None
    current().catalog.record_same(live, DayChain(current(), "tiny", DAY).lineage.address, {})
    assert ids() == before
    assert LakePartition(current(), "bronze", "tiny", DAY).exists()
    assert LakePartition(current(), "raw", "tiny", DAY).manifest() == replace(raw, committed_at=ANY)


def test_other_bytes_are_the_next_generation_and_going_back_finds_what_was(tiny) -> None:
    commit_raw()
    before = ids()
    tiny.set(DATASETS__TINY__GLOB="/other/{date}.csv")
    commit_raw("d" * 64, generation=2)
    changed = ids()
    assert all(changed[stage] != before[stage] for stage in STAGES)
    tiny.set(DATASETS__TINY__GLOB="/nowhere/{date}.csv")
    assert set(ids().values()) == {None}  # the live bytes are not that address's
    commit_raw(generation=3)
    assert ids() == before


def test_an_address_that_has_nothing_does_not_lose_what_another_had(tiny) -> None:
    commit_raw()
    before = ids()
    tiny.set(DATASETS__TINY__GLOB="/other/{date}.csv")
    record_absent()
    assert set(ids().values()) == {None}  # under "fail", somebody has to look
    tiny.set(MISSING_DAYS__POLICY="skip")
    assert ids() == before
    assert DayChain(current(), "tiny", DAY).absent() is None


def test_equal_text_of_two_days_has_two_ids(tiny) -> None:
    made = {commit_raw(day=day).partition_id for day in (DAY, date(2012, 3, 27))}
    assert len(made) == 2


def test_the_order_of_links_is_no_change(tiny) -> None:
    commit_raw()
    tiny.set(DATASETS__TINY__LINKS="[a, b, c]")
    before = ids()
    tiny.set(DATASETS__TINY__LINKS="[c, b, a, b]")
    assert ids() == before


@dataclass
class Ledger:
    """What the ledger holds and how often it was asked."""

    rows: dict[str, str]
    asked: int = 0
    asked_parts: int = 0

    def read(self, stage: str, dataset: str) -> dict[str, str]:
        self.asked += 1
        return dict(self.rows)

    def read_part(self, stage: str, dataset: str, part: str) -> str | None:
        self.asked_parts += 1
        return self.rows.get(part)


@pytest.fixture
def ledger(tiny, monkeypatch) -> Ledger:
    kept = Ledger({})
    monkeypatch.setattr(LedgerView, "_read", staticmethod(kept.read))
    monkeypatch.setattr(LedgerView, "_read_part", staticmethod(kept.read_part))
    return kept


def test_the_ledger_is_asked_once_for_what_it_has(ledger) -> None:
    ledger.rows = {"2012-03-28": "a", "2012-03-29": "b"}
    assert LedgerPartition(current(), "gold", "tiny", "2012-03-28", "a").exists()
    assert LedgerPartition(current(), "gold", "tiny", "2012-03-29", "b").exists()
    assert (ledger.asked, ledger.asked_parts) == (1, 0)
    current().catalog.begin_work()
    assert not LedgerPartition(current(), "gold", "tiny", "2012-03-29", "newer").exists()
    ledger.rows["2012-03-29"] = "newer"
    assert LedgerPartition(current(), "gold", "tiny", "2012-03-29", "newer").exists()
    assert not LedgerPartition(current(), "gold", "tiny", "2012-03-29", None).exists()
    assert (ledger.asked, ledger.asked_parts) == (1, 2)
    ledger_view(current()).forget()
    with current().catalog.snapshot():
        for _ in range(5):
            assert not LedgerPartition(current(), "gold", "tiny", "2012-03-30", "c").exists()
    assert (ledger.asked, ledger.asked_parts) == (2, 2)


def test_gold_exists_where_the_ledger_has_its_id(tiny, ledger) -> None:
    current().catalog.begin_work()
    assert not GoldPartition(current(), "tiny", DAY).exists()
    commit_raw()
    assert not GoldPartition(current(), "tiny", DAY).exists()
    ledger.rows = {"2012-03-28": DayChain(current(), "tiny", DAY).id("gold")}
    assert GoldPartition(current(), "tiny", DAY).exists()
    tiny.set(DATASETS__TINY__LINKS="[a]")
    assert not GoldPartition(current(), "tiny", DAY).exists()


def plan(days: int = 2, **training) -> TrainingPlan:
    return TrainingPlan(current(), "tiny", "tiny_model", DAY, days, training)


def test_a_model_is_called_for_by_its_days_and_its_configuration(tiny) -> None:
    assert plan().days == [date(2012, 3, 27), DAY]
    commit_raw()
    assert plan().partition_id() is None  # one day is missing
    commit_raw(day=date(2012, 3, 27))
    known = plan().partition_id()
    assert known is not None
    assert plan(device="cpu").partition_id() == known
    others = {plan(epochs=1).partition_id(), plan(1).partition_id(), plan(seed=7).partition_id()}
    assert len(others | {known}) == 4
    tiny.set(DATASETS__TINY__LINKS="[a]")
    assert plan().partition_id() not in {known, None}


def test_another_version_of_the_training_code_calls_for_another_model(tiny, monkeypatch) -> None:
    commit_raw()
    known = plan(1).partition_id()
    assert plan(1).recipe.terms["core"] == STAGE_VERSIONS["model"]
    monkeypatch.setitem(STAGE_VERSIONS, "model", "next")
    assert plan(1).partition_id() not in {known, None}


def test_absent_days_are_left_out_of_a_window_up_to_a_limit(tiny) -> None:
    tiny.set(MISSING_DAYS__POLICY="skip", MISSING_DAYS__MAX="1")
    commit_raw()
    record_absent(date(2012, 3, 27))
    assert list(plan().gold_ids() or ()) == ["2012-03-28"]
    assert plan().absent_days() == {"2012-03-27": "404"}
    plan().refuse_too_many_absent()
    record_absent(date(2012, 3, 26))
    with pytest.raises(SourceAbsent, match=r"2 of 3 days are absent \(2012-03-26, 2012-03-27\)"):
        plan(3).refuse_too_many_absent()


def test_another_target_is_another_model_with_forecasts_of_its_own(tiny) -> None:
    commit_raw()
    assert plan(1).target == plan(1, target="speed").target == "speed"
    assert plan(1, target="speed").partition_id() == plan(1).partition_id()
    assert plan(1).forecast_target().target == ""
    other = plan(1, target="flow")
    assert other.partition_id() not in {plan(1).partition_id(), None}
    assert other.forecast_target().target == "flow"
    said = r"models\.tiny_model\.target is 'sped', which tiny does not measure.*mean 'speed'"
    with pytest.raises(SettingsError, match=f"(?s){said}"):
        plan(1, target="sped").partition_id()


def test_weights_and_link_table_count_for_a_model_that_sees_them(tiny, monkeypatch) -> None:
    commit_raw()
    known = lineage(current(), "tiny")
    ids = []
    for weight, length in ((1.0, 5.0), (2.0, 5.0), (2.0, 6.0)):
        graph = LinkGraph.from_edges([("a", "b", weight)])
        table = LinkTable.from_rows([{"link_id": "a", "length": length}])
        monkeypatch.setitem(vars(known), "graph", graph)
        monkeypatch.setitem(vars(known), "link_table", table)
        for sees in (True, False):
            monkeypatch.setattr("luigi_traffic.targets.training.takes_context", lambda _, s=sees: s)
            ids.append((sees, plan(1).partition_id()))
    assert len({i for sees, i in ids if sees}) == 3
    assert len({i for sees, i in ids if not sees}) == 1


def test_a_link_table_of_another_type_is_named(tiny, monkeypatch) -> None:
    known = lineage(current(), "tiny")
    assert known.link_table is None
    monkeypatch.delitem(vars(known), "link_table")
    monkeypatch.setattr(type(known.dataset), "links", lambda _: [{"link_id": "a"}])
    with pytest.raises(PluginError, match=r"tiny: links\(\) returned a list\. Return a LinkTable"):
        _ = known.link_table
