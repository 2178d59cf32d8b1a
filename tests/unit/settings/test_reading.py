from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from luigi_traffic.errors import SettingsError
from luigi_traffic.project import current
from luigi_traffic.settings.reading import Layers, home, validated


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    speed: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner | None = None
    needed: str


def test_every_value_knows_where_it_was_set(isolated) -> None:
    base = isolated.write("base.yml", "# of all\na: {b: 1,\n    c: 2}\n")
    data = isolated.write("datasets/tiny.yml", "x:\n- 1\n- 2\n")
    isolated.set(A__C="3")
    found = current().layers
    assert found.values == {"a": {"b": 1, "c": "3"}, "datasets": {"tiny": {"x": [1, 2]}}}
    assert found.place_of("a.b") == f"{base}:2"
    assert found.place_of("a.c") == "environment LUIGI_TRAFFIC__A__C"
    assert found.place_of("datasets.tiny.x") == f"{data}:1"
    assert found.place_of("datasets.tiny.x.1") == f"{data}:3"
    assert found.place_of("a.b.deeper") == f"{base}:2"
    assert found.place_of("never.set") is None


def test_places_are_listed_in_the_order_they_are_read(isolated) -> None:
    isolated.write("local.yml", "")
    isolated.write("models/b.yml", "")
    isolated.write("datasets/z.yml", "")
    isolated.write("datasets/a.yml", "")
    read = ("local.yml", "datasets/a.yml", "datasets/z.yml", "models/b.yml")
    assert current().layers.places == [
        "packaged defaults",
        f"{isolated.conf / 'base.yml'} (absent)",
        *[str(isolated.conf / name) for name in read],
        "environment LUIGI_TRAFFIC__…",
    ]


def test_a_mapping_over_a_value_and_a_value_over_a_mapping(isolated) -> None:
    isolated.write("base.yml", "a: 1\nb: {c: 1}\nkeep: {x: 1, y: 2}\n")
    isolated.write("local.yml", "a: {d: 2}\nb: 3\nkeep: {y: 3}\n")
    assert current().layers.values == {"a": {"d": 2}, "b": 3, "keep": {"x": 1, "y": 3}}


def test_what_an_earlier_layer_set_below_a_value_is_forgotten(isolated) -> None:
    isolated.write("base.yml", "a: [1, 2]\nb: {c: 1}\n")
    local = isolated.write("local.yml", "a: 3\nb: 4\n")
    found = current().layers
    assert found.place_of("a.1") == f"{local}:1"
    assert found.place_of("b.c") == f"{local}:2"


def test_a_key_given_twice_is_told_with_both_lines(isolated) -> None:
    file = isolated.write("base.yml", "spark:\n  master: a\n  remote: b\n  master: c\n")
    with pytest.raises(SettingsError) as caught:
        _ = current().layers
    assert str(caught.value) == f"{file}, line 4: 'spark.master' is already given in line 2"


def test_the_variable_of_a_key() -> None:
    assert Layers.variable("warehouse.password") == "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD"


def test_each_wrong_key_has_its_paragraph(isolated) -> None:
    isolated.set(TOP__INNER__SPED="1", TOP__MORE="2")
    with pytest.raises(SettingsError) as caught:
        validated(Outer, current().layers.values["top"], "top", current().layers)
    text = str(caught.value)
    assert "unknown setting 'top.inner.sped'" in text
    assert "Did you mean 'speed'?" in text
    assert "unknown setting 'top.more'" in text
    assert "setting 'top.needed' is missing. Set LUIGI_TRAFFIC__TOP__NEEDED" in text


def test_home_is_absolute_wherever_it_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LUIGI_TRAFFIC_HOME", raising=False)
    assert home() == tmp_path / ".luigi_traffic"
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", "state")
    assert home() == tmp_path / "state"
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", "~/x")
    assert home() == Path.home() / "x"


@pytest.mark.parametrize("name", ["base", "local", "datasets/tiny", "models/net"])
def test_either_suffix_is_read_and_both_are_refused(isolated, name: str) -> None:
    file = isolated.write(f"{name}.yaml", "pipeline: 1\n")
    found = current().layers
    assert str(file) in found.places
    path = (
        ".".join([*name.split("/")[:-1], *name.split("/")[1:], "pipeline"]) if "/" in name else ""
    )
    assert found.place_of(path or "pipeline") == f"{file}:1"
    isolated.write(f"{name}.yml", "")
    if "/" in name:  # stops only who asks for that dataset or model
        section, _, of = name.partition("/")
        named, error = current().layers.unreadable[section, of]
        assert named == file
    else:
        with pytest.raises(SettingsError) as refused:
            _ = current().layers
        error = refused.value
    told = str(error)
    assert f"both {file} and {file.stem}.yml" in told
    assert "remove the other" in told


def test_a_profile_may_have_either_suffix(isolated, monkeypatch) -> None:
    file = isolated.write("stack.yaml", "a: 1\n")
    monkeypatch.setenv("LUIGI_TRAFFIC_PROFILE", "stack")
    assert current().layers.place_of("a") == f"{file}:1"
    monkeypatch.setenv("LUIGI_TRAFFIC_PROFILE", "stak")
    current.cache_clear()
    with pytest.raises(SettingsError, match="Did you mean 'stack'"):
        _ = current().layers
