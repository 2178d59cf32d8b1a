"""The S3 store against small servers: moto honours `If-None-Match`, nanio ignores it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from s3_contract import S3Contract, every_way, unfinished
from s3_servers import (
    ACCESS_KEY,
    BUCKET,
    SECRET_KEY,
    Fault,
    Proxy,
    error,
    lake_at,
    moto,
    nanio,
    proxy,
    self_signed,
)
from urllib3 import Timeout

from luigi_traffic.commands import garbage
from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.lake import s3_pool
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.lake.s3 import S3Store
from luigi_traffic.project import current
from luigi_traffic.recipe import Recipe
from luigi_traffic.settings.keys import LakeSettings
from luigi_traffic.testing.lake_suite import LARGE, MIB, fork, in_children, keys

DAY = date(2012, 3, 28)
ALWAYS = 1_000_000


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with moto(tmp_path_factory.mktemp("moto")) as port:
        yield port


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with nanio(tmp_path_factory.mktemp("nanio")) as port:
        yield port


@pytest.fixture
def root(request: pytest.FixtureRequest) -> str:
    """A prefix of the test's own, in letters that no URL quotes."""
    return re.sub(r"\W", "-", request.node.name) + "/"


@pytest.fixture
def between(honest: int) -> Iterator[Proxy]:
    with proxy(honest) as made:
        yield made


@pytest.fixture
def store(between: Proxy) -> S3Store:
    """Through the proxy, already probed."""
    made = S3Store(lake_at(between.port))
    made._clients.prove()
    between.seen.clear()
    return made


def impatient(between: Proxy) -> S3Store:
    made = S3Store(lake_at(between.port), patience_s=0.3)
    made._clients.prove()
    return made


class TestMoto(S3Contract):
    @pytest.fixture
    def lake(self, honest: int) -> LakeSettings:
        return lake_at(honest)

    @pytest.fixture
    def root(self, root: str) -> str:
        return root


# The probe


def test_a_store_that_ignores_the_condition_is_refused(strict: int) -> None:
    store = S3Store(lake_at(strict))
    for write in (lambda: store.create("a/x", b"x"), lambda: store.writer("a/x").__enter__()):
        with pytest.raises(SettingsError, match=rf"{BUCKET} at http.*:{strict} does not honour"):
            write()
    assert keys(store, "a/") == []


def test_a_store_that_knows_no_condition_is_refused(between: Proxy) -> None:
    between.faults.append(Fault("PUT", "_probe/", answer=(501, error("NotImplemented"))))
    with pytest.raises(SettingsError, match="does not honour"):
        S3Store(lake_at(between.port)).create("a/x", b"")


def test_one_probe_a_process(between: Proxy, root: str) -> None:
    S3Store(lake_at(between.port)).create(f"{root}first", b"")  # the probe's object is there now
    between.seen.clear()
    store = S3Store(lake_at(between.port))
    assert store.describe()
    list(store.list(root))
    assert between.count("PUT") == 0
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda n: store.create(f"{root}{n}", b""), range(8)))
    assert [status for _, path, status in between.seen if "/_probe/" in path] == [412]
    assert in_children(2, lambda n: store.create(f"{root}child{n}", b"")) == [True, True]
    assert between.count("PUT", "/_probe/") == 3
    assert not any("location" in path for _, path, _ in between.seen)


# Commits


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PUT", answer=(503, error("SlowDown")), times=3),
        Fault("PUT", answer=(500, "no XML")),
        Fault("PUT", answer=(408, "")),
        Fault("PUT", answer=(409, error("ConditionalRequestConflict")), times=2),
        Fault("PUT", how="drop", times=2),
        Fault("PUT", how="lose"),
    ],
    ids=lambda fault: str(fault.answer or fault.how),
)
def test_create_tries_again(store: S3Store, between: Proxy, root: str, fault: Fault) -> None:
    between.faults.append(replace(fault))
    assert store.create(f"{root}x", b"ours")
    assert between.count("PUT") == fault.times + 1
    assert store.read(f"{root}x") == b"ours"
    assert not store.create(f"{root}x", b"ours")


