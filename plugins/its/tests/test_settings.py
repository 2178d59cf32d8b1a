from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from luigi_traffic_its import ULSAN_LINKS, Its

CONF = Path(__file__).parents[3] / "conf" / "datasets" / "its.yml"


def test_the_settings_file_says_the_defaults() -> None:
    written = Its.Settings.model_validate(yaml.safe_load(CONF.read_text(encoding="utf-8")))
    assert written == Its.Settings()
    assert len(set(written.links)) == 23 == len(ULSAN_LINKS)


def test_bounds_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="min_speed 90 is not below max_speed 80"):
        Its.Settings(min_speed=90, max_speed=80)


def test_settings_belong_to_their_stage() -> None:
    its = Its(Its.Settings(links=["2", "1", "2"], min_speed=2))
    assert its.recipe_terms("silver") == {"links": ["1", "2"]}
    typed = {"min_speed": 2.0, "max_speed": 150.0}
    assert its.recipe_terms("bronze") == typed | {"scope_links": ["1", "2"]}
    assert Its(Its.Settings(links=["2"], scope="all", min_speed=2)).recipe_terms("bronze") == typed
    assert Its(Its.Settings(links=[], min_speed=2)).recipe_terms("bronze") == typed
    assert its.recipe_terms("raw").keys() == {"url_template"}
    assert its.source().recipe() == {"packing": "zip"}
    assert its.source().address()["url"].endswith("{date}_5Min.zip")


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, luigi_traffic_its as m; m.Its(m.Its.Settings()).source();"
        "print([n for n in ('numpy', 'pyspark', 'pyarrow', 'requests') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
