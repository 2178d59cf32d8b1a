from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from luigi_traffic import API_VERSION, scaffold
from luigi_traffic.cli import app
from luigi_traffic.commands.new import check_name, new, suggested
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.project import current

REPOSITORY = Path(__file__).parents[3]
KINDS = ("dataset", "model")


@pytest.fixture
def here(tiny, tmp_path, monkeypatch) -> Path:
    """An empty working directory; the dataset `tiny` and the model `tiny_model` are installed."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def everything(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


@pytest.mark.parametrize("name", ["demo_city", "a", "x2", "pems_bay_7", "m" * 28])
def test_names_that_do(name) -> None:
    check_name("dataset", name)


@pytest.mark.parametrize(
    ("name", "why", "instead"),
    [
        ("Demo-City", "small letters", "demo_city"),
        ("DemoCity", "small letters", "demo_city"),
        ("METR-LA", "small letters", "metr_la"),
        ("demo city", "small letters", "demo_city"),
        ("demo__city", "single underscores", "demo_city"),
        ("_demo", "begins with a letter", "demo"),
        ("demo_", "single underscores", "demo"),
        ("2nd", "begins with a letter", "dataset_2nd"),
        ("Zürich", "small letters", "zurich"),
        ("서울", "small letters", "my_dataset"),
        ("", "small letters", "my_dataset"),
        ("../up", "small letters", "up"),
        ("class", "a Python keyword", "dataset_class"),
        ("tests", "the folder tests", "dataset_tests"),
        ("off", "a settings file reads it as False", "dataset_off"),
        ("m" * 29, "longer than 28", "m" * 28),
    ],
)
def test_names_that_do_not_and_one_that_does(name, why, instead) -> None:
    with pytest.raises(SettingsError) as caught:
        check_name("dataset", name)
    told = str(caught.value)
    assert told.startswith(repr(name)) and why in told
    assert told.endswith(f"Did you mean {instead}?")
    check_name("dataset", suggested("dataset", name))


@pytest.mark.parametrize("taken", ["tiny", "tiny_model", "json", "torch", "luigi_traffic"])
def test_a_name_that_something_else_has(here, taken) -> None:
    with pytest.raises((PluginError, SettingsError), match=rf"^'{taken}' is ") as caught:
        new(current(), "model", taken)
    assert "another name" in str(caught.value)
    assert everything(here) == []


def test_a_name_of_a_plugin_that_did_not_load_or_is_disabled(here, tiny) -> None:
    tiny.plugin("broken", "1 / 0")
    tiny.plugin("idle", "")
    tiny.set(PLUGINS__DISABLED="[idle]")
    for name in ("broken", "idle"):
        with pytest.raises(PluginError, match=f"'{name}' is taken by the plugin {name}"):
            new(current(), "dataset", name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_holds_something_is_left_as_it_is(here, kind) -> None:
    (here / "demo").mkdir()
    (here / "demo" / "mine.txt").write_text("mine")
    with pytest.raises(SettingsError, match=r"is not empty, .*Move it away, or .*--folder"):
        new(current(), kind, "demo")
    (here / "file").write_text("mine")
    with pytest.raises(SettingsError, match=r"exists and is not a folder, .*--folder"):
        new(current(), kind, "demo", Path("file"))
    assert everything(here) == ["demo", "demo/mine.txt", "file"]


def test_folders_that_cannot_be(here) -> None:
    with pytest.raises(
        SettingsError, match=r"the folder .*/none, which should contain demo, does not exist"
    ):
        new(current(), "model", "demo", Path("none/demo"))
    with pytest.raises(SettingsError, match=r"is the current folder.*--folder work"):
        new(current(), "model", "demo", Path())
    assert everything(here) == []


def test_an_empty_folder_and_one_with_another_name_are_taken(here) -> None:
    (here / "demo").mkdir()
    assert new(current(), "dataset", "demo").folder == here / "demo"
    (here / "my place").mkdir()
    made = new(current(), "model", "other", Path("my place/x"))
    assert (made.folder / "other" / "model.py").is_file()
    assert made.next_steps[:2] == ("pip install -e './my place/x'", "pytest './my place/x'")
    # As any other folder: not the private one that a temporary folder is.
    assert made.folder.stat().st_mode == (here / "my place").stat().st_mode


@pytest.mark.parametrize("failing", [1, 4, "rename"])
def test_a_failure_leaves_nothing(here, monkeypatch, failing) -> None:
    written = []
    write, rename = Path.write_text, Path.replace

    def full(self: Path, *args, **more):
        written.append(self)
        if len(written) == failing:
            raise OSError(28, "No space left on device")
        return write(self, *args, **more)

    def late(self: Path, target: Path):
        if failing == "rename":
            write(target, "somebody was faster")
        return rename(self, target)

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(Path, "replace", late)
    with pytest.raises(SettingsError, match=r"cannot create the folder .*/demo: (No space|Not a)"):
        new(current(), "dataset", "demo")
    assert written
    assert everything(here) == (["demo"] if failing == "rename" else [])


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_whole_and_compiles(here, kind) -> None:
    made = new(current(), kind, "trial_city")
    assert len(made.files) == len(scaffold.templates(kind)) == 6
    assert {f.as_posix() for f in made.files} == {
        name for name in everything(made.folder) if (made.folder / name).is_file()
    }
    for file in made.files:
        text = (made.folder / file).read_text(encoding="utf-8")
        assert text.endswith("\n") and not text.endswith("\n\n")
        assert not re.search(r"\{\{|\{%|NAME", text), file
        if file.suffix == ".py":
            ast.parse(text)
    project = tomllib.loads((made.folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "trial-city"
    assert project["project"]["entry-points"]["luigi_traffic"] == {"trial_city": "trial_city"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_loads_and_provides_its_name(here, tiny, kind, monkeypatch) -> None:
    """From a folder of plugins.path: an installed one is the end-to-end test's affair."""
    made = new(current(), kind, "trial_city")
    tiny.set(PLUGINS__PATH=f"[{made.folder}]")
    (found,) = current().plugins.found
    assert (found.name, found.problem) == ("trial_city", None)
    assert list(getattr(current().plugins, f"{kind}s")) == ["trial_city"]
    stated = current().plugins.manager.get_plugin("trial_city").luigi_traffic_api
    assert stated == API_VERSION


