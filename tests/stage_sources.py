"""The source of each stage's core code as one hash, beside the version that it has.

python tests/stage_sources.py     records them in stage_sources.json, after a change on purpose
"""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path

from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.yaml_dataset.dataset import DeclaredDataset

CORE = Path(__file__).parents[1] / "luigi_traffic"
RECORD = Path(__file__).with_name("stage_sources.json")
_ENGINES = [
    "compute/spark_engine.py", "compute/duckdb_engine.py", "compute/duckdb_session.py",
    "compute/duckdb_frames.py",
    "api/columns.py", "api/functions.py", "api/spark_functions.py", "api/spark_links.py",
    "api/duckdb_functions.py", "api/duckdb_macros.sql", "api/grammar.py",
]  # fmt: skip
_LAKE = [*_ENGINES, "compute/schemas.py", "compute/quality.py", "compute/lines.py"]
#: From gold to the numbers of a network, in a training and in a forecast.
_NETWORK = [
    *(f"api/{name}.py" for name in ("context", "graph", "links", "model")),
    *(
        f"training/{name}.py"
        for name in (
            "batches", "bundle", "context", "fill", "forecaster", "gold", "grid", "outputs",
            "profile", "scaler", "series",
        )
    ),
    "warehouse/binary_decode.py", "warehouse/binary_format.py",
]  # fmt: skip
#: What makes the output of a stage. Messages, locks and commits are elsewhere.
SOURCES = {
    "raw": [
        "tasks/raw.py", "ingest/*.py", "api/builtin_sources.py", "api/many_days.py",
    ],
    "announce": ["tasks/announce.py", "targets/stage_input.py", "events/announcement.py"],
    "bronze": ["tasks/bronze.py", "tasks/raw_day.py", "targets/stage_input.py", *_LAKE],
    "silver": ["tasks/silver.py", "targets/stage_input.py", *_LAKE],
    "gold": [
        "tasks/gold.py", "targets/stage_input.py", "api/graph.py", "api/hops.py",
        "compute/neighbours.py",
        "spark/load.py", "warehouse/binary_encode.py", "warehouse/tables.py", *_ENGINES,
    ],
    "model": [
        "tasks/train.py", "api/losses.py", *_NETWORK,
        *(
            f"training/{name}.py"
            for name in (
                "added_channels", "baselines", "checkpoint", "descent", "evaluate", "fit_epochs",
                "fit_inputs", "fit_once", "fit_result", "fit_span", "link_blocks", "metrics",
                "refit", "trained_bundle", "trainer", "windows",
            )
        ),
    ],
    "forecast": [
        "tasks/forecast.py", "training/forecasts.py", "training/intervals.py", *_NETWORK,
        "warehouse/binary_encode.py", "warehouse/tables.py",
    ],
    "evaluation": [
        "tasks/evaluate.py", "targets/evaluation.py",
        *(
            f"training/{name}.py"
            for name in (
                "error_sums", "evaluation_rows", "gold", "grid", "issued", "issued_live",
                "link_blocks", "live_rows", "metrics", "onsets", "series",
            )
        ),
        "warehouse/tables.py",
    ],
    "drift": [
        "tasks/drift.py", "targets/drift.py", "training/drift.py", "training/baselines.py",
        "training/evaluate.py", "training/intervals.py", "training/link_blocks.py",
        "training/metrics.py", *_NETWORK,
    ],
    "insight": [
        "tasks/insight.py", "targets/insight.py", "compute/insight/*.py",
        *(f"training/{name}.py" for name in ("gold", "grid", "metrics", "series")),
        "settings/day_spans.py", "settings/insight_keys.py", "warehouse/insight_table.py",
    ],
    "retraining": ["tasks/retrain.py"],
    "yaml source": [
        "yaml_dataset/source.py", "yaml_dataset/header.py", "yaml_dataset/times.py",
        "yaml_dataset/time_texts.py", "yaml_dataset/wide.py",
        "api/many_days.py",
    ],
    "yaml bronze": [
        f"yaml_dataset/{name}.py" for name in ("rows", "values", "times", "timestamps")
    ],
    "yaml silver": ["yaml_dataset/dataset.py"],
}  # fmt: skip
VERSIONS = STAGE_VERSIONS | {
    "yaml source": DeclaredDataset.source_version,
    "yaml bronze": DeclaredDataset.version,
    "yaml silver": DeclaredDataset.silver_version,
}


def _bare(node: ast.AST) -> list[object]:
    """What a piece of source does: without comments, docstrings, imports and places.

    No `ast.dump`, whose text differs between versions of Python.
    """
    found: list[object] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            found.append([name, _bare(value)])
        elif isinstance(value, list):
            kept = [_bare(v) if isinstance(v, ast.AST) else repr(v) for v in value if not _idle(v)]
            if kept:
                found.append([name, *kept])
        elif value is not None and name not in ("kind", "type_comment"):
            found.append([name, repr(value)])
    return found


def _idle(node: object) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


def _content(path: Path) -> list[object]:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        return _bare(ast.parse(text))
    return [line for line in text.splitlines() if line and not line.startswith("--")]


def digest(stage: str) -> str:
    """SHA-256 over what the files of a stage do."""
    found = [path for pattern in SOURCES[stage] for path in sorted(CORE.glob(pattern))]
    assert found
    bare = [_content(path) for path in found]
    return hashlib.sha256(json.dumps(bare).encode()).hexdigest()[:16]


def now() -> dict[str, dict[str, str]]:
    """Stage -> version and digest, as they are."""
    return {stage: {"version": VERSIONS[stage], "source": digest(stage)} for stage in SOURCES}


if __name__ == "__main__":
    RECORD.write_text(json.dumps(now(), indent=1) + "\n", encoding="utf-8")
