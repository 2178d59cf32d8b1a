"""The conformance tests of an object store of the lake."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.store import ObjectStore

fork = get_context("fork")
MIB = 1 << 20
#: More than two parts of a multipart upload, and no multiple of one.
LARGE = 41 * MIB + 17


def keys(store: ObjectStore, prefix: str) -> list[str]:
    """The keys below a prefix, without the prefix."""
    return [info.key.removeprefix(prefix) for info in store.list(prefix)]


def in_children(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(number)` returned in each of `count` forked processes."""
    answers = fork.Queue()
    processes = [
        fork.Process(target=lambda n=number: answers.put((n, work(n)))) for number in range(count)
    ]
    for process in processes:
        process.start()
    told = dict(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(10)
        assert process.exitcode == 0
    return [told[number] for number in range(count)]


class LakeSuite:
    """Subclass it in a test file and make a store; see `luigi_traffic.lake.store.ObjectStore`.

    class TestMyStore(LakeSuite):
        def make_store(self, folder):
            return MyStore(folder)
    """

    def make_store(self, folder: Path) -> ObjectStore:
        """A store of the test's own; `folder` is empty, for what it keeps on this machine."""
        raise NotImplementedError(
            f"{type(self).__name__} must say which store it tests: override make_store(folder)"
        )

    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        """The store of a test, of this class alone."""
        return self.make_store(tmp_path)

    @pytest.fixture
    def root(self) -> str:
        """A prefix of the test's own, in a store that others may use too."""
        return f"luigi-traffic-test-{uuid4().hex}/"

    @pytest.fixture
    def attempt(self) -> Attempt:
        """An attempt of the test's own: what a store may be asked to delete."""
        return Attempt.fresh("raw", "luigi-traffic-test", date(2012, 3, 28))

    def test_create_takes_a_free_key_once(self, store: ObjectStore, root: str) -> None:
        """The first to create a key wins; this is the commit of a partition."""
        assert store.create(f"{root}a/b", b"first")
        assert not store.create(f"{root}a/b", b"second")
        assert not store.create(f"{root}a/b", b"first")
        assert store.read(f"{root}a/b") == b"first"
        assert keys(store, root) == ["a/b"]

    def test_an_empty_object(self, store: ObjectStore, root: str) -> None:
        """No byte is a content like any other."""
        assert store.create(f"{root}a", b"")
        assert not store.create(f"{root}a", b"x")
        with store.writer(f"{root}b"):
            pass
        assert [(store.read(i.key), i.size) for i in store.list(root)] == [(b"", 0)] * 2

    def test_of_many_processes_one_creates(self, store: ObjectStore, root: str) -> None:
        """Of rivals in many processes exactly one wins, and its bytes stay."""
        racers, rounds = 6, 5
        barrier = fork.Barrier(racers)

        def run(number: int) -> list[bool]:
            won = []
            for n in range(rounds):
                barrier.wait(60)
                won.append(store.create(f"{root}{n}", str(number).encode() * 1000))
            return won

        store.create(f"{root}before", b"")  # the parent's connections are open at the fork
        told = in_children(racers, run)
        for n in range(rounds):
            winners = [number for number, won in enumerate(told) if won[n]]
            assert len(winners) == 1
            assert store.read(f"{root}{n}") == str(winners[0]).encode() * 1000

    def test_parent_and_children_do_not_mix_up_answers(self, store: ObjectStore, root: str) -> None:
        """A fork shares no connection with its parent."""
        contents = {f"{root}{n}": str(n).encode() * (n * 1000) for n in range(5)}
        for key, content in contents.items():
            store.create(key, content)

        def read(number: int) -> bool:
            return all(store.read(k) == c for _ in range(10) for k, c in contents.items())

        with ThreadPoolExecutor(2) as pool:
            beside = pool.submit(read, 0)
            assert in_children(3, read) == [True] * 3
            assert beside.result()

    def test_many_threads(self, store: ObjectStore, root: str) -> None:
        """One store serves many threads."""

        def one(number: int) -> bool:
            content = str(number).encode() * 100
            with store.writer(f"{root}w{number}") as file:
                file.write(content)
            won = store.create(f"{root}c{number % 4}", content)
            assert store.read(f"{root}w{number}") == content
            return won

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(one, range(16))) == 4

    def test_a_writer_shows_nothing_before_its_end(self, store: ObjectStore, root: str) -> None:
        """An object is absent or whole."""
        with store.writer(f"{root}p/x") as file:
            file.write(b"12")
            file.flush()
            assert keys(store, root) == []
            file.write(memoryview(b"3"))
        assert keys(store, root) == ["p/x"]
        assert store.read(f"{root}p/x") == b"123"

    def test_a_large_object(self, store: ObjectStore, root: str) -> None:
        """Larger than memory buffers, and sealed by its sha256."""
        block, digest = os.urandom(MIB + 4321), hashlib.sha256()
        left = LARGE
        with store.writer(f"{root}large") as file:
            while left:
                piece = block[:left]
                assert file.write(piece) == len(piece)
                digest.update(piece)
                left -= len(piece)
                assert keys(store, root) == []
        sealed = store.seal(f"{root}large")
        assert (sealed.key, sealed.size) == (f"{root}large", LARGE)
        assert sealed.checksum == f"sha256:{digest.hexdigest()}"
        assert [info.size for info in store.list(root)] == [LARGE]

    def test_one_write_larger_than_all_buffers(self, store: ObjectStore, root: str) -> None:
        """A single write may be of any size."""
        content = bytes(range(256)) * (LARGE // 256)
        with store.writer(f"{root}large") as file:
            file.write(content)
        assert store.read(f"{root}large") == content

    @pytest.mark.parametrize("size", [4, LARGE])
    def test_an_exception_in_the_writer_leaves_nothing(
        self, store: ObjectStore, root: str, size: int
    ) -> None:
        """What was not finished is not there."""

        def fail() -> None:
            with store.writer(f"{root}p/x") as file:
                file.write(bytes(size))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert keys(store, root) == []
        with pytest.raises(KeyError):
            store.read(f"{root}p/x")

    def test_a_killed_writer_leaves_nothing_that_is_listed(
        self, store: ObjectStore, root: str
    ) -> None:
        """Nor is it after SIGKILL."""

        def half() -> None:
            with store.writer(f"{root}p/x") as file:
                file.write(bytes(LARGE))
                os.kill(os.getpid(), signal.SIGKILL)

        child = fork.Process(target=half)
        child.start()
        child.join(120)
        assert child.exitcode == -signal.SIGKILL
        assert keys(store, root) == []
        with pytest.raises(KeyError):
            store.seal(f"{root}p/x")

    def test_listing_by_prefix_in_the_order_of_keys(self, store: ObjectStore, root: str) -> None:
        """A prefix is text, not a folder; keys may hold any sign."""
        for name in ("a/z", "a/b/c", "a/b.txt", "ab", "b/ä", "b/B c+%41"):
            assert store.create(f"{root}{name}", name.encode())
        assert keys(store, f"{root}a") == ["/b.txt", "/b/c", "/z", "b"]
        assert keys(store, f"{root}a/") == ["b.txt", "b/c", "z"]
        assert keys(store, f"{root}a/b") == [".txt", "/c"]
        assert keys(store, f"{root}b/") == ["B c+%41", "ä"]
        assert keys(store, f"{root}none/") == []
        (first, *_) = store.list(f"{root}b/")
        assert store.read(first.key) == b"b/B c+%41"
        assert first.size == 9
        assert first.modified.utcoffset() is not None

    def test_more_keys_than_a_page(self, store: ObjectStore, attempt: Attempt) -> None:
        """A listing goes on behind its first page, deletions too."""
        root = attempt.prefix
        names = [f"{n % 7}/{n:04d}" for n in range(1050)]
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda name: store.create(f"{root}{name}", b"x"), names))
        assert keys(store, root) == sorted(names)
        store.delete(attempt, (f"{root}{name}" for name in names[1:]))
        assert keys(store, root) == ["0/0000"]

    def test_what_is_not_there(self, store: ObjectStore, attempt: Attempt) -> None:
        """Reading it is a KeyError that names it; deleting it is nothing."""
        root = attempt.prefix
        for ask in (store.read, store.seal):
            with pytest.raises(KeyError, match="no/such"):
                ask(f"{root}no/such")
        assert store.create(f"{root}there", b"")
        store.delete(attempt, [f"{root}no/such", f"{root}there"])
        store.delete(attempt, [])
        assert keys(store, root) == []

    def test_only_objects_of_the_attempt_are_deleted(
        self, store: ObjectStore, attempt: Attempt
    ) -> None:
        """A key of something else is a ValueError, and then nothing is deleted."""
        other = Attempt.fresh("raw", "luigi-traffic-test", date(2012, 3, 28))
        ours, theirs = attempt.key("x"), other.key("x")
        assert store.create(ours, b"1") and store.create(theirs, b"2")
        for key in (theirs, f"{attempt.prefix}../x", "", attempt.prefix[:-1]):
            with pytest.raises(ValueError, match="not a key of the attempt"):
                store.delete(attempt, [ours, key])
        assert (store.read(ours), store.read(theirs)) == (b"1", b"2")

    @pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", ".."])
    def test_a_key_never_leaves_the_lake(self, store: ObjectStore, key: str) -> None:
        """A key that climbs out is a ValueError."""
        asks: list[Callable[[], object]] = [
            lambda: store.create(key, b""),
            lambda: store.read(key),
            lambda: store.seal(key),
            lambda: store.spark_url(key),
            lambda: store.spark_pattern(key),
            lambda: list(store.list(key + "/")),
            lambda: store.writer(key).__enter__(),
        ]
        for ask in asks:
            with pytest.raises(ValueError, match="not a key"):
                ask()
