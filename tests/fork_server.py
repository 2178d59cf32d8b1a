"""Runs of `luigi` that are forked from one process, which has done the imports.

A run imports for seconds, and a walk over all crash points has twenty of them. Each is a process
with an environment, an output and an end of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path


class ForkServer:
    """The process that forks; it starts with the first run. `modules` are imported, too."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> tuple[int, str]:
        """Exit code (or minus a signal) and output of `luigi` with these words."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__, *self._modules], cwd=folder, env=dict(environment),
                text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        assert self._process.stdin and self._process.stdout
        with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as output:
            asked = {"words": list(words), "environment": dict(environment), "output": output.name}
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer, "the process that forks has ended"
            return int(answer), output.read()

    def close(self) -> None:
        if self._process is not None and self._process.stdin:
            self._process.stdin.close()
            self._process.wait(60)


def _become(asked: Mapping[str, object]) -> list[str]:
    """In the child: the environment, input and output of a run of its own; its words."""
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(str(asked["output"]), os.O_WRONLY | os.O_APPEND)
    for descriptor, number in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, number)
    words = asked["words"]
    assert isinstance(words, list)
    return words


def main() -> None:
    import luigi.cmdline
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    import torch  # noqa: F401

    import luigi_traffic.compute.duckdb_engine
    import luigi_traffic.run
    import luigi_traffic.training.forecasts
    import luigi_traffic.training.trainer  # noqa: F401

    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        if not (child := os.fork()):
            # It goes on to the end of the interpreter, as a run does.
            luigi.cmdline.luigi_run(_become(asked))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