@pytest.mark.parametrize("how", ["drop", "lose"])
def test_a_lost_answer_does_not_make_anothers_object_ours(
    store: S3Store, between: Proxy, root: str, how: str
) -> None:
    assert store.create(f"{root}x", b"theirs")
    between.faults.append(Fault("PUT", how=how))
    assert not store.create(f"{root}x", b"ours")
    assert store.read(f"{root}x") == b"theirs"


def test_a_conflict_is_no_lost_answer(store: S3Store, between: Proxy, root: str) -> None:
    assert store.create(f"{root}x", b"same")
    between.faults.append(Fault("PUT", answer=(409, error("ConditionalRequestConflict"))))
    assert not store.create(f"{root}x", b"same")
    assert between.count("GET") == 0


def test_a_commit_whose_answer_is_lost_is_ours(
    store: S3Store, between: Proxy, request: pytest.FixtureRequest
) -> None:
    recipe = Recipe("raw", request.node.name, {"source": "x"})
    catalog = Catalog(store)

    def manifest() -> Manifest:
        prefix = catalog.attempt(recipe.stage, recipe.dataset, DAY).prefix
        return Manifest.start(recipe, DAY, "a" * 32, inputs=[], prefix=prefix)

    ours = manifest()
    between.faults.append(Fault("PUT", "_manifests/", how="lose"))
    assert catalog.commit(ours)
    between.faults.append(Fault("PUT", "_manifests/", how="drop"))
    assert not catalog.commit(manifest())
    (entry,) = catalog.days(recipe.stage, recipe.dataset)[DAY].commits
    assert catalog.manifest(entry).prefix == ours.prefix


def test_patience_has_an_end(between: Proxy, root: str) -> None:
    store = impatient(between)
    between.faults.append(Fault("PUT", root, answer=(503, error("SlowDown")), times=ALWAYS))
    with pytest.raises(StoreError, match=r"at http://127.*SlowDown.*on purpose"):
        store.create(f"{root}x", b"")
    between.faults[:] = [Fault("PUT", root, how="drop", times=ALWAYS)]
    with pytest.raises(StoreError, match=r"no answer from .* at http://127.*a rerun finds out"):
        store.create(f"{root}x", b"")


def test_a_server_that_hangs_is_left(
    between: Proxy, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_pool, "_TIMEOUT", Timeout(connect=5, read=0.5))
    store = S3Store(lake_at(between.port))
    assert store.create(f"{root}x", b"1")
    between.faults.append(Fault("GET", how="hang"))
    assert store.read(f"{root}x") == b"1"
    assert between.count("GET") == 2


# Reading


@pytest.mark.parametrize("how", ["cut", "drop"])
def test_a_content_that_breaks_off_is_read_anew(
    store: S3Store, between: Proxy, root: str, how: str
) -> None:
    content = bytes(range(256)) * 20_000
    assert store.create(f"{root}x", content)
    expected = store.seal(f"{root}x")
    for _ in range(2):
        between.faults.append(Fault("GET", root, how=how))
        assert store.read(f"{root}x") == content
        between.faults.append(Fault("GET", root, how=how))
        assert store.seal(f"{root}x") == expected
        between.faults.append(Fault("GET", "list-type=2", how=how))
        assert keys(store, root) == ["x"]
    assert not any(fault.times for fault in between.faults)


def test_connections_are_used_again(store: S3Store, between: Proxy, root: str) -> None:
    assert store.create(f"{root}x", bytes(3 * MIB))
    before = between.web.connections
    for _ in range(5):
        store.read(f"{root}x")
        store.seal(f"{root}x")
        assert keys(store, root) == ["x"]
    assert between.web.connections <= before + 1


def test_every_commit_has_a_connection_of_its_own(
    store: S3Store, between: Proxy, root: str
) -> None:
    before = between.web.connections
    assert [store.create(f"{root}x", b"x") for _ in range(3)] == [True, False, False]
    assert between.web.connections == before + 3


