from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.settings.keys import LakeSettings, Settings, SparkSettings
from luigi_traffic.spark import s3a, server, session

LAKE = LakeSettings(
    kind="s3", endpoint="https://s3.example:9443", access_key="the-key", secret_key="the-secret"
)


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    for name in ("hadoop-aws-3.5.0.jar", "s3-2.jar", "notes.txt"):
        (tmp_path / name).touch()
    return tmp_path


def test_properties_hold_the_address_and_no_key(jars: Path) -> None:
    found = s3a.properties(LAKE, jars)
    assert found["spark.hadoop.fs.s3a.endpoint"] == "https://s3.example:9443"
    assert found["spark.hadoop.fs.s3a.connection.ssl.enabled"] == "true"
    assert [Path(j).name for j in found["spark.jars"].split(",")] == [
        "hadoop-aws-3.5.0.jar", "s3-2.jar",
    ]  # fmt: skip
    assert not re.search("the-(key|secret)", str(found))


@pytest.mark.parametrize("folder", [None, "empty"])
def test_missing_jars_say_how_to_get_them(folder: str | None, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"mvn -f docker/spark/pom\.xml"):
        s3a.properties(LAKE, tmp_path if folder else None)


def test_keys_go_by_the_environment() -> None:
    environment: dict[str, str] = {}
    s3a.put_credentials(LAKE, environment)
    assert environment == {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret"}
    environment.clear()
    s3a.put_credentials(LakeSettings(), environment)
    assert environment == {}


def test_a_session_token_goes_along_and_a_stranger_one_is_blotted_out(monkeypatch) -> None:
    ours = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret"}
    environment = {"AWS_SESSION_TOKEN": "a-stranger"}
    s3a.put_credentials(
        LAKE.model_copy(update={"session_token": SecretStr("the-token")}), environment
    )
    assert environment == ours | {"AWS_SESSION_TOKEN": "the-token"}
    # It belongs to other keys than ours, which S3 would refuse with it.
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-stranger")
    environment = {}
    s3a.put_credentials(LAKE, environment)
    assert environment == ours | {"AWS_SESSION_TOKEN": ""}


@pytest.mark.parametrize("keys_from", ["environment", "role"])
def test_other_keys_are_left_to_the_jvm(jars: Path, keys_from: str, monkeypatch) -> None:
    lake = LakeSettings(kind="s3", keys_from=keys_from, region="eu-north-1")
    monkeypatch.delenv("AWS_REGION", raising=False)
    environment = {"AWS_SESSION_TOKEN": "theirs"}
    s3a.put_credentials(lake, environment)
    region = {"AWS_REGION": "eu-north-1"} if keys_from == "role" else {}
    assert environment == {"AWS_SESSION_TOKEN": "theirs"} | region
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    environment = {}
    s3a.put_credentials(lake, environment)
    assert environment == {}
    classes = s3a.properties(lake, jars)["spark.hadoop.fs.s3a.aws.credentials.provider"]
    assert [name.rpartition(".")[2] for name in classes.split(",")] == {
        "environment": ["EnvironmentVariableCredentialsProvider"],
        "role": ["WebIdentityTokenFileCredentialsProvider", "IAMInstanceCredentialsProvider"],
    }[keys_from]


def test_a_server_for_everybody_is_refused(isolated) -> None:
    with pytest.raises(SettingsError, match="LUIGI_TRAFFIC__SPARK__TOKEN"):
        server.prepare(Settings(), isolated.home)


def test_the_servers_secrets_are_in_its_environment_alone(isolated, jars: Path) -> None:
    chosen = SparkSettings(token="the-token", jars=jars, conf={"spark.x": r"a\b"})
    command, environment = server.prepare(Settings(lake=LAKE, spark=chosen), isolated.home)
    text = (isolated.home / "connect.properties").read_text()
    assert "spark.x=a\\\\b" in text
    assert "spark.connect.grpc.binding.address=127.0.0.1" in text
    for secret in ("the-key", "the-secret", "the-token"):
        assert secret in environment.values()
        assert secret not in text + " ".join(command)


def test_nobody_there_is_told_at_once(isolated) -> None:
    with pytest.raises(StoreError, match=r"sc://localhost:1 does not answer"):
        session.connect(SparkSettings(remote="sc://localhost:1", token="x"))
