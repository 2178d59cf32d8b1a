"""Keys of the lake's S3: session tokens, and roles from small servers that play AWS's part."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from aws_server import JWT, ROLE, Aws, aws
from http_server import Answer
from s3_servers import ACCESS_KEY, Fault, Proxy, error, lake_at, moto, proxy

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.lake import s3_credentials
from luigi_traffic.lake.s3 import S3Store
from luigi_traffic.project import current

NO_KEYS = {"access_key": None, "secret_key": None}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with moto(tmp_path_factory.mktemp("moto")) as port:
        yield port


@pytest.fixture
def between(honest: int) -> Iterator[Proxy]:
    with proxy(honest) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def cloud() -> Iterator[Aws]:
    with aws() as made:
        yield made


@pytest.fixture
def pod(cloud: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Aws:
    """A web identity, as Kubernetes gives it: a token in a file."""
    (tmp_path / "jwt").write_text(JWT)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "jwt"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", cloud.web.url)
    return cloud


def work(between: Proxy, **changes: object) -> S3Store:
    store = S3Store(lake_at(between.port, **changes))
    between.keys.clear()
    store.create(f"x/{datetime.now().timestamp()}", b"1")
    list(store.list("x/"))
    return store


def test_a_session_token_goes_with_every_request(between: Proxy) -> None:
    work(between, session_token="the-token")
    assert set(between.keys) == {(ACCESS_KEY, "the-token")}
    assert len(between.keys) >= 3  # both clients, and the probe
    work(between)
    assert set(between.keys) == {(ACCESS_KEY, None)}


def test_keys_of_awss_variables(between: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        work(between, keys_from="environment", **NO_KEYS)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    work(between, keys_from="environment", **NO_KEYS)
    assert set(between.keys) == {("theirs", "t")}


def test_the_role_of_a_web_identity(between: Proxy, pod: Aws) -> None:
    store = work(between, keys_from="role", **NO_KEYS)
    assert {token for _, token in between.keys} <= {"token-key-1", "token-key-2"}
    assert len(pod.web.asked) == 2  # a client for commits, one for the rest
    list(store.list("x/"))
    assert len(pod.web.asked) == 2, "keys that are good are kept"
    for asked in pod.web.asked:
        assert (asked.method, asked.path) == ("POST", "/")
        assert b"Action=AssumeRoleWithWebIdentity" in asked.body and JWT.encode() in asked.body
        assert b"RoleArn=arn%3Aaws%3Aiam" in asked.body


def test_keys_that_end_are_fetched_anew_from_a_token_that_is_read_anew(
    between: Proxy, pod: Aws, tmp_path: Path
) -> None:
    pod.lasts = timedelta(seconds=5)  # the SDK wants 10 at least
    store = work(between, keys_from="role", **NO_KEYS)
    before = len(pod.web.asked)
    (tmp_path / "jwt").write_text("the-next-jwt")
    between.keys.clear()
    list(store.list("x/"))
    assert len(pod.web.asked) == before + 1
    assert b"the-next-jwt" in pod.web.asked[-1].body
    assert between.keys == [(f"key-{before + 1}", f"token-key-{before + 1}")]


def test_the_role_of_a_container(
    between: Proxy, cloud: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{cloud.web.url}/creds")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-container")
    work(between, keys_from="role", **NO_KEYS)
    assert set(cloud.web.paths) == {"/creds"}
    assert cloud.web.asked[0].headers["Authorization"] == "of-the-container"
    assert {token for _, token in between.keys} <= {"token-key-1", "token-key-2"}


def test_the_role_of_a_machine(between: Proxy, cloud: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{cloud.web.url}/")
    work(between, keys_from="role", **NO_KEYS)
    assert [(asked.method, asked.path) for asked in cloud.web.asked[:3]] == [
        ("PUT", "/latest/api/token"),
        ("GET", "/latest/meta-data/iam/security-credentials/"),
        ("GET", "/latest/meta-data/iam/security-credentials/lake-role"),
    ]
    assert cloud.web.asked[1].headers["X-aws-ec2-metadata-token"] == "the-imds-token"
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SettingsError, match="AWS_EC2_METADATA_DISABLED"):
        work(between, keys_from="role", **NO_KEYS)


@pytest.mark.parametrize(
    "answer",
    [Answer("<ErrorResponse>no</ErrorResponse>", 403), Answer("not XML"), Answer("<a/>"),
     Answer(status=302), Answer(status=500)],
    ids=["403", "no XML", "other XML", "302", "500"],
)  # fmt: skip
def test_a_refusal_names_where_from_and_no_secret(
    between: Proxy, pod: Aws, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    pod.instead = answer
    with caplog.at_level(logging.DEBUG), pytest.raises(SettingsError) as refused:
        work(between, keys_from="role", **NO_KEYS)
    told = str(refused.value)
    assert "AWS_WEB_IDENTITY_TOKEN_FILE" in told and "lake.keys_from" in told
    assert refused.value.__cause__ is None and refused.value.__suppress_context__
    assert "127.0.0.1" in caplog.text, "the address is logged"
    assert JWT not in told + caplog.text


def test_a_service_of_roles_that_does_not_answer(
    between: Proxy, pod: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    with pytest.raises(StoreError) as refused:
        work(between, keys_from="role", **NO_KEYS)
    assert "AWS_WEB_IDENTITY_TOKEN_FILE" in str(refused.value)
    assert JWT not in str(refused.value)


def test_a_file_that_is_not_there(
    between: Proxy, pod: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="gone"):
        work(between, keys_from="role", **NO_KEYS)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"session_token": "the-token"}, "LUIGI_TRAFFIC__LAKE__SESSION_TOKEN"),
        ({"keys_from": "environment", **NO_KEYS}, "AWS_SESSION_TOKEN"),
    ],
)
def test_a_token_that_has_ended_says_what_to_do(
    between: Proxy, monkeypatch: pytest.MonkeyPatch, changes: dict, what: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    between.faults.append(Fault("GET", answer=(400, error("ExpiredToken")), times=9))
    with pytest.raises(SettingsError) as refused:
        list(S3Store(lake_at(between.port, **changes)).list("x/"))
    assert what in str(refused.value) and "'role'" in str(refused.value)
    assert "the-token" not in str(refused.value)


@pytest.mark.parametrize("key", ["access_key", "secret_key", "session_token"])
def test_keys_beside_a_role_are_refused(isolated, key: str) -> None:
    isolated.set(LAKE__KIND="s3", LAKE__KEYS_FROM="role")
    assert current().settings.lake.keys_from == "role"
    isolated.set(**{f"LAKE__{key.upper()}": "hush"})
    with pytest.raises(SettingsError) as refused:
        _ = current().settings
    told = str(refused.value)
    assert f"'lake.{key}', set in environment LUIGI_TRAFFIC__LAKE__{key.upper()}" in told
    assert "lake.keys_from is 'role'" in told and "hush" not in told


def test_threads_fetch_one_after_the_other() -> None:
    inside, most = [0], [0]

    class Slow:
        def retrieve(self) -> None:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            threading.Event().wait(0.01)
            inside[0] -= 1

    explained = s3_credentials._Explained(Slow(), "x")  # type: ignore[arg-type]
    threads = [threading.Thread(target=explained.retrieve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
