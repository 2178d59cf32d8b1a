"""A plugin that hangs, prints or raises: told by name, and nobody else is stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
from plugin_sources import HEAD, one, problem

from luigi_traffic.errors import DataError, PluginError
from luigi_traffic.plugins.isolation import Found, guarded
from luigi_traffic.project import current
from luigi_traffic.targets.chain import Lineage

ORIGIN = Found("demo", "demo-city", "1.0")


def test_pip_knows_an_installed_distribution_and_no_file() -> None:
    assert (
        Found("pluggy", "pluggy", version("pluggy")).requirement == f"pluggy=={version('pluggy')}"
    )
    assert Found("town", "/somewhere/town.py", "in a folder").requirement is None
    assert Found("broken", "?", "?").requirement is None


def test_what_it_prints_is_not_on_standard_output(capsys) -> None:
    def talk() -> int:
        sys.stdout.write("hello\n")
        return 4

    assert guarded(ORIGIN, "source()", talk, 5) == 4
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "hello\n")


def test_what_it_raises_is_told_with_plugin_distribution_and_hook() -> None:
    with pytest.raises(PluginError) as caught:
        guarded(ORIGIN, "source()", lambda: {}["town"], 5)
    assert str(caught.value) == "plugin demo (demo-city): source() raised KeyError: 'town'"
    assert isinstance(caught.value.__cause__, KeyError)

    def refuse() -> None:
        raise DataError("as it is")

    with pytest.raises(DataError, match=r"^as it is$"):
        guarded(ORIGIN, "source()", refuse, 5)


def test_one_that_hangs_is_left_alone() -> None:
    began = time.monotonic()
    with pytest.raises(
        PluginError, match=r"plugin demo \(demo-city\): source\(\) has not returned"
    ):
        guarded(ORIGIN, "source()", lambda: time.sleep(600), 0.2)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("method", "body", "told"),
    [
        ("source", "import time; time.sleep(600)", "source() has not returned after 0.5 s"),
        ("source", "1 / 0", "source() raised ZeroDivisionError"),
        ("source", "return 7", "'int' object has no attribute 'recipe'"),
        ("graph", "raise SystemExit(0)", "graph() raised SystemExit"),
    ],
)
def test_methods_of_a_dataset(isolated, method: str, body: str, told: str) -> None:
    source = one("slow").replace("def source(self): ...", "def source(self): return lt.Files('x')")
    isolated.plugin(
        "slow", source.replace("    def bronze", f"    def {method}(self): {body}\n    def bronze")
    )
    isolated.set(PLUGINS__TIMEOUT_SECONDS="0.5")
    plugins = current().plugins
    lineage = Lineage(plugins, plugins.dataset("slow"))
    with pytest.raises(PluginError) as caught:
        _ = lineage.raw if method == "source" else lineage.gold
    assert told in str(caught.value)
    assert "plugin slow (" in str(caught.value)
    assert "slow.py)" in str(caught.value)


def test_one_that_hangs_at_import_or_in_a_hook_is_left_out(isolated) -> None:
    isolated.plugin("at_import", "import time; time.sleep(600)")
    isolated.plugin(
        "in_hook",
        HEAD + "import time\n@lt.hookimpl\ndef luigi_traffic_models():\n    time.sleep(600)\n",
    )
    isolated.plugin("good", one("good"))
    isolated.set(PLUGINS__TIMEOUT_SECONDS="0.5")
    assert list(current().plugins.datasets) == ["good"]
    assert "import has not returned after 0.5 s" in problem("at_import")
    assert "luigi_traffic_models() has not returned" in problem("in_hook")


def test_json_stays_json_and_the_process_ends(isolated) -> None:
    """As a user sees it: a plugin that prints, one that hangs, and a command with --json."""
    isolated.plugin("loud", "print('at import')\n" + one("loud"))
    isolated.plugin("stuck", "import time; time.sleep(600)")
    isolated.set(PLUGINS__TIMEOUT_SECONDS="1")
    words = [sys.executable, "-m", "luigi_traffic.cli", "plugins", "list", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["loud"]["datasets"] == ["loud"]
    assert rows["stuck"]["state"] == "failed"
    assert "at import" in done.stderr


def test_hook_calls_can_be_traced(isolated, capsys) -> None:
    isolated.plugin("good", one("good"))
    isolated.monkeypatch.setenv("LUIGI_TRAFFIC_TRACE_PLUGINS", "1")
    isolated.set()
    assert list(current().plugins.datasets) == ["good"]
    traced = capsys.readouterr().err
    assert "luigi_traffic_datasets" in traced
    assert "finish luigi_traffic_datasets --> [[<class" in traced
