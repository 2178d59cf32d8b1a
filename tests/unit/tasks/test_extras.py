"""An installation of the core alone: what needs no extra works, and what does names it."""

from __future__ import annotations

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from luigi_traffic import errors

SETUP = Path(__file__).parents[3] / "setup.cfg"
#: A Python in which the packages of all extras are not installed.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def core(tiny, tmp_path: Path):
    """Runs a Python module in such an installation; (exit code, standard output, all it said)."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITHOUT.format(names=set(errors._EXTRAS)))
    (tmp_path / "20240531.csv").write_text("time,link,speed\n00:00,a,50\n")
    tiny.set(DATASETS__TINY__GLOB=f"{tmp_path}/{{date}}.csv", INGEST__SETTLE_SECONDS="0")
    path = os.pathsep.join([str(folder), str(SETUP.parent)])

    def run(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", *words], env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stdout + done.stderr

    return run


def test_the_core_ingests_and_shows(core) -> None:
    luigi = ("luigi", "--module", "luigi_traffic.run")
    day = ("--dataset", "tiny", "--date", "2024-05-31", "--local-scheduler")
    code, _, said = core(*luigi, "Bronze", *day)
    assert code == 30, said
    assert "raw tiny 2024-05-31: 1 rows" in said
    assert "the package 'duckdb' is not installed" in said
    assert "pip install 'luigi-traffic[duckdb]'" in said
    cli = "luigi_traffic.cli"
    for words, expected in (
        (("status", "--dataset", "tiny"), "2024-05-31"),
        (("query", "SELECT 41 + 1 AS answer"), "42"),
        (("plugins", "list"), "tiny_model"),
        (("settings",), "pipeline.dataset"),
    ):
        code, out, said = core(cli, *words)
        assert code == 0, said
        assert expected in out, said
    code, out, said = core(cli, "doctor")
    assert code == 1, said
    assert "luigi-traffic[duckdb]" in out, said
    assert "Traceback" not in said


def test_a_command_that_needs_an_extra_names_it(core, tiny) -> None:
    tiny.set(LAKE__KIND="s3", LAKE__ACCESS_KEY="someone", LAKE__SECRET_KEY="something")
    code, _, said = core("luigi_traffic.cli", "status")
    assert code == 1
    assert said.count("pip install 'luigi-traffic[stack]'") == 1, said
    assert "Traceback" not in said


@pytest.mark.parametrize("part", ["lake", "events"])
def test_a_run_whose_stores_need_an_extra_names_it(core, tiny, part: str) -> None:
    """Already when Luigi asks what is complete, or when the day is announced."""
    if part == "lake":
        tiny.set(LAKE__KIND="s3", LAKE__ACCESS_KEY="someone", LAKE__SECRET_KEY="something")
    else:
        tiny.set(EVENTS__KIND="kafka")
    day = ("--dataset", "tiny", "--date", "2024-05-31", "--local-scheduler")
    code, _, said = core("luigi", "--module", "luigi_traffic.run", "AnnounceRaw", *day)
    assert code == (35 if part == "lake" else 30), said
    assert "pip install 'luigi-traffic[stack]'" in said
    assert "Traceback" not in said


def test_a_plugin_that_needs_one_is_left_out_by_its_name(core, tiny) -> None:
    source = (tiny.home.parent / "plugins" / "tiny.py").read_text(encoding="utf-8")
    tiny.plugin("other", "import torch\n" + source)
    code, _, said = core("luigi_traffic.cli", "plugins", "list")
    assert code == 0, said
    assert "plugin other" in said
    assert "pip install 'luigi-traffic[training]'" in said


def test_every_extra_that_is_named_exists_and_brings_the_package() -> None:
    setup = ConfigParser()
    setup.read(SETUP)
    extras = setup["options.extras_require"]
    names = {"kafka": "kafka-python", "grpc": "pyspark[connect]"}
    for package, extra in errors._EXTRAS.items():
        wanted = extras[extra]
        found = extras["training"] if extra == "all" else wanted
        assert names.get(package, package.replace("_", "-")) in found
