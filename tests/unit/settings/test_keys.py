from __future__ import annotations

from pathlib import Path

import pytest

from luigi_traffic.errors import SettingsError
from luigi_traffic.project import current


def refused(*parts: str) -> str:
    """The error of `current().settings`, which must hold all these."""
    with pytest.raises(SettingsError) as caught:
        _ = current().settings
    text = str(caught.value)
    for part in parts:
        assert part in text, f"{part!r} is not in:\n{text}"
    return text


def test_without_files_the_packaged_defaults_hold(isolated, monkeypatch) -> None:
    monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(isolated.conf / "none"))
    found = current().settings
    assert found.pipeline.window_days == 30
    assert found.lake_path == isolated.home / "lake"
    assert found.tracking_uri == f"sqlite:///{isolated.home}/mlflow/mlflow.db"
    assert found.warehouse.kind == "embedded"


def test_the_last_layer_wins(isolated) -> None:
    isolated.write("base.yml", "pipeline: {dataset: base, model: base, window_days: 1}\n")
    assert current().settings.pipeline.dataset == "base"
    isolated.write("local.yml", "pipeline: {model: local, window_days: 2}\n")
    isolated.set(PIPELINE__WINDOW_DAYS="3")
    found = current().settings.pipeline
    assert (found.dataset, found.model, found.window_days) == ("base", "local", 3)


def test_the_profile_chooses_its_file(isolated, monkeypatch) -> None:
    isolated.write("local.yml", "pipeline: {dataset: of_local}\n")
    isolated.write("stack.yml", "pipeline: {dataset: of_stack}\n")
    assert current().settings.pipeline.dataset == "of_local"
    monkeypatch.setenv("LUIGI_TRAFFIC_PROFILE", "stack")
    isolated.set()
    assert current().settings.pipeline.dataset == "of_stack"


def test_files_of_datasets_and_models_lie_under_their_names(isolated) -> None:
    isolated.write("base.yml", "datasets: {tiny: {glob: base, max_speed: 1}}\n")
    isolated.write("datasets/tiny.yml", "glob: own\nlinks: ['0012', 7]\n")
    isolated.write("models/net.yml", "hidden: 8\n")
    isolated.set(DATASETS__TINY__MAX_SPEED="90", MODELS__NET__HIDDEN="16")
    assert current().settings.datasets == {
        "tiny": {"glob": "own", "max_speed": "90", "links": ["0012", 7]}
    }
    assert current().settings.models == {"net": {"hidden": "16"}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[a, b]", ["a", "b"]),
        ('["1920161400", "2"]', ["1920161400", "2"]),
        ("{a: 1}", {"a": 1}),
        ("[]", []),
        ("00123", "00123"),
        ("yes", "yes"),
        ("[not: closed", "[not: closed"),
        ("{date}.csv", "{date}.csv"),
        ("", ""),
    ],
)
def test_lists_and_mappings_may_come_from_the_environment(isolated, text: str, value) -> None:
    isolated.set(DATASETS__TINY__X=text)
    assert current().settings.datasets["tiny"]["x"] == value


def test_text_of_the_environment_is_typed_by_its_setting(isolated) -> None:
    isolated.set(
        PLUGINS__DISABLED="[its, '7']", LAKE__PATH="/x", SPARK__CONF="{spark.a: 1}",
        WAREHOUSE__DBNAME="2024", MISSING_DAYS__RECHECK_HOURS="1.5",
    )  # fmt: skip
    found = current().settings
    assert found.plugins.disabled == ["its", "7"]
    assert found.lake_path == Path("/x")
    assert found.spark.conf == {"spark.a": "1"}
    assert found.warehouse.dbname == "2024"
    assert found.missing_days.recheck_hours == 1.5


def test_an_unknown_key_names_itself_its_place_and_the_nearest(isolated) -> None:
    file = isolated.write("base.yml", "pipeline:\n  window_day: 3\n")
    refused(
        f"unknown setting 'pipeline.window_day', set in {file}:2.",
        "Did you mean 'window_days'?",
        f"- {isolated.conf / 'local.yml'} (absent)",
        "- packaged defaults",
        "- environment LUIGI_TRAFFIC__…",
    )
    isolated.write("base.yml", "pipline: {dataset: x}\n")
    refused("unknown setting 'pipline'", "Did you mean 'pipeline'?")
    file.unlink()
    isolated.set(WAREHOUSE__PROT="1")
    refused(
        "unknown setting 'warehouse.prot', set in environment LUIGI_TRAFFIC__WAREHOUSE__PROT.",
        "Did you mean 'port'?",
    )


