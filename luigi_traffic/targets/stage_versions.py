"""The version of each stage's core code: part of its recipe, beside the plugin's own version.

Raise a stage's number when its output changes for the same input. Everything that it made, and
all that follows from it, is then made anew. `tests/unit/targets/test_stage_versions.py` fails when
the source of a stage changed and this page did not: see there how to say that the output stays.
"""

from __future__ import annotations

STAGE_VERSIONS = {
    "raw": "2",
    "announce": "1",
    "bronze": "1",
    "silver": "1",
    "gold": "1",
    "model": "1",
    "forecast": "1",
}
