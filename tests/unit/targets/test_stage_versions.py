"""A stage whose code changed must not count its old output as done by accident."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import stage_sources
from stage_sources import RECORD, SOURCES, digest, now

from luigi_traffic.targets.stage_versions import STAGE_VERSIONS


@pytest.mark.parametrize("stage", list(SOURCES))
def test_the_version_of_a_stage_was_raised_when_its_output_changed(stage: str) -> None:
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))[stage]
    assert now()[stage] == recorded, (
        f"The code of the stage {stage!r} changed ({', '.join(SOURCES[stage])}). Does it make "
        "another output of the same input? Then raise its number in "
        "luigi_traffic/api/stages.py (model, forecast and evaluation: targets/stage_versions.py; "
        "of yaml: yaml_dataset/dataset.py): all it made "
        "is made anew. In either case record what is there now: python tests/stage_sources.py"
    )


def test_every_stage_has_a_source_that_is_watched() -> None:
    assert set(STAGE_VERSIONS) <= set(SOURCES)
    assert all(list(stage_sources.CORE.glob(p)) for files in SOURCES.values() for p in files)


#: They show, store and serve what was made, or say on which device.
NO_OUTPUT = {
    "__init__", "alias", "champion", "chart_text", "charts", "compared_days", "comparison",
    "device", "drawn_day", "drift_report", "heat_map", "holdout_coverage", "holdout_days",
    "holdout_onsets", "link_map", "mlflow_model", "mlflow_runs", "mlflow_store", "model_card",
    "page", "pyfunc", "registry", "report", "report_facts", "report_tables", "scores",
    "serving",
}  # fmt: skip


def test_every_module_of_training_is_watched_or_makes_no_output() -> None:
    here = {path.stem for path in (stage_sources.CORE / "training").glob("*.py")}
    made = ("model", "forecast", "evaluation", "drift")
    watched = {Path(p).stem for stage in made for p in SOURCES[stage]
               if p.startswith("training/")}  # fmt: skip
    assert here - watched == NO_OUTPUT


def test_a_comment_is_no_change_and_code_is(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stage_sources, "CORE", tmp_path)
    monkeypatch.setitem(SOURCES, "raw", ["*.py"])
    file = tmp_path / "a.py"
    file.write_text('"""Says something."""\nimport os\n\ndef f(x):\n    return x + 1\n')
    before = digest("raw")
    file.write_text(
        '"""Says more."""\nimport sys\n# why\ndef f(x):\n    """Adds."""\n    return x + 1\n'
    )
    assert digest("raw") == before
    file.write_text("def f(x):\n    return x + 2\n")
    assert digest("raw") != before
