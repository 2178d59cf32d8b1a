from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from luigi_traffic.api.version import __version__
from luigi_traffic.cli import app

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"
#: Commands that are there only where their plugin is.
OF_PLUGINS = {"simulate", "its-sim-serve", "its-openapi-collect"}
READING = (
    ["plugins", "list"], ["status"], ["query", "SELECT 1 AS one"], ["lineage"], ["settings"],
    ["doctor"], ["gc", "--dry-run"],
)  # fmt: skip


def all_commands() -> dict[str, Any]:
    """Every command with its full name, those of plugins too."""
    group: Any = typer.main.get_command(app)
    found = {}
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        for inner in getattr(command, "commands", {}):
            found[f"{name} {inner}"] = command.commands[inner]
        if not getattr(command, "commands", None):
            found[name] = command
    return found


@pytest.fixture
def commands(empty):
    return all_commands()


def test_every_command_has_help_with_an_example_and_says_what_its_options_are(commands):
    assert "status" in commands and "plugins list" in commands
    for name, command in commands.items():
        if name in OF_PLUGINS:
            continue  # their plugins' own tests look at them
        assert re.search(rf"^\s*luigi-traffic {name}\b", command.help or "", re.MULTILINE), name
        for parameter in command.params:
            assert getattr(parameter, "help", "") or parameter.name == "name", (name, parameter)


def test_docs_have_a_section_for_every_command_and_for_no_other(commands):
    text = DOCS.read_text(encoding="utf-8")
    sections = re.findall(r"^## `luigi-traffic ([a-z -]+?)`$", text, re.MULTILINE)
    assert len(sections) == len(set(sections))
    # The test's own plugin is documented nowhere; others' commands only while they are installed.
    assert set(commands) - {"greet-people"} - OF_PLUGINS == set(sections) - OF_PLUGINS
    for name in sections:  # what it does and its options: tests/unit/test_docs_site.py
        assert f"## `luigi-traffic {name}`\n\n<!-- command: {name} -->\n" in text


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_json_is_a_list_of_objects_and_nothing_else(filled, words):
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert isinstance(rows, list)
    assert all(isinstance(row, dict) for row in rows)
    assert rows or words[0] == "gc"


def test_json_alone_is_on_stdout_though_there_is_something_to_tell(filled):
    (filled.plugin_folder / "zz_broken.py").write_text("raise ValueError('not ready')")
    try:
        done = filled.command("status", "--json")
    finally:
        (filled.plugin_folder / "zz_broken.py").unlink()
    assert "not ready" in done.stderr
    assert {row["kind"] for row in json.loads(done.stdout)} == {"partition", "model"}


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_no_colours_where_output_is_piped(filled, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.stdout
    assert done.stdout.strip()


@pytest.mark.parametrize("words", [["--help"], ["status"], ["lineage"]])
def test_start_is_light(filled, words):
    program = (
        "import sys; sys.argv = ['luigi-traffic', *sys.argv[1:]]\n"
        "from luigi_traffic.cli import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "heavy = {'torch', 'mlflow', 'pyspark', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=filled.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_version():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output.strip()) == (0, f"luigi-traffic {__version__}")


def test_commands_of_plugins(empty):
    done = empty.command("greet-people", "--name", "Ann")
    assert (done.returncode, done.stdout) == (0, "hello Ann\n")
    assert "greet-people" in empty.command("--help").stdout
    (tiny,) = [p for p in json.loads(empty.command("plugins", "list", "--json").stdout)
               if p["name"] == "tiny_plugin"]  # fmt: skip
    assert (tiny["datasets"], tiny["models"]) == (["tiny"], ["tiny_model"])
    assert (tiny["commands"], tiny["state"]) == (["greet-people"], "loaded")


def test_an_error_is_one_message_and_exit_code_1(empty):
    done = empty.command("greet-people", "--name", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "luigi-traffic: there is nobody to greet\n"


def test_a_plugin_whose_hook_fails_does_not_take_the_others_along(empty):
    (empty.plugin_folder / "bad_hook.py").write_text(
        "from luigi_traffic import hookimpl\n@hookimpl\n"
        "def luigi_traffic_commands():\n    raise RuntimeError('boom')\n"
    )
    (empty.plugin_folder / "zz_same_name.py").write_text(
        "from luigi_traffic import hookimpl\ndef greet_people(): pass\n@hookimpl\n"
        "def luigi_traffic_commands():\n    return [greet_people]\n"
    )
    done = empty.command("greet-people")
    assert done.returncode == 0
    assert "bad_hook" in done.stderr and "boom" in done.stderr
    assert "left out" in done.stderr  # the second greet-people, whichever it is


def test_a_plugin_that_does_not_load_is_listed_with_the_reason(empty):
    (empty.plugin_folder / "broken.py").write_text("raise ValueError('[not] ready')")
    rows = json.loads(empty.command("plugins", "list", "--json").stdout)
    (broken,) = [row for row in rows if row["name"] == "broken"]
    assert broken["state"] == "failed" and "[not] ready" in broken["problem"]
    assert "[not] ready" in empty.command("plugins", "list", COLUMNS="200").stdout


def test_help_comes_up_with_wrong_settings_and_commands_say_what_is_wrong(empty):
    helped = empty.command("--help", LUIGI_TRAFFIC__LAKE__PAHT="x")
    assert helped.returncode == 0 and "status" in helped.stdout
    for words in (["status"], ["greet-people"]):
        done = empty.command(*words, LUIGI_TRAFFIC__LAKE__PAHT="x")
        assert done.returncode == 1
        assert "lake.paht" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["status", "--from", "yesterday"], ["query"], ["query", "x", "--csv", "--json"]],
)
def test_wrong_usage_is_exit_code_2(empty, words):
    done = empty.command(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage:" in done.stderr
