"""`run`: a command that is a client of the stack, and of nothing else."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import pytest


def test_the_command_sees_the_stack_but_not_what_probes_left(
    isolated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Spark's client marks the process that has had a Connect session; a local Spark of the
    command would then look for a server."""
    import operate

    monkeypatch.setenv("LUIGI_TRAFFIC_STACK", str(tmp_path / "stack"))
    for kind in operate.SERVERS:  # all of somebody else: there is nothing to start
        monkeypatch.setenv(kind.variable, "elsewhere")

    def probed(started: list[str], cancelled: threading.Event) -> list[object]:
        monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")
        return []

    monkeypatch.setattr(operate, "up", probed)
    seen = tmp_path / "seen.json"
    program = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    words = [sys.executable, "-c", program, str(seen)]
    with patch.dict(os.environ):  # the launcher becomes a client itself
        assert operate.run(words, threading.Event()) == 0
        assert os.environ["SPARK_CONNECT_MODE_ENABLED"] == "1"
    found = json.loads(seen.read_text())
    assert "SPARK_CONNECT_MODE_ENABLED" not in found
    assert found["LUIGI_TRAFFIC_PROFILE"] == "stack"
    assert found["LUIGI_TRAFFIC__SPARK__REMOTE"] == "elsewhere"
