"""The lake's contract on the stack's own S3, in a bucket that is removed afterwards."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import minio.time
import pytest
from minio import Minio
from s3_contract import S3Contract, every_way, unfinished
from stack_home import TEST_BUCKETS, Stack

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.lake.s3 import S3Store
from luigi_traffic.settings.keys import LakeSettings
from luigi_traffic.testing.lake_suite import LARGE

_PREFIX = "LUIGI_TRAFFIC__LAKE__"


@pytest.fixture(scope="module")
def own_lake(stack: Stack) -> Iterator[LakeSettings]:
    """The stack's settings with a bucket of this module's own."""
    given = stack.client | stack.secrets | os.environ
    values = {k.removeprefix(_PREFIX).lower(): v for k, v in given.items() if k.startswith(_PREFIX)}
    values |= {"kind": "s3", "bucket": f"{TEST_BUCKETS}contract-{uuid.uuid4().hex[:8]}"}
    lake = LakeSettings.model_validate(values)
    client: Minio = S3Store(lake)._clients.plain()
    client.make_bucket(lake.bucket)
    yield lake
    store = S3Store(lake)
    for upload in store.unfinished():
        store.abort(upload)
    for info in store.list(""):
        client.remove_object(lake.bucket, info.key)
    client.remove_bucket(lake.bucket)


class TestStack(S3Contract):
    missing = f"{TEST_BUCKETS}none"

    @pytest.fixture
    def lake(self, own_lake: LakeSettings) -> LakeSettings:
        return own_lake

    @pytest.fixture
    def root(self, request: pytest.FixtureRequest) -> str:
        return re.sub(r"\W", "-", request.node.name) + "/"

    def test_uploads_are_dated(self, store: S3Store, root: str) -> None:
        """`gc` goes by that date (moto, which the unit tests use, has none)."""
        with store.writer(f"{root}x") as file:
            file.write(bytes(LARGE))
            (upload,) = unfinished(store, root)
            assert upload.begun is not None
            assert abs(datetime.now(UTC) - upload.begun) < timedelta(hours=1)

    def test_wrong_keys(self, lake: LakeSettings) -> None:
        for wrong in ({"access_key": "no-such-key-91"}, {"secret_key": "no-such-secret-37"}):
            store = S3Store(LakeSettings.model_validate(_values(lake) | wrong))
            for ask in every_way(store):
                with pytest.raises(SettingsError, match=r"LAKE__ACCESS_KEY .*__SECRET_KEY") as e:
                    ask()
                for secret in (_values(lake)["access_key"], _values(lake)["secret_key"]):
                    assert str(secret) not in f"{e.value!r} {e.value.__cause__!r}"

    @pytest.mark.parametrize(("minutes", "words"), [(20, "ahead of"), (-20, "behind")])
    def test_a_clock_that_is_off(
        self, lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, minutes: int, words: str
    ) -> None:
        right = minio.time.utcnow
        monkeypatch.setattr(minio.time, "utcnow", lambda: right() + timedelta(minutes=minutes))
        for ask in every_way(S3Store(lake)):
            with pytest.raises(StoreError, match=r"clock of this machine"):
                ask()


def _values(lake: LakeSettings) -> dict[str, object]:
    """The settings again, secrets in plain text."""
    plain = {name: getattr(lake, name) for name in ("access_key", "secret_key")}
    return lake.model_dump() | {k: v.get_secret_value() for k, v in plain.items() if v}
