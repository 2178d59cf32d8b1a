"""docker/compose.yml: no engine runs here, so what can be known without one is checked."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[3] / "docker"
VARIABLE = re.compile(r"\$\{(\w+)(:[?-][^}]*)?\}")
SECRETS = runpy.run_path(str(DOCKER / "secrets.py"))
NAMES = {*SECRETS["NAMES"], SECRETS["CLUSTER_ID"]}


def lines_of_code(text: str) -> str:
    return "\n".join(line.split(" #")[0] for line in text.splitlines() if line.strip()[:1] != "#")


def test_it_is_a_compose_file() -> None:
    words = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [sys.executable, *words, str(DOCKER / "compose.yml")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_secret_has_a_default(compose) -> None:
    found = VARIABLE.findall(lines_of_code(compose.text))
    required = {name for name, rest in found if rest == ":?run docker/secrets.py"}
    assert required == NAMES
    others = {name for name, rest in found if name not in NAMES}
    assert all(rest.startswith(":-") for name, rest in found if name in others), found
    assert not any(re.search("PASSWORD|SECRET|TOKEN|KEY|USER", name) for name in others)


def test_the_example_names_what_has_to_be_set_and_no_value() -> None:
    text = (DOCKER / ".env.example").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert {line.rstrip("=") for line in lines} == NAMES
    assert all(line.endswith("=") for line in lines)


def test_the_example_names_the_variables_that_have_a_default_and_the_default(compose) -> None:
    text = (DOCKER / ".env.example").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^# ([A-Z_]+)=(\S+)", text, re.MULTILINE))
    found = VARIABLE.findall(lines_of_code(compose.text))
    assert shown == {name: rest[2:] for name, rest in found if name not in NAMES}


def test_no_secret_is_written_down_or_on_a_command_line(compose) -> None:
    for name, service in compose.services.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|ACCESS_KEY|ROOT_USER", variable):
                assert re.fullmatch(r"\$\{\w+:\?run docker/secrets\.py\}", value), (name, variable)
        shown = [*service.get("command", []), *service.get("entrypoint", [])]
        shown += service["healthcheck"].get("test", [])
        assert not NAMES & {v for word in shown for v, _ in VARIABLE.findall(word)}, name
        assert "env_file" not in service, f"{name} would get every secret there is"


def test_each_service_gets_the_secrets_it_needs_and_no_more(compose) -> None:
    administrators = {"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "POSTGRES_PASSWORD"}
    for name, service in compose.services.items():
        values = " ".join(map(str, service.get("environment", {}).values()))
        held = {variable for variable, _ in VARIABLE.findall(values)} & NAMES
        if name in ("minio", "minio-users"):
            assert administrators - {"POSTGRES_PASSWORD"} <= held
        elif name != "postgres":
            assert not held & administrators, name
        if name in ("luigid", "spark-tls"):
            assert not held, name
    cluster = {"spark-master", "spark-worker-1", "spark-worker-2", "spark-connect"}
    assert {n for n, s in compose.services.items()
            if "SPARK_AUTHENTICATE_SECRET" in s.get("environment", {})} == cluster  # fmt: skip


def test_ports_are_published_on_loopback_only(compose) -> None:
    published = {n: s["ports"] for n, s in compose.services.items() if "ports" in s}
    assert {"minio", "kafka", "postgres", "mlflow", "luigid", "spark-master"} == set(published)
    for name, ports in published.items():
        for port in ports:
            assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), (name, port)
    for name, service in compose.services.items():
        assert service["networks"] in (["stack"], ["stack", "outside"]), name
        assert "network_mode" not in service
    assert compose.whole["networks"]["stack"]["internal"] is True


def test_every_server_has_a_health_check_and_is_waited_for(compose) -> None:
    ended = set()
    for name, service in compose.services.items():
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            if condition == "service_completed_successfully":
                ended.add(other)
            else:
                assert condition == "service_healthy", (name, other)
                assert compose.services[other]["healthcheck"]["test"][0] == "CMD", other
    assert ended == {"minio-users"}
    for name, service in compose.services.items():
        check = service["healthcheck"]
        # Those that end are not asked, nor is the one for commands by hand.
        unasked = name in ended or name == "worker"
        assert check == {"disable": True} if unasked else check["test"], name
        if name in ("scheduler", "listener"):
            # Not `doctor`: it says whether a run could work, and a service may hang all the same.
            words = ["CMD", "luigi-traffic", "status", "--fail-if-older-than", "10m"]
            assert check["test"] == words, name
        if name in ("scheduler", "listener", "worker"):
            servers = set(compose.services) - {"scheduler", "listener", "worker", name}
            assert set(service["depends_on"]) >= servers - {
                "minio",
                "spark-master",
                "spark-connect",
            }


def test_nobody_is_root_or_can_become_it(compose) -> None:
    images = {"minio": DOCKER / "minio" / "Dockerfile"}
    images |= dict.fromkeys(compose.ours(), DOCKER / "Dockerfile")
    for name, service in compose.services.items():
        user = service.get("user")
        if user is None:
            user = re.findall(r"^USER (\S+)$", images[name].read_text(), re.MULTILINE)[-1]
        assert user.split(":")[0] not in ("", "0", "root"), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is (name != "kafka"), name
        assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(service), name


def test_what_is_mounted_or_built_is_there(compose, tmp_path) -> None:
    SECRETS["write_tls"](tmp_path / "tls")
    for name, service in compose.services.items():
        for volume in service.get("volumes", []):
            if isinstance(volume, str):
                assert volume.split(":")[0] in compose.whole["volumes"], (name, volume)
                continue
            source = volume["source"]
            made = tmp_path / source if source.startswith("./tls/") else DOCKER / source
            assert made.exists(), (name, source)
            assert volume["read_only"] is True, (name, source)
            # Else the engine would make a folder of that name.
            assert volume["bind"] == {"create_host_path": False}, (name, source)
        if build := service.get("build"):
            file = DOCKER / build["context"] / build.get("dockerfile", "Dockerfile")
            assert file.is_file(), name


def test_every_volume_has_one_user(compose) -> None:
    used = [v.split(":")[0] for s in compose.services.values() for v in s.get("volumes", [])
            if isinstance(v, str)]  # fmt: skip
    assert sorted(used) == sorted(compose.whole["volumes"])


def test_a_read_only_service_writes_to_its_volume_alone(compose) -> None:
    for name, service in compose.ours().items():
        targets = [v.split(":")[1] for v in service.get("volumes", []) if isinstance(v, str)]
        assert targets == ([] if name == "minio-users" else ["/var/lib/luigi-traffic"]), name
    home = re.search(r"LUIGI_TRAFFIC_HOME=(\S+)", (DOCKER / "Dockerfile").read_text())
    assert home
    assert home[1] == "/var/lib/luigi-traffic"


@pytest.mark.parametrize("service", ["spark-worker-1", "spark-worker-2"])
def test_executors_find_credentials_in_the_environment_of_their_worker(compose, service) -> None:
    found = compose.environment(service)
    assert found["AWS_ACCESS_KEY_ID"] == "value-of-luigi_traffic__lake__access_key"
    assert found["AWS_SECRET_ACCESS_KEY"] == "value-of-luigi_traffic__lake__secret_key"
    password = "value-of-luigi_traffic__warehouse__password"
    assert found["LUIGI_TRAFFIC__WAREHOUSE__PASSWORD"] == password
    words = compose.command(service)
    assert words[words.index("--host") + 1] == service
    assert words[-1] == "spark://spark-master:7077"
