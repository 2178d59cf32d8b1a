from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from plugin_sources import HEAD, hook, one, problem
from process_state import forget

import luigi_traffic as lt
from luigi_traffic.commands import plugins as plugins_list
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.project import current


def test_a_folder_plugin_provides_what_it_says(tiny) -> None:
    (found,) = current().plugins.found
    assert (found.name, found.version, found.problem) == ("tiny", "in a folder", None)
    assert found.distribution.endswith("tiny.py")
    assert current().plugins.provider == {"tiny": found, "tiny_model": found}
    assert current().plugins.dataset("tiny").name == "tiny"
    assert current().plugins.model("tiny_model").name == "tiny_model"
    assert [type(d).__name__ for d in current().plugins.manager.hook.luigi_traffic_datasets()] == [
        "list"
    ]


def test_a_distribution_without_name_and_version_stops_nobody(isolated, monkeypatch) -> None:
    """As an installation that broke off leaves it, or one that goes on at this moment."""
    good = SimpleNamespace(
        name="good", dist=SimpleNamespace(metadata={"Name": "a-good-one", "Version": "2"}),
        load=lambda: SimpleNamespace(),
    )  # fmt: skip
    broken = [
        SimpleNamespace(name=name, dist=SimpleNamespace(metadata={}), load=lambda: 1 / 0)
        for name in ("first", "second")
    ]
    monkeypatch.setattr(
        "luigi_traffic.plugins.loading.entry_points", lambda group: [broken[1], good, broken[0]]
    )
    forget()
    found = [(p.name, p.distribution, bool(p.problem)) for p in current().plugins.found]
    assert found == [("first", "?", True), ("second", "?", True), ("good", "a-good-one", False)]


def test_a_package_in_a_folder_imports_its_own_modules(isolated) -> None:
    isolated.plugin("alone", one("alone"))
    folder = isolated.home.parent / "plugins" / "packed"
    folder.mkdir()
    (folder / "inner.py").write_text("NAME = 'packed'\n")
    (folder / "__init__.py").write_text("from .inner import NAME\n" + one("packed"))
    isolated.set()
    assert list(current().plugins.datasets) == ["alone", "packed"]


