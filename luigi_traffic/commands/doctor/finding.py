"""What a check of `luigi-traffic doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OK: Literal["ok"] = "ok"
#: Worth knowing; nothing fails by it.
NOTE: Literal["note"] = "note"
PROBLEM: Literal["problem"] = "problem"


@dataclass(frozen=True)
class Finding:
    """What there is, and what to do where something is wrong."""

    found: str
    state: Literal["ok", "note", "problem"] = OK
    todo: str = ""


class Problem(Exception):
    """Something is wrong: what, and what to do."""

    def __init__(self, found: str, todo: str) -> None:
        super().__init__(found)
        self.todo = todo
