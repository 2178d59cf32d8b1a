"""The version of each stage's core code: part of its recipe, beside the plugin's own version.

Raise a stage's number when its output changes for the same input; those of a day's stages are in
`api/stages.py`. Everything that it made, and all that follows from it, is then made anew.
`tests/unit/targets/test_stage_versions.py` fails when the source of a stage changed and its number
did not: see there how to say that the output stays.
"""

from __future__ import annotations

from luigi_traffic.api.stages import DAY_STAGES

STAGE_VERSIONS = {
    **{name: stage.version for name, stage in DAY_STAGES.items()},
    "model": "2",
    "forecast": "3",
    "evaluation": "1",
    "drift": "1",
    "insight": "1",
    "retraining": "1",
}
