"""What the lake asks of every S3, besides the contract of all stores."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from luigi_traffic.errors import SettingsError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.s3 import S3Store, Unfinished
from luigi_traffic.settings.keys import LakeSettings
from luigi_traffic.testing import LakeSuite
from luigi_traffic.testing.lake_suite import LARGE, fork

ATTEMPT = Attempt("raw/contract/2012-03-28/0123456789ab/")


class S3Contract(LakeSuite):
    """`lake` are the settings that `store` was made from."""

    #: A bucket that does not exist, in a name that the keys may ask for.
    missing = "no-such-bucket"

    @pytest.fixture
    def lake(self) -> LakeSettings:
        raise NotImplementedError

    @pytest.fixture
    def store(self, lake: LakeSettings) -> S3Store:
        return S3Store(lake)

    def test_addresses(self, store: S3Store, lake: LakeSettings) -> None:
        assert store.spark_url("silver/x/") == f"s3a://{lake.bucket}/silver/x/"
        assert store.describe() == f"s3://{lake.bucket} at {lake.endpoint}"

    def test_a_killed_writers_parts_can_be_removed(self, store: S3Store, root: str) -> None:
        def half() -> None:
            with store.writer(f"{root}p/x") as file:
                file.write(bytes(LARGE))
                os.kill(os.getpid(), signal.SIGKILL)

        child = fork.Process(target=half)
        child.start()
        child.join(120)
        assert child.exitcode == -signal.SIGKILL
        (left,) = unfinished(store, root)
        assert left.key == f"{root}p/x"
        assert left.size >= 16 << 20
        assert left.begun is not None and left.begun.utcoffset() is not None
        store.abort(left)
        store.abort(left)
        assert unfinished(store, root) == []

    def test_a_failed_writers_parts_are_removed(self, store: S3Store, root: str) -> None:
        def fail() -> None:
            with store.writer(f"{root}p/x") as file:
                file.write(bytes(LARGE))
                assert [u.key for u in unfinished(store, root)] == [f"{root}p/x"]
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert unfinished(store, root) == []

    def test_a_bucket_that_is_missing(self, lake: LakeSettings) -> None:
        store = S3Store(lake.model_copy(update={"bucket": self.missing}))
        for ask in every_way(store):
            with pytest.raises(SettingsError, match=f"no bucket .{self.missing}.*lake.bucket"):
                ask()


def unfinished(store: S3Store, root: str) -> list[Unfinished]:
    """The unfinished uploads below a prefix."""
    return [upload for upload in store.unfinished() if upload.key.startswith(root)]


def every_way(store: S3Store) -> list[Callable[[], object]]:
    """One request of each kind."""

    def write() -> None:
        with store.writer("a/x") as file:
            file.write(b"x")

    return [
        lambda: store.create("a/x", b"x"),
        write,
        lambda: store.read("a/x"),
        lambda: store.seal("a/x"),
        lambda: list(store.list("a/")),
        lambda: store.delete(ATTEMPT, [ATTEMPT.key("x")]),
        lambda: list(store.unfinished()),
    ]