def test_a_bad_value_names_key_value_place_and_what_is_expected(isolated) -> None:
    file = isolated.write("local.yml", "pipeline: {window_days: many}\nwarehouse: {port: 99999}\n")
    refused(
        f"setting 'pipeline.window_days' is set to 'many' in {file}:1: Input should be a valid int",
        f"setting 'warehouse.port' is set to 99999 in {file}:2: Input should be less than or equal",
    )
    isolated.write("local.yml", "warehouse: {kind: mysql}\n")
    refused("'warehouse.kind'", "'embedded' or 'server'")


def test_a_section_that_is_no_section(isolated) -> None:
    isolated.set(PIPELINE="x")
    refused("setting 'pipeline' is set to 'x' in environment LUIGI_TRAFFIC__PIPELINE")


def test_a_missing_secret_names_its_variable_and_where_was_looked(isolated) -> None:
    isolated.write("base.yml", "warehouse: {kind: server, host: db}\n")
    refused(
        "setting 'warehouse.password' is missing",
        "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD",
        f"- {isolated.conf / 'base.yml'}",
    )
    isolated.set(WAREHOUSE__PASSWORD="hush-hush")
    assert current().settings.warehouse.secret() == "hush-hush"
    assert "hush-hush" not in repr(current().settings)


@pytest.mark.parametrize("name", ["base.yml", "local.yml"])
def test_a_secret_in_a_file_is_refused_and_not_told(isolated, name: str) -> None:
    file = isolated.write(name, "warehouse: {kind: server, password: hush-hush}\n")
    text = refused(f"warehouse.password is set in {file}", "environment only")
    assert "hush-hush" not in text


def test_an_unknown_profile(isolated, monkeypatch) -> None:
    isolated.write("stack.yml", "")
    monkeypatch.setenv("LUIGI_TRAFFIC_PROFILE", "stak")
    isolated.set()
    refused("LUIGI_TRAFFIC_PROFILE=stak", str(isolated.conf / "stak.yml"), "Did you mean 'stack'?")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", "is not valid YAML"),
        ("- a\n- b", "must contain `key: value` lines, not list"),
        ("just text", "not str"),
    ],
)
def test_a_file_that_is_not_settings_is_named(isolated, text: str, message: str) -> None:
    file = isolated.write("base.yml", text)
    refused(f"{file} ", message)


def test_a_file_that_is_not_text_is_named(isolated) -> None:
    file = isolated.write("base.yml", "")
    file.write_bytes("# 울산".encode("cp949"))
    refused(f"{file} is not valid YAML")


def test_an_empty_file_says_nothing(isolated) -> None:
    isolated.write("base.yml", "# nothing\n")
    assert current().settings.pipeline.window_days == 30


def test_the_shipped_settings_are_valid(isolated, monkeypatch) -> None:
    monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(Path(__file__).parents[3] / "conf"))
    isolated.set()
    assert current().settings.pipeline.dataset
    assert current().settings.datasets


@pytest.mark.parametrize("name", ["{topic}", "{dataset}.dead", "dead", "{topic} dead"])
def test_dead_letters_go_to_a_topic_of_their_own(isolated, name) -> None:
    isolated.write("base.yml", f"listen: {{dead_letter: '{name}'}}")
    refused("listen.dead_letter", name)


def test_duckdb_on_a_lake_in_s3_is_refused_with_what_to_choose(isolated) -> None:
    isolated.set(LAKE__KIND="s3", LAKE__ACCESS_KEY="a", LAKE__SECRET_KEY="b")
    assert current().settings.engine == "spark"
    isolated.set(COMPUTE__ENGINE="duckdb")
    refused("compute.engine", "DuckDB works on a lake in a folder", "expected spark or auto")


@pytest.mark.parametrize("memory", ["lots", "2", "2 giga"])
def test_the_memory_of_duckdb_is_a_size(isolated, memory: str) -> None:
    isolated.set(COMPUTE__MEMORY=memory)
    refused("compute.memory", memory, "expected a size, for example 500MB or 2GB")
