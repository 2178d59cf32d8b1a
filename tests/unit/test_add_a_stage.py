"""docs/add-a-stage.md: its changes fit the code of today, touch two files, and its task loads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-stage.md").read_text(encoding="utf-8")
LOADED = """
from datetime import date
from luigi_traffic.api.stages import DATA_STAGES, made_from
from luigi_traffic.targets.chain import Lineage
from luigi_traffic.tasks.profile import Profile
assert "profile" in DATA_STAGES and list(made_from("profile")) == [
    "profile", "silver", "bronze", "raw"]
assert Lineage.profile and Profile.stage == "profile"
"""


def test_the_stage_of_the_page_can_be_added(tmp_path: Path) -> None:
    (edits,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    (task,) = re.findall(r'```python\n(""".*?)```', PAGE, re.DOTALL)
    assert len(re.findall(r"^\+\+\+ ", edits, re.MULTILINE)) == 2
    shutil.copytree(
        ROOT / "luigi_traffic", tmp_path / "luigi_traffic",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    (tmp_path / "edits.diff").write_text(edits, encoding="utf-8")
    (tmp_path / "luigi_traffic" / "tasks" / "profile.py").write_text(task, encoding="utf-8")
    for command in (["git", "apply", "edits.diff"], [sys.executable, "-c", LOADED]):
        made = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert made.returncode == 0, made.stdout + made.stderr
