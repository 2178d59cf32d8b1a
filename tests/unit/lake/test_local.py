from __future__ import annotations

import os
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import pytest

from luigi_traffic.errors import SettingsError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.testing import LakeSuite

fork = get_context("fork")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def files(store: LocalStore) -> list[str]:
    """Every file on disk, temporary ones too."""
    found = [p for p in store.root.rglob("*") if p.is_file()]
    return sorted(p.relative_to(store.root).as_posix() for p in found)


def keys(store: LocalStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]


class TestLocal(LakeSuite):
    def make_store(self, folder: Path) -> LocalStore:
        return LocalStore(folder / "lake")


# What the disk shows besides.


def put(store: LocalStore, *names: str) -> None:
    for name in names:
        assert store.create(name, name.encode())


def test_sparks_addresses_are_text_as_it_is_and_patterns_are_escaped(tmp_path: Path) -> None:
    """Spark decodes nothing, and takes what it reads for a pattern."""
    store = LocalStore(tmp_path / "바탕 화면 #1 100% [ab]")
    assert store.spark_url("raw/x") == f"file://{tmp_path}/바탕 화면 #1 100% [ab]/raw/x"
    assert store.spark_pattern("raw/x") == f"file://{tmp_path}/바탕 화면 #1 100% \\[ab\\]/raw/x"


def test_of_many_processes_one_creates(store: LocalStore) -> None:
    racers, rounds = 6, 5
    barrier, answers = fork.Barrier(racers), fork.Queue()

    def run(number: int) -> None:
        for n in range(rounds):
            barrier.wait(30)
            answers.put((n, number, store.create(f"m/{n}", str(number).encode() * 1000)))

    processes = [fork.Process(target=run, args=(number,)) for number in range(racers)]
    for process in processes:
        process.start()
    told = [answers.get(timeout=30) for _ in range(racers * rounds)]
    for process in processes:
        process.join(10)
        assert process.exitcode == 0
    for n in range(rounds):
        winners = [number for told_n, number, won in told if told_n == n and won]
        assert len(winners) == 1
        assert store.read(f"m/{n}") == str(winners[0]).encode() * 1000
    assert len(files(store)) == rounds  # the losers' temporary files are gone


def test_an_exception_in_the_writer_leaves_nothing(store: LocalStore) -> None:
    def fail() -> None:
        with store.writer("p/x") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert files(store) == []


def test_delete_takes_sparks_checksum_file_too(store: LocalStore) -> None:
    attempt = Attempt.fresh("silver", "t", date(2012, 3, 28))
    parquet, crc = attempt.key("x.parquet"), attempt.key(".x.parquet.crc")
    put(store, parquet, crc, "a/u/y")
    store.delete(attempt, [parquet])
    assert files(store) == ["a/u/y"]
    assert not (store.root / attempt.prefix).exists()


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match=r"lake\.path"):
        LocalStore(tmp_path / "file").create("a/b", b"")


def test_a_killed_writer_leaves_what_nobody_lists(store: LocalStore) -> None:
    def half() -> None:
        with store.writer("p/x") as file:
            file.write(b"half")
            os._exit(9)

    child = fork.Process(target=half)
    child.start()
    child.join(10)
    assert child.exitcode == 9
    assert len(files(store)) == 1
    assert keys(store, "") == []
