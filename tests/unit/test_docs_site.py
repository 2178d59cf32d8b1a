"""The documentation site: it builds without a warning and says all that the code has."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

import luigi_traffic
from luigi_traffic import run
from luigi_traffic.cli import app
from luigi_traffic.plugins import hookspecs
from luigi_traffic.plugins.hookspecs import PROJECT
from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.settings.keys import Settings
from luigi_traffic.settings.reading import Layers

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A warning of MkDocs is an error."""
    folder = tmp_path_factory.mktemp("site")
    ours = {k: v for k, v in os.environ.items() if not k.startswith("LUIGI_TRAFFIC")}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=REPOSITORY, env=ours | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).strip() == ""
    return folder


def codes(page: Path) -> set[str]:
    """What stands in `code` on a page."""
    text = page.read_text(encoding="utf-8")
    return {html.unescape(code) for code in re.findall(r"<code>([^<]+)</code>", text)}


def keys(prefix: str, model: type[BaseModel]) -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys(f"{prefix}{name}.", inner)
        elif name not in ("datasets", "models"):
            found.add(prefix + name)
    return found


def commands(group: Any = None, prefix: str = "") -> dict[str, Any]:
    """Every command by its full name, those of plugins too."""
    group = group or typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            found |= commands(command, f"{prefix}{name} ")
        else:
            found[prefix + name] = command
    return found


def test_every_setting_has_its_key_variable_and_description(site: Path) -> None:
    wanted = keys("", Settings)
    loaded = Plugins.load(Settings(), Layers())
    for name, dataset in loaded.datasets.items():
        wanted |= keys(f"datasets.{name}.", dataset.Settings)
    for name, model in loaded.models.items():
        wanted |= keys(f"models.{name}.", model.Config)
    assert {"spark.master", "datasets.its.links", "models.convlstm.hidden"} <= wanted
    shown = codes(site / "settings.html")
    assert wanted - shown == set()
    assert "LUIGI_TRAFFIC__DATASETS__ITS_SIM__SEED" in shown
    variables = {"LUIGI_TRAFFIC__" + key.replace(".", "__").upper() for key in wanted}
    assert variables - shown == set()
    text = (site / "settings.html").read_text(encoding="utf-8")
    rows = [
        re.findall(r"<td>(.*?)</td>", row, re.S) for row in re.findall(r"<tr>.*?</tr>", text, re.S)
    ]
    told = {html.unescape(re.findall(r"<code>([^<]+)", row[0])[0]): row[3] for row in rows if row}
    assert {key for key in wanted if not told[key].strip()} == set()
    assert "{date}" in html.unescape(told["datasets.its.url_template"])


def test_every_command_and_task_has_all_its_options(site: Path) -> None:
    command_options = {
        name: {o for p in command.params for o in p.opts if o.startswith("--")}
        for name, command in commands().items()
    }
    assert {"status", "plugins list", "simulate"} <= command_options.keys()
    text = (site / "cli.html").read_text(encoding="utf-8")
    sections = {
        html.unescape(name): section
        for name, section in re.findall(
            r"<h2 [^>]*><code>luigi-traffic ([^<]+)</code>(.*?)(?=<h2|</article>)", text, re.S
        )
    }
    assert sections.keys() == command_options.keys()
    for name, options in command_options.items():
        shown = {
            code.split()[0]
            for code in re.findall(r"<td><code>(--[a-z][^<]*)</code>", sections[name])
        }
        assert shown == options, name
    tasks = codes(site / "cli.html")
    for task in run.__all__:
        assert task in tasks
        for parameter, _ in getattr(run, task).get_params():
            assert f"--{parameter.replace('_', '-')}" in tasks
    assert 'for example {"epochs": 5}' in html.unescape(text)


def test_every_hook_and_decision_has_a_page(site: Path) -> None:
    hooks = {name for name, f in vars(hookspecs).items() if hasattr(f, f"{PROJECT}_spec")}
    assert hooks
    menu = (site / "index.html").read_text(encoding="utf-8")
    for name in hooks:
        assert f'href="hooks/{name}.html"' in menu
        page = (site / "hooks" / f"{name}.html").read_text(encoding="utf-8")
        assert f"<code>{name}(" in page
    listed = (site / "decisions" / "index.html").read_text(encoding="utf-8")
    for record in (REPOSITORY / "docs" / "decisions").glob("0*.md"):
        assert f'href="{record.stem}.html"' in listed
        assert (site / "decisions" / f"{record.stem}.html").is_file()


def test_no_mark_is_left_and_nothing_comes_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<!-- (file|settings|command|tasks)\b", text), page
        fetched = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"?(\S+?)[\"> ]", text)
        fetched += re.findall(r"<link\b[^>]*\brel=\"?(?:stylesheet|icon|preconnect)[^>]*>", text)
        assert fetched
        assert [one for one in fetched if "//" in one] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_the_page_of_the_python_api_has_every_public_name(site: Path) -> None:
    shown = " ".join(codes(site / "api.html"))
    assert [name for name in luigi_traffic.__all__ if name not in shown] == []
    assert "Model.fit(config, network, batches)" in shown
