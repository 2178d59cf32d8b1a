"""What the names of manifests say."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from luigi_traffic.errors import TerminalError
from luigi_traffic.lake.entries import (
    DayEntries,
    Entry,
    absent_name,
    by_day,
    commit_name,
    folder,
    parse,
    same_key,
    void_key,
)
from luigi_traffic.lake.store import ObjectInfo

DAY = date(2012, 3, 28)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECIPE, ID, ADDRESS = "a1" * 8, "f" * 32, "c" * 16


def info(key: str) -> ObjectInfo:
    return ObjectInfo(key, 7, NOW)


def entry(key: str) -> Entry:
    found = parse(info(key))
    assert found is not None
    return found


def commit(stage: str, generation: int, partition_id: str = ID) -> Entry:
    name = commit_name(stage, RECIPE, partition_id, generation)
    return entry(f"{folder(stage, 'tiny', '2012-03-28')}{name}.json")


def test_a_commit_is_named_by_recipe_and_id_and_raw_by_its_generation() -> None:
    silver, again, raw = commit("silver", 1), commit("silver", 2), commit("raw", 3)
    assert silver.key == f"_manifests/silver/tiny/2012-03-28/{RECIPE}-{ID}.json"
    assert again.key == f"_manifests/silver/tiny/2012-03-28/{RECIPE}-{ID}.2.json"
    assert raw.key == f"_manifests/raw/tiny/2012-03-28/{RECIPE}-g3.json"
    for found, generation, partition_id in [(silver, 1, ID), (again, 2, ID), (raw, 3, None)]:
        assert (found.kind, found.generation, found.partition_id) == (
            "commit", generation, partition_id
        )  # fmt: skip
        assert (found.day, found.recipe_hash, found.size) == (DAY, RECIPE, 7)


def test_marks_belong_to_one_commit() -> None:
    first, second = commit("raw", 1), commit("raw", 2)
    void, same = entry(void_key(first)), entry(same_key(second, ADDRESS, NOW))
    assert (void.kind, same.kind, same.address, same.at) == ("void", "same", ADDRESS, NOW)
    day = DayEntries([first, second, void, same])
    assert day.is_void(first) and not day.is_void(second)
    assert day.compared(second) == [same]
    assert day.compared(first) == []
    assert day.commits == [second]


@pytest.mark.parametrize("stage", ["raw", "silver"])
def test_the_highest_generation_lives_and_an_older_one_never_revives(stage: str) -> None:
    wanted = None if stage == "raw" else ID
    commits = [commit(stage, n) for n in (10, 2, 1, 9)]
    day = DayEntries(commits)
    assert day.live(RECIPE, wanted) == commits[0]
    assert day.live("another", wanted) is None
    day.entries.append(entry(void_key(commits[0])))
    assert day.live(RECIPE, wanted) is None
    assert day.highest(RECIPE, wanted) == commits[0]


def test_absences_are_of_an_address_and_carry_their_time() -> None:
    place = folder("raw", "tiny", "2012-03-28")
    later = NOW.replace(hour=13)
    keys = [f"{place}{absent_name(RECIPE, ADDRESS, at)}.json" for at in (later, NOW)]
    keys.append(f"{place}{absent_name(RECIPE, 'dd', NOW)}.json")
    day = by_day(map(info, keys))[DAY]
    assert [e.at for e in day.absences(RECIPE, ADDRESS)] == [NOW, later]
    assert len(day.absences(RECIPE, "dd")) == 1
    assert day.absences("another", ADDRESS) == []
    assert day.commits == []


@pytest.mark.parametrize(
    "key",
    [
        "raw/tiny/2012-03-28/x/piece-00000.csv.gz",
        "_manifests/silver/tiny/2012-03-28/abc.json",
        "_manifests/silver/tiny/2012-03-28/abc-def.json",
        f"_manifests/silver/tiny/2012-13-28/a-{ID}.json",
        f"_manifests/silver/tiny/2012-03-28/a-{ID}.json.bak",
        f"_manifests/silver/tiny/2012-03-28/a-{ID}.0.json",
        "_manifests/silver/tiny/2012-03-28/a-g1.json",
        f"_manifests/silver/tiny/a-{ID}.json",
        "",
    ],
)
def test_other_objects_are_no_manifests(key: str) -> None:
    assert parse(info(key)) is None


@pytest.mark.parametrize("name", [f"{RECIPE}-{ID}.json", f"{RECIPE}-absent-1700000000.json"])
def test_raw_of_a_version_before_generations_is_refused(name: str) -> None:
    with pytest.raises(TerminalError, match=r"without generations.*LUIGI_TRAFFIC_HOME"):
        parse(info(f"_manifests/raw/tiny/2012-03-28/{name}"))