UNIT = 'speed_unit = "UTC", "km/h"'
OTHER_TARGET = 'target = "UTC", "flow"\n    measures = {"speed": "m/s"}'


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        (hook("1 / 0"), "ZeroDivisionError"),
        (hook("None"), "luigi_traffic_datasets returned None; it must return a list of classes"),
        (hook("42"), "luigi_traffic_datasets returned 42; it must return a list of classes"),
        (one("x").replace("@lt.hookimpl", ""), "decorate it with @luigi_traffic.hookimpl"),
        ("raise SystemExit(3)", "import raised SystemExit: 3"),
        (hook("exit()"), "luigi_traffic_datasets() raised SystemExit"),
        ("luigi_traffic_api = 3\n" + one("x"), "version 3 of the plugin API, and luigi-traffic"),
        ("luigi_traffic_api = 0\n" + one("x"), "has version 2: upgrade the plugin"),
        ("luigi_traffic_api = '1'\n" + one("x"), "it must be a whole number"),
        (one("x").replace("name,", "extra_columns = ('speed',)\n    name,"), "has 'speed'"),
        (one("x").replace("name,", "extra_columns = 'rain'\n    name,"), "a tuple of names"),
        (one("x").replace("name,", "extra_columns = ('xmin',)\n    name,"), "has 'xmin'"),
        (one("x").replace("name,", f"extra_columns = ('{'r' * 64}',)\n    name,"), "64 bytes"),
        (one("x" * 64), f"has 64 bytes, but PostgreSQL allows 63 for the name of a table or column"
         f": shorten it, for example to '{'x' * 63}'"),
        (one("ü" * 32), "has 64 bytes"),
        (hook("[42]"), "luigi_traffic_datasets returned 42, not a Dataset class"),
        (hook("[lt.Model]"), "not a Dataset class"),
        (hook("[lt.Dataset]", "models"), "not a Model class"),
        (one("not a name"), "must be an identifier"),
        (one("x").replace("timezone, speed_unit =", "x ="), "not define timezone"),
        (one("x").replace("timezone, speed_unit", "timezone, x"), "not define measures"),
        (one("x").replace(UNIT, OTHER_TARGET),
         "target is 'flow'; it must be one of speed"),
        (one("x").replace("def bronze", "def brons"), r"Data does not define bronze()"),
        (HEAD + "@lt.hookimpl\ndef luigi_traffic_dataset():\n    return []\n", "unknown hook"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_named_and_stops_nobody(
    isolated, source: str, why: str, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    isolated.plugin("broken", source)
    isolated.plugin("good", one("good"))
    assert why in problem("broken")
    assert "plugin broken" in caplog.text
    assert "is left out" in caplog.text
    assert list(current().plugins.datasets) == ["good"]
    assert current().plugins.dataset("good").name == "good"
    assert not current().plugins.manager.has_plugin("broken")
    with pytest.raises(PluginError) as caught:
        current().plugins.dataset("x")
    assert "no plugin provides the dataset 'x'" in str(caught.value)
    assert "plugin broken (" in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize("stated", ["", "luigi_traffic_api = 1\n"])
def test_the_version_before_works_with_a_warning(isolated, caplog, monkeypatch, stated) -> None:
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    isolated.plugin("older", stated + one("older"))
    assert "older" in current().plugins.datasets
    (said,) = {r.getMessage() for r in caplog.records if "plugin older" in r.getMessage()}
    assert "version 1 of the plugin API" in said
    assert "until version 3" in said and "luigi_traffic_api = 2" in said
    monkeypatch.setattr("luigi_traffic.plugins.checks.API_VERSION", 3)
    isolated.set()
    assert current().plugins.datasets == {}


def test_a_broken_entry_point_is_isolated_too(isolated, monkeypatch) -> None:
    def load() -> None:
        raise ImportError("libtorch is missing")

    dist = SimpleNamespace(metadata={"Name": "traffic-gone", "Version": "2.0"})
    point = SimpleNamespace(name="gone", dist=dist, load=load)
    monkeypatch.setattr("luigi_traffic.plugins.loading.entry_points", lambda group: [point])
    isolated.plugin("good", one("good"))
    found = current().plugins.found[0]
    assert (found.name, found.distribution, found.version) == ("gone", "traffic-gone", "2.0")
    assert found.problem == "import raised ImportError: libtorch is missing"
    assert list(current().plugins.datasets) == ["good"]


def test_a_disabled_plugin_is_not_even_imported(isolated) -> None:
    isolated.plugin("noisy", "raise SystemExit('imported')")
    isolated.set(PLUGINS__DISABLED="[noisy]")
    (found,) = current().plugins.found
    assert (found.disabled, found.problem) == (True, None)
    with pytest.raises(PluginError, match=r"noisy .* is disabled by plugins\.disabled"):
        current().plugins.dataset("noisy")


def test_a_dataset_provided_twice_names_both_and_is_not_guessed(isolated) -> None:
    isolated.plugin("first", one("same", "First"))
    isolated.plugin("second", one("same", "Second"))
    assert "'same' is provided by" in problem("second")
    assert "first.py (first) already" in problem("second")
    with pytest.raises(PluginError, match=r"first\.py \(first\) and by .*second\.py \(second\)"):
        current().plugins.dataset("same")
    isolated.set(PLUGINS__DISABLED="[first]")
    assert type(current().plugins.dataset("same")).__name__ == "Second"


def test_two_plugins_of_one_name_the_first_stays_registered(isolated) -> None:
    isolated.plugin("twin", one("mine"))
    other = isolated.home.parent / "other"
    other.mkdir()
    (other / "twin.py").write_text(one("theirs"))
    isolated.set(PLUGINS__PATH=f"[{isolated.home.parent / 'plugins'}, {other}]")
    assert [bool(f.problem) for f in current().plugins.found] == [False, True]
    assert "already loaded" in (current().plugins.found[1].problem or "")
    assert list(current().plugins.datasets) == ["mine"]
    (provided,) = current().plugins.manager.hook.luigi_traffic_datasets()
    assert [d.name for d in provided] == ["mine"]


def test_a_plugin_folder_that_is_not_there_stops_nobody(tiny, caplog, monkeypatch) -> None:
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    folder = tiny.home.parent / "plugins"
    tiny.set(PLUGINS__PATH=f"[/no/such/folder, {folder}]")
    assert current().plugins.dataset("tiny").name == "tiny"
    told = (
        "plugins.path, set in environment LUIGI_TRAFFIC__PLUGINS__PATH, names /no/such/folder, "
        "which is not a folder"
    )
    assert told in caplog.text
    with pytest.raises(PluginError, match="no plugin provides the dataset 'other'") as caught:
        current().plugins.dataset("other")
    assert f"plugin folder (/no/such/folder) did not load: {told}" in str(caught.value)


@pytest.mark.parametrize("text", ["a: [1\nb: 2", "- a", "links: []\nlinks: []", b"# \xbf\xef"])
@pytest.mark.parametrize(
    ("kind", "other"), [("datasets", "tiny_model"), ("models", "tiny"), ("datasets", "declared")]
)
def test_a_file_that_cannot_be_read_stops_only_who_asks_for_it(
    tiny, caplog, monkeypatch, kind, other, text
) -> None:
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    name = {"tiny_model": "tiny", "tiny": "tiny_model", "declared": "city"}[other]
    file = tiny.write(f"{kind}/{name}.yml", "")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    tiny.set()
    plugins = current().plugins
    # A logger that another test set up hands a record on twice; it is one.
    told = {(r.created, m) for r in caplog.records if "is left out" in (m := r.getMessage())}
    ((_, said),) = told
    assert said.startswith(f"{kind[:-1]} {name} is left out: {file}")
    assert plugins.model("tiny_model") if kind == "datasets" else plugins.dataset("tiny")
    with pytest.raises(SettingsError, match=f"^{file}"):
        plugins.dataset(name) if kind == "datasets" else plugins.model_config(name, {})
    rows = [row for row in plugins_list.rows(current()) if row["name"] == name]
    assert [row["state"] for row in rows][-1] == "failed"
    assert rows[-1]["problem"].startswith(str(file)) and not rows[-1]["datasets"]


def test_unknown_names_have_a_nearest(tiny) -> None:
    with pytest.raises(PluginError, match=r"the dataset 'tyni'\. Did you mean 'tiny'\?"):
        current().plugins.dataset("tyni")
    with pytest.raises(PluginError, match=r"the model 'tiny_modl'\. Did you mean 'tiny_model'\?"):
        current().plugins.model("tiny_modl")
    with pytest.raises(SettingsError, match=r"no dataset is given\. Give --dataset NAME"):
        current().plugins.dataset("")


def test_a_dataset_gets_its_settings_and_their_errors_say_where(tiny) -> None:
    tiny.write("datasets/tiny.yml", "max_speed: 90\nlinks: [1920161400]\n")
    chosen = current().plugins.dataset("tiny").settings
    assert (chosen.max_speed, chosen.links) == (90.0, ["1920161400"])
    file = tiny.write("datasets/tiny.yml", "max_sped: 90\n")
    with pytest.raises(SettingsError) as caught:
        current().plugins.dataset("tiny")
    assert f"unknown setting 'datasets.tiny.max_sped', set in {file}" in str(caught.value)
    assert "Did you mean 'max_speed'?" in str(caught.value)


def test_a_secret_of_a_dataset_comes_from_the_environment_and_is_not_shown(isolated) -> None:
    source = "from pydantic import SecretStr\n" + one("keyed").replace(
        "class Data",
        "class Keyed(lt.DatasetSettings):\n    key: SecretStr | None = None\nclass Data",
    ).replace("    name,", "    Settings = Keyed\n    name,")
    isolated.plugin("keyed", source)
    file = isolated.write("datasets/keyed.yml", "key: hush-hush\n")
    with pytest.raises(
        SettingsError, match=r"datasets\.keyed\.key is set in .*environment"
    ) as caught:
        current().plugins.dataset("keyed")
    assert "hush-hush" not in str(caught.value)
    assert f"{file}:1" in str(caught.value)
    file.unlink()
    isolated.set(DATASETS__KEYED__KEY="[hush-hush]")
    with pytest.raises(
        SettingsError, match=r"'datasets\.keyed\.key' is set in environment"
    ) as caught:
        current().plugins.dataset("keyed")
    assert "hush-hush" not in str(caught.value)
    isolated.set(DATASETS__KEYED__KEY="hush-hush")
    assert lt.installed_dataset("keyed").settings.key.get_secret_value() == "hush-hush"


def test_training_is_laid_over_the_models_file(tiny) -> None:
    tiny.write("models/tiny_model.yml", "hidden: 8\nepochs: 3\n")
    config = current().plugins.model_config("tiny_model", {"epochs": 1})
    assert (config.hidden, config.epochs) == (8, 1)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"epoch": 1}, r"--training: epoch: .*Did you mean 'epochs'\?"),
        ({"epochs": "many"}, r"--training: epochs: .*valid integer.*given: 'many'"),
        ({"epochs": 0}, r"--training: epochs: .*greater than or equal to 1.*given: 0"),
        ({"loss": "mea"}, r"--training: loss: .*'mae'.*given: 'mea'"),
    ],
)
def test_wrong_training_is_told_with_the_key(tiny, training: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        current().plugins.model_config("tiny_model", training)
    assert "- --training" in str(caught.value)


def test_a_wrong_model_file_is_told_as_settings_are(tiny) -> None:
    file = tiny.write("models/tiny_model.yml", "hiden: 8\n")
    with pytest.raises(SettingsError, match=rf"'models\.tiny_model\.hiden', set in {file}"):
        current().plugins.model_config("tiny_model", {})