def test_the_made_up_days_are_the_same_each_time(here, tiny) -> None:
    from datetime import date

    made = new(current(), "dataset", "trial_city")
    tiny.set(PLUGINS__PATH=f"[{made.folder}]")

    def day(number: int, seed: int = 0) -> list[str]:
        tiny.set(DATASETS__TRIAL_CITY__SEED=str(seed))
        dataset = current().plugins.dataset("trial_city")
        with dataset.source().open(date(2024, 5, number)) as streams:
            text = b"".join(chunk for s in streams for chunk in s.chunks).decode()
        first, *rows = text.splitlines()
        assert dataset.header(first)
        return rows

    rows = day(1)
    assert rows == day(1) != day(2) != day(2, seed=1)
    assert 288 * 6 < len(rows) < 288 * 6 * 1.05  # a few come twice
    speeds = [float(row.split(",")[2]) for row in rows]
    assert {-1.0, 999.0} < set(speeds)
    assert all(5 < speed < 75 for speed in speeds if speed not in (-1, 999))
    at = {hour: [s for row, s in zip(rows, speeds, strict=True) if row[11:13] == hour and s > 0
                 and s < 999] for hour in ("03", "08")}  # fmt: skip
    assert sum(at["08"]) / len(at["08"]) < 0.8 * sum(at["03"]) / len(at["03"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a_city", "zoo", "m" * 28])  # around luigi_traffic; long
@pytest.mark.parametrize("own_rules", [True, False])
def test_what_is_made_passes_ruff(here, kind, name, own_rules) -> None:
    made = new(current(), kind, name)
    rules = [] if own_rules else ["--config", str(REPOSITORY / "pyproject.toml")]
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [Path(sys.executable).with_name("ruff"), *words, *rules, "."],
            cwd=made.folder, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_rules_of_a_package_are_those_of_this_repository(here, kind) -> None:
    ours, theirs = (
        tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["ruff"]
        for folder in (REPOSITORY, new(current(), kind, "demo").folder)
    )
    assert theirs["line-length"] == ours["line-length"]
    assert theirs["target-version"] == ours["target-version"]
    assert theirs["lint"]["select"] == ours["lint"]["select"]
    assert theirs["lint"]["ignore"] == ours["lint"]["ignore"]


def test_the_next_steps_are_printed(here) -> None:
    done = CliRunner().invoke(app, ["new", "dataset", "trial_city"])
    assert done.exit_code == 0, done.output
    install, test, run = [line for line in done.stdout.splitlines() if line.startswith("  ")][-3:]
    assert (install, test) == ("  pip install -e ./trial_city", "  pytest ./trial_city")
    assert shlex.split(run) == [
        "luigi", "--module", "luigi_traffic.run", "FullPipeline", "--dataset", "trial_city",
        "--model", "tiny_model", "--window-days", "3", "--training", '{"epochs": 2}',
        "--local-scheduler",
    ]  # fmt: skip
    assert run.strip() in (here / "trial_city" / "README.md").read_text()
    assert "--model: tiny_model" in done.stdout


def test_the_other_part_of_a_run_is_the_one_of_the_settings(here, tiny) -> None:
    tiny.plugin("zoo", (tiny.home.parent / "plugins" / "tiny.py").read_text()
                .replace('"tiny"', '"zoo"').replace('"tiny_model"', '"zoo_model"'))  # fmt: skip
    assert "--dataset tiny --model demo " in new(current(), "model", "demo").next_steps[2]
    tiny.set(PIPELINE__DATASET="zoo")
    made = new(current(), "model", "demo_2")
    assert "--dataset zoo --model demo_2 " in made.next_steps[2]
    assert made.choice == "--dataset: tiny, zoo"
    tiny.set(PLUGINS__PATH="[]")
    made = new(current(), "model", "demo_3")
    assert "--dataset DATASET --model demo_3 " in made.next_steps[2]
    assert "luigi-traffic new dataset" in made.choice


def test_a_wrong_name_is_one_message_and_exit_code_1(empty, tmp_path) -> None:
    target = tmp_path / "target"
    done = empty.command("new", "dataset", "Demo-City", "--folder", str(target))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("luigi-traffic: 'Demo-City' cannot be the name of a dataset")
    assert "Did you mean demo_city?" in done.stderr and "Traceback" not in done.stderr
    assert not target.exists()
