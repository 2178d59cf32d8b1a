"""What `luigi-traffic new` makes, as a user takes it: made, installed, tested, run, uninstalled.

In a virtual environment of its own that sees the packages of this one, so that what is installed
here is installed nowhere else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from homes import REPOSITORY, LocalHome
from small import SMALL

from luigi_traffic import scaffold

#: The suites and the run are a minute's work each, and more where others share the cores.
pytestmark = pytest.mark.timeout(600)
#: Without a network: what builds a package is here already.
INSTALL = "pip install --quiet --disable-pip-version-check --no-build-isolation"
RUN = (
    "luigi --module luigi_traffic.run FullPipeline --dataset demo_city --model demo_model "
    "--date 2024-05-03 --window-days 2 --local-scheduler "
    """--training '{"epochs": 1, "samples_per_epoch": 500, "evaluation_windows": 50}'"""
)


@dataclass
class Desk:
    """A working directory with nothing in it, a virtual environment and a home."""

    folder: Path
    venv: Path
    home: LocalHome

    def shell(self, script: str, **more: str) -> tuple[int, str]:
        """Exit code and output of a line as a user types it."""
        ours = {k: v for k, v in os.environ.items() if not k.startswith("LUIGI_TRAFFIC")}
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, text=True, timeout=550,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=ours | SMALL | {
                "LUIGI_TRAFFIC_HOME": str(self.home.path),
                "LUIGI_CONFIG_PATH": str(REPOSITORY / "luigi.cfg"),
                "PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
            } | more,
        )  # fmt: skip
        return done.returncode, done.stdout

    def plugins(self, *names: str, **more: str) -> list[dict]:
        """The rows of `plugins list` that have these names, in their order."""
        code, output = self.shell("luigi-traffic plugins list --json 2>/dev/null", **more)
        assert code == 0, output
        rows = {row["name"]: row for row in json.loads(output)}
        return [rows[name] for name in names if name in rows]


def make_venv(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    inside = Path(sysconfig.get_path("purelib", "venv", {"base": folder, "platbase": folder}))
    # addsitedir, and not the path alone: editable installs there are .pth files of their own.
    (inside / "outer.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    # The console scripts there name the other interpreter; -P: like them, the folder that one is
    # in is not searched for modules.
    for command, module in {
        "luigi-traffic": "luigi_traffic.cli", "luigi": "luigi", "pytest": "pytest", "pip": "pip",
    }.items():  # fmt: skip
        script = folder / "bin" / command
        script.write_text(f'#!/bin/sh\nexec {folder}/bin/python -P -m {module} "$@"\n')
        script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def desk(tmp_path_factory, make_home) -> Iterator[Desk]:
    """Tests of this file go on from one another: what one has made the next one runs."""
    folder = tmp_path_factory.mktemp("desk")
    venv = make_venv(tmp_path_factory.mktemp("venv") / "venv")
    return Desk(folder, venv, make_home("new"))


def test_a_dataset_is_made_installed_and_passes_its_tests(desk) -> None:
    code, output = desk.shell(
        f"luigi-traffic new dataset demo_city && {INSTALL} ./demo_city && pytest demo_city"
    )
    assert code == 0, output
    assert " passed" in output and "failed" not in output
    (row,) = desk.plugins("demo_city")
    assert (row["distribution"], row["state"]) == ("demo-city", "loaded")
    assert (row["datasets"], row["models"]) == (["demo_city"], [])


def test_a_model_too_by_the_steps_that_were_printed(desk) -> None:
    code, output = desk.shell("luigi-traffic new model demo_model")
    assert code == 0, output
    install, test, _ = [line.strip() for line in output.splitlines() if line[:2] == "  "][-3:]
    code, output = desk.shell(f"{install.replace('pip install', INSTALL)} && {test}")
    assert code == 0, output
    assert " passed" in output and "failed" not in output
    # Beside the folder demo_model, which is no package: an editable install must win against it.
    code, output = desk.shell("python -c 'import demo_model; print(demo_model.DemoModel.name)'")
    assert (code, output) == (0, "demo_model\n")
    (row,) = desk.plugins("demo_model")
    assert (row["distribution"], row["state"]) == ("demo-model", "loaded")
    assert (row["datasets"], row["models"]) == ([], ["demo_model"])


def test_together_they_run_to_a_forecast(desk) -> None:
    code, output = desk.shell(RUN)
    assert code == 0, output
    kinds = desk.home.sql(
        "SELECT kind, count(DISTINCT link_id), min(speed) > 0, max(speed) < 130, min(model) "
        "FROM forecast.demo_city GROUP BY kind ORDER BY kind"
    )
    assert kinds == [
        ("next", 6, True, True, "demo_model"), ("rolling", 6, True, True, "demo_model"),
    ]  # fmt: skip
    bronze = desk.home.manifests("bronze")
    assert len(bronze) == 2
    for manifest in bronze:  # the example shows what rejecting is
        assert set(manifest["rejected"]) == {"no observation", "implausible speed"}
    merged, neighbours = desk.home.sql(
        "SELECT count(*) FILTER (WHERE n_obs > 1), count(t1) FROM gold.demo_city"
    )[0]
    assert merged and neighbours


def test_disabled_by_plugin_or_distribution_it_is_listed_so_and_a_run_says_why(desk) -> None:
    for named in ("demo_city", "demo-city"):
        off = {"LUIGI_TRAFFIC__PLUGINS__DISABLED": f"[{named}]"}
        row, other = desk.plugins("demo_city", "demo_model", **off)
        assert (row["state"], row["problem"], row["datasets"]) == ("disabled", None, [])
        assert other["state"] == "loaded"
    code, output = desk.shell(RUN, **off)
    assert code not in (0, None)
    assert "no plugin provides the dataset 'demo_city'" in output
    assert "plugin demo_city (demo-city) is disabled by plugins.disabled" in output
    assert "Traceback" not in output


def test_its_name_is_taken_while_it_is_installed(desk) -> None:
    code, output = desk.shell("luigi-traffic new model demo_city --folder elsewhere")
    assert code == 1
    assert "'demo_city' is taken by the plugin demo_city (demo-city 0.1.0)" in output
    assert not (desk.folder / "elsewhere").exists()


def test_uninstalled_it_is_gone_and_a_run_says_so(desk) -> None:
    code, output = desk.shell("pip uninstall --quiet --yes demo-city")
    assert code == 0, output
    (row,) = desk.plugins("demo_city", "demo_model")
    assert (row["name"], row["state"]) == ("demo_model", "loaded")
    code, output = desk.shell(RUN)
    assert code not in (0, None)
    assert "no plugin provides the dataset 'demo_city'" in output
    assert "disabled" not in output and "Traceback" not in output


def test_an_installed_luigi_traffic_brings_the_templates(tmp_path) -> None:
    """A wheel, from a copy: building leaves files behind."""
    source = tmp_path / "source"
    shutil.copytree(
        REPOSITORY / "luigi_traffic", source / "luigi_traffic",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", tmp_path, source], check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    for kind in ("dataset", "model"):
        assert scaffold.templates(kind)
        for template in scaffold.templates(kind):
            assert f"luigi_traffic/scaffold/templates/{kind}/{template.as_posix()}" in packed
