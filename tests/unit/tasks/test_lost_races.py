"""Promise 3 without the lock that only saves work: whoever loses a commit removes its own alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest
from s3_servers import ACCESS_KEY, SECRET_KEY, lake_at, moto

from luigi_traffic.lake.s3 import S3Store
from luigi_traffic.project import current
from luigi_traffic.tasks.announce import AnnounceRaw
from luigi_traffic.tasks.raw import IngestRaw

DAY = date(2012, 3, 28)
OURS = (IngestRaw, AnnounceRaw)


@pytest.fixture(scope="module")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with moto(tmp_path_factory.mktemp("moto")) as port:
        yield port


@pytest.fixture(params=["folder", "s3"])
def lake(request: pytest.FixtureRequest, tiny, tmp_path: Path) -> None:
    """The dataset `tiny` with a file of its day, and a lake of each kind."""
    (tmp_path / "20120328.csv").write_text("time,link,speed\n00:00,a,50\n00:05,a,51\n")
    tiny.set(DATASETS__TINY__GLOB=f"{tmp_path}/{{date}}.csv", INGEST__SETTLE_SECONDS="0")
    if request.param == "s3":
        given = lake_at(request.getfixturevalue("s3_port"), bucket=f"bucket-{uuid4().hex[:8]}")
        S3Store(given)._clients.plain().make_bucket(given.bucket)
        tiny.set(
            LAKE__KIND="s3", LAKE__BUCKET=given.bucket, LAKE__ENDPOINT=given.endpoint,
            LAKE__ACCESS_KEY=ACCESS_KEY, LAKE__SECRET_KEY=SECRET_KEY,
        )  # fmt: skip
    # Somebody else's, in the same bucket.
    current().store.create("other/people/object", b"theirs")


def objects() -> dict[str, int]:
    return {i.key: i.size for i in current().store.list("") if not i.key.startswith("_probe")}


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("task", OURS)
def test_the_loser_of_a_commit_removes_nothing_but_its_own(task) -> None:
    for before in OURS[: OURS.index(task)]:
        before(DAY, dataset="tiny").work()
    task(DAY, dataset="tiny").work()
    kept = objects()
    assert "other/people/object" in kept
    task(DAY, dataset="tiny").work()
    assert objects() == kept


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("task", OURS)
def test_two_at_once_give_one_commit(task) -> None:
    for before in OURS[: OURS.index(task)]:
        before(DAY, dataset="tiny").work()
    before_both = objects()
    start, errors = threading.Barrier(4), []

    def work() -> None:
        try:
            start.wait(30)
            task(DAY, dataset="tiny").work()
        except BaseException as e:
            errors.append(e)
            raise

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    after = objects()
    assert before_both.items() <= after.items()
    made = [key for key in after if key.startswith(f"_manifests/{task.stage}/tiny/")]
    assert len(made) == 1
    data = {key.rpartition("/")[0] for key in after if key.startswith("raw/tiny/")}
    assert len(data) == 1