# Writing


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", "?uploads=", how="lose"),
        Fault("PUT", "partNumber=2", answer=(503, error("SlowDown")), times=2),
        Fault("PUT", "partNumber=1", how="lose"),
        Fault("POST", "?uploadId=", answer=(500, error("InternalError"))),
        Fault("POST", "?uploadId=", how="lose"),
    ],
    ids=lambda fault: f"{fault.method} {fault.part} {fault.how}",
)
def test_a_writer_tries_again(store: S3Store, between: Proxy, root: str, fault: Fault) -> None:
    between.faults.append(fault)
    with store.writer(f"{root}x") as file:
        for number in range(LARGE // MIB):
            file.write(bytes([number]) * MIB)
    assert fault.times == 0
    assert store.read(f"{root}x") == b"".join(bytes([n]) * MIB for n in range(LARGE // MIB))


@pytest.mark.parametrize(
    ("fault", "expected", "left"),
    [
        (Fault("PUT", "partNumber=2", times=ALWAYS), StoreError, 0),
        (Fault("PUT", "partNumber=1", answer=(403, error("AccessDenied"))), SettingsError, 0),
        (Fault("POST", "?uploads=", answer=(404, error("NoSuchBucket"))), SettingsError, 0),
        (Fault("", "", times=ALWAYS), StoreError, 1),
    ],
    ids=["no answer", "denied", "no bucket", "server is gone"],
)
def test_a_failed_upload_ends_the_writing(
    between: Proxy, root: str, fault: Fault, expected: type[Exception], left: int
) -> None:
    store = impatient(between)
    written = 0

    def write() -> None:
        nonlocal written
        with store.writer(f"{root}x") as file:
            while written < 10_000 * MIB:
                file.write(bytes(MIB))
                written += MIB
                if written == 40 * MIB and not fault.method:  # a part is in the store
                    between.faults += [replace(fault, method=m) for m in ("PUT", "POST", "DELETE")]

    if fault.method:
        between.faults.append(fault)
    with pytest.raises(expected):
        write()
    assert written < 60 * MIB
    assert between.count("DELETE", "uploadId=") <= 1  # a store that is gone is not waited for twice
    between.faults.clear()
    assert keys(store, root) == []
    assert len(unfinished(store, root)) == left


def test_an_upload_that_fails_at_its_end_is_an_error(between: Proxy, root: str) -> None:
    store = impatient(between)

    def write(size: int) -> None:
        with store.writer(f"{root}x") as file:
            file.write(bytes(size))

    for fault, size in [
        (Fault("PUT", root, times=ALWAYS), 1),
        (Fault("POST", "?uploadId=", times=ALWAYS), LARGE),
        (Fault("POST", "?uploadId=", answer=(200, error("InternalError"))), LARGE),
    ]:
        between.faults[:] = [fault]
        with pytest.raises(StoreError, match=BUCKET):
            write(size)
        between.faults.clear()
        assert keys(store, root) == []


@pytest.mark.parametrize(("how", "kept"), [("lose", True), ("drop", False)])
def test_an_upload_that_has_ended_is_looked_at(
    store: S3Store, between: Proxy, root: str, how: str, kept: bool
) -> None:
    """MinIO knows an upload no more once it is completed (moto still does)."""
    gone = Fault("POST", "?uploadId=", answer=(404, error("NoSuchUpload")))
    between.faults += [Fault("POST", "?uploadId=", how=how), gone]

    def write() -> None:
        with store.writer(f"{root}x") as file:
            file.write(bytes(LARGE))

    if kept:
        write()
        assert store.seal(f"{root}x").size == LARGE
    else:
        with pytest.raises(StoreError, match="NoSuchUpload"):
            write()
        assert keys(store, root) == []


# What the store refuses


def test_keys_that_are_refused_name_the_variables(strict: int) -> None:
    for wrong in ({"access_key": "no-such-key-91"}, {"secret_key": "no-such-secret-37"}):
        store = S3Store(lake_at(strict, **wrong))
        for ask in every_way(store):
            with pytest.raises(
                SettingsError, match=r"LAKE__ACCESS_KEY and .*LAKE__SECRET_KEY"
            ) as e:
                ask()
            for secret in (ACCESS_KEY, SECRET_KEY, *wrong.values()):
                assert secret not in f"{e.value!r} {e.value.__cause__!r} {store!r}"


def test_keys_that_are_missing() -> None:
    lake = LakeSettings(kind="s3", access_key="x")
    with pytest.raises(SettingsError, match="LUIGI_TRAFFIC__LAKE__SECRET_KEY"):
        S3Store(lake).read("x")


@pytest.mark.parametrize(("minutes", "words"), [(20, "120. s behind"), (-20, "120. s ahead")])
def test_a_clock_that_is_off(between: Proxy, minutes: int, words: str) -> None:
    there = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    answer = (403, error("RequestTimeTooSkewed"))
    between.faults.append(Fault("GET", answer=answer, date=there))
    with pytest.raises(StoreError, match=words.replace("12", "1,[12]").replace("0.", "[09].")):
        list(S3Store(lake_at(between.port)).list(""))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((400, error("AuthorizationHeaderMalformed", "expecting 'eu-west-1'")), SettingsError,
         r"'us-east-1' .*eu-west-1.*lake\.region"),
        ((403, error("AccessDenied")), SettingsError, "ACCESS_KEY"),
        ((507, error("XMinioStorageFull")), StoreError, "XMinioStorageFull"),
        ((200, "hello"), StoreError, r"not from S3.*lake\.endpoint"),
        ((404, "a web server"), StoreError, r"a web server.*lake\.endpoint"),
    ],
)  # fmt: skip
def test_other_refusals(
    between: Proxy, root: str, answer: tuple[int, str], kind: type[Exception], words: str
) -> None:
    store = impatient(between)
    between.faults.append(Fault("GET", "list-type", answer=answer))
    with pytest.raises(kind, match=words):
        list(store.list(root))


def test_deletions_that_are_refused(store: S3Store, between: Proxy) -> None:
    attempt = Attempt.fresh("raw", "refused", DAY)
    root = attempt.prefix

    def answer(code: str) -> tuple[int, str]:
        inner = f"<Error><Key>{root}x</Key><Code>{code}</Code><Message>m</Message></Error>"
        return 200, f"<DeleteResult>{inner}</DeleteResult>"

    between.faults.append(Fault("POST", "delete", answer=answer("NoSuchKey")))
    store.delete(attempt, [f"{root}x"])
    between.faults.append(Fault("POST", "delete", answer=answer("InternalError")))
    with pytest.raises(StoreError, match=r"InternalError: m \(raw/refused"):
        store.delete(attempt, [f"{root}x"])
    between.faults.append(Fault("POST", "delete", answer=answer("AccessDenied")))
    with pytest.raises(SettingsError, match="delete objects"):
        store.delete(attempt, [f"{root}x"])


def test_nobody_answers(between: Proxy) -> None:
    lake = lake_at(1)
    for ask in every_way(S3Store(lake, patience_s=0.2)):
        with pytest.raises(StoreError, match=r"no answer .* at http://127\.0\.0\.1:1: .*refused"):
            ask()


# Addresses and secrets


def test_tls_with_a_ca_of_its_own(honest: int, tmp_path: Path, root: str) -> None:
    ours, theirs = self_signed(tmp_path / "ours.pem"), self_signed(tmp_path / "theirs.pem")
    with proxy(honest, ours) as made:
        at = f"https://127.0.0.1:{made.port}"
        store = S3Store(lake_at(0, endpoint=at, ca_file=ours))
        with store.writer(f"{root}x") as file:
            file.write(bytes(LARGE))
        assert store.seal(f"{root}x").size == LARGE
        assert in_children(2, lambda n: store.create(f"{root}{n}", b"")) == [True, True]
        for wrong in ({}, {"ca_file": theirs}):
            with pytest.raises(SettingsError, match=r"not trusted.*lake\.ca_file"):
                S3Store(lake_at(0, endpoint=at, **wrong)).read("x")
        with pytest.raises(SettingsError, match=r"lake\.ca_file: the file .* does not exist"):
            S3Store(lake_at(0, endpoint=at, ca_file=tmp_path / "none")).read("x")


@pytest.mark.parametrize(
    ("path_style", "endpoint", "expected"),
    [
        (True, "https://s3.example.org:444/", "https://s3.example.org:444/test-lake/a"),
        (False, "http://s3.example.org", "http://test-lake.s3.example.org/a"),
        (True, "https://s3.amazonaws.com", "https://s3.eu-west-1.amazonaws.com/test-lake/a"),
        (False, "https://s3.amazonaws.com", "https://test-lake.s3.eu-west-1.amazonaws.com/a"),
    ],
)
def test_the_bucket_is_in_the_path_or_in_the_host(
    path_style: bool, endpoint: str, expected: str
) -> None:
    lake = lake_at(0, endpoint=endpoint, path_style=path_style, region="eu-west-1")
    asked = S3Store(lake)._clients.plain().presigned_get_object(BUCKET, "a")
    assert asked.partition("?")[0] == expected
    assert "eu-west-1" in asked


def test_no_secret_in_any_log(
    store: S3Store, between: Proxy, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    between.faults += [Fault("PUT", root, how="lose"), Fault("GET", root, how="drop", times=2)]
    assert store.create(f"{root}x", b"x")
    assert store.read(f"{root}x") == b"x"
    assert f"127.0.0.1:{between.port}" in caplog.text
    assert root in caplog.text  # the log does show requests, …
    assert "Retrying" in caplog.text  # … and our own words
    for secret in (ACCESS_KEY, SECRET_KEY, "Signature", "Credential"):
        assert secret not in caplog.text


# Garbage


def test_garbage_of_a_lake_on_s3(isolated, honest: int, request: pytest.FixtureRequest) -> None:
    lake = lake_at(honest)
    isolated.set(
        LAKE__KIND="s3", LAKE__ENDPOINT=lake.endpoint, LAKE__BUCKET=BUCKET,
        LAKE__ACCESS_KEY=ACCESS_KEY, LAKE__SECRET_KEY=SECRET_KEY,
    )  # fmt: skip
    catalog, name = current().catalog, request.node.name
    kept, dropped = (catalog.attempt("silver", name, DAY).prefix for _ in range(2))
    for prefix in (kept, dropped):
        assert catalog.store.create(f"{prefix}part-0", b"12345")
    recipe = Recipe("silver", name, {})
    assert catalog.commit(Manifest.start(recipe, DAY, "a" * 32, inputs=[], prefix=kept))

    def half() -> None:
        with catalog.store.writer(f"{dropped}part-1") as file:
            file.write(bytes(LARGE))
            os._exit(9)

    child = fork.Process(target=half)
    child.start()
    child.join(60)
    assert child.exitcode == 9

    def found(older_than: timedelta) -> list[garbage.Garbage]:
        return [g for g in garbage._attempts(current(), older_than) if f"/{name}/" in g.what]

    # moto dates every upload to 2010.
    assert [thing.kind for thing in found(timedelta(hours=1))] == ["upload"]
    attempt, upload = found(timedelta(0))
    assert (attempt.kind, attempt.what, attempt.bytes) == ("attempt", dropped, 5)
    assert (upload.kind, upload.what) == ("upload", f"{dropped}part-1")
    assert upload.bytes >= 16 * MIB
    assert attempt.remove() and upload.remove()
    assert found(timedelta(0)) == []
    assert keys(catalog.store, f"silver/{name}/") == [
        f"{kept}part-0".removeprefix(f"silver/{name}/")
    ]
